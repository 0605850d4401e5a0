//! The server's keys, all derived from `KEYWARD_SECRET`.
//!
//! Each use has its own key: HKDF-SHA-256 (RFC 5869, no salt) with one info string per use.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ctutils::CtEq;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::assertion::AssertionKey;
use super::base62::encode;
use super::format::{Presented, TAG_LENGTH};
use super::hash::KeyHash;
use super::signing::SigningKey;

/// 62^8, the number of possible tags.
pub(super) const TAG_MODULUS: u64 = 218_340_105_584_896;

/// `KEYWARD_SECRET`: 32 random bytes. This type only derives keys and never returns the bytes.
pub struct Secret([u8; 32]);

impl Secret {
    /// Parses 32 bytes in standard base64. `None` for any other length or alphabet.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim_ascii()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Derives the key for one use. `None` never happens: HKDF fails only for more than 8,160 bytes of output.
    fn derive(&self, info: &str) -> Option<[u8; 32]> {
        let mut key = [0_u8; 32];
        Hkdf::<Sha256>::new(None, &self.0).expand(info.as_bytes(), &mut key).ok()?;
        Some(key)
    }
}

/// Public name of one `KEYWARD_SECRET`: 8 hex digits. Identifies the secret and reveals nothing else about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Generation(String);

impl Generation {
    /// Parses a stored name. `None` unless it is 8 lower-case hex digits.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        let fits = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the 8 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Generation {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_stored(&text).ok_or("not a secret's name")
    }
}

/// HMAC-SHA-256 key with both pads already hashed, which saves two compressions per MAC.
#[derive(Clone)]
pub(super) struct MacKey(Hmac<Sha256>);

impl MacKey {
    fn new(key: &[u8; 32]) -> Self {
        Self(<Hmac<Sha256> as KeyInit>::new(&{
            // HMAC pads a short key with zeros to the block of 64 bytes (RFC 2104).
            let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
            for (slot, byte) in block.iter_mut().zip(key) {
                *slot = *byte;
            }
            block
        }))
    }

    /// Computes the MAC over the concatenated parts. The caller ensures that different messages never concatenate to the same bytes.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Key of AES-256-GCM. The platform encrypts, not this crate. It has no `Debug`.
pub struct SealingKey([u8; 32]);

impl SealingKey {
    /// Returns the key. Only the platform may call this.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Returns the tag in a MAC: its first 8 bytes, big-endian, modulo 62^8.
pub(super) fn tag_of(mac: &[u8; 32]) -> [u8; TAG_LENGTH] {
    let head = mac.first_chunk::<8>().copied().unwrap_or_default();
    encode::<TAG_LENGTH>(u64::from_be_bytes(head) % TAG_MODULUS)
}

/// The keys derived from one `KEYWARD_SECRET`.
pub struct DerivedKeys {
    generation: Generation,
    pepper: MacKey,
    record_mac: MacKey,
    reissue: MacKey,
    address: MacKey,
    session: MacKey,
    claim: MacKey,
    webhook: MacKey,
    leak_reports: SealingKey,
    checkpoint: SigningKey,
    assertion: SigningKey,
    events: SigningKey,
    /// Computed once the platform has supplied the public half.
    events_key: OnceLock<AssertionKey>,
    /// Computed once the platform has supplied the public half.
    assertion_key: OnceLock<AssertionKey>,
}

impl DerivedKeys {
    /// Derives every key. `None` if a derivation fails, which never happens; a placeholder key would be unsafe.
    #[must_use]
    pub fn new(secret: &Secret) -> Option<Self> {
        let name = secret.derive("keyward/generation/v1")?;
        let generation = Generation(hex::encode(name.first_chunk::<4>()?));
        let signing = |purpose: &str| {
            Some(SigningKey::new(format!("{purpose}/{}", generation.as_str()), secret.derive(purpose)?))
        };
        let (checkpoint, assertion) = (signing("keyward/checkpoint/v1")?, signing("keyward/assertion/v1")?);
        let events = signing("keyward/events/v1")?;
        Some(Self {
            generation,
            pepper: MacKey::new(&secret.derive("keyward/pepper/v1")?),
            record_mac: MacKey::new(&secret.derive("keyward/record-mac/v1")?),
            reissue: MacKey::new(&secret.derive("keyward/reissue/v1")?),
            address: MacKey::new(&secret.derive("keyward/address/v1")?),
            session: MacKey::new(&secret.derive("keyward/session/v1")?),
            claim: MacKey::new(&secret.derive("keyward/claim/v1")?),
            webhook: MacKey::new(&secret.derive("keyward/webhook/v1")?),
            leak_reports: SealingKey(secret.derive("keyward/leak-report/v1")?),
            checkpoint,
            assertion,
            events,
            events_key: OnceLock::new(),
            assertion_key: OnceLock::new(),
        })
    }

    /// Returns the public name of the secret.
    #[must_use]
    pub const fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Computes the hash of a key's text up to and including the secret.
    pub(super) fn hash(&self, message: &str) -> KeyHash {
        KeyHash::new(self.pepper.mac(&[message.as_bytes()]))
    }

    /// Computes the tag of a key hash: the first 8 bytes of a MAC, big-endian, modulo 62^8.
    pub(super) fn tag(&self, hash: &KeyHash) -> [u8; TAG_LENGTH] {
        tag_of(&self.pepper.mac(&[b"keyward/tag/v1", hash.as_bytes()]))
    }

    /// Returns the key of the hashes and tags of session tokens.
    pub(super) const fn session(&self) -> &MacKey {
        &self.session
    }

    pub(super) const fn record_mac(&self) -> &MacKey {
        &self.record_mac
    }

    /// Returns the key that [`super::deterministic_entropy`] derives credentials with.
    pub(super) const fn reissue(&self) -> &MacKey {
        &self.reissue
    }

    /// Returns the key of hashes and tags of claims' secrets.
    pub(super) const fn claim(&self) -> &MacKey {
        &self.claim
    }

    /// Returns the key that [`super::webhook`] derives endpoints' secrets with.
    pub(super) const fn webhook(&self) -> &MacKey {
        &self.webhook
    }

    /// Returns the key that seals leak reports which cannot be judged yet.
    #[must_use]
    pub const fn leak_reports(&self) -> &SealingKey {
        &self.leak_reports
    }

    /// Returns the key that signs events.
    #[must_use]
    pub const fn events(&self) -> &SigningKey {
        &self.events
    }

    /// Returns the public half of [`Self::events`], once the platform has supplied it.
    #[must_use]
    pub fn events_key(&self) -> Option<&AssertionKey> {
        let public = self.events.public()?;
        Some(self.events_key.get_or_init(|| AssertionKey::new(public)))
    }

    /// Digest of a client's address for the log, 16 hex digits: the same for one address, and no help to find the address without
    /// the secret.
    #[must_use]
    pub fn address_digest(&self, address: &str) -> String {
        let mac = self.address.mac(&[address.as_bytes()]);
        hex::encode(mac.first_chunk::<8>().copied().unwrap_or_default())
    }

    /// Returns the key that signs checkpoints of the audit log.
    #[must_use]
    pub const fn checkpoint(&self) -> &SigningKey {
        &self.checkpoint
    }

    /// Returns the key that signs assertions for origins.
    #[must_use]
    pub const fn assertion(&self) -> &SigningKey {
        &self.assertion
    }

    /// Returns the public half of [`Self::assertion`], once the platform has supplied it.
    #[must_use]
    pub fn assertion_key(&self) -> Option<&AssertionKey> {
        let public = self.assertion.public()?;
        Some(self.assertion_key.get_or_init(|| AssertionKey::new(public)))
    }
}

/// The derived keys of the current secret and, while a secret is being rotated, of the previous one.
pub struct Keyring {
    current: DerivedKeys,
    previous: Option<DerivedKeys>,
}

/// Hash and secret of a presented key whose tag is right. Only [`Keyring::recognise`] creates one.
pub struct Recognised {
    hash: KeyHash,
    generation: Generation,
}

impl Recognised {
    /// Returns the key hash, to compare with the stored one.
    #[must_use]
    pub const fn hash(&self) -> &KeyHash {
        &self.hash
    }

    /// Returns the name of the secret that the key was minted under.
    #[must_use]
    pub const fn generation(&self) -> &Generation {
        &self.generation
    }
}

impl Keyring {
    /// Derives the keys of `KEYWARD_SECRET` and, if given, of `KEYWARD_SECRET_PREVIOUS`. Both may be equal at the start of a
    /// rotation; the keyring then has only the current one. `None` as for [`DerivedKeys::new`].
    #[must_use]
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Option<Self> {
        let current = DerivedKeys::new(current)?;
        let previous = match previous {
            Some(secret) => Some(DerivedKeys::new(secret)?),
            None => None,
        };
        let previous = previous.filter(|previous| previous.generation != current.generation);
        Some(Self { current, previous })
    }

    /// Returns the keys that mint and seal.
    #[must_use]
    pub const fn current(&self) -> &DerivedKeys {
        &self.current
    }

    /// Iterates over the current keys and, while a secret is being rotated, the previous ones.
    pub fn generations(&self) -> impl Iterator<Item = &DerivedKeys> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }

    /// Returns the keys of the named secret, current or previous.
    #[must_use]
    pub fn of_generation(&self, generation: &Generation) -> Option<&DerivedKeys> {
        self.generations().find(|derived| derived.generation == *generation)
    }

    /// Recognises a key by its tag, under the current secret or the previous one. `None` if neither minted it, which is decided
    /// without a lookup.
    #[must_use]
    pub fn recognise(&self, presented: &Presented<'_>) -> Option<Recognised> {
        self.generations().find_map(|derived| {
            let hash = derived.hash(presented.message());
            let right: bool = derived.tag(&hash).as_slice().ct_eq(presented.tag().as_bytes()).into();
            right.then(|| Recognised { hash, generation: derived.generation.clone() })
        })
    }
}
