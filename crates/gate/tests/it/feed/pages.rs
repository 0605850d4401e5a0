//! Pages of the feed: their order, epochs, and more changes than the feed keeps.

use super::*;

#[test]
fn a_snapshot_counts_from_the_oldest_of_its_pages() {
    let mut world = World::new(&json!({}));
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: None });
    // The first page from the authority, the second from a cache that kept it for a minute.
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Snapshot { after: Some(Cursor("a".to_owned())) });
    assert_eq!(
        {
            let changes = page(&world, None, 100, Some("a"));
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "this page was not queried"
    );
    assert_eq!(
        {
            let changes = page(&world, Some("a"), 90, Some("b"));
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(
        {
            let changes = page(&world, Some("b"), 110, None);
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::More
    );
    assert_eq!(world.gate.next_query(), FeedQuery::Since(position(&world, 90)));
    let key = world.issue(1, |_| {});
    assert_eq!(world.ask(&get(&key)).verdict(), "need changes", "the age of the pages is unknown");
    assert_eq!(
        {
            let changes = since(&world, 80, 110, &[], false);
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::Complete
    );
    assert_eq!(world.ask(&get(&key)).verdict(), "need record");
}

#[test]
fn changes_must_continue_from_the_known_position() {
    let mut world = world();
    assert_eq!(
        {
            let changes = since(&world, 11, 12, &[], false);
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "a gap"
    );
    assert_eq!(
        {
            let changes = since(&world, 2, 9, &[], false);
            apply(&mut world, &changes, NOW, NOW)
        },
        Applied::Nothing,
        "changes before the known revision"
    );
    let mut other = position(&world, 10);
    other.head = "ffffffffffffffff".to_owned();
    let changes = FeedPage::Since { after: 10, to: other, entries: entries(&[]), more: false };
    assert_eq!(apply(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing, "another history");
    assert_eq!(world.gate.known_revision(), 10);
    assert_eq!(
        {
            let changes = since(&world, 10, 12, &[], true);
            apply(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::More
    );
    let key = world.issue(1, |_| {});
    assert_eq!(
        decision(&mut world, BOUND, &get(&key)),
        "need changes",
        "more pages follow, so the data is not newer yet"
    );
    assert_eq!(
        {
            let changes = since(&world, 9, 13, &[], false);
            apply(&mut world, &changes, after(4_000), after(4_000))
        },
        Applied::Complete
    );
    assert_eq!(decision(&mut world, BOUND, &get(&key)), "need record");
}

#[test]
fn malformed_entries_are_discarded_whole() {
    let mut world = world();
    let mut changes = serde_json::to_value(since(&world, 10, 12, &[(1, 11, true)], false)).unwrap();
    changes["since"]["entries"] = json!("l00000000000111!,nonsense,");
    let changes: FeedPage = serde_json::from_value(changes).unwrap();
    assert_eq!(apply(&mut world, &changes, NOW, NOW), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 10);
}

#[test]
fn a_new_epoch_clears_the_cache_and_an_older_one_is_ignored() {
    let (mut world, key) = warm();
    world.epoch = Epoch::new(after(1), "second");
    world.revision = 4;
    let changes = world.changes(&world.gate.next_query());
    assert_eq!(apply(&mut world, &changes, after(1), after(1)), Applied::NewEpoch { known: 10, now: 4 });
    assert_eq!(world.gate.cached_keys(), 0);
    world.refresh(after(1));
    assert_eq!(world.gate.known_revision(), 4);
    assert_eq!(world.at(1).ask(&get(&key)).verdict(), "need record");
    // A cache still has an answer from before the restore.
    world.epoch = Epoch::new(NOW, "first");
    world.revision = 10;
    let changes = since(&world, 4, 10, &[], false);
    assert_eq!(apply(&mut world, &changes, after(4_000), after(4_000)), Applied::Nothing);
    assert_eq!(world.gate.known_revision(), 4);
}

#[test]
fn more_changed_keys_than_the_feed_keeps_cost_lookups_and_never_a_wrong_answer() {
    let mut world = World::new(&json!({}));
    let key = world.issue(1, |record| record.revision = 3);
    let old = world.copy(&key.record);
    world.change(&key.record.id, |record| record.scopes.clear());
    for start in (0..210_000_u32).step_by(10_000) {
        let changes: Vec<_> = (start..start + 10_000).map(|number| (number, 11, true)).collect();
        let after = (start > 0).then(|| Cursor(start.to_string()));
        let next = Some(Cursor((start + 10_000).to_string()));
        let page = FeedPage::Snapshot { after, at: position(&world, 11), entries: entries(&changes), next };
        if apply(&mut world, &page, NOW, NOW) != Applied::More {
            break;
        }
    }
    assert!(matches!(world.gate.next_query(), FeedQuery::Since(_)), "no further pages are queried");
    world.refresh(NOW);
    assert_eq!(world.gate.apply_copy(&world.config, &key.record.id, &old, NOW), keyward_gate::CopyVerdict::Confirm);
    assert_eq!(world.verdict(&get(&key)), "403 insufficient_scope");
    // The feed still updates cached records.
    world.change(&key.record.id, |record| record.revoked = true);
    world.refresh(NOW);
    assert_eq!(world.verdict(&get(&key)), "401 revoked_key");
}
