//! Pages of the change feed and copies in KV, in whatever order: the gate accepts no copy of a key below the floor that a page it
//! took in this epoch told of, and no key that such a page said is revoked.

use keyward_gate::{Applied, Gate, Step};
use keyward_http::head::Head;
use keyward_key::epoch::Epoch;
use keyward_key::record::Record;
use keyward_key::sealed::Sealed;
use keyward_key::time::Millis;
use keyward_protocol::feed::{CachedFeedPage, Change, ChangeList, Cursor, FeedPage, Position};
use serde_json::json;

use super::fixture::{CONFIG, LIVE, OTHER};

/// The key is revoked by this change. Only what an authority can say is tried: revoked is final, so no later record of it lives.
const REVOKED_BY: u64 = 12;

const NOW: Millis = Millis(1_800_000_000_000);

/// Eight bytes a step: what is done, the epoch, `after`, the position, a key's revision, flags, a cursor, the time. An input that
/// begins with `{` is a page or a kept page as text.
pub fn run(data: &[u8]) {
    if let Some(text) = std::str::from_utf8(data).ok().filter(|text| text.starts_with('{')) {
        let mut gate = Gate::default();
        if let Ok(page) = serde_json::from_str::<FeedPage>(text) {
            let asked = gate.start_query(NOW);
            let _ = gate.apply_authority(&page, asked, NOW);
        }
        let asked = gate.start_query(NOW);
        let applied = gate.apply_shared(&CONFIG, text, asked, NOW);
        assert!(matches!(applied, Applied::Broken(_)), "not sealed here, and believed: {text}");
        return;
    }
    let mut gate = Gate::default();
    let mut told: Option<Change> = None;
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
                let kept = CachedFeedPage { asked_at: now, took: i64::from(cursor), changes: page };
                let asked = gate.start_query(now);
                let applied = match kind {
                    2 => gate.apply_shared(&CONFIG, &kept.seal(&CONFIG.keyring).expect("JSON"), asked, now),
                    3 => gate.apply_fallback(&CONFIG, &kept.seal(&CONFIG.keyring).expect("JSON"), now),
                    _ => gate.apply_authority(&kept.changes, asked, now),
                };
                let taken = match applied {
                    Applied::NewEpoch { .. } => {
                        told = None;
                        first
                    }
                    Applied::Complete | Applied::More => true,
                    Applied::Nothing => false,
                    Applied::Broken(why) => panic!("sealed here, and broken: {}", why.as_str()),
                };
                if taken && flags & 2 != 0 {
                    let before = told.unwrap_or(Change { revision: 0, revoked: false });
                    let revision = before.revision.max(change.revision);
                    told = Some(Change { revision, revoked: before.revoked || change.revoked });
                }
            }
            4 => {
                let sealed = Sealed { epoch, record: record(revision) };
                let stored = sealed.seal(CONFIG.keyring.current()).expect("JSON");
                let _ = gate.apply_copy(&CONFIG, &LIVE.id, &stored, now);
            }
            _ => gate.record_failure(now),
        }
        check(&mut gate, told, now);
    }
}

/// A record that shows its revision to the origin.
fn record(revision: u64) -> Record {
    serde_json::from_value(json!({
        "id": LIVE.id, "key_hash": LIVE.hash, "minted_under": LIVE.generation, "integration": format!("r{revision}"),
        "scopes": ["contacts:read"], "allowed_cidrs": [], "expires_at": NOW.0 + 1_000_000, "retiring": false, "revoked": revision >= REVOKED_BY,
        "revision": revision,
    }))
    .expect("a record")
}

fn check(gate: &mut Gate, told: Option<Change>, now: Millis) {
    let text = format!("{}\nGET\nhttp://h/v1/x\nx-api-key\n{}\n", now.0, LIVE.api_key.expose());
    let Ok(head) = Head::parse(&text) else { panic!("a plain request") };
    let Step::Forward(grant) = keyward_testkit::signing::admit(gate, &CONFIG, &head, now, "id") else { return };
    let Some(told) = told else { return };
    assert!(!told.revoked, "a key that a page said is revoked is accepted");
    let edits = grant.plan(&head, "id").edits;
    let mut lines = edits.split('\n').skip_while(|line| *line != "keyward-integration");
    let shown = lines.nth(1).and_then(|text| text.strip_prefix('r')).and_then(|text| text.parse::<u64>().ok());
    assert!(shown.is_some_and(|shown| shown >= told.revision), "a copy of {shown:?} is used, the floor is {told:?}");
}
