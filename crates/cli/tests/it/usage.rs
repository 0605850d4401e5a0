//! `keyward usage`.

use serde_json::json;

use crate::program::User;
use crate::server::{Reply, Server};
use crate::snapshot;

#[test]
fn the_requests_of_a_key_are_a_sparkline_with_a_bar_for_each_step() {
    let server = Server::start(|_| {
        Reply::json(
            200,
            &json!({"step": "hour", "from": "2026-11-26T00:00:00.000Z", "to": "2026-11-26T06:00:00.000Z", "complete_to": "2026-11-26T05:59:00.000Z",
                "items": [{"at": "2026-11-26T01:00:00.000Z", "allowed": 70, "refused": {"rate_limited": 3}},
                    {"at": "2026-11-26T04:00:00.000Z", "allowed": 1, "refused": {"rate_limited": 1, "revoked_key": 2}}]}),
        )
    });
    let outcome = User::of(&server.url).run(&["usage", "wafl_live_8Fh2kQ0sZp1L", "--since", "6h"]).expect(0);
    snapshot::check("usage.txt", &outcome.stdout);
    let line = &server.lines()[0];
    assert!(
        line.starts_with("GET /_keyward/v1/keys/wafl_live_8Fh2kQ0sZp1L/usage?from=20") && line.ends_with("&step=hour"),
        "{line}"
    );
}

#[test]
fn totals_are_a_table_largest_first() {
    let server = Server::start(|_| {
        Reply::json(
            200,
            &json!({"items": [{"name": "crm-sync", "allowed": 1200, "refused": 3}, {"name": "shop", "allowed": 7, "refused": 0}]}),
        )
    });
    let outcome = User::of(&server.url).run(&["usage", "--by", "integration"]).expect(0);
    assert_eq!(outcome.stdout, "NAME      ALLOWED  REFUSED\ncrm-sync  1200     3\nshop      7        0\n");
    assert!(server.lines()[0].ends_with("&by=integration"), "{:?}", server.lines());
}
