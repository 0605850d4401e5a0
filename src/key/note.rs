//! Signed notes (C2SP, signed-note v1.0.0) with Ed25519: a short text, and who vouches for it, in plain lines.
//!
//! ```text
//! <text, one or more lines>
//!
//! — <name> <base64 of key id ‖ signature>
//! ```
//!
//! The key id is the first four bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key): it tells which key to verify with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest, Sha256};

/// The signature type of Ed25519 in key ids and verifier keys.
const ED25519: u8 = 0x01;

/// A key that signs notes. It has no `Debug`; what leaves it is the verifier key and signatures.
pub struct NoteKey(SigningKey);

impl NoteKey {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The verifier key (`vkey`) for notes of that name: `<name>+<key id in hex>+<base64 of 0x01 ‖ public key>`.
    #[must_use]
    pub fn vkey(&self, name: &str) -> String {
        format!("{name}+{}+{}", hex::encode(self.key_id(name)), STANDARD.encode(self.typed_public_key()))
    }

    /// The whole note: `text` (whole lines, the last one ended), an empty line, the signature's line.
    /// `name` has no space and no `+`.
    #[must_use]
    pub fn sign(&self, name: &str, text: &str) -> Option<String> {
        let signature = self.0.try_sign(text.as_bytes()).ok()?;
        let mut signed = self.key_id(name).to_vec();
        signed.extend(signature.to_bytes());
        Some(format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signed)))
    }

    fn typed_public_key(&self) -> Vec<u8> {
        let mut bytes = vec![ED25519];
        bytes.extend(self.0.verifying_key().to_bytes());
        bytes
    }

    fn key_id(&self, name: &str) -> [u8; 4] {
        let digest =
            Sha256::new().chain_update(name).chain_update("\n").chain_update(self.typed_public_key()).finalize();
        digest.first_chunk::<4>().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, Verifier as _};

    #[test]
    fn a_note_is_verified_by_its_vkey_alone() {
        let key = NoteKey::from_seed(&[7; 32]);
        let vkey = key.vkey("keyward/wafl");
        let note = key.sign("keyward/wafl", "keyward/wafl\n3\nAAAA\n").unwrap();

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
    fn another_name_is_another_key_id() {
        let key = NoteKey::from_seed(&[7; 32]);
        assert_ne!(key.key_id("keyward/wafl"), key.key_id("keyward/other"));
    }
}
