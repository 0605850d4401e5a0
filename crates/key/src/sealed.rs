//! A record as KV holds it: authenticated, so that nobody with write access to the namespace can mint, widen or revive a key.
//!
//! ```json
//! {"sealed_under":"1f2e3d4c","mac":"<64 hex digits>","sealed":{"epoch":"…","record":{…}}}
//! ```
//!
//! The MAC (HMAC-SHA-256 under `keyward/record-mac/v1` of the secret named by `sealed_under`) is over
//! `keyward/record/v2`, the name it is stored under and the bytes of `sealed` as they stand, parted by line feeds:
//! a record copied to another name fails as surely as a changed one. The epoch names the history of the authority that its
//! revision counts in: a copy from before a restore says nothing about what is true after it.

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

/// No stored record is longer; what is longer is not read.
pub const SEALED_LENGTH: usize = 65_536;

/// Nothing around the MAC is authenticated. So nothing may be added here: new fields, `min_reader` too, go into the sealed text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    sealed_under: Generation,
    mac: String,
    #[serde(borrow)]
    sealed: &'a RawValue,
}

/// A record and the history it belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Sealed {
    /// The history of the authority that the record's revision counts in.
    pub epoch: Epoch,
    /// The record.
    pub record: Record,
}

/// By which secret something was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedUnder {
    /// The current one.
    Current,
    /// The one before, which may have been retired because somebody else knows it.
    Previous,
}

/// Why a stored text is not believed. It then counts as absent, and is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Not the JSON of something sealed: torn, garbage or too long.
    Form,
    /// Sealed under a secret that we don't have (any more).
    Generation,
    /// The MAC doesn't fit: forged, changed, or another id's record.
    Mac,
    /// Genuine, but written by a later version for newer readers. Nothing is wrong with it, so nothing is logged.
    Newer,
}

impl Broken {
    /// The word for the log.
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

/// The name a record is stored under in KV.
#[must_use]
pub fn storage_name(id: &KeyId) -> String {
    format!("key:{id}")
}

impl Sealed {
    /// Seals under the current secret. `None` only if the record can't be written as JSON, which it always can.
    #[must_use]
    pub fn seal(&self, derived: &DerivedKeys) -> Option<String> {
        let name = storage_name(&self.record.id);
        seal_text(&[DOMAIN, name.as_bytes(), b"\n"], serde_json::to_string(self).ok()?, derived)
    }

    /// Opens what was stored under `id`'s name, and says by which secret it was sealed.
    ///
    /// # Errors
    /// [`Broken`]: it must then be treated as absent.
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

/// The envelope around a JSON text: its MAC is over `context`, which no two kinds of text share, and the text.
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

/// Opens an envelope and reads its text, which was only looked at if the MAC is right.
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
