//! `keyward claim`.

use serde_json::json;

use crate::program::{User, well_formed};
use crate::server::{Received, Reply, Server, in_days, key};

const ID: &str = "wafl_live_8Fh2kQ0sZp1L";

fn answer(request: &Received) -> Reply {
    match request.path.as_str() {
        "/_keyward/v1/claims/c1/lookup" => {
            let claim = json!({"id": ID, "status": "open", "issued_by": "Olivia Owner", "expires_at": in_days(1), "claimed_at": null});
            Reply::json(200, &json!({"claim": claim, "key": key(ID, "CRM sync")}))
        }
        "/_keyward/v1/claims/c1" => {
            Reply::json(200, &json!({"key": key(ID, "CRM sync"), "api_key": well_formed(ID, 'c')}))
        }
        "/_keyward/v1/claims/c1/revoke" => Reply::json(200, &json!({})),
        _ => Reply::problem(404, "not_found", "There is no such claim."),
    }
}

fn link(server: &Server, id: &str) -> String {
    format!("{}/_keyward/claim#{id}.s3cret", server.url)
}

#[test]
fn a_link_is_used_without_a_sign_in_and_the_key_goes_to_the_program() {
    let server = Server::start(answer);
    let user = User::new();
    let outcome = user.run_with(&["claim", "-", "--to", "exec:cat > received"], link(&server, "c1")).expect(0);
    assert_eq!(std::fs::read_to_string(user.path("received")).unwrap(), well_formed(ID, 'c'));
    assert!(!outcome.shown().contains("ccccc") && !outcome.shown().contains("s3cret"), "{}", outcome.shown());
    let sent = server.received();
    assert_eq!(server.lines(), ["POST /_keyward/v1/claims/c1/lookup", "POST /_keyward/v1/claims/c1"]);
    assert_eq!(sent[1].json()["secret"], "s3cret");
    assert_eq!(sent[1].json()["nonce"].as_str().unwrap().len(), 32);
    assert!(sent.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_look_at_a_link_does_not_use_it() {
    let server = Server::start(answer);
    let outcome = User::new().run(&["claim", &link(&server, "c1"), "--look"]).expect(0);
    assert!(outcome.stdout.contains("CRM sync") && outcome.stdout.contains("Olivia Owner"), "{}", outcome.stdout);
    assert_eq!(server.lines(), ["POST /_keyward/v1/claims/c1/lookup"]);
}

#[test]
fn a_claimed_key_that_did_not_arrive_is_revoked_with_the_link() {
    let server = Server::start(answer);
    let outcome = User::new().run(&["claim", &link(&server, "c1"), "--to", "exec:exit 1"]).expect(1);
    assert!(outcome.stderr.contains(&format!("{ID} was revoked.")), "{}", outcome.stderr);
    assert_eq!(server.lines()[2], "POST /_keyward/v1/claims/c1/revoke");
    assert_eq!(server.received()[2].json(), json!({"secret": "s3cret"}));
}

#[test]
fn a_link_that_is_not_good_is_explained_and_its_secret_not_repeated() {
    let server = Server::start(answer);
    let user = User::new();
    let outcome = user.run(&["claim", &link(&server, "c2"), "--show"]).expect(1);
    assert!(
        outcome.stderr.contains("This link is not good") && !outcome.stderr.contains("s3cret"),
        "{}",
        outcome.stderr
    );
    assert!(user.run(&["claim", &link(&server, "c1")]).expect(2).stderr.contains("--to DESTINATION"));
    assert!(!user.run(&["claim", "s3cret", "--show"]).expect(2).stderr.contains("s3cret"));
}
