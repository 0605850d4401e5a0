//! Reports of keys that were found where they do not belong: in a repository, a paste, a log.

use serde::{Deserialize, Serialize};

use crate::request::RequestMeta;
use keyward_key::hash::KeyHash;
use keyward_key::id::KeyId;
use keyward_key::keyring::Generation;
use keyward_key::time::Millis;

/// Maximum number of keys in one report; the registry ignores any more.
pub const MAX_LEAKED_KEYS: usize = 1_000;

/// Who reported a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakSource {
    /// GitHub's secret scanning partner program. The signature was verified.
    GitHub,
    /// GitLab's token revocation API. The token was compared.
    GitLab,
    /// Anyone who found a key.
    Public,
}

impl LeakSource {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::GitHub, Self::GitLab, Self::Public];

    /// Returns the name in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Public => "public",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }
}

/// Keys with a right tag that were reported as leaked. The registry compares each hash: whoever reports a whole key holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeakReport {
    /// Id of the report, if it is stored: `leak_` and 16 base62 characters, drawn by the isolate.
    pub id: String,
    /// Who reported it.
    pub source: LeakSource,
    /// Time at which the keys were found, as the reporter says.
    pub found_at: Option<Millis>,
    /// Remark of the reporter, without key texts.
    pub note: Option<String>,
    /// The keys, at most [`MAX_LEAKED_KEYS`].
    pub keys: Vec<LeakedKey>,
    /// The HTTP request, for the audit log.
    pub request: RequestMeta,
}

/// A report of GitHub whose signature could not be verified yet, because GitHub's list of keys was not available. The registry keeps it, and
/// has it judged later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PendingReport {
    /// SHA-256 of identifier, signature and body, in hex: a report that is sent again is kept once.
    pub digest: String,
    /// `Github-Public-Key-Identifier`.
    pub identifier: String,
    /// The signature, `r ‖ s`, in hex.
    pub signature: String,
    /// Name of the secret that the body is sealed under.
    pub sealed_under: Generation,
    /// The body, sealed with AES-256-GCM: nonce, ciphertext and tag, in base64.
    pub sealed: String,
    /// The HTTP request, for the audit log.
    pub request: RequestMeta,
}

/// One key of a report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeakedKey {
    /// Id of the key or member.
    pub id: KeyId,
    /// Hash of the text reported.
    pub key_hash: KeyHash,
    /// Where it was found, such as a URL, without key texts.
    pub place: Option<String>,
}
