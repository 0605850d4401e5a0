//! Signed notes (C2SP, signed-note v1.0.0) with Ed25519: a short text and its signature, both in lines of text.
//!
//! ```text
//! <text, one or more lines>
//!
//! — <name> <base64 of key id ‖ signature>
//! ```
//!
//! The key id is the first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key). It selects the key to verify with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::signing::{PublicKey, Signature};

/// Signature type of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 0x01;

/// Returns the verifier key (`vkey`) for notes of that name: `<name>+<key id in hex>+<base64 of 0x01 ‖ public key>`.
/// `name` must have no space and no `+`.
#[must_use]
pub fn vkey(name: &str, public: &PublicKey) -> String {
    format!("{name}+{}+{}", hex::encode(key_id(name, public)), STANDARD.encode(typed(public)))
}

/// Returns the whole note: `text`, an empty line and the signature line. `text` is what was signed; it ends with a line feed.
#[must_use]
pub fn note(name: &str, text: &str, public: &PublicKey, signature: &Signature) -> String {
    let mut signed = key_id(name, public).to_vec();
    signed.extend(signature);
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signed))
}

fn typed(public: &PublicKey) -> Vec<u8> {
    let mut bytes = vec![ED25519];
    bytes.extend(public);
    bytes
}

fn key_id(name: &str, public: &PublicKey) -> [u8; 4] {
    let digest = Sha256::new().chain_update(name).chain_update("\n").chain_update(typed(public)).finalize();
    digest.first_chunk::<4>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::signing::SigningKey;
    use super::*;
    use ed25519_dalek::{Signature, Verifier as _};

    #[test]
    fn a_note_verifies_with_its_vkey_alone() {
        let key = SigningKey::new("test".to_owned(), [7; 32]);
        let (public, text) = (key.native_public(), "keyward/wafl\n3\nAAAA\n");
        let vkey = vkey("keyward/wafl", &public);
        let note = note("keyward/wafl", text, &public, &key.native_sign(text.as_bytes()));

        let [name, id, typed] = vkey.split('+').collect::<Vec<_>>()[..] else { panic!("{vkey}") };
        let typed = STANDARD.decode(typed).unwrap();
        assert_eq!(typed[0], ED25519);
        let (text, signature) = note.split_once("\n\n").unwrap();
        let line = signature.strip_suffix('\n').unwrap().strip_prefix("\u{2014} keyward/wafl ").unwrap();
        let signed = STANDARD.decode(line).unwrap();
        assert_eq!(hex::encode(&signed[..4]), id);
        let again = Sha256::digest([name.as_bytes(), b"\n", &typed].concat());
        assert_eq!(again[..4], signed[..4]);
        let public = ed25519_dalek::VerifyingKey::from_bytes(typed[1..].try_into().unwrap()).unwrap();
        let signature = Signature::from_slice(&signed[4..]).unwrap();
        assert!(public.verify(format!("{text}\n").as_bytes(), &signature).is_ok());
        assert!(public.verify(format!("{text}0\n").as_bytes(), &signature).is_err());
    }

    #[test]
    fn the_key_id_depends_on_the_name() {
        assert_ne!(key_id("keyward/wafl", &[7; 32]), key_id("keyward/other", &[7; 32]));
    }
}
