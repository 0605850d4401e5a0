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
        let Outcome::Audit { entries, more } = done else { panic!("no page") };
        assert_eq!((entries.as_slice(), more), (&log[expected], expected_more), "{after} {limit}");
    }
    for (after, limit, wrong) in [(0, 0, "limit"), (0, 1001, "limit"), (9_007_199_254_740_992, 1, "after")] {
        let refused = world.refused(owner(), Command::ReadAudit { after, limit });
        assert!(matches!(&refused, Rejection::Invalid { field, .. } if field == wrong), "{refused:?}");
    }
}
