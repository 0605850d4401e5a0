//! `keyward members …`.

use serde_json::{Value as Json, json};

use crate::program::{User, well_formed};
use crate::server::{Reply, Server, in_days};
use crate::snapshot;

const ID: &str = "wafl_admin_Mia000000001";

fn member() -> Json {
    json!({"id": ID, "name": "Mia", "email": "mia@acme.example", "role": "manager", "environments": ["test"],
        "status": "active", "created_at": in_days(-1), "created_by": "bootstrap", "expires_at": in_days(30), "revoked_at": null,
        "revision": 3})
}

#[test]
fn members_are_listed_as_a_table() {
    let server = Server::start(|_| Reply::json(200, &json!({"items": [member()], "next_cursor": null})));
    let outcome = User::of(&server.url).run(&["members", "list"]).expect(0);
    snapshot::check("members-list.txt", &outcome.stdout);
}

#[test]
fn a_new_credential_is_shown_only_if_asked_and_alone_on_standard_output() {
    let credential = well_formed(ID, 'm');
    let sent = credential.clone();
    let server = Server::start(move |_| Reply::json(201, &json!({"member": member(), "api_key": sent})));
    let user = User::of(&server.url);
    let arguments = [
        "members",
        "create",
        "--name",
        "Mia",
        "--email",
        "mia@acme.example",
        "--role",
        "manager",
        "--environment",
        "test",
    ];
    assert!(user.run(&arguments).expect(2).stderr.contains("--show"));
    assert!(server.received().is_empty());
    let outcome = user.run(&[&arguments[..], &["--show"]].concat()).expect(0);
    assert_eq!(outcome.stdout.trim_end(), credential);
    assert_eq!(
        server.received()[0].json(),
        json!({"name": "Mia", "email": "mia@acme.example", "role": "manager", "environments": ["test"], "expires_in_days": null})
    );
    user.run(&[&arguments[..], &["--to", "exec:cat > credential"]].concat()).expect(0);
    assert_eq!(std::fs::read_to_string(user.path("credential")).unwrap(), credential);
}

#[test]
fn a_member_whose_credential_was_not_delivered_is_revoked() {
    let server = Server::start(|request| match request.path.ends_with("/revoke") {
        true => Reply::json(200, &json!({"member": member()})),
        false => Reply::json(201, &json!({"member": member(), "api_key": well_formed(ID, 'm')})),
    });
    let arguments =
        ["members", "create", "--name", "M", "--email", "m@acme.example", "--role", "owner", "--to", "exec:exit 1"];
    let outcome = User::of(&server.url).run(&arguments).expect(1);
    assert!(outcome.stderr.contains(&format!("{ID} was revoked.")), "{}", outcome.stderr);
    assert_eq!(server.lines()[1], format!("POST /_keyward/v1/members/{ID}/revoke"));
}

#[test]
fn a_limit_to_environments_can_be_changed_and_removed() {
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, &member()).with("etag", "\"3\""),
        _ => Reply::json(200, &json!({"member": member()})),
    });
    let user = User::of(&server.url);
    user.run(&["members", "update", ID, "--all-environments"]).expect(0);
    user.run(&["members", "update", ID, "--environment", "live", "--role", "auditor"]).expect(0);
    user.run(&["members", "revoke", ID, "--yes"]).expect(0);
    let sent = server.received();
    assert_eq!(sent[1].json(), json!({"environments": null}));
    assert_eq!(sent[1].header("if-match"), Some("\"3\""));
    assert_eq!(sent[3].json(), json!({"environments": ["live"], "role": "auditor"}));
    assert_eq!(sent[4].line(), format!("POST /_keyward/v1/members/{ID}/revoke"));
}
