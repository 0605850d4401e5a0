//! Pages of the change feed and copies in KV, in any order: the gate accepts no copy of a key below the revision in a page that it applied
//! in this epoch, and no key that such a page lists as revoked.

use keyward_gate::{Applied, Gate, Step};
use keyward_http::head::Head;
use keyward_key::epoch::Epoch;
use keyward_key::record::Record;
use keyward_key::sealed::Sealed;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, Position};
use serde_json::json;

use super::fixture::{CONFIG, LIVE, OTHER};

/// The key is revoked by this change. Only histories of a real authority are tried: a revocation is final, so no later record is active.
const REVOKED_BY: u64 = 12;

const NOW: Millis = Millis(1_800_000_000_000);

/// Input: eight bytes for each step: action, epoch, `after`, position, a key's revision, flags, cursor, time. An input that
/// begins with `{` is the text of a page or of a cached page.
pub fn run(data: &[u8]) {
    if let Some(text) = std::str::from_utf8(data).ok().filter(|text| text.starts_with('{')) {
        let mut gate = Gate::default();
        if let Ok(page) = serde_json::from_str::<FeedPage>(text) {
            let asked = gate.start_query(NOW);
            let _ = gate.apply_authority(&page, asked, NOW);
        }
        let asked = gate.start_query(NOW);
        let applied = gate.apply_shared(&CONFIG, text, asked, NOW);
        assert!(matches!(applied, Applied::Broken(_)), "accepted without a valid seal: {text}");
        return;
    }
    let mut gate = Gate::default();
    let mut listed: Option<Change> = None;
    for step in data.chunks_exact(8).take(200) {
        let &[what, epoch, after, to, revision, flags, cursor, time] = step else { continue };
        let epoch = Epoch::new(Millis(NOW.0 + i64::from(epoch % 3)), "fuzz");
        let (after, to, revision) = (u64::from(after % 16), u64::from(to % 16), u64::from(revision % 16));
        let now = Millis(NOW.0 + i64::from(time) * 20);
        let at = Position { epoch: epoch.clone(), revision: to, head: format!("{to:016x}") };
        match what % 6 {
            kind @ 0..4 => {
                let change = Change { revision, revoked: revision >= REVOKED_BY };
                let mut entries = ChangeList::default();
                if flags & 2 != 0 {
                    entries.push(&LIVE.id, change);
                }
                entries.push(&OTHER.id, change);
                let name = |byte: u8| (!byte.is_multiple_of(4)).then(|| Cursor((byte % 4).to_string()));
                let page = if flags & 4 != 0 {
                    FeedPage::Snapshot { after: name(cursor), at, entries, next: name(cursor >> 4) }
                } else {
                    FeedPage::Since { after, to: at, entries, more: flags & 8 != 0 }
                };
                let first = matches!(&page, FeedPage::Snapshot { after: None, .. });
                let cached = CachedFeedPage { asked_at: now, took: i64::from(cursor), changes: page };
                let asked = gate.start_query(now);
                let applied = match kind {
                    2 => gate.apply_shared(&CONFIG, &cached.seal(&CONFIG.keyring).expect("JSON"), asked, now),
                    3 => gate.apply_fallback(&CONFIG, &cached.seal(&CONFIG.keyring).expect("JSON"), now),
                    _ => gate.apply_authority(&cached.changes, asked, now),
                };
                let taken = match applied {
                    Applied::NewEpoch { .. } => {
                        listed = None;
                        first
                    }
                    Applied::Complete | Applied::More => true,
                    Applied::Nothing => false,
                    Applied::Broken(why) => panic!("a sealed page is refused: {}", why.as_str()),
                };
                if taken && flags & 2 != 0 {
                    let before = listed.unwrap_or(Change { revision: 0, revoked: false });
                    let revision = before.revision.max(change.revision);
                    listed = Some(Change { revision, revoked: before.revoked || change.revoked });
                }
            }
            4 => {
                let sealed = Sealed { epoch, record: record(revision) };
                let stored = sealed.seal(CONFIG.keyring.current()).expect("JSON");
                let _ = gate.apply_copy(&CONFIG, &LIVE.id, &stored, now);
            }
            _ => gate.record_failure(now),
        }
        check(&mut gate, listed, now);
    }
}

/// Returns a record whose identity headers contain its revision.
fn record(revision: u64) -> Record {
    serde_json::from_value(json!({
        "id": LIVE.id, "key_hash": LIVE.hash, "minted_under": LIVE.generation, "integration": format!("r{revision}"),
        "scopes": ["contacts:read"], "allowed_cidrs": [], "expires_at": NOW.0 + 1_000_000, "retiring": false, "revoked": revision >= REVOKED_BY,
        "revision": revision,
    }))
    .expect("a record")
}

fn check(gate: &mut Gate, listed: Option<Change>, now: Millis) {
    let text = format!("{}\nGET\nhttp://h/v1/x\nx-api-key\n{}\n", now.0, LIVE.api_key.expose());
    let Ok(head) = Head::parse(&text) else { panic!("a plain request") };
    let Step::Forward(grant) = keyward_testkit::signing::admit(gate, &CONFIG, &head, now, "id") else { return };
    let Some(listed) = listed else { return };
    assert!(!listed.revoked, "a key that a page lists as revoked is accepted");
    let edits = grant.plan(&head, "id").edits;
    let mut lines = edits.split('\n').skip_while(|line| *line != "keyward-integration");
    let shown = lines.nth(1).and_then(|text| text.strip_prefix('r')).and_then(|text| text.parse::<u64>().ok());
    assert!(
        shown.is_some_and(|shown| shown >= listed.revision),
        "a copy of {shown:?} is used, the floor is {listed:?}"
    );
}
