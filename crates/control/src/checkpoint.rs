//! `GET /_keyward/v1/audit/checkpoint` and `…/audit/key`: the log's head, signed, and what it is verified with.
//!
//! The note has the form of C2SP's tlog-checkpoint: origin, size, hash. The log is a chain and not a tree, so the hash is
//! the last entry's, not a Merkle root: docs/AUDIT.md leads a stranger through it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::note::{note, vkey};
use keyward_key::signing::Signature;

/// The origin of a deployment's notes, and the name of the keys that sign them. It hangs on `KEY_PREFIX`, which can't change
/// in the life of a deployment, and on nothing that a request says: a note must not sign what a client chose.
fn origin(config: &Config) -> String {
    format!("keyward/{}", config.prefix.as_str())
}

/// What is signed of a log of `size` entries; `hash` is the last entry's in hex. `None` for what is no hash.
#[must_use]
pub fn checkpoint_text(config: &Config, size: u64, hash: &str) -> Option<String> {
    let hash = hex::decode(hash).ok()?;
    Some(format!("{}\n{size}\n{}\n", origin(config), STANDARD.encode(hash)))
}

/// The signed head: [`checkpoint_text`] with the signature of the current secret's key, whose public half is known by then.
#[must_use]
pub fn checkpoint(config: &Config, text: &str, signature: &Signature, request_id: &str) -> Reply {
    match config.keyring.current().checkpoint().public() {
        Some(public) => Reply::text(note(&origin(config), text, public, signature), request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

/// The verifier keys, one on each line: of the current secret and, while it is kept, of the previous one. Their public halves are
/// known by then.
pub(super) fn verifier_keys(config: &Config, request_id: &str) -> Reply {
    let origin = origin(config);
    let lines = config
        .keyring
        .generations()
        .map(|derived| Some(format!("{}\n", vkey(&origin, derived.checkpoint().public()?))));
    match lines.collect::<Option<String>>() {
        Some(lines) => Reply::text(lines, request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}
