//! What the authority has changed, as it tells the gate, and how that is kept in a data centre's cache.
//!
//! The authority numbers its changes. An edge that knows everything up to a [`Position`] asks what came after it; one that knows
//! nothing asks for a snapshot first: every key that is no longer as it was issued. Both are deltas only: ids, each with the
//! number of its last change and whether it is revoked.

use keyward_key::epoch::Epoch;
use serde::{Deserialize, Serialize};

use keyward_key::id::{Class, Environment, IDENTIFIER_LENGTH, KeyId};
use keyward_key::keyring::Keyring;
use keyward_key::sealed::{Broken, SealedUnder, open_text, seal_text};
use keyward_key::time::Millis;
use keyward_key::version;

/// A place in a history: all changes up to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct Position {
    /// Of which history.
    pub epoch: Epoch,
    /// The number of the last change.
    pub revision: u64,
    /// The first 16 hex digits of that change's hash in the audit log: two histories that reach the same number differ here.
    pub head: String,
}

/// What an edge asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedQuery {
    /// Every key that is no longer as it was issued and could still be taken for valid: a page of them.
    Snapshot {
        /// `next` of the page before; `None` for the first.
        after: Option<Cursor>,
    },
    /// What has changed since.
    Since(Position),
}

/// Where a snapshot's next page begins. Opaque to the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor(pub String);

/// What the authority answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedPage {
    /// A page of a snapshot.
    Snapshot {
        /// The cursor it was asked with.
        after: Option<Cursor>,
        /// The authority's position when the page was read: later changes may be missing from it.
        at: Position,
        /// The keys.
        entries: ChangeList,
        /// Where the next page begins; `None` at the end.
        next: Option<Cursor>,
    },
    /// Every change after one number and up to a position.
    Since {
        /// The number.
        after: u64,
        /// The position.
        to: Position,
        /// The keys that were changed.
        entries: ChangeList,
        /// Whether the authority has made more changes than these.
        more: bool,
    },
}

impl FeedPage {
    /// The position that it tells of.
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
    /// Its number.
    pub revision: u64,
    /// Whether the key is revoked.
    pub revoked: bool,
}

/// Keys and their last changes, written one after the other: a letter for the environment, the identifier, the number, `!` where
/// the key is revoked, a comma. `l8Fh2kQ0sZp1L17!,` is key `wafl_live_8Fh2kQ0sZp1L`, revoked by change 17. A sixth of what JSON
/// objects take, which counts for a snapshot of 50,000.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeList(String);

impl ChangeList {
    /// Adds a key.
    pub fn push(&mut self, id: &KeyId, change: Change) {
        if let Some(short) = CompactKeyId::of(id) {
            self.push_compact(&short, change);
        }
    }

    /// Adds a key by its compact id.
    pub fn push_compact(&mut self, short: &CompactKeyId, change: Change) {
        self.0.extend(short.0.iter().map(|byte| char::from(*byte)));
        self.0.push_str(&change.revision.to_string());
        self.0.push_str(if change.revoked { "!," } else { "," });
    }

    /// Each key with its change. `None` for one that has not its form: then nothing of the page is to be believed.
    pub fn iter(&self) -> impl Iterator<Item = Option<(CompactKeyId, Change)>> {
        self.0.split_terminator(',').map(|entry| {
            let (short, rest) = entry.as_bytes().split_first_chunk::<SHORT_LENGTH>()?;
            let (digits, revoked) = rest.strip_suffix(b"!").map_or((rest, false), |digits| (digits, true));
            let revision = std::str::from_utf8(digits).ok()?.parse().ok()?;
            Some((CompactKeyId(*short), Change { revision, revoked }))
        })
    }
}

const SHORT_LENGTH: usize = IDENTIFIER_LENGTH + 1;

/// A key id without its prefix, which all keys of a deployment share: a letter for the environment, and the identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompactKeyId([u8; SHORT_LENGTH]);

impl CompactKeyId {
    /// `None` for a member's id: no feed tells of members.
    pub fn of(id: &KeyId) -> Option<Self> {
        let letter = match id.class() {
            Class::Data(Environment::Live) => b'l',
            Class::Data(Environment::Test) => b't',
            Class::Member => return None,
        };
        let mut short = [letter; SHORT_LENGTH];
        let (_, identifier) = short.split_first_mut()?;
        identifier.copy_from_slice(id.as_str().as_bytes().last_chunk::<IDENTIFIER_LENGTH>()?);
        Some(Self(short))
    }
}

/// An answer of the authority as a data centre's cache keeps it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "next-version", serde(tag = "trial"))]
pub struct CachedFeedPage {
    /// When the authority was asked, by the clock of the isolate that asked.
    pub asked_at: Millis,
    /// How long it was, on that clock, until the answer was given to the cache. Milliseconds.
    pub took: i64,
    /// The answer.
    pub changes: FeedPage,
}

/// What the MAC of a kept answer is over, before its bytes.
const DOMAIN: &[u8] = b"keyward/feed/v1\n";

impl CachedFeedPage {
    /// The text to be kept, sealed as a record is: a cache is a store, and stores are not believed. `None` only if it can't be
    /// written as JSON, which it always can.
    #[must_use]
    pub fn seal(&self, keyring: &Keyring) -> Option<String> {
        seal_text(&[DOMAIN], serde_json::to_string(self).ok()?, keyring.current())
    }

    /// Opens what was kept.
    ///
    /// # Errors
    /// [`Broken`]: it must then be treated as absent.
    pub fn open(text: &str, keyring: &Keyring) -> Result<Self, Broken> {
        match open_text(&[DOMAIN], text, keyring, |text| version::read(text))? {
            (kept, SealedUnder::Current) => Ok(kept),
            // A retired secret vouches for nothing; what is kept is kept for seconds.
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
    fn entries_are_read_as_they_were_written() {
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
    fn of_two_epochs_the_one_that_began_later_counts() {
        assert!(Epoch::new(Millis(1_000), "zz").began() < Epoch::new(Millis(20_000), "aa").began());
        assert_eq!(Epoch::from_stored("nonsense".to_owned()).began(), Millis(0));
    }
}
