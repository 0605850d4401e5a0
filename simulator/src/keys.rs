//! Keys that are minted once for all histories: a history says by number which it uses.

use std::sync::OnceLock;

use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId, Prefix};
use keyward_key::keyring::{Generation, Keyring, Secret};
use keyward_key::mint::{mint, mint_for};

use crate::random::Random;

/// How many keys a history may use.
pub const KEYS: usize = 48;

pub const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER_SECRET: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

pub struct Key {
    pub id: KeyId,
    pub hash: KeyHash,
    pub generation: Generation,
    /// What its holder presents.
    pub text: String,
    /// The same id with another secret, well made.
    pub wrong_secret: String,
    /// Well formed, but its tag is not ours.
    pub garbage: String,
}

/// The keyring of every history.
#[must_use]
pub fn keyring() -> Keyring {
    Keyring::new(&Secret::parse(SECRET).unwrap(), None).unwrap()
}

pub fn all() -> &'static [Key] {
    static KEYS_MADE: OnceLock<Vec<Key>> = OnceLock::new();
    KEYS_MADE.get_or_init(|| {
        let keyring = |text| Keyring::new(&Secret::parse(text).unwrap(), None).unwrap();
        let (ours, others) = (keyring(SECRET), keyring(OTHER_SECRET));
        let prefix = Prefix::parse("wafl").unwrap();
        let mut random = Random::new(20_261_124);
        (0..KEYS)
            .map(|_| {
                let minted = mint(&ours, &prefix, Class::Data(Environment::Live), &mut random).unwrap();
                let wrong = mint_for(ours.current(), minted.id.clone(), &mut random).unwrap();
                let garbage = mint_for(others.current(), minted.id.clone(), &mut random).unwrap();
                Key {
                    text: minted.api_key.expose().to_owned(),
                    wrong_secret: wrong.api_key.expose().to_owned(),
                    garbage: garbage.api_key.expose().to_owned(),
                    id: minted.id,
                    hash: minted.hash,
                    generation: minted.generation,
                }
            })
            .collect()
    })
}

/// The number of the key of that id.
#[must_use]
pub fn number_of(id: &str) -> Option<usize> {
    all().iter().position(|key| key.id.as_str() == id)
}
