//! Minimum usable revision of each changed key.

use std::collections::BTreeMap;

use keyward_key::id::KeyId;
use keyward_protocol::feed::{Change, ChangeList, CompactKeyId};

/// The last known change of each changed key. Older records of such a key are not used. Takes 31 bytes for each key
/// (`crates/edge/tests/feed_memory.rs`).
#[derive(Default)]
pub(super) struct MinRevisions {
    packed: BTreeMap<CompactKeyId, u64>,
    /// Latest revision of all keys.
    latest: u64,
}

/// Flag for a revoked key. Revisions are below 2^53, so the top bit is free.
const REVOKED: u64 = 1 << 63;

const fn unpacked(packed: u64) -> Change {
    Change { revision: packed & !REVOKED, revoked: packed & REVOKED != 0 }
}

impl MinRevisions {
    /// Returns the last change of a key; `None` if the key is unchanged since its issue.
    pub fn of(&self, id: &KeyId) -> Option<Change> {
        self.packed.get(&CompactKeyId::of(id)?).copied().map(unpacked)
    }

    /// Returns all changes in their transmitted form.
    pub fn to_list(&self) -> ChangeList {
        let mut list = ChangeList::default();
        for (id, packed) in &self.packed {
            list.push_compact(id, unpacked(*packed));
        }
        list
    }

    /// Records a change. Of two changes of one key the later one is kept. A revocation is final.
    pub fn raise(&mut self, id: CompactKeyId, change: Change) {
        let packed = self.packed.entry(id).or_default();
        let revision = change.revision.max(*packed & !REVOKED);
        let revoked = if change.revoked { REVOKED } else { *packed & REVOKED };
        *packed = revision | revoked;
        self.latest = self.latest.max(revision);
    }

    /// Returns the latest revision of all keys, 0 if there are none.
    pub const fn latest(&self) -> u64 {
        self.latest
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.packed.len()
    }

    /// Removes all changes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    #[test]
    fn a_minimum_revision_only_rises_and_revoked_is_final() {
        let mut minimums = MinRevisions::default();
        let key = id("wafl_live_8Fh2kQ0sZp1L");
        let compact = CompactKeyId::of(&key).unwrap();
        assert_eq!(minimums.of(&key), None);
        for (revision, revoked, expected) in
            [(5, false, (5, false)), (9, true, (9, true)), (7, false, (9, true)), (12, false, (12, true))]
        {
            minimums.raise(compact, Change { revision, revoked });
            assert_eq!(minimums.of(&key), Some(Change { revision: expected.0, revoked: expected.1 }));
        }
        assert_eq!((minimums.len(), minimums.latest()), (1, 12));
        assert_eq!(minimums.of(&id("wafl_test_8Fh2kQ0sZp1L")), None);
    }
}
