//! `keyward scan`.

use std::process::Command;

use serde_json::json;

use crate::program::{Outcome, User, well_formed};
use crate::server::{Reply, Server};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

fn key() -> String {
    well_formed(ID, 'k')
}

/// The scan found keys, and shows none of them.
#[track_caller]
fn found(outcome: Outcome) -> Outcome {
    let outcome = outcome.expect(10);
    assert!(!outcome.shown().contains("kkkkk"), "{}", outcome.shown());
    outcome
}

fn git(user: &User, arguments: &[&str]) {
    let mut command = Command::new("git");
    command
        .current_dir(user.path("repository"))
        .args(["-c", "user.name=T", "-c", "user.email=t@t.example"])
        .args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn repository(user: &User) {
    user.write("repository/readme.md", "Hello\n");
    git(user, &["init", "--quiet", "--initial-branch=main"]);
    git(user, &["add", "."]);
    git(user, &["commit", "--quiet", "-m", "First"]);
}

#[test]
fn a_key_is_found_in_text_binary_and_utf_16_files_with_its_place() {
    let user = User::new();
    let wide: Vec<u8> = format!("\u{feff}set KEY={}\r\n", key()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    user.write("tree/config/app.env", format!("A=1\nKEY={}\n", key()));
    user.write("tree/image.bin", [b"\0\xff\x01", key().as_bytes(), b"\0\0"].concat());
    user.write("tree/script.ps1", wide);
    user.write("tree/clean.txt", format!("{ID} and {}x", &key()[..68]));
    let outcome = found(user.run(&["scan", "tree"]));
    assert_eq!(
        outcome.stdout,
        format!(
            "tree/config/app.env:2:5: {ID} (API key)\ntree/image.bin:1:4: {ID} (API key)\ntree/script.ps1:1:18: {ID} (API key)\n"
        )
    );
    assert_eq!(outcome.stderr, "1 key in 4 files.\n");
}

#[test]
fn ignore_files_are_respected_and_hidden_files_read() {
    let user = User::new();
    repository(&user);
    user.write("repository/.gitignore", "ignored.txt\n");
    user.write("repository/ignored.txt", key());
    user.write("repository/.env", key());
    let listed = found(user.run(&["scan", "repository"])).stdout;
    assert_eq!(listed, format!("repository/.env:1:1: {ID} (API key)\n"));
    let all = found(user.run(&["scan", "repository", "--no-ignore"])).stdout;
    assert!(all.contains("repository/ignored.txt"), "{all}");
    let named = found(user.run(&["scan", "repository/ignored.txt"])).stdout;
    assert!(named.contains("repository/ignored.txt"), "{named}");
}

#[test]
fn standard_input_is_read_and_a_clean_one_is_clean() {
    let user = User::new();
    let outcome = found(user.run_with(&["scan", "-"], format!("x\ny {}", key())));
    assert_eq!(outcome.stdout, format!("standard input:2:3: {ID} (API key)\n"));
    assert_eq!(user.run_with(&["scan", "-"], "nothing here").expect(0).stdout, "");
}

#[test]
fn a_members_credential_is_found_and_named() {
    let user = User::new();
    let outcome = user.run_with(&["scan", "-"], well_formed("wafl_admin_Owner0000001", 'k')).expect(10);
    assert!(outcome.stdout.contains("wafl_admin_Owner0000001 (member's credential)"), "{}", outcome.stdout);
}

#[test]
fn another_prefix_is_found_if_it_is_named() {
    let user = User::new();
    let text = well_formed("acme_test_000000000001", 'k');
    user.run_with(&["scan", "-"], &text).expect(0);
    found(user.run_with(&["scan", "-", "--prefix", "acme"], &text));
    user.run(&["scan", "--prefix", "A"]).expect(2);
}

#[test]
fn a_key_in_a_commit_that_no_branch_has_is_found() {
    let user = User::new();
    repository(&user);
    user.write("repository/config.txt", format!("KEY={}\n", key()));
    git(&user, &["add", "."]);
    git(&user, &["commit", "--quiet", "-m", "Oops"]);
    user.write("repository/config.txt", "KEY=\n");
    git(&user, &["add", "."]);
    git(&user, &["commit", "--quiet", "--amend", "-m", "Fixed"]);
    user.run(&["scan", "repository"]).expect(0);

    let amended = found(user.run(&["scan", "--git", "repository"])).stdout;
    assert!(
        amended.contains("config.txt (git:") && amended.contains(&format!(":1:5: {ID} (API key, commit ")),
        "{amended}"
    );
    // Without the reflog nothing names it any more, and the object is still there.
    git(&user, &["reflog", "expire", "--expire=now", "--all"]);
    let unreachable = found(user.run(&["scan", "--git", "repository"])).stdout;
    assert!(unreachable.contains("in no branch or tag"), "{unreachable}");
}

#[test]
fn a_key_in_a_commit_message_or_a_packed_object_is_found() {
    let user = User::new();
    repository(&user);
    git(&user, &["commit", "--quiet", "--allow-empty", "-m", &format!("Use {}", key())]);
    git(&user, &["gc", "--quiet"]);
    let outcome = found(user.run(&["scan", "--git", "repository"])).stdout;
    assert!(outcome.contains("(API key, commit)"), "{outcome}");
}

#[test]
fn the_staged_content_is_scanned_and_not_the_working_tree() {
    let user = User::new();
    repository(&user);
    user.write("repository/new file.txt", format!("line\n{}\n", key()));
    user.run(&["scan", "--staged", "repository"]).expect(0);
    git(&user, &["add", "."]);
    user.write("repository/new file.txt", "changed meanwhile\n");
    let staged = found(user.run(&["scan", "--staged", "repository"])).stdout;
    assert!(staged.starts_with("new file.txt (git:") && staged.contains(":2:1: "), "{staged}");
    git(&user, &["add", "."]);
    user.run(&["scan", "--staged", "repository"]).expect(0);
    let nowhere = user.run(&["scan", "--staged"]).expect(1);
    assert!(nowhere.stderr.contains("git failed"), "{}", nowhere.stderr);
}

#[test]
fn known_keys_are_no_findings() {
    let user = User::new();
    user.write("tree/vectors.json", key());
    user.run(&["scan", "tree", "--write-baseline", "known.json"]).expect(0);
    let baseline = std::fs::read_to_string(user.path("known.json")).unwrap();
    assert!(baseline.contains(ID) && !baseline.contains("kkkkk"), "{baseline}");
    user.run(&["scan", "tree", "--baseline", "known.json"]).expect(0);
    user.write("tree/other.txt", well_formed("wafl_live_000000000001", 'k'));
    let outcome = found(user.run(&["scan", "tree", "--baseline", "known.json"]));
    assert_eq!(outcome.stdout, "tree/other.txt:1:1: wafl_live_000000000001 (API key)\n");
    user.write("broken.json", "{}");
    user.run(&["scan", "tree", "--baseline", "broken.json"]).expect(2);
}

#[test]
fn reports_as_json_and_sarif_name_the_place_and_never_the_key() {
    let user = User::new();
    user.write("tree/my app.env", format!("a\nKEY={}\n", key()));
    let report = found(user.run(&["scan", "tree", "--output", "json"])).json();
    assert_eq!(
        report["items"],
        json!([{"key_id": ID, "kind": "key", "path": "tree/my app.env", "object": null, "line": 2, "column": 5, "remark": null}])
    );
    let sarif = found(user.run(&["scan", "tree", "--output", "sarif"])).json();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"]);
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "tree/my%20app.env");
    assert_eq!(place["region"], json!({"startLine": 2, "startColumn": 5}));
    let clean = user.run_with(&["scan", "-", "--output", "sarif"], "").expect(0).json();
    assert_eq!(clean["runs"][0]["results"], json!([]));
}

#[test]
fn a_scan_that_could_not_read_everything_is_not_clean() {
    let user = User::new();
    let outcome = user.run(&["scan", "missing"]).expect(1);
    assert!(outcome.stderr.contains("were not read"), "{}", outcome.stderr);
}

#[test]
fn found_keys_are_revoked_once_each_as_their_holder_and_only_when_told() {
    let server = Server::start(|_| Reply { status: 200, headers: Vec::new(), body: String::new() });
    let user = User::of(&server.url);
    user.write("tree/one.txt", format!("{} {}", key(), key()));
    user.write("tree/two.txt", key());
    assert!(user.run(&["scan", "tree", "--revoke"]).expect(2).stderr.contains("--yes"));
    assert!(server.received().is_empty());
    let outcome = found(user.run(&["scan", "tree", "--revoke", "--yes"]));
    assert!(outcome.stderr.contains(&format!("{ID} was sent to")), "{}", outcome.stderr);
    let sent = server.received();
    assert_eq!(server.lines(), ["POST /_keyward/oauth/revoke"]);
    assert_eq!(sent[0].body, format!("token={}", key()));
    assert_eq!(
        (sent[0].header("content-type"), sent[0].header("authorization")),
        (Some("application/x-www-form-urlencoded"), None)
    );
}

#[test]
fn the_rule_for_other_scanners_is_printed() {
    let user = User::new();
    for (scanner, part) in
        [("gitleaks", "[[rules]]"), ("trufflehog", "detectors:"), ("github", "Regular expression: acme_")]
    {
        let rule = user.run(&["scan", "--rule", scanner, "--prefix", "acme"]).expect(0).stdout;
        assert!(rule.contains(part) && rule.contains("acme_(?:live|test|admin)_"), "{rule}");
    }
}
