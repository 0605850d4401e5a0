//! The platform of [`keyward_control::access_verifier`].

use super::{clock, glue};
use keyward_control::access_verifier::AccessPlatform;
use keyward_control::certs::PublicKey;
use keyward_key::time::Millis;

/// Fetches by `fetch`, and verifies signatures by WebCrypto.
pub struct Access;

impl AccessPlatform for Access {
    fn now(&self) -> Millis {
        clock::now()
    }

    async fn pause(&self, milliseconds: u32) {
        let _ = glue::pause(milliseconds).await;
    }

    async fn fetch_text(&self, url: &str, max_bytes: u32, timeout_ms: u32) -> Result<String, String> {
        match glue::fetch_text(url, max_bytes, timeout_ms).await {
            Ok(text) => text.as_string().ok_or_else(|| "no text".to_owned()),
            Err(thrown) => Err(glue::cause(&thrown)),
        }
    }

    async fn verify_rs256(&self, key: &PublicKey, signature: &[u8], signed: &str) -> bool {
        let verified = glue::verify_rs256(&key.n, &key.e, signature, signed).await;
        verified.ok().and_then(|value| value.as_bool()) == Some(true)
    }
}
