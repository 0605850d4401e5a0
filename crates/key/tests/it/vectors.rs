//! Golden vectors of the key format, which every implementation must reproduce.
//!
//! The pepper never leaves the keyring, so it is tested indirectly: these tests compute hash and tag from the vector's
//! `pepper_hex` and compare them with the keyring's.

use hmac::{Hmac, KeyInit, Mac};
use keyward_key::base62;
use keyward_key::format::{CHECK_LENGTH, Malformed, Presented, SECRET_LENGTH, TAG_LENGTH, check_of, contains_key};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Class, Environment, KeyId, Prefix};
use keyward_key::keyring::{Keyring, Secret};
use serde::Deserialize;
use sha2::Sha256;

#[derive(Deserialize)]
struct Vectors {
    alphabet: String,
    valid: Vec<Valid>,
    invalid: Vec<Invalid>,
}

#[derive(Deserialize)]
struct Valid {
    keyward_secret: String,
    pepper_hex: String,
    prefix: String,
    environment: String,
    key: String,
    key_id: String,
    key_hash_hex: String,
    tag: String,
    check: String,
}

#[derive(Deserialize)]
struct Invalid {
    why: String,
    text: String,
}

impl Valid {
    fn prefix(&self) -> Prefix {
        Prefix::parse(&self.prefix).expect("a vector's prefix is one")
    }

    fn secret(&self) -> Secret {
        Secret::parse(&self.keyward_secret).expect("a vector's secret is 32 bytes in base64")
    }

    fn keyring(&self) -> Keyring {
        Keyring::new(&self.secret(), None).expect("32 bytes derive every key")
    }

    fn class(&self) -> Class {
        match self.environment.as_str() {
            "live" => Class::Data(Environment::Live),
            "test" => Class::Data(Environment::Test),
            "admin" => Class::Member,
            other => panic!("no class {other}"),
        }
    }

    fn message(&self) -> &str {
        &self.key[..self.key.len() - TAG_LENGTH - CHECK_LENGTH]
    }
}

fn vectors() -> Vectors {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../../tests/vectors/key_format.json"))
        .expect("the vectors are JSON of this form");
    assert_eq!(vectors.valid.len(), 8, "number of vectors");
    assert_eq!(vectors.invalid.len(), 20, "number of vectors");
    vectors
}

/// All checks before a lookup: form, check, tag.
fn is_recognised(text: &str, prefix: &Prefix, keyring: &Keyring) -> bool {
    Presented::parse(text, prefix).is_ok_and(|presented| keyring.recognise(&presented).is_some())
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[test]
fn the_alphabet_is_digits_then_upper_case_then_lower_case() {
    assert_eq!(base62::ALPHABET.as_slice(), vectors().alphabet.as_bytes());
}

#[test]
fn every_valid_vector_parses_to_its_id_and_class() {
    for vector in vectors().valid {
        let presented = Presented::parse(&vector.key, &vector.prefix()).expect(&vector.key);
        assert_eq!(presented.id(), vector.key_id, "{}", vector.key);
        assert_eq!(presented.class(), vector.class(), "{}", vector.key);
        let id = KeyId::parse(&vector.key_id).expect(&vector.key_id);
        assert_eq!(id.as_str(), vector.key_id);
        assert_eq!(id.class(), vector.class(), "{}", vector.key);
    }
}

#[test]
fn every_valid_vector_is_recognised_with_its_hash_under_its_secret() {
    for vector in vectors().valid {
        let (prefix, keyring) = (vector.prefix(), vector.keyring());
        let presented = Presented::parse(&vector.key, &prefix).expect(&vector.key);
        let recognised = keyring.recognise(&presented).expect(&vector.key);
        assert_eq!(recognised.hash().to_hex(), vector.key_hash_hex, "{}", vector.key);
        assert_eq!(recognised.generation(), keyring.current().generation(), "{}", vector.key);
        let stored = KeyHash::from_stored(&vector.key_hash_hex).expect("64 hex digits");
        assert!(recognised.hash().matches(&stored), "{}", vector.key);
    }
}

#[test]
fn hash_and_tag_are_made_with_the_pepper_of_the_vector() {
    for vector in vectors().valid {
        let pepper = hex::decode(&vector.pepper_hex).expect("hex");
        let hash = hmac(&pepper, &[vector.message().as_bytes()]);
        assert_eq!(hex::encode(hash), vector.key_hash_hex, "{}", vector.key);
        let head: [u8; 8] = hmac(&pepper, &[b"keyward/tag/v1", &hash])[..8].try_into().expect("eight bytes");
        let tag = base62::encode::<TAG_LENGTH>(u64::from_be_bytes(head));
        assert_eq!(tag, vector.tag.as_bytes(), "{}", vector.key);
        assert_eq!(format!("{}{}{}", vector.message(), vector.tag, vector.check), vector.key);
    }
}

#[test]
fn the_check_is_the_crc_32_of_everything_before_it() {
    for vector in vectors().valid {
        let (body, check) = vector.key.split_at(vector.key.len() - CHECK_LENGTH);
        assert_eq!(check, vector.check);
        assert_eq!(check_of(body), vector.check.as_bytes(), "{}", vector.key);
    }
}

#[test]
fn no_vector_is_recognised_under_another_vectors_secret() {
    let vectors = vectors().valid;
    for (left, right) in vectors.iter().flat_map(|left| vectors.iter().map(move |right| (left, right))) {
        let same = left.keyward_secret == right.keyward_secret;
        assert_eq!(is_recognised(&left.key, &left.prefix(), &right.keyring()), same, "{}", left.key);
    }
}

#[test]
fn every_invalid_vector_is_refused_before_any_lookup() {
    let vectors = vectors();
    let first = &vectors.valid[0];
    let (prefix, keyring) = (first.prefix(), first.keyring());
    for Invalid { why, text } in &vectors.invalid {
        assert!(!is_recognised(text, &prefix, &keyring), "{why}: {text}");
    }
}

#[test]
fn each_invalid_vector_is_refused_for_its_own_defect() {
    let vectors = vectors();
    let prefix = vectors.valid[0].prefix();
    for Invalid { why, text } in &vectors.invalid {
        let wrong = match why.as_str() {
            "empty" | "other prefix, check right" | "upper-case prefix" | "dash for underscore" => {
                Some(Malformed::Prefix)
            }
            "cyrillic a in the prefix" | "percent-encoded underscore" => Some(Malformed::Prefix),
            "unknown environment" => Some(Malformed::Class),
            "prefix only" | "one character short" | "one character long" | "inner space" => Some(Malformed::Form),
            "trailing newline" | "full-width digit" | "NUL inside" => Some(Malformed::Form),
            "last character changed" | "secret changed, check not" | "check past 32 bits" => Some(Malformed::Check),
            // Well formed. Only the tag shows that Keyward did not mint it.
            "secret changed, check right, tag wrong"
            | "environment changed, check right, tag wrong"
            | "made under another secret" => None,
            other => panic!("new vector without an expected defect: {other}"),
        };
        assert_eq!(Presented::parse(text, &prefix).err(), wrong, "{why}: {text}");
    }
}

#[test]
fn a_vector_in_a_url_is_found_exactly_when_it_is_well_formed() {
    let vectors = vectors();
    for vector in &vectors.valid {
        let url = format!("/v1/contacts?key={}&page=2", vector.key);
        assert!(contains_key(url.as_bytes(), &vector.prefix()), "{url}");
    }
    let prefix = vectors.valid[0].prefix();
    for Invalid { why, text } in &vectors.invalid {
        // These two contain a well-formed key followed by one more character.
        let contains_one = Presented::parse(text, &prefix).is_ok()
            || ["one character long", "trailing newline"].contains(&why.as_str());
        assert_eq!(contains_key(text.as_bytes(), &prefix), contains_one, "{why}: {text}");
    }
}

#[test]
fn an_id_of_another_length_is_refused() {
    for vector in vectors().valid {
        let id = vector.key_id;
        for other in [format!("{id}0"), format!("{id}_"), id[..id.len() - 1].to_owned(), format!("{id}_{id}")] {
            assert_eq!(KeyId::parse(&other), None, "{other}");
        }
    }
}

#[test]
fn the_parts_have_the_documented_lengths() {
    assert_eq!((SECRET_LENGTH, TAG_LENGTH, CHECK_LENGTH), (32, 8, 6));
    for vector in vectors().valid {
        assert_eq!(vector.key.len(), vector.key_id.len() + 1 + 46, "{}", vector.key);
    }
}
