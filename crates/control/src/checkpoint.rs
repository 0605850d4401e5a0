//! Notes that sign the head of the audit log, and the keys that verify them.
//!
//! A note has the form of C2SP's tlog-checkpoint: origin, size, hash. The log is a chain and not a tree, so the hash is that
//! of the last entry, not a Merkle root. docs/concepts/audit.md shows how to verify it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::note::{note, vkey};
use keyward_key::signing::Signature;

/// Returns the origin of a deployment's notes, which is also the name of the keys that sign them. It depends on `KEY_PREFIX`, which
/// never changes in a deployment, and never on a request, so that no client influences the signed text.
fn origin(config: &Config) -> String {
    format!("keyward/{}", config.prefix.as_str())
}

/// Returns the text to sign for a log of `size` entries; `hash` is the last entry's, in hex. `None` if `hash` is malformed.
pub(super) fn checkpoint_text(config: &Config, size: u64, hash: &str) -> Option<String> {
    let hash = hex::decode(hash).ok()?;
    Some(format!("{}\n{size}\n{}\n", origin(config), STANDARD.encode(hash)))
}

/// Returns the note: [`checkpoint_text`] with the signature of the current secret's key, whose public half must be known.
pub(super) fn checkpoint(config: &Config, text: &str, signature: &Signature, request_id: &str) -> Reply {
    match config.keyring.current().checkpoint().public() {
        Some(public) => Reply::text(note(&origin(config), text, public, signature), request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

/// Returns the verifier keys, one on each line: the current secret's key and, during a rotation of the secret, the previous one's.
/// Their public halves must be known.
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
