//! Sealed records. Somebody with write access to the namespace can store any bytes. Only a text that Keyward sealed may open, and
//! only under its own name.

use std::sync::LazyLock;

use keyward_key::entropy::Entropy;
use keyward_key::epoch::Epoch;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::keyring::{Generation, Keyring, Secret};
use keyward_key::limit::{Limit, Span};
use keyward_key::record::{OwnLimits, Quarantined, Record};
use keyward_key::scope::Scope;
use keyward_key::sealed::{Broken, SEALED_LENGTH, Sealed, SealedUnder, seal_text, storage_name};
use keyward_key::time::Millis;
use keyward_testkit::entropy::Seeded;
use proptest::prelude::*;

const CURRENT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PREVIOUS: &str = "rkSKyGxOjk3sZFcpcI70GHOuecbf+E7/czYJiUh/COU=";

/// The stored form of [`record`]. `sealed_under` and `mac` were computed outside this crate (HKDF and HMAC in Python), from the
/// documentation of `key::sealed`. Changing this text means changing the stored form, and with it every record in KV.
const STORED: &str = concat!(
    r#"{"sealed_under":"a3a7b10a","mac":"9949388098d445428fc474805fb23300362464472fe06501b3e47a5ae626d472","#,
    r#""sealed":{"epoch":"1795442523004-Zq3xk0PdW7aLmN2v","record":{"id":"wafl_live_8Fh2kQ0sZp1L","#,
    r#""key_hash":"0544dc901f9504912f85289ab2c68612523b6a95e7d704d204fb5c7f04807b1e","#,
    r#""minted_under":"a3a7b10a","integration":"crm-sync","scopes":["contacts:read","contacts:write"],"#,
    r#""allowed_cidrs":["192.0.2.0/24","2001:db8::/32"],"expires_at":1795442523004,"#,
    r#""retiring":false,"revoked":false,"revision":17}}}"#
);

fn keyring(current: &str, previous: Option<&str>) -> Keyring {
    let secret = |text| Secret::parse(text).expect("32 bytes in base64");
    Keyring::new(&secret(current), previous.map(secret).as_ref()).expect("32 bytes derive every key")
}

fn id() -> KeyId {
    KeyId::parse("wafl_live_8Fh2kQ0sZp1L").expect("an id")
}

fn record() -> Record {
    Record {
        id: id(),
        key_hash: KeyHash::from_stored("0544dc901f9504912f85289ab2c68612523b6a95e7d704d204fb5c7f04807b1e")
            .expect("64 hex digits"),
        minted_under: Generation::from_stored("a3a7b10a").expect("8 hex digits"),
        integration: "crm-sync".to_owned(),
        scopes: ["contacts:read", "contacts:write"].map(|scope| Scope::parse(scope).expect("a scope")).into(),
        allowed_cidrs: ["192.0.2.0/24", "2001:db8::/32"].map(|cidr| cidr.parse().expect("a CIDR")).into(),
        expires_at: Millis(1_795_442_523_004),
        retiring: false,
        revoked: false,
        quarantined: None,
        limits: None,
        limit_group: None,
        limit_revision: 0,
        revision: 17,
    }
}

fn sealed(record: &Record, keyring: &Keyring) -> String {
    let epoch = Epoch::from_stored("1795442523004-Zq3xk0PdW7aLmN2v".to_owned());
    Sealed { epoch, record: record.clone() }.seal(keyring.current()).expect("a record is always JSON")
}

fn open(text: &str, id: &KeyId, keyring: &Keyring) -> Result<Record, Broken> {
    Sealed::open(text, id, keyring).map(|(opened, _)| opened.record)
}

fn json(record: &Record) -> String {
    serde_json::to_string(record).expect("a record is always JSON")
}

fn broken(text: &str) -> Option<Broken> {
    static BOTH: LazyLock<Keyring> = LazyLock::new(|| keyring(CURRENT, Some(PREVIOUS)));
    open(text, &id(), &BOTH).err()
}

fn quick(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

#[test]
fn the_stored_form_is_this_literal_json() {
    assert_eq!(sealed(&record(), &keyring(CURRENT, None)), STORED);
    assert_eq!(storage_name(&id()), "key:wafl_live_8Fh2kQ0sZp1L");
}

#[test]
fn a_sealed_record_opens_to_what_was_sealed() {
    let opened = open(STORED, &id(), &keyring(CURRENT, None)).expect("sealed by this keyring");
    assert_eq!(json(&opened), json(&record()));
    assert!(opened.key_hash.matches(&record().key_hash));
}

#[test]
fn a_quarantined_record_needs_a_reader_that_knows_quarantine() {
    let ring = keyring(CURRENT, None);
    let quarantined = Record { quarantined: Quarantined::when(true), ..record() };
    assert_eq!(json(&quarantined), json(&record()).replace('}', r#","quarantined":{"min_reader":3}}"#));
    assert!(open(&sealed(&quarantined, &ring), &id(), &ring).is_ok_and(|opened| opened.quarantined.is_some()));
    assert!(open(&sealed(&record(), &ring), &id(), &ring).is_ok_and(|opened| opened.quarantined.is_none()));
}

#[test]
fn a_record_with_limits_is_for_readers_that_enforce_them() {
    let ring = keyring(CURRENT, None);
    let limit = Limit::new("burst".to_owned(), 100, Span::Seconds(60)).unwrap();
    let limited = Record { limits: Some(OwnLimits::new(vec![limit])), ..record() };
    let form = r#","limits":{"limits":[{"name":"burst","requests":100,"seconds":60}],"min_reader":3}}"#;
    assert_eq!(json(&limited), json(&record()).replace('}', form));
    assert!(open(&sealed(&limited, &ring), &id(), &ring).is_ok_and(|opened| opened.limits == limited.limits));
    let unlimited = Record { limits: Some(OwnLimits::new(Vec::new())), ..record() };
    assert_eq!(json(&unlimited), json(&record()).replace('}', r#","limits":{"limits":[]}}"#));
}

#[test]
fn a_record_with_any_one_bit_or_byte_changed_is_broken() {
    for at in 0..STORED.len() {
        for with in 0..=u8::MAX {
            let mut bytes = STORED.as_bytes().to_vec();
            let original = std::mem::replace(&mut bytes[at], with);
            // KV returns UTF-8 text, so other bytes never reach `open`.
            if let (true, Ok(text)) = (with != original, std::str::from_utf8(&bytes)) {
                assert!(broken(text).is_some(), "byte {at} {:?} as {:?}", char::from(original), char::from(with));
            }
        }
    }
}

#[test]
fn each_reason_to_reject_a_copy_has_its_own_log_name() {
    let names = [Broken::Form, Broken::Generation, Broken::Mac, Broken::Newer].map(Broken::as_str);
    assert_eq!(names, ["form", "generation", "mac", "newer"]);
}

#[test]
fn a_text_above_the_maximum_length_is_not_read() {
    let padded = |length: usize| format!("{STORED}{}", " ".repeat(length - STORED.len()));
    assert_eq!(broken(&padded(SEALED_LENGTH)), None);
    assert_eq!(broken(&padded(SEALED_LENGTH + 1)), Some(Broken::Form));
}

#[test]
fn a_truncated_or_extended_record_is_broken() {
    for at in 0..STORED.len() {
        assert_eq!(broken(&STORED[..at]), Some(Broken::Form), "cut at {at}");
        assert_eq!(broken(&STORED[at..]).is_some(), at > 0, "from {at}");
    }
    for more in ["}", "{}", "0", ",", "\0", STORED] {
        assert_eq!(broken(&format!("{STORED}{more}")), Some(Broken::Form), "{more}");
    }
}

#[test]
fn a_record_copied_to_another_id_is_broken() {
    let ring = keyring(CURRENT, None);
    for other in
        ["wafl_live_8Fh2kQ0sZp1M", "wafl_test_8Fh2kQ0sZp1L", "wafl_admin_8Fh2kQ0sZp1L", "acme_live_8Fh2kQ0sZp1L"]
    {
        let other = KeyId::parse(other).expect("an id");
        let theirs = sealed(&Record { id: other.clone(), ..record() }, &ring);
        assert!(open(&theirs, &other, &ring).is_ok());
        assert_eq!(open(&theirs, &id(), &ring).err(), Some(Broken::Mac), "{other}");
        assert_eq!(open(STORED, &other, &ring).err(), Some(Broken::Mac), "{other}");
    }
}

#[test]
fn a_record_sealed_under_another_secret_is_broken() {
    let other = keyring(PREVIOUS, None);
    let theirs = sealed(&record(), &other);
    assert_eq!(open(&theirs, &id(), &keyring(CURRENT, None)).err(), Some(Broken::Generation));
    // The name of one secret with the MAC of the other.
    let renamed = theirs.replacen(other.current().generation().as_str(), "a3a7b10a", 1);
    assert_eq!(broken(&renamed), Some(Broken::Mac));
    let renamed = STORED.replacen("a3a7b10a", other.current().generation().as_str(), 1);
    assert_eq!(broken(&renamed), Some(Broken::Mac));
}

#[test]
fn a_record_sealed_under_the_previous_secret_opens_until_that_secret_is_removed() {
    let before = sealed(&record(), &keyring(PREVIOUS, None));
    let opened = open(&before, &id(), &keyring(CURRENT, Some(PREVIOUS))).expect("the previous secret is still there");
    assert_eq!(json(&opened), json(&record()));
    assert_eq!(open(&before, &id(), &keyring(CURRENT, None)).err(), Some(Broken::Generation));
    let under =
        |text: &str| Sealed::open(text, &id(), &keyring(CURRENT, Some(PREVIOUS))).expect("sealed by this keyring").1;
    assert_eq!((under(&before), under(STORED)), (SealedUnder::Previous, SealedUnder::Current));
    let resealed = sealed(&opened, &keyring(CURRENT, Some(PREVIOUS)));
    assert_eq!(resealed, STORED, "only the current secret seals");
}

#[test]
fn a_record_with_missing_or_repeated_fields_or_a_changed_text_is_broken() {
    let (envelope, inner) = STORED.split_once(r#""sealed":"#).expect("a sealed part");
    for text in [
        STORED.replacen(r#""sealed":{"#, r#""sealed":{"extra":1,"#, 1),
        STORED.replacen(r#""record":{"#, r#""record":{"extra":1,"#, 1),
        STORED.replacen(r#""record":{"#, r#""record":{"min_reader":9,"#, 1),
        STORED.replacen('{', r#"{"sealed_under":"a3a7b10a","#, 1),
        STORED.replacen(r#""sealed":"#, r#""sealed":{},"sealed":"#, 1),
        STORED.replacen(r#""record":"#, r#""record":{},"record":"#, 1),
        STORED.replacen(r#""epoch":"1795442523004-Zq3xk0PdW7aLmN2v","#, "", 1),
        STORED.replacen(r#""record":{"#, r#""record":{"revoked":false,"#, 1),
        STORED.replacen(r#""revoked":false,"#, "", 1),
        STORED.replacen(r#""sealed_under":"a3a7b10a","#, "", 1),
        format!(r#"{envelope}"mac":"{}","sealed":{inner}"#, "0".repeat(64)),
        format!(r#"{}"sealed":{inner}"#, &envelope[..1]),
        format!(r#"{envelope}"sealed":null}}"#),
        format!(r#"{envelope}"sealed":[]}}"#),
        format!("[{STORED}]"),
    ] {
        assert!(broken(&text).is_some(), "{text}");
    }
}

#[test]
fn a_record_with_a_malformed_field_is_refused_whatever_its_mac() {
    let plain = json(&record());
    assert!(serde_json::from_str::<Record>(&plain).is_ok());
    for (from, to) in [
        ("{", r#"{"revision":18,"#),
        (r#""revoked":false,"#, ""),
        (r#""revoked":false,"#, r#""revoked":0,"#),
        (r#""allowed_cidrs":["#, r#""allowed_cidrs":[null,"#),
        ("192.0.2.0/24", "192.0.2.0/33"),
        ("contacts:read", "contacts read"),
        ("1795442523004", "1e300"),
        (r#""revision":17"#, r#""revision":-1"#),
        (r#""revision":17"#, r#""revision":18446744073709551616"#),
        (r#""minted_under":"a3a7b10a""#, r#""minted_under":"A3A7B10A""#),
        ("wafl_live_", "wafl_prod_"),
    ] {
        let changed = plain.replacen(from, to, 1);
        assert!(changed != plain && serde_json::from_str::<Record>(&changed).is_err(), "{changed}");
    }
}

/// Seals a changed text under the current secret, as a later version of the worker would.
fn sealed_by_a_later_version(from: &str, to: &str) -> String {
    let ring = keyring(CURRENT, None);
    let epoch = Epoch::from_stored("1795442523004-Zq3xk0PdW7aLmN2v".to_owned());
    let plain = serde_json::to_string(&Sealed { epoch, record: record() }).expect("a record is always JSON");
    let changed = plain.replacen(from, to, 1);
    assert_ne!(changed, plain);
    let name = storage_name(&id());
    seal_text(&[b"keyward/record/v2\n", name.as_bytes(), b"\n"], changed, ring.current()).expect("it is JSON")
}

#[test]
fn an_added_field_is_ignored_at_each_level() {
    let ring = keyring(CURRENT, None);
    for text in [
        sealed_by_a_later_version("{", r#"{"later":[1],"#),
        sealed_by_a_later_version(r#""record":{"#, r#""record":{"later":{"deep":null},"#),
        sealed_by_a_later_version(r#""record":{"#, r#""record":{"min_reader":1,"#),
    ] {
        let opened = open(&text, &id(), &ring).unwrap_or_else(|why| panic!("{}: {text}", why.as_str()));
        assert_eq!(json(&opened), json(&record()));
    }
}

#[test]
fn a_genuine_record_for_newer_readers_is_reported_as_newer() {
    for text in [
        sealed_by_a_later_version("{", r#"{"min_reader":9,"#),
        sealed_by_a_later_version(r#""record":{"#, r#""record":{"min_reader":9,"#),
        // A newer form need not have the present fields.
        sealed_by_a_later_version(r#""revision":17"#, r#""min_reader":9,"revision":"17""#),
    ] {
        assert_eq!(broken(&text), Some(Broken::Newer), "{text}");
    }
    // The envelope is not authenticated, so `min_reader` there must not make a copy look newer.
    for added in [r#"{"min_reader":9,"#, r#"{"later":1,"#] {
        assert_eq!(broken(&STORED.replacen('{', added, 1)), Some(Broken::Form), "{added}");
    }
}

#[test]
fn a_mac_of_another_length_or_spelling_is_broken() {
    let mac = &STORED[34..98];
    assert!(STORED.contains(&format!(r#""mac":"{mac}""#)) && mac.len() == 64);
    let upper = mac.to_uppercase();
    let (long, padded) = (format!("{mac}00"), format!(" {mac}"));
    for other in ["", "00", &mac[..62], &mac[..63], &long, &padded, &upper, &"é".repeat(32)] {
        assert_eq!(broken(&STORED.replacen(mac, other, 1)), Some(Broken::Form), "{other}");
    }
    for other in ["0".repeat(64), "f".repeat(64)] {
        assert_eq!(broken(&STORED.replacen(mac, &other, 1)), Some(Broken::Mac), "{other}");
    }
}

#[test]
fn garbage_and_huge_values_are_broken_without_a_panic() {
    let deep = SEALED_LENGTH - 100;
    for text in [
        String::new(),
        "null".to_owned(),
        "0".to_owned(),
        "\u{feff}".to_owned() + STORED,
        "[".repeat(deep),
        r#"{"sealed":"#.repeat(deep / 10),
        format!(r#"{{"sealed_under":"a3a7b10a","mac":"{}","sealed":{}}}"#, "0".repeat(64), "[".repeat(deep - 150)),
        format!(
            r#"{{"sealed_under":"a3a7b10a","mac":"{}","sealed":{}{}}}"#,
            "0".repeat(64),
            "[".repeat(deep / 3),
            "]".repeat(deep / 3)
        ),
        STORED.replacen("a3a7b10a", &"a".repeat(deep - 1_000), 1),
        "a".repeat(25 * 1_048_576),
        // Genuine, but above the maximum length.
        format!("{STORED}{}", " ".repeat(SEALED_LENGTH)),
    ] {
        assert!(broken(&text).is_some(), "{} bytes: {:.40}", text.len(), text);
    }
}

#[test]
fn a_stored_hash_or_generation_has_one_spelling() {
    let digits = "0544dc901f9504912f85289ab2c68612523b6a95e7d704d204fb5c7f04807b1e";
    assert_eq!(KeyHash::from_stored(digits).expect("64 hex digits").to_hex(), digits);
    for other in ["", &digits[..62], &digits[1..], &digits.to_uppercase(), &format!("{digits}00"), &"é".repeat(32)] {
        assert!(KeyHash::from_stored(other).is_none(), "{other}");
        assert!(serde_json::from_value::<KeyHash>(other.into()).is_err(), "{other}");
    }
    for other in ["", "a3a7b10", "a3a7b10a0", "A3A7B10A", "a3a7b10g", "éééé"] {
        assert!(Generation::from_stored(other).is_none(), "{other}");
        assert!(serde_json::from_value::<Generation>(other.into()).is_err(), "{other}");
    }
}

#[test]
fn debug_output_of_a_record_shows_no_hash() {
    let shown = format!("{:?}", record());
    assert!(!shown.contains("0544dc90") && !shown.contains("5, 68, 220"), "{shown}");
    assert_eq!(format!("{:?} {:?}", record().id, record().key_hash), "KeyId(wafl_live_8Fh2kQ0sZp1L) KeyHash(…)");
}

proptest! {
    #![proptest_config(quick(500))]

    #[test]
    fn every_record_opens_to_what_was_sealed(
        seed: u64,
        integration in ".{0,40}",
        scopes in proptest::collection::vec("[a-z][a-z0-9:._-]{0,63}", 0..8),
        v4 in any::<([u8; 4], bool)>(),
        v6 in any::<([u8; 16], bool)>(),
        expires_at: i64,
        retiring: bool,
        revoked: bool,
        revision: u64,
    ) {
        let mut hash = [0_u8; 32];
        Seeded::new(seed).fill(&mut hash).expect("a seeded source never fails");
        let network = |address: std::net::IpAddr, narrow: bool| {
            format!("{address}/{}", if narrow { 32 } else { 0 }).parse().expect("a CIDR")
        };
        let record = Record {
            key_hash: KeyHash::new(hash),
            integration,
            scopes: scopes.iter().map(|scope| Scope::parse(scope).expect("a scope")).collect(),
            allowed_cidrs: vec![network(v4.0.into(), v4.1), network(v6.0.into(), v6.1)],
            expires_at: Millis(expires_at),
            retiring,
            revoked,
            revision,
            ..record()
        };
        let ring = keyring(CURRENT, None);
        let opened = open(&sealed(&record, &ring), &id(), &ring).expect("sealed by this keyring");
        prop_assert_eq!(json(&opened), json(&record));
        prop_assert!(opened.key_hash.matches(&record.key_hash));
    }

    #[test]
    fn a_text_that_was_not_sealed_never_opens(
        text in any::<String>(),
        at in 0..STORED.len(),
        piece in "[\\PC\\s]{1,12}",
    ) {
        prop_assert!(broken(&text).is_some());
        let spliced = format!("{}{piece}{}", &STORED[..at], &STORED[at..]);
        // White space and escapes in the envelope change nothing. Every other change must be refused.
        if let Ok(opened) = open(&spliced, &id(), &keyring(CURRENT, None)) {
            prop_assert_eq!(json(&opened), json(&record()), "{}", spliced);
        }
    }
}
