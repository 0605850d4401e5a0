//! Keys that a refused request exposed: in its URL, from a browser page, or over plain HTTP.

use super::{Reason, recognise, url_texts};
use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::limits::EXPOSED_KEYS;
use keyward_http::route::{Matched, is_own_path};
use keyward_key::exposure::ExposureKind;
use keyward_key::format::{Presented, keys_in};
use keyward_key::id::KeyId;
use keyward_key::keyring::Recognised;
use keyward_protocol::SubmittedHash;

/// Returns how a request that was refused for `reason` exposed keys. `None` for every other reason.
#[must_use]
pub const fn exposure_kind(reason: Reason) -> Option<ExposureKind> {
    match reason {
        Reason::KeyInUrl => Some(ExposureKind::Url),
        Reason::Browser => Some(ExposureKind::Browser),
        Reason::PlainHttp => Some(ExposureKind::Http),
        _ => None,
    }
}

/// Returns the keys with a right tag that a refused request exposed, each once. Whether they exist, and with this secret, only the
/// authority knows. The number of verified tags is limited, so a URL full of well-formed keys costs no more.
#[must_use]
pub fn exposed_keys(config: &Config, head: &Head<'_>, kind: ExposureKind) -> Vec<SubmittedHash> {
    let mut found: Vec<SubmittedHash> = Vec::new();
    match kind {
        ExposureKind::Browser | ExposureKind::Http => {
            let recognised = recognise(config, head).ok();
            found.extend(recognised.and_then(|(presented, recognised, _)| submitted(&presented, &recognised)));
        }
        ExposureKind::Url => {
            let texts = url_texts(head);
            let keys = texts.iter().flat_map(|text| keys_in(text, &config.prefix));
            // A key without escapes is in two of the texts.
            for presented in keys.take(EXPOSED_KEYS.saturating_mul(2)) {
                let Some(recognised) = config.keyring.recognise(&presented) else { continue };
                if !found.iter().any(|known| known.key_hash.matches(recognised.hash())) {
                    found.extend(submitted(&presented, &recognised));
                }
            }
            found.truncate(EXPOSED_KEYS);
        }
    }
    found
}

fn submitted(presented: &Presented<'_>, recognised: &Recognised) -> Option<SubmittedHash> {
    Some(SubmittedHash { id: KeyId::parse(presented.id())?, key_hash: recognised.hash().clone() })
}

/// Returns the `match` of the route that a request asks for; `None` for Keyward's own paths and for paths without a route.
#[must_use]
pub fn route_asked<'c>(config: &'c Config, head: &Head<'_>) -> Option<&'c str> {
    let path = head.target().path();
    match config.routes.find(head.method(), path) {
        Matched::Route(route) if !is_own_path(path) => Some(route.text()),
        _ => None,
    }
}
