//! Signatures of events (Standard Webhooks 1.0.0): `v1` is HMAC-SHA-256, `v1a` is Ed25519.
//!
//! The secret of a `v1` signature is derived from the server's secret, the endpoint's id and a number, so nothing stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::keyring::DerivedKeys;
use super::signing::{PublicKey, Signature};

/// Secret of an endpoint's `v1` signatures, 32 bytes. It has no `Debug` and no `Display`; only [`Self::expose`] returns its text.
pub struct WebhookSecret([u8; 32]);

impl WebhookSecret {
    /// Derives the secret of this number of an endpoint. No id contains a slash.
    #[must_use]
    pub fn derive(derived: &DerivedKeys, endpoint: &str, number: u64) -> Self {
        Self(derived.webhook().mac(&[endpoint.as_bytes(), b"/", number.to_string().as_bytes()]))
    }

    /// Returns the text that the receiver is given: `whsec_` and base64. Only the response that makes the secret shows it.
    #[must_use]
    pub fn expose(&self) -> String {
        ["whsec_", &STANDARD.encode(self.0)].concat()
    }

    /// Returns the `v1` signature of a signed text.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> String {
        hmac_signature(&self.0, text)
    }
}

/// Returns the `v1` signature of a signed text under a key. HMAC accepts keys of any length.
fn hmac_signature(key: &[u8], text: &[u8]) -> String {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return String::new() };
    mac.update(text);
    ["v1,", &STANDARD.encode(mac.finalize().into_bytes())].concat()
}

/// Returns the text that is signed: the event's id, the time of the attempt in seconds since 1970, and the body.
#[must_use]
pub fn signed_text(id: &str, at_seconds: i64, body: &str) -> String {
    format!("{id}.{at_seconds}.{body}")
}

/// Returns a `v1a` signature as `webhook-signature` lists it.
#[must_use]
pub fn ed25519_signature(signature: &Signature) -> String {
    ["v1a,", &STANDARD.encode(signature)].concat()
}

/// Returns a public key in the form of Standard Webhooks.
#[must_use]
pub fn public_text(public: &PublicKey) -> String {
    ["whpk_", &STANDARD.encode(public)].concat()
}

#[cfg(test)]
mod tests {
    use super::super::keyring::Secret;
    use super::*;

    /// Source: the test vectors of Standard Webhooks 1.0.0.
    #[test]
    fn the_published_vectors_get_their_signatures() {
        let key = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        let text = signed_text("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        assert_eq!(hmac_signature(&key, text.as_bytes()), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");

        let pair = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let pair: [u8; 64] = STANDARD.decode(pair).unwrap().try_into().unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(pair.first_chunk().unwrap());
        let text = signed_text("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        let signature = ed25519_dalek::Signer::sign(&key, text.as_bytes()).to_bytes();
        let expected = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(ed25519_signature(&signature), expected);
        assert_eq!(public_text(&key.verifying_key().to_bytes()), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    }

    #[test]
    fn every_endpoint_number_and_server_secret_has_its_own_secret() {
        let derived = |byte: u8| DerivedKeys::new(&Secret::parse(&STANDARD.encode([byte; 32])).unwrap()).unwrap();
        let (one, other) = (derived(1), derived(2));
        let secrets = [
            WebhookSecret::derive(&one, "ep_a", 1).expose(),
            WebhookSecret::derive(&one, "ep_a", 2).expose(),
            WebhookSecret::derive(&one, "ep_b", 1).expose(),
            WebhookSecret::derive(&other, "ep_a", 1).expose(),
        ];
        for (at, secret) in secrets.iter().enumerate() {
            assert!(!secrets[..at].contains(secret));
            assert_eq!(secret.len(), "whsec_".len() + 44);
        }
        assert_eq!(secrets[0], WebhookSecret::derive(&one, "ep_a", 1).expose(), "it can be derived again");
    }
}
