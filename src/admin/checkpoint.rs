//! `GET /_keyward/v1/audit/checkpoint` and `…/audit/key`: the log's head, signed, and what it is verified with.
//!
//! The note has the form of C2SP's tlog-checkpoint: origin, size, hash. The log is a chain and not a tree, so the hash is
//! the last entry's, not a Merkle root: docs/AUDIT.md leads a stranger through it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::config::Config;
use crate::http::problem::Code;
use crate::http::reply::Reply;

/// The origin of a deployment's notes, and the name of the keys that sign them. It hangs on `KEY_PREFIX`, which can't change
/// in the life of a deployment, and on nothing that a request says: a note must not sign what a client chose.
fn origin(config: &Config) -> String {
    format!("keyward/{}", config.prefix.as_str())
}

/// The signed head of a log of `size` entries; `hash` is the last entry's in hex.
pub(super) fn checkpoint(config: &Config, size: u64, hash: &str, request_id: &str) -> Reply {
    let origin = origin(config);
    let note = hex::decode(hash).ok().and_then(|hash| {
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(hash));
        config.keyring.current().checkpoint_key().sign(&origin, &text)
    });
    match note {
        Some(note) => Reply::text(note, request_id),
        None => Reply::problem(&Code::InternalError.into(), request_id),
    }
}

/// The verifier keys, one on each line: of the current secret and, while it is kept, of the previous one.
pub(super) fn verifier_keys(config: &Config, request_id: &str) -> Reply {
    let origin = origin(config);
    let lines = config.keyring.houses().map(|house| format!("{}\n", house.checkpoint_key().vkey(&origin)));
    Reply::text(lines.collect(), request_id)
}
