//! A record in KV: nothing is believed that was not sealed here, and what is believed has its form.

use base64::Engine as _;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use keyward_key::sealed::{Sealed, storage_name};
use sha2::Sha256;

use super::fixture::{CONFIG, LIVE, OTHER, SECRET};

/// The first byte chooses: the rest as it would stand in KV, or as a record that someone with the secret sealed.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if mode % 2 == 0 {
        assert!(Sealed::open(text, &LIVE.id, &CONFIG.keyring).is_err(), "not sealed here, and believed: {text}");
        return;
    }
    let text = text.replace("{id}", LIVE.id.as_str()).replace("{hash}", &LIVE.hash.to_hex());
    if serde_json::from_str::<serde_json::Value>(&text).is_err() {
        return;
    }
    let sealed = sealed_by_hand(text.trim());
    assert!(Sealed::open(&sealed, &OTHER.id, &CONFIG.keyring).is_err(), "another id's record was believed");
    let Ok((opened, _)) = Sealed::open(&sealed, &LIVE.id, &CONFIG.keyring) else { return };
    assert_eq!(opened.record.id, LIVE.id);
    let again = opened.seal(CONFIG.keyring.current()).expect("a record that was read can be written");
    let (reopened, _) = Sealed::open(&again, &LIVE.id, &CONFIG.keyring).expect("what we seal we open");
    assert_eq!(serde_json::to_string(&reopened).ok(), serde_json::to_string(&opened).ok());
}

/// docs/internals/storage.md once more, without the product.
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
