//! The change feed for isolates: snapshots, and the changes after a position.
//!
//! The feed reads the table `keys`: rows are never deleted, and each has the number of its last change. So the changes after any
//! number, however old, can be listed.

use super::audit;
use super::keys;
use super::meta;
use super::outbox;
use super::store::{Row, Store, StoreError, Value};
use keyward_fault::fault;
use keyward_key::epoch::Epoch;
use keyward_key::id::KeyId;
use keyward_key::time::Millis;
use keyward_protocol::feed::{Change, ChangeList, Cursor, FeedPage, FeedQuery, Position};

/// Sizes of the feed's pages. Production uses the default. The simulator draws small sizes, so that small histories reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedSizes {
    /// Keys on a page of a snapshot. The default makes pages of about 400 KB.
    pub snapshot_page: u32,
    /// Keys on a page of changes. At least 2: a rotation changes two keys at once.
    pub changes_page: u32,
    /// Recently changed keys that every page contains, even if the isolate knows them. One cached page can then serve isolates
    /// whose positions differ a little.
    pub window: u32,
}

impl Default for FeedSizes {
    fn default() -> Self {
        Self { snapshot_page: 20_000, changes_page: 1_000, window: 64 }
    }
}

/// Time after its expiry for which a snapshot still lists a key. An isolate whose clock is behind would accept an old copy.
const EXPIRY_SLACK_MS: i64 = 3_600_000;

/// Number of hash digits in a position.
const HEAD_DIGITS: usize = 16;

/// Returns the authority's current position.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn position(store: &mut dyn Store) -> Result<Position, StoreError> {
    let revision = meta::revision(store)?;
    position_at(store, revision)?.ok_or_else(|| StoreError::new("the last change has no audit entry"))
}

/// Answers an isolate's query. Also returns whether this began a new epoch.
///
/// An isolate of an earlier epoch gets a snapshot of the current one. A position that is not in this history means that the
/// isolate knows changes which no longer exist, because the authority was restored from a backup. The authority then begins a new
/// epoch, queues every copy in KV again, and answers with the first page of a snapshot.
///
/// `random` is 16 characters for the name of a new epoch.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn answer(
    store: &mut dyn Store,
    query: &FeedQuery,
    sizes: FeedSizes,
    random: &str,
    now: Millis,
) -> Result<(FeedPage, bool), StoreError> {
    match query {
        FeedQuery::Snapshot { after } => Ok((snapshot(store, after.as_ref(), sizes, now)?, false)),
        FeedQuery::Since(known) => {
            if fault!("a restore begins no epoch") || position_at(store, known.revision)?.as_ref() == Some(known) {
                return Ok((since(store, known.revision, sizes)?, false));
            }
            let epoch = meta::epoch(store)?;
            if known.epoch.began() < epoch.began() {
                // The isolate does not know the current epoch yet.
                return Ok((snapshot(store, None, sizes, now)?, false));
            }
            let after_both = Millis(known.epoch.began().max(epoch.began()).0.saturating_add(1));
            begin_epoch(store, &Epoch::new(now.max(after_both), random), now)?;
            Ok((snapshot(store, None, sizes, now)?, true))
        }
    }
}

/// Begins a new epoch if the setting `AUTHORITY_EPOCH` has changed, which announces a restore from a backup. Returns whether it
/// did. The object calls this at each start.
///
/// # Errors
/// [`StoreError`] if the store fails.
pub fn follow_setting(
    store: &mut dyn Store,
    setting: Option<&str>,
    random: &str,
    now: Millis,
) -> Result<bool, StoreError> {
    const SETTING: &str = "epoch_setting";
    let setting = setting.unwrap_or_default();
    let before = meta::read(store, SETTING)?;
    if before.as_deref().unwrap_or_default() == setting {
        return Ok(false);
    }
    let after_ours = Millis(meta::epoch(store)?.began().0.saturating_add(1));
    store.transaction(&mut |store| {
        meta::write(store, SETTING, setting.to_owned())?;
        meta::write_epoch(store, &Epoch::new(now.max(after_ours), random))?;
        outbox::queue_all(store, now)
    })?;
    Ok(true)
}

/// Begins a new epoch and queues every copy in KV, to be sealed for it.
fn begin_epoch(store: &mut dyn Store, epoch: &Epoch, now: Millis) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        meta::write_epoch(store, epoch)?;
        outbox::queue_all(store, now)
    })
}

/// Returns the position after change `revision`. `None` if there is no such change.
fn position_at(store: &mut dyn Store, revision: u64) -> Result<Option<Position>, StoreError> {
    let Some(hash) = audit::hash_of(store, revision)? else { return Ok(None) };
    let head = hash.get(..HEAD_DIGITS).ok_or_else(|| StoreError::corrupt("hash", "64 hex digits"))?.to_owned();
    Ok(Some(Position { epoch: meta::epoch(store)?, revision, head }))
}

/// Returns a page of the keys that were changed after their issue and of which a record, however old, is still unexpired. A key
/// that was never changed has only one record, so the snapshot need not list it.
fn snapshot(
    store: &mut dyn Store,
    after: Option<&Cursor>,
    sizes: FeedSizes,
    now: Millis,
) -> Result<FeedPage, StoreError> {
    let at = position(store)?;
    let start = (now.0.saturating_sub(EXPIRY_SLACK_MS), 0);
    let (end, place) = after.and_then(read_cursor).unwrap_or(start);
    let rows = store.query(
        "SELECT position, id, state, latest_end, revision FROM keys INDEXED BY keys_changed
         WHERE revision > position AND latest_end >= ? AND (latest_end > ? OR position > ?)
         ORDER BY latest_end, position LIMIT ?",
        &[Value::Integer(end), Value::Integer(end), Value::Integer(place), Value::Integer(sizes.snapshot_page.into())],
    )?;
    let full = is_full(&rows, sizes.snapshot_page);
    let next = match rows.last().filter(|_| full) {
        Some(row) => Some(Cursor(format!("{}:{}", row.integer("latest_end")?, row.integer("position")?))),
        None => None,
    };
    Ok(FeedPage::Snapshot { after: after.cloned(), at, entries: entries(&rows)?, next })
}

fn is_full(rows: &[Row], page: u32) -> bool {
    u32::try_from(rows.len()).map_or(true, |length| length >= page)
}

fn read_cursor(cursor: &Cursor) -> Option<(i64, i64)> {
    let (end, place) = cursor.0.split_once(':')?;
    Some((end.parse().ok()?, place.parse().ok()?))
}

/// Returns the changes after `known`, and the most recent ones before it.
fn since(store: &mut dyn Store, known: u64, sizes: FeedSizes) -> Result<FeedPage, StoreError> {
    let window = store.query(
        "SELECT revision FROM keys INDEXED BY keys_by_revision ORDER BY revision DESC LIMIT 1 OFFSET ?",
        &[Value::Integer(sizes.window.into())],
    )?;
    let window = window.first().map_or(Ok(0), |row| row.count("revision"))?;
    let after = known.min(window);
    let mut rows = store.query(
        "SELECT id, state, revision FROM keys INDEXED BY keys_by_revision WHERE revision > ? ORDER BY revision LIMIT ?",
        &[Value::count(after)?, Value::Integer(sizes.changes_page.into())],
    )?;
    if fault!("the feed skips one change") {
        rows.retain(|row| row.count("revision") != Ok(known.saturating_add(1)));
    }
    let full = is_full(&rows, sizes.changes_page);
    if !full {
        return Ok(FeedPage::Since { after, to: position(store)?, entries: entries(&rows)?, more: false });
    }
    // A rotation is one change of two keys. A page that would end between them leaves both to the next page.
    let last = rows.last().map_or(Ok(0), |row| row.count("revision"))?;
    rows.retain(|row| row.count("revision") != Ok(last));
    let last_complete = rows.last().map_or(Ok(0), |row| row.count("revision"))?;
    let to = position_at(store, last_complete)?.ok_or_else(|| StoreError::new("a change has no audit entry"))?;
    Ok(FeedPage::Since { after, to, entries: entries(&rows)?, more: true })
}

fn entries(rows: &[Row]) -> Result<ChangeList, StoreError> {
    let mut entries = ChangeList::default();
    for row in rows {
        let change = Change { revision: row.count("revision")?, revoked: keys::is_revoked(row)? };
        if fault!("a snapshot tells of revoked keys only") && !change.revoked {
            continue;
        }
        entries.push(&row.parsed("id", KeyId::parse)?, change);
    }
    Ok(entries)
}
