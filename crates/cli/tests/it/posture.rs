//! `keyward posture`.

use serde_json::json;

use crate::program::User;
use crate::server::{Reply, Server, in_days};
use crate::snapshot;

#[test]
fn findings_are_shown_and_a_low_score_has_exit_code_10() {
    let server = Server::start(|_| {
        Reply::json(
            200,
            &json!({"score": 87, "findings": [{"rule": "expires_late", "severity": "medium", "key_id": "wafl_live_8Fh2kQ0sZp1L",
                "since": in_days(-3), "detail": "Lives for 300 days. Shorten it.", "fix": {"method": "PATCH", "path": "…", "body": {"expires_at": null}}},
                {"rule": "single_owner", "severity": "high", "since": in_days(-3), "detail": "Only one member is an owner."}]}),
        )
    });
    let user = User::of(&server.url);
    snapshot::check("posture.txt", &user.run(&["posture"]).expect(0).stdout);
    user.run(&["posture", "--min-score", "87"]).expect(0);
    user.run(&["posture", "--min-score", "88"]).expect(10);
    assert_eq!(user.run(&["posture", "--min-score", "88", "--output", "json"]).expect(10).json()["score"], 87);
    user.run(&["posture", "--min-score", "101"]).expect(2);
    assert_eq!(server.lines()[0], "GET /_keyward/v1/posture");
}
