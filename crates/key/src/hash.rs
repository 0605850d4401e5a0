//! The key hash, the only form in which a key's secret is stored.

use std::fmt;

use ctutils::CtEq;
use serde::{Deserialize, Serialize, Serializer};

/// HMAC-SHA-256 of a key's text up to and including the secret, keyed with the pepper. Compared in constant time only.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Takes the 32 bytes of the MAC.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether both hashes are equal. Takes constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Returns the bytes, as input of the tag's MAC.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the stored form: 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Parses the output of [`Self::to_hex`]. `None` for any other length or alphabet.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        digest_from_hex(text).map(Self)
    }
}

/// Decodes 64 lower-case hex digits. Refuses upper case, so that a stored digest has only one spelling.
pub(super) fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash(…)")
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl TryFrom<String> for KeyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_stored(&text).ok_or("not a key hash")
    }
}
