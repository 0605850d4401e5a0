//! Records in KV: a record without a valid seal is refused, and an accepted record is well formed.

use base64::Engine as _;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use keyward_key::sealed::{Sealed, storage_name};
use sha2::Sha256;

use super::fixture::{CONFIG, LIVE, OTHER, SECRET};

/// Input: the first byte selects whether the rest is a value of KV, or a record to be sealed with the secret.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if mode % 2 == 0 {
        assert!(Sealed::open(text, &LIVE.id, &CONFIG.keyring).is_err(), "accepted without a valid seal: {text}");
        return;
    }
    let text = text.replace("{id}", LIVE.id.as_str()).replace("{hash}", &LIVE.hash.to_hex());
    if serde_json::from_str::<serde_json::Value>(&text).is_err() {
        return;
    }
    let sealed = sealed_by_hand(text.trim());
    assert!(Sealed::open(&sealed, &OTHER.id, &CONFIG.keyring).is_err(), "the record of another id was accepted");
    let Ok((opened, _)) = Sealed::open(&sealed, &LIVE.id, &CONFIG.keyring) else { return };
    assert_eq!(opened.record.id, LIVE.id);
    let again = opened.seal(CONFIG.keyring.current()).expect("an opened record can be sealed");
    let (reopened, _) = Sealed::open(&again, &LIVE.id, &CONFIG.keyring).expect("a sealed record can be opened");
    assert_eq!(serde_json::to_string(&reopened).ok(), serde_json::to_string(&opened).ok());
}

/// Seals a record by docs/internals/storage.md, without code of the product.
fn sealed_by_hand(sealed: &str) -> String {
    let secret = base64::engine::general_purpose::STANDARD.decode(SECRET).expect("base64");
    let mut key = [0_u8; 32];
    Hkdf::<Sha256>::new(None, &secret).expand(b"keyward/record-mac/v1", &mut key).expect("32 bytes");
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).expect("any length");
    mac.update(format!("keyward/record/v2\n{}\n{sealed}", storage_name(&LIVE.id)).as_bytes());
    let mac: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let generation = CONFIG.keyring.current().generation().as_str();
    format!(r#"{{"sealed_under":"{generation}","mac":"{mac}","sealed":{sealed}}}"#)
}
