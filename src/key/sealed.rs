//! A record as KV holds it: authenticated, so that nobody with write access to the namespace can mint, widen or revive a key.
//!
//! ```json
//! {"sealed_under":"1f2e3d4c","mac":"<64 hex digits>","record":{…}}
//! ```
//!
//! The MAC (HMAC-SHA-256 under `keyward/record-mac/v1` of the secret named by `sealed_under`) is over
//! `keyward/record/v1`, the name it is stored under and the bytes of `record` as they stand, parted by line feeds:
//! a record copied to another name fails as surely as a changed one.

use ctutils::CtEq;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::hash::digest_from_hex;
use super::house::{Generation, House, Keyring};
use super::id::KeyId;
use super::record::Record;
use crate::json;

const DOMAIN: &[u8] = b"keyward/record/v1\n";

/// No stored record is longer; what is longer is not read.
pub const SEALED_LENGTH: usize = 65_536;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    sealed_under: Generation,
    mac: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// Why a stored record is not believed. It then counts as absent, and is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Not the JSON of a sealed record: torn, garbage or too long.
    Form,
    /// Sealed under a secret that we don't have (any more).
    Generation,
    /// The MAC doesn't fit: forged, changed, or another id's record.
    Mac,
}

impl Broken {
    /// The word for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Generation => "generation",
            Self::Mac => "mac",
        }
    }
}

/// The name a record is stored under in KV.
#[must_use]
pub fn storage_name(id: &KeyId) -> String {
    format!("key:{id}")
}

/// Seals a record under the current secret. `None` only if the record can't be written as JSON, which it always can.
#[must_use]
pub fn seal(record: &Record, house: &House) -> Option<String> {
    let json = serde_json::to_string(record).ok()?;
    let mac = mac_of(house, &record.id, &json);
    let record = RawValue::from_string(json).ok()?;
    serde_json::to_string(&Envelope {
        sealed_under: house.generation().clone(),
        mac: hex::encode(mac),
        record: &record,
    })
    .ok()
}

/// Opens what was stored under `id`'s name.
///
/// # Errors
/// [`Broken`]: it must then be treated as absent.
pub fn open(text: &str, id: &KeyId, keyring: &Keyring) -> Result<Record, Broken> {
    if text.len() > SEALED_LENGTH {
        return Err(Broken::Form);
    }
    let envelope: Envelope<'_> = json::read(text).map_err(|_| Broken::Form)?;
    let house = keyring.house(&envelope.sealed_under).ok_or(Broken::Generation)?;
    let claimed = digest_from_hex(&envelope.mac).ok_or(Broken::Form)?;
    let right: bool = mac_of(house, id, envelope.record.get()).ct_eq(&claimed).into();
    if !right {
        return Err(Broken::Mac);
    }
    let record: Record = json::read(envelope.record.get()).map_err(|_| Broken::Form)?;
    if record.id == *id { Ok(record) } else { Err(Broken::Mac) }
}

fn mac_of(house: &House, id: &KeyId, record: &str) -> [u8; 32] {
    house.record_mac().mac(&[DOMAIN, storage_name(id).as_bytes(), b"\n", record.as_bytes()])
}
