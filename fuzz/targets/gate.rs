//! A whole request at a gate with three keys: a forwarded request was sent by the holder of a live key.

use keyward_gate::{Gate, Step};
use keyward_http::head::Head;
use keyward_key::epoch::Epoch;
use keyward_key::format::contains_key;
use keyward_key::record::Record;
use keyward_key::time::Millis;
use keyward_protocol::feed::{ChangeList, FeedPage, Position};
use serde_json::json;

use super::fixture::{CONFIG, LIVE, ORIGIN, OTHER, text_of};

const NOW: Millis = Millis(1_800_000_000_000);

pub fn run(data: &[u8]) {
    let text = text_of(data);
    let Ok(head) = Head::parse(&text) else { return };
    let mut gate = Gate::default();
    let record: Record = serde_json::from_value(json!({
        "id": LIVE.id, "key_hash": LIVE.hash, "minted_under": LIVE.generation, "integration": "crm-sync", "scopes": ["contacts:read"],
        "allowed_cidrs": [], "expires_at": NOW.0 + 1, "retiring": false, "revoked": false, "revision": 1,
    }))
    .expect("a record");
    let at = Position { epoch: Epoch::new(NOW, "fuzz"), revision: 1, head: "0".repeat(16) };
    let entries = ChangeList::default();
    let asked = gate.start_query(NOW);
    gate.apply_authority(
        &FeedPage::Snapshot { after: None, at: at.clone(), entries: entries.clone(), next: None },
        asked,
        NOW,
    );
    gate.apply_authority(&FeedPage::Since { after: 0, to: at.clone(), entries, more: false }, asked, NOW);
    gate.apply_record(&LIVE.id, Some(record), &at, NOW);
    gate.apply_record(&OTHER.id, None, &at, NOW);
    match keyward_testkit::signing::admit(&mut gate, &CONFIG, &head, NOW, "request-id") {
        Step::Sign(_) => panic!("`signing::admit` signs every grant"),
        Step::Need(_) => panic!("the gate has every record already"),
        Step::Refuse(refusal) => {
            let status = refusal.problem.status();
            assert!((400..600).contains(&status) && status != 500);
            let shown = refusal.problem.body("id");
            assert!(!contains_key(shown.as_bytes(), &CONFIG.prefix), "an answer contains a key: {shown}");
        }
        Step::Forward(grant) => {
            let public = head.target().path().starts_with("/public/") && matches!(head.method(), "GET" | "HEAD");
            let plan = grant.plan(&head, "request-id");
            assert_eq!(plan.private, !public);
            let lines: Vec<&str> = plan.edits.split('\n').collect();
            for line in lines.iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, line)| line) {
                assert!(!contains_key(line.as_bytes(), &CONFIG.prefix), "a key is forwarded: {line}");
            }
            assert_eq!(lines[0], format!("{ORIGIN}{}", head.target().as_sent()));
            let removed: Vec<&str> = lines[1].split(',').collect();
            for (name, value) in head.headers() {
                // A whole word is a credential. A key inside another scheme (`Digest x="wafl_…"`) belongs to the origin.
                let ours = value.split([' ', '\t', ',']).any(|word| word.starts_with("wafl_"));
                let credential = matches!(*name, "authorization" | "x-api-key");
                assert!(!(credential && ours) || removed.contains(name), "{name} is forwarded");
            }
            if !public {
                let sent = |name| {
                    head.headers()
                        .iter()
                        .any(|(header, value): &(&str, &str)| *header == name && value.contains(LIVE.api_key.expose()))
                };
                assert!(sent("authorization") || sent("x-api-key"), "forwarded without a key");
                assert!(plan.edits.contains(&format!("\nkeyward-key-id\n{}\n", LIVE.id)));
                assert!(
                    !head.target().path().to_ascii_lowercase().starts_with("/admin/"),
                    "accepted with the scope of another route"
                );
            }
            assert!(!head.target().path().to_ascii_lowercase().starts_with("/_keyward/"));
        }
    }
}
