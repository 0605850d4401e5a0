//! `keyward audit export` and `verify`.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use keyward_protocol::audit::{EMPTY_LOG_HASH, Entry};

use crate::program::User;
use crate::server::{Reply, Server};

const NAME: &str = "keyward/wafl";

/// A log of `count` entries, as NDJSON lines, and its hashes.
fn log(count: u64) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut hashes) = (Vec::new(), vec![EMPTY_LOG_HASH.to_owned()]);
    for seq in 1..=count {
        let mut entry = Entry {
            seq,
            at: "2026-11-23T14:02:06.004Z".to_owned(),
            actor: "bootstrap".to_owned(),
            action: "key.issue".to_owned(),
            subject: format!("wafl_live_{seq:012}"),
            detail: json!({"request_id": "r"}).as_object().unwrap().clone(),
            previous: hashes.last().unwrap().clone(),
            hash: String::new(),
        };
        entry.hash = entry.expected_hash().unwrap();
        hashes.push(entry.hash.clone());
        lines.push(format!("{}\n", serde_json::to_string(&entry).unwrap()));
    }
    (lines, hashes)
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn vkey(seed: u8) -> String {
    keyward_key::note::vkey(NAME, &signing_key(seed).verifying_key().to_bytes())
}

fn checkpoint(seed: u8, size: usize, hash: &str) -> String {
    let text = format!("{NAME}\n{size}\n{}\n", STANDARD.encode(hex::decode(hash).unwrap()));
    let key = signing_key(seed);
    keyward_key::note::note(NAME, &text, &key.verifying_key().to_bytes(), &key.sign(text.as_bytes()).to_bytes())
}

/// A deployment whose log has 5 entries at first. Its first stream breaks in the middle of the third.
fn deployment() -> Server {
    let broken = AtomicBool::new(false);
    Server::start(move |request| {
        let (lines, hashes) = log(5);
        let body = match request.path.as_str() {
            "/_keyward/v1/audit/key" => format!("{}\n", vkey(1)),
            "/_keyward/v1/audit/checkpoint" => checkpoint(1, 5, &hashes[5]),
            path => {
                let after: usize = path.strip_prefix("/_keyward/v1/audit?after=").unwrap().parse().unwrap();
                assert_eq!(request.header("accept"), Some("application/x-ndjson"));
                let rest = lines[after..].concat();
                if broken.swap(true, Ordering::SeqCst) {
                    rest
                } else {
                    // Fewer bytes than announced: the connection breaks.
                    let part = rest[..lines[0].len() * 2 + 20].to_owned();
                    return Reply { status: 200, headers: vec![("x-break", "1".to_owned())], body: part };
                }
            }
        };
        Reply { status: 200, headers: Vec::new(), body }
    })
}

#[test]
fn an_export_continues_after_a_broken_connection_and_verifies() {
    let server = deployment();
    let user = User::of(&server.url);
    let outcome = user.run(&["audit", "export", "audit"]).expect(0);
    assert!(outcome.stdout.contains("5 entries in audit/audit.ndjson, 5 of them new."), "{}", outcome.stdout);
    assert!(server.lines().contains(&"GET /_keyward/v1/audit?after=2".to_owned()), "{:?}", server.lines());
    assert_eq!(std::fs::read_to_string(user.path("audit/audit.ndjson")).unwrap(), log(5).0.concat());

    user.write("pinned.vkey", format!("{}\n", vkey(1)));
    user.write("kept.txt", checkpoint(1, 3, &log(5).1[3]));
    let verified =
        user.run(&["audit", "verify", "audit", "--key", "@pinned.vkey", "--checkpoint", "kept.txt"]).expect(0);
    assert_eq!(
        verified.stdout,
        "ok: 5 entries: the number, link and hash of each\n\
         ok: the log continues kept.txt (3 entries, signed by keyward/wafl)\n\
         ok: the log continues audit/checkpoint.txt (5 entries, signed by keyward/wafl)\n"
    );

    let again = user.run(&["audit", "export", "audit", "--output", "json"]).expect(0).json();
    assert_eq!((&again["entries"], &again["new"]), (&json!(5), &json!(0)));
    assert!(user.path("audit/checkpoint-5.txt").exists());
}

fn exported(user: &User, entries: u64, signer: u8) {
    let (lines, hashes) = log(entries);
    user.write("audit/audit.ndjson", lines.concat());
    user.write("audit/checkpoint.txt", checkpoint(signer, usize::try_from(entries).unwrap(), hashes.last().unwrap()));
    user.write("audit/audit.vkey", vkey(signer));
}

#[test]
fn what_was_not_checked_is_said() {
    let user = User::new();
    exported(&user, 4, 1);
    let own_key = user.run(&["audit", "verify", "audit"]).expect(0).stdout;
    assert!(own_key.contains("not checked: whose key it is: it came with the export."), "{own_key}");
    assert!(own_key.contains("not checked: whether the log was rewritten before this export."), "{own_key}");
    let alone = user.run(&["audit", "verify", "audit/audit.ndjson"]).expect(0).stdout;
    assert!(alone.contains("not checked: whether the log was rewritten, or its end is missing."), "{alone}");
    let unsigned =
        user.run(&["audit", "verify", "audit/audit.ndjson", "--checkpoint", "audit/checkpoint.txt"]).expect(0).stdout;
    assert!(unsigned.contains("not checked: who signed the checkpoints."), "{unsigned}");
    user.write("kept.txt", checkpoint(1, 2, &log(4).1[2]));
    let older = ["audit", "verify", "audit/audit.ndjson", "--key", &vkey(1), "--checkpoint", "kept.txt"];
    let older = user.run(&older).expect(0).stdout;
    assert!(older.contains("not checked: the end: 2 entries are newer than every checkpoint"), "{older}");
}

#[test]
fn a_log_that_is_not_the_signed_one_has_exit_code_10() {
    let user = User::new();
    exported(&user, 4, 1);
    let wrong = |user: &User, arguments: &[&str], problem: &str| {
        let outcome = user.run(&[&["audit", "verify", "audit"], arguments].concat()).expect(10);
        assert!(outcome.stdout.starts_with("NOT VERIFIED: ") && outcome.stdout.contains(problem), "{}", outcome.stdout);
    };
    wrong(&user, &["--key", &vkey(2)], "none of the given keys has signed it");
    user.write("forged.txt", checkpoint(2, 2, &log(4).1[2]));
    wrong(&user, &["--checkpoint", "forged.txt"], "forged.txt: none of the given keys");
    user.write("rewritten.txt", checkpoint(1, 2, &"ab".repeat(32)));
    wrong(&user, &["--checkpoint", "rewritten.txt"], "the log was rewritten");
    user.write("audit/audit.ndjson", log(3).0.concat());
    wrong(&user, &[], "its end is missing");
    user.write("audit/audit.ndjson", log(4).0.concat().replacen("bootstrap", "nobody", 1));
    wrong(&user, &[], "Entry 1 was changed");
    let json = user.run(&["audit", "verify", "audit", "--output", "json"]).expect(10).json();
    assert_eq!(json["verified"], false);
}

#[test]
fn a_missing_file_or_a_wrong_key_is_wrong_usage_or_not_verified() {
    let user = User::new();
    user.run(&["audit", "verify", "missing.ndjson"]).expect(10);
    exported(&user, 1, 1);
    user.run(&["audit", "verify", "audit", "--key", "nonsense"]).expect(2);
    user.run(&["audit", "verify", "audit", "--key", "@missing"]).expect(2);
}
