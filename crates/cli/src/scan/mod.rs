//! Finds leaked keys, offline: by prefix, form and check, so that a hit is a key and not a look-alike.
//!
//! | module | purpose |
//! |---|---|
//! | [`needles`] | what is searched for, and keys at the places where it is found |
//! | [`stream`] | a file or another stream, piece by piece |
//! | [`files`] | folders, in parallel |
//! | [`git`] | every object of a repository, and the staged change |
//! | [`baseline`] | keys that are known already |
//! | [`report`], [`sarif`] | text, JSON, SARIF |
//! | [`rules`] | the rule for other scanners |
//! | [`revoke`] | revokes what was found |

pub mod baseline;
pub mod files;
pub mod git;
pub mod needles;
pub mod report;
pub mod revoke;
pub mod rules;
pub mod sarif;
pub mod stream;

use crate::secret::Secret;

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path of the file, or what else was read.
    pub path: String,
    /// Git object, if the key is in one.
    pub object: Option<String>,
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// Further facts, such as the commit.
    pub remark: Option<String>,
}

/// A key that was found.
#[derive(Clone)]
pub struct Finding {
    /// Key id. The only part of the key that is ever shown.
    pub id: String,
    /// `true` for a member's credential, `false` for a data key.
    pub is_member: bool,
    /// Place.
    pub place: Place,
    /// The key, for its revocation.
    pub key: Secret,
}

/// What a scan found, and what it could not read.
#[derive(Default)]
pub struct Findings {
    /// Keys, in the order of their places.
    pub found: Vec<Finding>,
    /// Files that could not be read, each with the reason.
    pub unread: Vec<String>,
    /// Number of files or objects that were read.
    pub read: u64,
}

impl Findings {
    /// Adds what another part of the scan found.
    pub fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
        self.unread.extend(other.unread);
        self.read = self.read.saturating_add(other.read);
    }

    /// Puts the findings in the order of their places, so that two scans of the same content give the same output.
    pub fn sort(&mut self) {
        self.found.sort_by(|one, other| one.place.cmp(&other.place));
        self.unread.sort_unstable();
    }
}
