//! Sealed records, the form of records in KV. A MAC authenticates them, so write access to the namespace is not enough to mint,
//! widen or revive a key.
//!
//! ```json
//! {"sealed_under":"1f2e3d4c","mac":"<64 hex digits>","sealed":{"epoch":"…","record":{…}}}
//! ```
//!
//! The MAC is HMAC-SHA-256 under `keyward/record-mac/v1` of the secret that `sealed_under` names. Its input is
//! `keyward/record/v2`, the name in KV and the bytes of `sealed`, separated by line feeds. So a record copied to another name
//! fails like a changed one. The epoch names the history that the record's revision counts in: a copy from before a restore of
//! the authority is not comparable with later ones.

use ctutils::CtEq;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::epoch::Epoch;
use super::hash::digest_from_hex;
use super::id::KeyId;
use super::keyring::{DerivedKeys, Generation, Keyring};
use super::record::Record;
use crate::version::{self, ReadError};

const DOMAIN: &[u8] = b"keyward/record/v2\n";

/// Maximum length of a sealed text in bytes. Longer texts are not parsed.
pub const SEALED_LENGTH: usize = 65_536;

/// The MAC does not cover the envelope, so no field may be added to it. New fields, including `min_reader`, go into the sealed text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    sealed_under: Generation,
    mac: String,
    #[serde(borrow)]
    sealed: &'a RawValue,
}

/// A record and the epoch that it belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Sealed {
    /// Epoch that the record's revision counts in.
    pub epoch: Epoch,
    /// The record.
    pub record: Record,
}

/// The secret that a text was sealed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedUnder {
    /// The current secret.
    Current,
    /// The previous secret, which may have been retired because it leaked.
    Previous,
}

/// Why a sealed text is rejected. The caller treats it as absent, and logs every reason except [`Self::Newer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Malformed JSON, missing fields, or too long.
    Form,
    /// Sealed under a secret that is neither current nor previous.
    Generation,
    /// The MAC does not match: the text was forged or changed, or copied from another id.
    Mac,
    /// Genuine, but written by a later version for newer readers. Not a fault.
    Newer,
}

impl Broken {
    /// Returns the name for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Generation => "generation",
            Self::Mac => "mac",
            Self::Newer => "newer",
        }
    }
}

/// Returns the name of a record in KV.
#[must_use]
pub fn storage_name(id: &KeyId) -> String {
    format!("key:{id}")
}

impl Sealed {
    /// Seals the record under `derived`. `None` only if it cannot be written as JSON, which never happens.
    #[must_use]
    pub fn seal(&self, derived: &DerivedKeys) -> Option<String> {
        let name = storage_name(&self.record.id);
        seal_text(&[DOMAIN, name.as_bytes(), b"\n"], serde_json::to_string(self).ok()?, derived)
    }

    /// Opens a text that was stored under the name of `id`, and returns the secret that it was sealed under.
    ///
    /// # Errors
    /// [`Broken`]: the caller must treat the record as absent.
    pub fn open(text: &str, id: &KeyId, keyring: &Keyring) -> Result<(Self, SealedUnder), Broken> {
        if text.len() > SEALED_LENGTH {
            return Err(Broken::Form);
        }
        let name = storage_name(id);
        let (sealed, under): (Self, _) =
            open_text(&[DOMAIN, name.as_bytes(), b"\n"], text, keyring, |text| version::read(text))?;
        if sealed.record.id == *id { Ok((sealed, under)) } else { Err(Broken::Mac) }
    }
}

/// Wraps a JSON text in an envelope. The MAC is over `context`, which differs for each kind of text, and the text.
/// `None` if `json` is not JSON.
pub fn seal_text(context: &[&[u8]], json: String, derived: &DerivedKeys) -> Option<String> {
    let mac = mac_of(derived, context, &json);
    let sealed = RawValue::from_string(json).ok()?;
    serde_json::to_string(&Envelope {
        sealed_under: derived.generation().clone(),
        mac: hex::encode(mac),
        sealed: &sealed,
    })
    .ok()
}

/// Opens an envelope and passes its text to `read`, but only if the MAC is right.
///
/// # Errors
/// [`Broken`]: the caller must treat the text as absent.
pub fn open_text<T>(
    context: &[&[u8]],
    text: &str,
    keyring: &Keyring,
    read: impl FnOnce(&str) -> Result<T, ReadError>,
) -> Result<(T, SealedUnder), Broken> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| Broken::Form)?;
    let derived = keyring.of_generation(&envelope.sealed_under).ok_or(Broken::Generation)?;
    let claimed = digest_from_hex(&envelope.mac).ok_or(Broken::Form)?;
    let right: bool = mac_of(derived, context, envelope.sealed.get()).ct_eq(&claimed).into();
    if !right && !keyward_fault::fault!("the MAC is not checked") {
        return Err(Broken::Mac);
    }
    let current = derived.generation() == keyring.current().generation();
    let under = if current { SealedUnder::Current } else { SealedUnder::Previous };
    match read(envelope.sealed.get()) {
        Ok(value) => Ok((value, under)),
        Err(ReadError::Newer(_)) => Err(Broken::Newer),
        Err(ReadError::Malformed(_)) => Err(Broken::Form),
    }
}

fn mac_of(derived: &DerivedKeys, context: &[&[u8]], json: &str) -> [u8; 32] {
    let mut parts = context.to_vec();
    parts.push(json.as_bytes());
    derived.record_mac().mac(&parts)
}
