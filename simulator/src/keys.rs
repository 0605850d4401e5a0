//! Keys, minted once for all histories. A history refers to a key by its index.

use std::sync::OnceLock;

use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId, Prefix};
use keyward_key::keyring::{Generation, Keyring, Secret};
use keyward_key::mint::{mint, mint_for};

use crate::random::Random;

/// Number of keys that a history may use.
pub const KEY_COUNT: usize = 48;

pub const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_SECRET: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

pub struct Key {
    pub id: KeyId,
    pub hash: KeyHash,
    pub generation: Generation,
    /// The key as its holder presents it.
    pub text: String,
    /// The same id with another secret and a valid tag.
    pub wrong_secret: String,
    /// The same id with the tag of another keyring.
    pub forged_tag: String,
}

/// Returns the keyring of every history.
#[must_use]
pub fn keyring() -> Keyring {
    Keyring::new(&Secret::parse(SECRET).unwrap(), None).unwrap()
}

/// Returns all keys.
pub fn all() -> &'static [Key] {
    static MINTED: OnceLock<Vec<Key>> = OnceLock::new();
    MINTED.get_or_init(|| {
        let keyring = |text| Keyring::new(&Secret::parse(text).unwrap(), None).unwrap();
        let (ours, foreign) = (keyring(SECRET), keyring(OTHER_SECRET));
        let prefix = Prefix::parse("wafl").unwrap();
        let mut random = Random::new(20_261_124);
        (0..KEY_COUNT)
            .map(|_| {
                let minted = mint(&ours, &prefix, Class::Data(Environment::Live), &mut random).unwrap();
                let wrong = mint_for(ours.current(), minted.id.clone(), &mut random).unwrap();
                let forged_tag = mint_for(foreign.current(), minted.id.clone(), &mut random).unwrap();
                Key {
                    text: minted.api_key.expose().to_owned(),
                    wrong_secret: wrong.api_key.expose().to_owned(),
                    forged_tag: forged_tag.api_key.expose().to_owned(),
                    id: minted.id,
                    hash: minted.hash,
                    generation: minted.generation,
                }
            })
            .collect()
    })
}

/// Returns the index of the key with this id.
#[must_use]
pub fn index_of(id: &str) -> Option<usize> {
    all().iter().position(|key| key.id.as_str() == id)
}
