//! What has changed, for the edges: a snapshot, and what came after a position.
//!
//! The rows of `keys` are the record of changes: none is ever deleted, and each has the number of its last change. So what changed
//! after a number can be told however long ago it was.

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

/// Sizes of the answers to edges. The default is what ships; the simulator draws small ones, so that a small world reaches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedSizes {
    /// Keys on a page of a snapshot. The default gives pages of about 400 KB.
    pub snapshot_page: u32,
    /// Keys on a page of changes. More than `window`, and at least 3 because a rotation changes two keys at once: otherwise a page
    /// may end before the first change that the edge does not know.
    pub changes_page: u32,
    /// Changed keys that every answer contains, even if the edge knows them: one answer in a data centre's cache then serves
    /// isolates whose positions differ a little.
    pub window: u32,
}

impl Default for FeedSizes {
    fn default() -> Self {
        Self { snapshot_page: 20_000, changes_page: 1_000, window: 64 }
    }
}

/// How long after its end a key is told of yet: an edge's clock may be behind ours, and an old copy would open something there.
const SLACK_MILLIS: i64 = 3_600_000;

/// Digits of a hash that a position keeps.
const HEAD_DIGITS: usize = 16;

/// Where the authority is.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn position(store: &mut dyn Store) -> Result<Position, StoreError> {
    let revision = meta::revision(store)?;
    position_at(store, revision)?.ok_or_else(|| StoreError::new("the last change has no audit entry"))
}

/// Answers an edge. One of an earlier epoch gets a snapshot of this one. One whose position is not in this history has seen changes that are gone: the authority was restored from a backup.
/// A new epoch begins then, every copy in KV is queued anew, and the answer is the first page of its snapshot. Gives too whether
/// that was so.
///
/// `random` is 16 characters for the name of a new epoch.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn answer(
    store: &mut dyn Store,
    query: &FeedQuery,
    random: &str,
    now: Millis,
) -> Result<(FeedPage, bool), StoreError> {
    answer_sized(store, query, FeedSizes::default(), random, now)
}

/// [`answer`] with other sizes than the default.
///
/// # Errors
/// [`StoreError`] when the store fails.
pub fn answer_sized(
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
                // It has not heard yet that its history is over.
                return Ok((snapshot(store, None, sizes, now)?, false));
            }
            let after_both = Millis(known.epoch.began().max(epoch.began()).0.saturating_add(1));
            begin_epoch(store, &Epoch::new(now.max(after_both), random), now)?;
            Ok((snapshot(store, None, sizes, now)?, true))
        }
    }
}

/// Begins a new epoch if the setting `AUTHORITY_EPOCH` is another than before: whoever restored a backup says so by it. Gives whether it
/// did. To be called at each start of the object.
///
/// # Errors
/// [`StoreError`] when the store fails.
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

/// Begins a new epoch, and queues every copy in KV to be sealed under it.
fn begin_epoch(store: &mut dyn Store, epoch: &Epoch, now: Millis) -> Result<(), StoreError> {
    store.transaction(&mut |store| {
        meta::write_epoch(store, epoch)?;
        outbox::queue_all(store, now)
    })
}

/// The position after change `revision`, if there was such a change.
fn position_at(store: &mut dyn Store, revision: u64) -> Result<Option<Position>, StoreError> {
    let Some(hash) = audit::hash_of(store, revision)? else { return Ok(None) };
    let head = hash.get(..HEAD_DIGITS).ok_or_else(|| StoreError::corrupt("hash", "64 hex digits"))?.to_owned();
    Ok(Some(Position { epoch: meta::epoch(store)?, revision, head }))
}

/// A page of the keys that are no longer as they were issued, and of which some record, however old, is not past its end. One that
/// was never changed has but one record, so nothing need be told of it.
fn snapshot(
    store: &mut dyn Store,
    after: Option<&Cursor>,
    sizes: FeedSizes,
    now: Millis,
) -> Result<FeedPage, StoreError> {
    let at = position(store)?;
    let start = (now.0.saturating_sub(SLACK_MILLIS), 0);
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

/// What changed after `known`, and a little before it.
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
    // A rotation is one change of two keys: a page that ends between them tells of neither.
    let last = rows.last().map_or(Ok(0), |row| row.count("revision"))?;
    rows.retain(|row| row.count("revision") != Ok(last));
    let told = rows.last().map_or(Ok(0), |row| row.count("revision"))?;
    let to = position_at(store, told)?.ok_or_else(|| StoreError::new("a change has no audit entry"))?;
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
