//! The audit log: one entry for each change, in a hash chain that any tampering breaks.

use keyward_protocol::Rejection;
use keyward_protocol::audit::{ChainBroken, Entry, Head, verify};
use keyward_registry::audit::{audit_after, head};
use keyward_testkit::registry_world::*;
use sha2::{Digest, Sha256};

/// A world with five entries: bootstrap, two issued keys, two revocations.
fn five() -> World {
    let mut world = World::with_owner();
    for number in [1, 2] {
        let id = world.issue(number, live("crm")).id;
        world.later(1);
        world.revoke(&id, "leaked");
    }
    world
}

fn entries(world: &mut World) -> Vec<Entry> {
    audit_after(&mut world.store, 0, 100).unwrap()
}

#[test]
fn every_change_has_one_entry_in_one_chain() {
    let mut world = five();
    let log = entries(&mut world);
    let listed: Vec<_> = log
        .iter()
        .map(|entry| (entry.seq, entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str()))
        .collect();
    let member = "wafl_admin_Owner0000001";
    assert_eq!(
        listed,
        [
            (1, "bootstrap", "bootstrap", member),
            (2, member, "key.issue", "wafl_live_000000000001"),
            (3, member, "key.revoke", "wafl_live_000000000001"),
            (4, member, "key.issue", "wafl_live_000000000002"),
            (5, member, "key.revoke", "wafl_live_000000000002"),
        ]
    );
    let head_now = verify(&Head::empty(), &log).unwrap();
    assert_eq!(head_now, head(&mut world.store).unwrap());
    assert_eq!(head_now.seq, 5);
}

#[test]
fn a_log_verifies_page_by_page() {
    let mut world = five();
    let mut head_now = Head::empty();
    let mut pages = Vec::new();
    loop {
        let page = audit_after(&mut world.store, head_now.seq, 2).unwrap();
        if page.is_empty() {
            break;
        }
        pages.push(page.len());
        head_now = verify(&head_now, &page).unwrap();
    }
    assert_eq!(pages, [2, 2, 1]);
    assert_eq!(head_now, head(&mut world.store).unwrap());
}

#[test]
fn a_refusal_or_a_repeated_revocation_adds_no_entry() {
    let mut world = five();
    world.issue(3, live("crm"));
    let log = entries(&mut world);
    assert!(matches!(world.refused(owner(), issue(4, live("crm"))), Rejection::IntegrationHasKey { .. }));
    let first = keyward_key::id::KeyId::parse(&log[1].subject).unwrap();
    world.revoke(&first, "again");
    assert_eq!(entries(&mut world), log);
}

#[test]
fn a_changed_field_breaks_the_chain() {
    let log = entries(&mut five());
    let changes: [fn(&mut Entry); 9] = [
        |entry| entry.seq += 1,
        |entry| entry.at.replace_range(0..4, "2025"),
        |entry| entry.actor.push('x'),
        |entry| entry.action.push('x'),
        |entry| entry.subject.push('x'),
        |entry| entry.previous.replace_range(0..1, "z"),
        |entry| entry.hash.replace_range(0..1, "z"),
        |entry| {
            entry.detail.insert("client_address".to_owned(), "198.51.100.1".into());
        },
        |entry| {
            entry.detail.remove("request_id");
        },
    ];
    for at in 0..log.len() {
        for (number, change) in changes.iter().enumerate() {
            let mut forged = log.clone();
            change(&mut forged[at]);
            assert_eq!(
                verify(&Head::empty(), &forged),
                Err(ChainBroken { seq: u64::try_from(at).unwrap() + 1 }),
                "change {number} of entry {at}"
            );
        }
    }
}

/// Recomputes the hash of an entry, independently of the code, as docs/internals/storage.md describes it.
fn rehashed(mut entry: Entry) -> Entry {
    let mut body = serde_json::to_value(&entry).unwrap();
    body.as_object_mut().unwrap().remove("hash");
    entry.hash = hex::encode(Sha256::digest(serde_json_canonicalizer::to_vec(&body).unwrap()));
    entry
}

#[test]
fn a_forged_and_rehashed_entry_breaks_the_chain() {
    let log = entries(&mut five());
    for (at, entry) in log.iter().enumerate() {
        assert_eq!(rehashed(entry.clone()), *entry);
        let seq = u64::try_from(at).unwrap() + 1;

        let mut renumbered = log.clone();
        renumbered[at].seq += 1;
        renumbered[at] = rehashed(renumbered[at].clone());
        assert_eq!(verify(&Head::empty(), &renumbered), Err(ChainBroken { seq }), "renumbered {at}");

        let mut detached = log.clone();
        detached[at].previous = "f".repeat(64);
        detached[at] = rehashed(detached[at].clone());
        assert_eq!(verify(&Head::empty(), &detached), Err(ChainBroken { seq }), "detached {at}");

        let mut rewritten = log.clone();
        rewritten[at].actor = "wafl_admin_Nobody000001".to_owned();
        rewritten[at] = rehashed(rewritten[at].clone());
        let whole = verify(&Head::empty(), &rewritten);
        if at + 1 < log.len() {
            assert_eq!(whole, Err(ChainBroken { seq: seq + 1 }), "rewritten {at}");
        } else {
            assert_ne!(whole, verify(&Head::empty(), &log), "rewritten {at}");
        }
    }
}

#[test]
fn a_deleted_inserted_or_swapped_entry_breaks_the_chain() {
    let log = entries(&mut five());
    for at in 0..log.len() - 1 {
        let mut deleted = log.clone();
        deleted.remove(at);
        assert!(verify(&Head::empty(), &deleted).is_err(), "deleted {at}");
        let mut swapped = log.clone();
        swapped.swap(at, at + 1);
        assert!(verify(&Head::empty(), &swapped).is_err(), "swapped {at}");
        let mut doubled = log.clone();
        doubled.insert(at, log[at].clone());
        assert!(verify(&Head::empty(), &doubled).is_err(), "doubled {at}");
    }
    // Entries missing at the end do not break the chain, but the head then differs from a known one.
    let shorter = verify(&Head::empty(), &log[..4]).unwrap();
    assert_ne!(shorter, verify(&Head::empty(), &log).unwrap());
}

#[test]
fn the_audit_table_refuses_updates_and_deletes() {
    let world = five();
    for sql in ["UPDATE audit SET actor = 'x' WHERE seq = 2", "DELETE FROM audit WHERE seq = 5"] {
        let error = world.store.connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[test]
fn any_text_is_stored_exactly_and_hashed_in_its_canonical_form() {
    let mut world = World::with_owner();
    let id = world.issue(1, live("crm")).id;
    let controls: String = (0..=0xa0).filter_map(char::from_u32).collect();
    let reason = format!("{controls} \u{2028} é 😀 \u{fffd}\u{ffff}");
    world.revoke(&id, &reason);
    let log = entries(&mut world);
    assert_eq!(log[2].detail["reason"], *reason);
    assert_eq!(rehashed(log[2].clone()), log[2]);
    assert!(verify(&Head::empty(), &log).is_ok());
}

#[test]
fn a_member_reads_the_log_page_by_page_up_to_its_head() {
    let mut world = five();
    let log = entries(&mut world);
    let Outcome::AuditHead { size, hash } = world.done(owner(), Command::AuditHead) else { panic!("no head") };
    assert_eq!((size, &hash), (5, &log[4].hash));
    for (after, limit, expected, expected_more) in
        [(0, 1, 0..1, true), (0, 4, 0..4, true), (0, 5, 0..5, false), (3, 1000, 3..5, false), (5, 1, 5..5, false)]
    {
        let done = world.done(owner(), Command::ReadAudit { after, limit });
        let Outcome::Audit { entries, more, .. } = done else { panic!("no page") };
        assert_eq!((entries.as_slice(), more), (&log[expected], expected_more), "{after} {limit}");
    }
    for (after, limit, wrong) in [(0, 0, "limit"), (0, 1001, "limit"), (9_007_199_254_740_992, 1, "after")] {
        let refused = world.refused(owner(), Command::ReadAudit { after, limit });
        assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == wrong), "{refused:?}");
    }
}

fn page(world: &mut World, after: u64, limit: u32, filter: AuditFilter) -> (Vec<Entry>, Option<u64>) {
    match world.done(owner(), Command::FilterAudit { after, limit, filter }) {
        Outcome::Audit { entries, next, more } => {
            assert_eq!(more, next.is_some());
            (entries, next)
        }
        other => panic!("{other:?}"),
    }
}

fn by(subject: Option<&str>, actor: Option<&str>, action: Option<&str>) -> AuditFilter {
    AuditFilter {
        subject: subject.map(str::to_owned),
        actor: actor.map(str::to_owned),
        action: action.map(str::to_owned),
    }
}

#[test]
fn a_filtered_page_has_the_entries_that_fit_and_leads_to_the_others() {
    let mut world = five();
    let log = entries(&mut world);
    let (first, owner) = (log[1].subject.clone(), log[1].actor.clone());
    for (filter, expected) in [
        (by(None, None, None), vec![1, 2, 3, 4, 5]),
        (by(Some(&first), None, None), vec![2, 3]),
        (by(None, Some("bootstrap"), None), vec![1]),
        (by(None, Some(&owner), None), vec![2, 3, 4, 5]),
        (by(None, None, Some("key.revoke")), vec![3, 5]),
        (by(Some(&first), Some(&owner), Some("key.issue")), vec![2]),
        (by(Some(&first), Some("bootstrap"), None), vec![]),
        (by(Some("nobody"), None, None), vec![]),
    ] {
        for limit in [1, 2, 3, 200] {
            let (mut seen, mut after) = (Vec::new(), 0);
            loop {
                let (items, next) = page(&mut world, after, limit, filter.clone());
                assert!(items.len() <= usize::try_from(limit).unwrap());
                seen.extend(items.iter().map(|entry| entry.seq));
                let Some(next) = next else { break };
                assert!(next > after);
                after = next;
            }
            assert_eq!(seen, expected, "{filter:?} {limit}");
        }
    }
}

/// A log of that many entries of 900 bytes, without a chain.
fn long(entries: u32) -> World {
    let mut world = World::with_owner();
    world
        .store
        .connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             INSERT INTO audit SELECT i, '2026-11-23T14:02:03.004Z', 'wafl_admin_Owner0000001',
                 CASE WHEN i % 1000 = 0 THEN 'key.revoke' ELSE 'key.update' END,
                 CASE WHEN i % 7 = 0 THEN 'rare' ELSE 'busy' END,
                 '{\"x\":\"' || hex(zeroblob(400)) || '\"}', 'p', 'h' FROM n",
            [entries],
        )
        .unwrap();
    world.store.costs.clear();
    world
}

#[test]
fn a_filter_costs_a_bounded_number_of_rows_however_long_the_log_is() {
    let mut world = long(100_000);
    for (filter, after) in [
        (by(None, None, None), 50_000),
        (by(Some("rare"), None, None), 50_000),
        (by(None, Some("wafl_admin_Owner0000001"), None), 0),
        (by(None, None, Some("key.revoke")), 0),
        // The worst: two filters that fit many entries each, and few together.
        (by(Some("busy"), Some("bootstrap"), None), 0),
        (by(Some("busy"), None, Some("nothing")), 0),
    ] {
        let (items, next) = page(&mut world, after, 50, filter.clone());
        assert!(next.is_some() && items.len() <= 50, "{filter:?}");
        let steps: i32 = world.store.costs.iter().map(|cost| cost.steps).sum();
        let sorts: i32 = world.store.costs.iter().map(|cost| cost.sorts).sum();
        assert!(steps < 100_000 && sorts == 0, "{filter:?}: {steps} steps, {sorts} sorts");
        world.store.costs.clear();
    }
}

#[test]
fn a_page_is_limited_in_bytes_and_has_one_entry_at_least() {
    let mut world = long(4_000);
    let (items, next) = page(&mut world, 0, 1_000, by(None, None, None));
    assert!((600..1_000).contains(&items.len()), "{}", items.len());
    assert!(serde_json::to_string(&items).unwrap().len() < 1_100_000);
    assert_eq!(next, Some(items.last().unwrap().seq));
    world
        .store
        .connection
        .execute_batch(
            "INSERT INTO audit SELECT 4001, at, actor, action, 'huge', '{\"x\":\"' || hex(zeroblob(1500000)) || '\"}', 'p', 'h'
                 FROM audit WHERE seq = 2",
        )
        .unwrap();
    assert_eq!(page(&mut world, 4_000, 50, by(None, None, None)).0.len(), 1);
    let (items, next) = page(&mut world, 3_998, 50, by(None, None, None));
    assert_eq!((items.len(), next), (2, Some(4_000)));
}

/// 1,000 changes between two lists of 1,000 networks made one page of a stream 90 MB.
#[test]
fn a_change_of_a_long_list_is_told_by_its_difference() {
    let mut world = World::with_owner();
    let network = |number: u32| format!("2001:db8:0:{number:x}::/64").parse().unwrap();
    let networks: Vec<ipnet::IpNet> = (0..1_000).map(network).collect();
    world.issue(1, KeyDraft { allowed_cidrs: networks.clone(), ..live("crm") });
    let changed =
        |networks: Vec<ipnet::IpNet>| update(1, KeyChanges { allowed_cidrs: Some(networks), ..KeyChanges::default() });
    let mut longer = networks[1..].to_vec();
    longer.push(network(5_000));
    world.done(owner(), changed(longer.clone()));
    assert_eq!(
        world.last_entry().3,
        serde_json::json!({
            "added": {"allowed_cidrs": ["2001:db8:0:1388::/64"]}, "removed": {"allowed_cidrs": ["2001:db8::/64"]},
        })
    );
    longer.swap(0, 1);
    world.done(owner(), changed(longer));
    assert_eq!(world.last_entry().3, serde_json::json!({"reordered": ["allowed_cidrs"]}));
    world.rotate(1, 2, 60);
    let detail = world.last_entry().3;
    assert_eq!(detail["key"]["allowed_cidrs"].as_array().unwrap().len(), 1_000);
    assert!(detail["retiring"].get("allowed_cidrs").is_none() && detail["retiring"]["status"] == "retiring");
}
