//! Properties of all keys, beyond the golden vectors: no text similar to a key is accepted, and a key is found anywhere in a text.

use std::collections::HashSet;

use keyward_key::base62::ALPHABET;
use keyward_key::entropy::base62;
use keyward_key::format::{Presented, check_of, contains_key};
use keyward_key::id::{Class, Environment, KeyId, Prefix};
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::mint::{Minted, mint};
use keyward_testkit::entropy::Seeded;
use proptest::prelude::*;

const CURRENT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PREVIOUS: &str = "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU=";
const CLASSES: [Class; 3] = [Class::Data(Environment::Live), Class::Data(Environment::Test), Class::Member];

fn keyring(current: &str, previous: Option<&str>) -> Keyring {
    let secret = |text| Secret::parse(text).expect("32 bytes in base64");
    Keyring::new(&secret(current), previous.map(secret).as_ref()).expect("32 bytes derive every key")
}

fn wafl() -> Prefix {
    Prefix::parse("wafl").expect("four letters")
}

fn minted(keyring: &Keyring, class: Class, seed: u64) -> Minted {
    mint(keyring, &wafl(), class, &mut Seeded::new(seed)).expect("a seeded source never fails")
}

fn is_recognised(text: &str, keyring: &Keyring) -> bool {
    Presented::parse(text, &wafl()).is_ok_and(|presented| keyring.recognise(&presented).is_some())
}

fn replaced(key: &str, at: usize, with: char) -> String {
    format!("{}{with}{}", &key[..at], &key[at + 1..])
}

/// Recomputes the check, as anyone can, so that only the tag can refuse the key.
fn with_right_check(key: &str) -> String {
    let body = &key[..key.len() - 6];
    body.chars().chain(check_of(body).map(char::from)).collect()
}

fn quick(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

#[test]
fn a_key_with_any_one_character_changed_is_refused() {
    let keyring = keyring(CURRENT, Some(PREVIOUS));
    let base62 = ALPHABET.iter().copied().map(char::from);
    let others: Vec<char> = base62.chain("_-. \n\0%+/=\u{7f}é０аｗ\u{202e}".chars()).collect();
    for (seed, class) in (1..).zip(CLASSES) {
        let key = minted(&keyring, class, seed).api_key;
        let key = key.expose();
        for (at, original) in key.char_indices() {
            for other in others.iter().filter(|other| **other != original) {
                let changed = replaced(key, at, *other);
                assert!(!is_recognised(&changed, &keyring), "{changed}");
            }
        }
    }
}

#[test]
fn a_changed_key_with_a_recomputed_check_fails_its_tag() {
    let keyring = keyring(CURRENT, Some(PREVIOUS));
    for (seed, class) in (11..).zip(CLASSES) {
        let key = minted(&keyring, class, seed).api_key;
        let key = key.expose();
        let start = key.rfind('_').expect("an underscore before the secret") - 12;
        for at in (start..key.len() - 6).filter(|at| &key[*at..=*at] != "_") {
            for other in ALPHABET.iter().copied().map(char::from).filter(|other| !key[at..].starts_with(*other)) {
                let changed = with_right_check(&replaced(key, at, other));
                assert!(Presented::parse(&changed, &wafl()).is_ok(), "well formed: {changed}");
                assert!(!is_recognised(&changed, &keyring), "{changed}");
            }
        }
    }
}

#[test]
fn a_key_moved_to_another_environment_is_refused_even_with_a_right_check() {
    let keyring = keyring(CURRENT, Some(PREVIOUS));
    for (from, to) in CLASSES.iter().flat_map(|from| CLASSES.iter().map(move |to| (*from, *to))) {
        let key = minted(&keyring, from, 21).api_key;
        let moved = key.expose().replacen(from.as_str(), to.as_str(), 1);
        assert_eq!(is_recognised(&with_right_check(&moved), &keyring), from == to, "{from:?} as {to:?}");
    }
}

#[test]
fn a_key_with_an_added_removed_or_swapped_character_is_refused() {
    let keyring = keyring(CURRENT, Some(PREVIOUS));
    for (seed, class) in (31..).zip(CLASSES) {
        let key = minted(&keyring, class, seed).api_key;
        let key = key.expose();
        for at in 0..=key.len() {
            for extra in ["0", "z", "_", " ", "\0", "é", &key[..1]] {
                let longer = format!("{}{extra}{}", &key[..at], &key[at..]);
                assert!(!is_recognised(&longer, &keyring), "{longer}");
            }
            assert!(!is_recognised(&key[..at.min(key.len() - 1)], &keyring), "cut at {at}");
            assert!(at == 0 || !is_recognised(&key[at..], &keyring), "from {at}");
        }
        for at in 0..key.len() {
            let shorter = format!("{}{}", &key[..at], &key[at + 1..]);
            assert!(!is_recognised(&shorter, &keyring), "{shorter}");
            for other in at + 1..key.len() {
                let mut swapped: Vec<char> = key.chars().collect();
                swapped.swap(at, other);
                let swapped: String = swapped.into_iter().collect();
                assert_eq!(is_recognised(&swapped, &keyring), swapped == key, "{swapped}");
            }
        }
    }
}

#[test]
fn every_minted_key_parses_is_recognised_and_has_a_unique_id() {
    let keyring = keyring(CURRENT, None);
    let mut source = Seeded::new(41);
    let (mut ids, mut secrets) = (HashSet::new(), HashSet::new());
    for class in CLASSES.iter().cycle().take(3_000) {
        let minted = mint(&keyring, &wafl(), *class, &mut source).expect("a seeded source never fails");
        let prefix = wafl();
        let presented = Presented::parse(minted.api_key.expose(), &prefix).expect("a minted key is well formed");
        assert_eq!((presented.id(), presented.class()), (minted.id.as_str(), *class));
        let recognised = keyring.recognise(&presented).expect("we minted it");
        assert!(recognised.hash().matches(&minted.hash));
        assert_eq!(recognised.generation(), &minted.generation);
        assert!(ids.insert(minted.id.as_str().to_owned()), "{}", minted.id);
        let (_, secret) = minted.api_key.expose().rsplit_once('_').expect("three underscores");
        assert!(secrets.insert(secret[..32].to_owned()), "duplicate secret");
        assert!(contains_key(minted.api_key.expose().as_bytes(), &prefix));
    }
}

#[test]
fn a_key_of_the_previous_secret_is_recognised_until_that_secret_is_removed() {
    let before = keyring(PREVIOUS, None);
    let during = keyring(CURRENT, Some(PREVIOUS));
    let after = keyring(CURRENT, None);
    let (old, new) = (minted(&before, CLASSES[0], 51), minted(&during, CLASSES[0], 52));
    assert_eq!(&old.generation, before.current().generation());
    assert_eq!(&new.generation, after.current().generation(), "only the current secret mints");
    assert_ne!(old.generation, new.generation);
    for key in [&old, &new] {
        let prefix = wafl();
        let presented = Presented::parse(key.api_key.expose(), &prefix).expect("well formed");
        let recognised = during.recognise(&presented).expect("minted under one of the two");
        assert_eq!(recognised.generation(), &key.generation);
        assert!(recognised.hash().matches(&key.hash));
    }
    assert!(!is_recognised(old.api_key.expose(), &after));
    assert!(is_recognised(new.api_key.expose(), &after));
    assert!(!is_recognised(new.api_key.expose(), &before));
    assert!(after.of_generation(&old.generation).is_none());
}

#[test]
fn a_hash_matches_no_other_key() {
    let ring = keyring(CURRENT, Some(PREVIOUS));
    let keys: Vec<Minted> = (60..90).map(|seed| minted(&ring, CLASSES[0], seed)).collect();
    for (left, right) in keys.iter().flat_map(|left| keys.iter().map(move |right| (left, right))) {
        assert_eq!(left.hash.matches(&right.hash), left.id == right.id);
    }
}

#[test]
fn base62_digits_are_uniformly_distributed() {
    const PER_DIGIT: u32 = 2_000;
    let mut source = Seeded::new(71);
    let text = base62(&mut source, 62 * PER_DIGIT as usize).expect("a seeded source never fails");
    let mut counts = [0_u32; 62];
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|digit| *digit == byte).expect("a base62 digit");
        counts[digit] += 1;
    }
    let expected = f64::from(PER_DIGIT);
    let chi_square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    // 61 degrees of freedom: 99.9 % of uniform samples stay below 100.9. A plain `byte % 62` is at about 3,400.
    assert!(chi_square < 100.9, "{chi_square}: {counts:?}");
}

#[test]
fn a_megabyte_of_prefixes_is_searched_in_linear_time() {
    for (prefix, piece) in [
        ("aa", "a"),
        ("wafl", "wafl"),
        ("wafl", "wafl_"),
        ("wafl", "wafl_live_"),
        ("wafl", "wafl_live_8Fh2kQ0sZp1L_"),
        ("wafl", "wafl_live_8Fh2kQ0sZp1L_mavzfVABqZ5YsOOlB1f46RfHk7hp3ILTp46QPr1i0kUC00"),
    ] {
        let prefix = Prefix::parse(prefix).expect("a prefix");
        let text = piece.repeat(1_048_576 / piece.len());
        // A quadratic search would take minutes for each of these.
        assert!(!contains_key(text.as_bytes(), &prefix), "{piece}");
    }
}

proptest! {
    #![proptest_config(quick(2_000))]

    #[test]
    fn a_key_is_found_anywhere_in_any_text(
        seed: u64,
        class in 0..3_usize,
        before in prop_oneof!["[0-9A-Za-z_]{0,40}", ".{0,40}", "(wafl_|live_|wafl){0,6}"],
        after in prop_oneof!["[0-9A-Za-z_]{0,40}", ".{0,40}", "(_wafl|_live_|wafl_){0,6}"],
    ) {
        let key = minted(&keyring(CURRENT, None), CLASSES[class], seed).api_key;
        let text = format!("{before}{}{after}", key.expose());
        prop_assert!(contains_key(text.as_bytes(), &wafl()), "{}", text);
        let mut bytes = vec![0xff, 0xc3];
        bytes.extend(text.bytes().chain([0xe2, 0x80]));
        prop_assert!(contains_key(&bytes, &wafl()), "between bytes that are not UTF-8: {}", text);
    }

    #[test]
    fn a_look_alike_with_a_wrong_check_is_not_reported(
        look_alike in "wafl_(live|test|admin)_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}",
        wrong in "[0-9A-Za-z]{6}",
        before in "[ -/:-@]{0,10}",
        after in "[0-9A-Za-z_]{0,20}",
    ) {
        prop_assume!(check_of(&look_alike) != wrong.as_bytes());
        let text = format!("{before}{look_alike}{wrong}{after}");
        prop_assert!(!contains_key(text.as_bytes(), &wafl()), "{}", text);
    }

    #[test]
    fn any_text_is_parsed_without_a_panic(
        text in prop_oneof![
            any::<String>(),
            "wafl_(live|test|admin|.{0,4})_.{0,12}_.{0,46}",
            "wafl_live_[0-9A-Za-zé０]{12}_[0-9A-Za-zé０]{46}",
            "[wafl_ive0-9é]{0,80}",
        ],
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let keyring = keyring(CURRENT, Some(PREVIOUS));
        prop_assert!(!is_recognised(&text, &keyring), "{}", text);
        prop_assert!(!contains_key(text.as_bytes(), &wafl()), "{}", text);
        prop_assert!(!contains_key(&bytes, &wafl()));
        for id in [KeyId::parse(&text), text.get(..22).and_then(KeyId::parse)].into_iter().flatten() {
            prop_assert_eq!(KeyId::parse(id.as_str()), Some(id));
        }
        if let (Some(prefix), false) = (Prefix::parse(&text), text.is_empty()) {
            prop_assert_eq!(prefix.as_str(), text);
        }
    }

    #[test]
    fn a_parsed_key_is_ascii_and_begins_with_its_id(text in "(wafl|acme)_(live|test|admin)_[0-9A-Za-z]{52}") {
        let text = format!("{}_{}", &text[..text.len() - 40], &text[text.len() - 40..]);
        let key = text.chars().chain(check_of(&text).map(char::from)).collect::<String>();
        match Presented::parse(&key, &wafl()) {
            Ok(presented) => {
                prop_assert!(key.is_ascii() && key.starts_with("wafl_"));
                prop_assert_eq!(KeyId::parse(presented.id()).map(|id| id.class()), Some(presented.class()));
                prop_assert!(key.starts_with(presented.id()));
            }
            Err(_) => prop_assert!(key.starts_with("acme_"), "{}", key),
        }
    }
}
