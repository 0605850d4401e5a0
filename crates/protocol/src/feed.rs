//! The change feed: messages between isolates and the authority, and the form of its pages in a data centre's cache.
//!
//! The authority numbers its changes. An isolate that knows every change up to a [`Position`] asks for the later ones. An
//! isolate that knows none asks for a snapshot first, which lists every key that was changed after its issue. A page holds no
//! records, only key ids, each with the number of its last change and whether the key is revoked.

use keyward_key::epoch::Epoch;
use serde::{Deserialize, Serialize};

use keyward_key::id::{Class, Environment, IDENTIFIER_LENGTH, KeyId};
use keyward_key::keyring::Keyring;
use keyward_key::sealed::{Broken, SealedUnder, open_text, seal_text};
use keyward_key::time::Millis;
use keyward_key::version;

/// Position in the history of changes: stands for every change up to and including one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Position {
    /// The history that `revision` counts in.
    pub epoch: Epoch,
    /// Number of the last change.
    pub revision: u64,
    /// First 16 hex digits of that change's hash in the audit log. Two histories that reach the same number differ here.
    pub head: String,
}

/// An isolate's request for a page of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedQuery {
    /// A page of the snapshot: every key that was changed after its issue and of which an older copy may still be unexpired.
    Snapshot {
        /// `next` of the previous page; `None` for the first page.
        after: Option<Cursor>,
    },
    /// The changes after a position.
    Since(Position),
}

/// Start of a snapshot's next page. Opaque to isolates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

/// The authority's answer to a [`FeedQuery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedPage {
    /// A page of a snapshot.
    Snapshot {
        /// The cursor in the query.
        after: Option<Cursor>,
        /// The authority's position when it read the page, which may lack later changes.
        at: Position,
        /// Keys, each with its last change.
        entries: ChangeList,
        /// Start of the next page; `None` on the last page.
        next: Option<Cursor>,
    },
    /// Every change after `after`, up to and including `to`.
    Since {
        /// Number of the last change that the isolate knew.
        after: u64,
        /// Position of the last change in this page.
        to: Position,
        /// The changed keys, each with its last change.
        entries: ChangeList,
        /// Whether more changes follow this page.
        more: bool,
    },
}

impl FeedPage {
    /// Returns the position that this page reports.
    #[must_use]
    pub const fn position(&self) -> &Position {
        match self {
            Self::Snapshot { at, .. } => at,
            Self::Since { to, .. } => to,
        }
    }
}

/// A key's last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Number of the change.
    pub revision: u64,
    /// Whether the key is revoked.
    pub revoked: bool,
}

/// List of keys with their last changes, in a compact text form. Each entry is a letter for the environment, the identifier,
/// the number of the change, `!` if the key is revoked, and a comma. `l8Fh2kQ0sZp1L17!,` means that change 17 revoked key
/// `wafl_live_8Fh2kQ0sZp1L`. JSON objects would take six times the bytes, too much for a snapshot of 50,000 keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeList(String);

impl ChangeList {
    /// Appends a key. Ignores a member's id.
    pub fn push(&mut self, id: &KeyId, change: Change) {
        if let Some(compact) = CompactKeyId::of(id) {
            self.push_compact(&compact, change);
        }
    }

    /// Appends a key by its compact id.
    pub fn push_compact(&mut self, compact: &CompactKeyId, change: Change) {
        self.0.extend(compact.0.iter().map(|byte| char::from(*byte)));
        self.0.push_str(&change.revision.to_string());
        self.0.push_str(if change.revoked { "!," } else { "," });
    }

    /// Iterates over the keys with their changes. Yields `None` for a malformed entry; the caller must then discard the page.
    pub fn iter(&self) -> impl Iterator<Item = Option<(CompactKeyId, Change)>> {
        self.0.split_terminator(',').map(|entry| {
            let (compact, rest) = entry.as_bytes().split_first_chunk::<COMPACT_LENGTH>()?;
            let (digits, revoked) = rest.strip_suffix(b"!").map_or((rest, false), |digits| (digits, true));
            let revision = std::str::from_utf8(digits).ok()?.parse().ok()?;
            Some((CompactKeyId(*compact), Change { revision, revoked }))
        })
    }
}

const COMPACT_LENGTH: usize = IDENTIFIER_LENGTH + 1;

/// A key id without the prefix, which all keys of a deployment share: a letter for the environment, then the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CompactKeyId([u8; COMPACT_LENGTH]);

impl TryFrom<String> for CompactKeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes: [u8; COMPACT_LENGTH] = text.as_bytes().try_into().map_err(|_| "not a compact key id")?;
        let is_valid = matches!(bytes.first(), Some(b'l' | b't')) && bytes.iter().all(u8::is_ascii_alphanumeric);
        if is_valid { Ok(Self(bytes)) } else { Err("not a compact key id") }
    }
}

impl From<CompactKeyId> for String {
    fn from(id: CompactKeyId) -> Self {
        id.0.iter().map(|byte| char::from(*byte)).collect()
    }
}

impl CompactKeyId {
    /// Shortens a key id. `None` for a member's id, since the feed carries keys only.
    pub fn of(id: &KeyId) -> Option<Self> {
        let letter = match id.class() {
            Class::Data(Environment::Live) => b'l',
            Class::Data(Environment::Test) => b't',
            Class::Member => return None,
        };
        let mut compact = [letter; COMPACT_LENGTH];
        let (_, identifier) = compact.split_first_mut()?;
        identifier.copy_from_slice(id.as_str().as_bytes().last_chunk::<IDENTIFIER_LENGTH>()?);
        Some(Self(compact))
    }

    /// Returns the bytes of its text, which are ASCII.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A page of the feed as a data centre's cache stores it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct CachedFeedPage {
    /// Time of the query to the authority, by the clock of the isolate that sent it.
    pub asked_at: Millis,
    /// Time from the query to the write into the cache, by the same clock, in milliseconds.
    pub took: i64,
    /// The page.
    pub changes: FeedPage,
}

/// Domain separator of the MAC: it precedes the page's bytes.
const DOMAIN: &[u8] = b"keyward/feed/v1\n";

impl CachedFeedPage {
    /// Returns the text to store, sealed like a record because a cache is not trusted either. `None` only if the page cannot be
    /// written as JSON, which never happens.
    #[must_use]
    pub fn seal(&self, keyring: &Keyring) -> Option<String> {
        seal_text(&[DOMAIN], serde_json::to_string(self).ok()?, keyring.current())
    }

    /// Opens a cached page.
    ///
    /// # Errors
    /// [`Broken`]: the caller must treat the page as absent.
    pub fn open(text: &str, keyring: &Keyring) -> Result<Self, Broken> {
        match open_text(&[DOMAIN], text, keyring, |text| version::read(text))? {
            (page, SealedUnder::Current) => Ok(page),
            // A retired secret may be known to others. Pages live for seconds, so none needs to survive a rotation.
            (_, SealedUnder::Previous) => Err(Broken::Generation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_key::keyring::Secret;

    #[test]
    fn a_cached_page_with_an_added_field_is_read_and_one_for_newer_readers_is_newer() {
        let secret = Secret::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let keyring = Keyring::new(&secret, None).unwrap();
        let to = Position { epoch: Epoch::new(Millis(1), "a"), revision: 3, head: "0".repeat(16) };
        let changes = FeedPage::Since { after: 1, to, entries: ChangeList::default(), more: false };
        let page =
            serde_json::to_string(&CachedFeedPage { asked_at: Millis(1), took: 2, changes: changes.clone() }).unwrap();
        for (level, at) in [("page", "{"), ("answer", r#""since":{"#), ("position", r#""to":{"#)] {
            let sealed = |field: &str| {
                let text = page.replacen(at, &format!("{at}{field}"), 1);
                assert_ne!(text, page, "{level}");
                seal_text(&[DOMAIN], text, keyring.current()).unwrap()
            };
            let opened = CachedFeedPage::open(&sealed(r#""later":[1],"#), &keyring)
                .unwrap_or_else(|why| panic!("{level}: {}", why.as_str()));
            assert_eq!(opened.changes, changes, "{level}");
            let newer = CachedFeedPage::open(&sealed(r#""min_reader":9,"#), &keyring).err();
            assert_eq!(newer, Some(Broken::Newer), "{level}");
        }
    }

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    #[test]
    fn a_change_list_reads_back_its_entries_and_reports_malformed_ones() {
        let mut entries = ChangeList::default();
        entries.push(&id("wafl_live_8Fh2kQ0sZp1L"), Change { revision: 17, revoked: true });
        entries.push(&id("wafl_test_000000000000"), Change { revision: 9_007_199_254_740_991, revoked: false });
        entries.push(&id("wafl_admin_000000000000"), Change { revision: 1, revoked: false });
        assert_eq!(entries.0, "l8Fh2kQ0sZp1L17!,t0000000000009007199254740991,");
        let read: Option<Vec<_>> = entries.iter().collect();
        let read = read.unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(Some(read[0].0), CompactKeyId::of(&id("wafl_live_8Fh2kQ0sZp1L")));
        assert_eq!(read[0].1, Change { revision: 17, revoked: true });
        assert_eq!(read[1].1.revision, 9_007_199_254_740_991);
        for wrong in
            ["x", "l8Fh2kQ0sZp1L,", "l8Fh2kQ0sZp1L!,", "l8Fh2kQ0sZp1L1x,", "l8Fh2kQ0sZp1é1,", "l8Fh2kQ0sZp1L-1,"]
        {
            assert!(ChangeList(wrong.to_owned()).iter().any(|entry| entry.is_none()), "{wrong}");
        }
    }

    #[test]
    fn epochs_are_ordered_by_the_time_they_began() {
        assert!(Epoch::new(Millis(1_000), "zz").began() < Epoch::new(Millis(20_000), "aa").began());
        assert_eq!(Epoch::from_stored("nonsense".to_owned()).began(), Millis(0));
    }
}
