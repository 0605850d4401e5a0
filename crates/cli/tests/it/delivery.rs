//! The path of a new key: memory and the standard input of one program, and nowhere else.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::keys::issue;
use crate::program::{Outcome, User, outcome, well_formed};
use crate::server::{Received, Reply, Server, changed, in_days, key};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";
const OLD: &str = "wafl_live_000000000001";

fn canary() -> String {
    well_formed(ID, 'c')
}

fn answer(request: &Received) -> Reply {
    if request.path.ends_with("/revoke") {
        return Reply::json(200, &changed(&key(ID, "CRM sync")));
    }
    let by_claim = request.json().get("deliver").is_some();
    let mut body = json!({"key": key(ID, "CRM sync")});
    if by_claim {
        let url = "https://keys.example/_keyward/claim#c1.secret";
        body["claim"] = json!({"id": "c1", "url": url, "expires_at": in_days(1)});
    } else {
        body["api_key"] = json!(canary());
    }
    if request.path.ends_with("/rotate") {
        body["retiring"] = key(OLD, "CRM sync");
    }
    Reply::json(201, &body)
}

/// No part of the key's secret is in the text.
#[track_caller]
fn assert_hidden(text: &str) {
    assert!(!text.contains(&canary()[ID.len()..]), "{text}");
    assert!(!text.contains(&"c".repeat(12)), "{text}");
}

fn revocations(server: &Server) -> Vec<Json> {
    let path = format!("/_keyward/v1/keys/{ID}/revoke");
    server.received().iter().filter(|request| request.path == path).map(Received::json).collect()
}

#[test]
fn a_key_is_delivered_by_claim_unless_asked_otherwise() {
    let server = Server::start(answer);
    let outcome = User::of(&server.url).run(&issue(&["--claim-hours", "48"])).expect(0);
    assert!(outcome.stdout.contains("https://keys.example/_keyward/claim#c1.secret"), "{}", outcome.stdout);
    let sent = server.received()[0].json();
    assert_eq!((&sent["deliver"], &sent["claim_hours"]), (&json!("claim"), &json!(48)));
}

#[test]
fn a_deployment_without_claims_is_explained() {
    let server = Server::start(|_| {
        let mut reply = Reply::problem(400, "invalid_request", "Unknown field.");
        reply.body = reply.body.replace("\"code\"", "\"field\":\"deliver\",\"code\"");
        reply
    });
    let outcome = User::of(&server.url).run(&issue(&[])).expect(1);
    assert!(
        outcome.stderr.contains("Unknown field.") && outcome.stderr.contains("--to DESTINATION"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn show_writes_the_key_alone_to_standard_output() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    let outcome = user.run(&issue(&["--show"])).expect(0);
    assert_eq!(outcome.stdout, format!("{}\n", canary()));
    assert_hidden(&outcome.stderr);
    assert!(server.received()[0].json().get("deliver").is_none());
    assert_eq!(user.run(&issue(&["--show", "--output", "json"])).expect(0).json()["api_key"], canary());
}

#[test]
fn the_key_reaches_the_program_and_nothing_else() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    // The receiver looks at every process's arguments and environment while it has the key.
    let spy = "exec:cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ > seen 2>/dev/null; head -c 300 > received; cat received; cat received >&2";
    for more in [vec!["--to", spy], vec!["--to", spy, "--output", "json"]] {
        let outcome = user.run(&issue(&more)).expect(0);
        assert_eq!(std::fs::read_to_string(user.path("received")).unwrap(), canary());
        std::fs::remove_file(user.path("received")).unwrap();
        let seen = String::from_utf8_lossy(&std::fs::read(user.path("seen")).unwrap()).into_owned();
        assert!(seen.contains("keyward") && seen.contains("PATH="), "the receiver saw no process");
        assert_hidden(&seen);
        assert_hidden(&outcome.shown());
        assert!(
            outcome.stderr.contains("***"),
            "what the program printed is shown without the key: {}",
            outcome.stderr
        );
        assert_hidden(&user.files());
    }
    assert!(revocations(&server).is_empty());
}

#[test]
fn the_program_does_not_get_the_members_credential() {
    let server = Server::start(answer);
    let user = User::of(&server.url);
    user.run(&issue(&["--to", "exec:env > environment; cat > /dev/null"])).expect(0);
    let environment = std::fs::read_to_string(user.path("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("KEYWARD_CREDENTIAL"), "{environment}");
}

#[test]
fn a_key_that_did_not_arrive_is_revoked() {
    let server = Server::start(answer);
    let outcome = User::of(&server.url).run(&issue(&["--to", "exec:echo no room >&2; exit 7"])).expect(1);
    assert_eq!(revocations(&server), [json!({"reason": "It could not be delivered"})]);
    assert!(outcome.stderr.contains("no room") && outcome.stderr.contains("exit status: 7"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&format!("{ID} was revoked.")), "{}", outcome.stderr);
    assert_hidden(&outcome.shown());
}

#[test]
fn a_successor_that_did_not_arrive_is_revoked_and_the_old_key_named() {
    let server = Server::start(answer);
    let outcome = User::of(&server.url).run(&["keys", "rotate", OLD, "--to", "exec:exit 1"]).expect(1);
    assert_eq!(revocations(&server).len(), 1);
    assert!(outcome.stderr.contains(&format!("The old key {OLD} works until")), "{}", outcome.stderr);
}

#[test]
fn a_revocation_that_fails_is_said_loudly() {
    let server = Server::start(|request| match request.path.ends_with("/revoke") {
        true => Reply::problem(403, "forbidden", "Not yours."),
        false => answer(request),
    });
    let outcome = User::of(&server.url).run(&issue(&["--to", "exec:exit 1"])).expect(1);
    assert!(outcome.stderr.contains("COULD NOT BE REVOKED"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(&format!("keyward keys revoke {ID}")), "{}", outcome.stderr);
}

#[test]
fn a_missing_program_is_noticed_before_a_key_is_made() {
    let server = Server::start(answer);
    let mut user = User::of(&server.url);
    user.variables.push(("PATH", "/nowhere".to_owned()));
    let outcome = user.run(&issue(&["--to", "gh:acme/crm/KEY"])).expect(1);
    assert!(
        outcome.stderr.contains("gh is not installed") && outcome.stderr.contains("No key was made."),
        "{}",
        outcome.stderr
    );
    assert!(server.received().is_empty());
}

#[test]
fn an_interrupted_delivery_revokes_the_key() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let server = Server::start(answer);
        let user = User::of(&server.url);
        let child = user.start(&issue(&["--to", "exec:touch started; sleep 60"]));
        wait_for(|| user.path("started").exists());
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let outcome: Outcome = outcome(child.wait_with_output().unwrap()).expect(1);
        assert!(
            outcome.stderr.contains("Interrupted.") && outcome.stderr.contains("was revoked."),
            "{}",
            outcome.stderr
        );
        assert_eq!(revocations(&server).len(), 1, "{signal}");
        assert_hidden(&outcome.shown());
    }
}

#[test]
fn a_key_whose_answer_comes_after_the_interruption_is_revoked_too() {
    let server = Server::start(|request| {
        if !request.path.ends_with("/revoke") {
            thread::sleep(Duration::from_millis(600));
        }
        answer(request)
    });
    let child = User::of(&server.url);
    let started = child.start(&issue(&["--show"]));
    wait_for(|| !server.received().is_empty());
    Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap();
    let outcome = outcome(started.wait_with_output().unwrap()).expect(1);
    assert_eq!(revocations(&server).len(), 1);
    assert_hidden(&outcome.shown());
}

#[track_caller]
fn wait_for(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "nothing happened within 10 s");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Programs that stand in for those of `--to`: each writes its arguments and its input into files.
fn stand_in(user: &mut User, name: &str, script: &str) {
    let path =
        user.write(&format!("bin/{name}"), format!("#!/bin/sh\necho \"$@\" >> \"$HOME/{name}.arguments\"\n{script}\n"));
    Command::new("chmod").args(["755", &path]).status().unwrap();
    let found = std::env::var("PATH").unwrap();
    user.variables.retain(|(name, _)| *name != "PATH");
    user.variables.push(("PATH", format!("{}:{found}", user.path("bin").display())));
}

#[test]
fn each_secret_manager_gets_the_key_on_its_standard_input() {
    for (to, program, arguments) in [
        ("gh:acme/crm/API_KEY", "gh", "secret set API_KEY --repo acme/crm\n"),
        ("wrangler:API_KEY", "wrangler", "secret put API_KEY\n"),
        ("vault:secret/crm#api_key", "vault", "kv patch secret/crm api_key=-\n"),
        ("doppler:API_KEY", "doppler", "secrets set API_KEY --silent\n"),
    ] {
        let server = Server::start(answer);
        let mut user = User::of(&server.url);
        stand_in(&mut user, program, "cat > \"$HOME/received\"");
        user.run(&issue(&["--to", to])).expect(0);
        assert_eq!(std::fs::read_to_string(user.path("received")).unwrap(), canary(), "{to}");
        assert_eq!(std::fs::read_to_string(user.path(&format!("{program}.arguments"))).unwrap(), arguments);
    }
}

#[test]
fn a_vault_secret_that_does_not_exist_is_made_and_an_existing_one_never_overwritten() {
    let server = Server::start(answer);
    let mut user = User::of(&server.url);
    stand_in(&mut user, "vault", "[ \"$2\" = put ] && cat > \"$HOME/received\"");
    user.run(&issue(&["--to", "vault:secret/crm#api_key"])).expect(0);
    let arguments = std::fs::read_to_string(user.path("vault.arguments")).unwrap();
    assert_eq!(arguments, "kv patch secret/crm api_key=-\nkv put -cas=0 secret/crm api_key=-\n");
    assert_eq!(std::fs::read_to_string(user.path("received")).unwrap(), canary());
}
