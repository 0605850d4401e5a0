//! JWTs for origins: the public signing key as a JSON Web Key (RFC 8037) and compact JSON Web Signatures (RFC 7515, section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::signing::{PublicKey, Signature};

/// Public half of the key that signs assertions, and the JWT header that they share.
pub struct AssertionKey {
    jwk: Jwk,
    /// The encoded protected header and the dot after it, the same for every assertion of this key.
    header: String,
}

/// Public key as `GET /_keyward/jwks.json` shows it (RFC 7517; RFC 8037, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    /// Public key: 32 bytes in base64url.
    x: String,
    /// Thumbprint of the key (RFC 7638), which depends on the key alone.
    kid: String,
    alg: &'static str,
    r#use: &'static str,
}

impl AssertionKey {
    /// Creates the verification key from the public half of a signing key.
    pub(super) fn new(public: &PublicKey) -> Self {
        let (kty, crv, alg) = ("OKP", "Ed25519", "EdDSA");
        // The values are base64url or constants, so nothing needs escaping.
        let x = URL_SAFE_NO_PAD.encode(public);
        // Exactly these members, in this order, without white space (RFC 7638, section 3; RFC 8037, appendix A.3).
        let kid = digest(format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#).as_bytes());
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"JWT"}}"#));
        Self { jwk: Jwk { kty, crv, x, kid, alg, r#use: "sig" }, header: format!("{header}.") }
    }

    /// Returns the public key.
    #[must_use]
    pub const fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Returns the key id, as in the header of each assertion.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// Returns the JWS signing input for `claims`, a JSON object: header and payload in base64url, with a dot between them.
    #[must_use]
    pub fn signing_input(&self, claims: &[u8]) -> String {
        let mut jwt = String::with_capacity(claims.len().saturating_mul(2).saturating_add(256));
        jwt.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(claims, &mut jwt);
        jwt
    }
}

/// Returns the JWT: the output of [`AssertionKey::signing_input`] with its signature.
#[must_use]
pub fn signed(mut signing_input: String, signature: &Signature) -> String {
    signing_input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut signing_input);
    signing_input
}

/// Returns the SHA-256 digest in base64url, 43 characters.
#[must_use]
pub fn digest(text: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::super::signing::SigningKey;
    use super::*;

    /// Source: RFC 8037, appendices A.1 to A.4.
    #[test]
    fn the_example_of_rfc_8037_gets_its_published_signature() {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::new("example".to_owned(), seed.try_into().unwrap());
        let public = AssertionKey::new(&key.native_public());
        assert_eq!(public.jwk.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(public.jwk.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let unsigned = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned();
        let signature = key.native_sign(unsigned.as_bytes());
        assert_eq!(
            signed(unsigned, &signature),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
             hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn a_jwk_has_public_members_only() {
        let key = SigningKey::new("test".to_owned(), [7; 32]);
        let public = AssertionKey::new(&key.native_public());
        let shown: serde_json::Value = serde_json::to_value(public.jwk()).unwrap();
        let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert!(!shown.to_string().contains(&URL_SAFE_NO_PAD.encode([7; 32])));
    }
}
