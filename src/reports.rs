//! The platform of GitHub's leak reports, in an isolate and in the registry's object.

use wasm_bindgen::JsCast;

use super::entropy::System;
use super::glue;
use keyward_control::leaks::ReportPlatform;
use keyward_control::leaks::github_keys::{FETCH_MILLIS, Fetched, LIST_BYTES};
use keyward_key::entropy::Entropy;
use keyward_key::keyring::SealingKey;

/// Fetches by `fetch`; verifies, seals and opens by WebCrypto.
pub struct Reports;

impl ReportPlatform for Reports {
    async fn fetch_list(&self, url: &str, etag: Option<&str>) -> Result<Fetched, String> {
        let fetched =
            glue::fetch_list(url, etag, LIST_BYTES, FETCH_MILLIS).await.map_err(|thrown| glue::cause(&thrown))?;
        let Some(parts) = fetched.dyn_ref::<js_sys::Array>() else { return Ok(Fetched::NotModified) };
        let text = parts.get(0).as_string().ok_or("the list is not a text")?;
        Ok(Fetched::List { text, etag: parts.get(1).as_string() })
    }

    async fn verify_p256(&self, spki: &[u8], signature: &[u8; 64], signed: &[u8]) -> bool {
        let verified = glue::verify_p256(spki, signature, signed).await;
        verified.ok().and_then(|value| value.as_bool()) == Some(true)
    }

    async fn seal(&self, key: &SealingKey, body: &[u8]) -> Result<Vec<u8>, String> {
        let sealed = glue::seal(key.expose(), body).await.map_err(|thrown| glue::cause(&thrown))?;
        let sealed = sealed.dyn_ref::<js_sys::Uint8Array>().map(js_sys::Uint8Array::to_vec);
        sealed.ok_or_else(|| "the sealed body is not bytes".to_owned())
    }

    async fn open(&self, key: &SealingKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let opened = glue::open(key.expose(), sealed).await.ok()?;
        opened.dyn_ref::<js_sys::Uint8Array>().map(js_sys::Uint8Array::to_vec)
    }

    fn entropy(&self) -> impl Entropy {
        System
    }
}
