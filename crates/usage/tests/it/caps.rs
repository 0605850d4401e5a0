//! A client that varies its address, its `User-Agent` or its route grows nothing without end.

use keyward_protocol::usage::{ActivityQuery, OTHER, Step};
use keyward_usage::query::activity;
use keyward_usage::{CLIENTS_A_DAY, NETWORKS_A_DAY, ROUTES_A_DAY, SOURCES_AN_HOUR};

use crate::world::{NOW, from, id, key, later, rows, send, step_of, store, sum, used};

#[test]
fn more_than_64_networks_of_a_key_on_a_day_become_other() {
    let mut store = store();
    let mut uses = Vec::new();
    for number in 0..70 {
        let mut one = used(NOW, 1);
        one.from = from(&format!("10.0.{number}.0/24"));
        uses.push(one);
    }
    send(&mut store, vec![key(1, NOW, uses.clone())], NOW);
    send(&mut store, vec![key(1, NOW, uses)], NOW);
    let hour = step_of(Step::Hour, NOW);
    let query = ActivityQuery { id: id(1), from: hour, to: hour + 1, after: None, limit: 200 };
    let page = activity(&mut store, &query).unwrap();
    let (other, told): (Vec<_>, Vec<_>) =
        page.items.iter().partition(|item| item.from.network.as_deref() == Some(OTHER));
    assert_eq!((told.len(), other.len()), (NETWORKS_A_DAY, 1));
    assert_eq!(other[0].counts, [("allowed".to_owned(), 12)]);
    assert_eq!((other[0].from.country.as_deref(), other[0].from.asn), (None, None));
    // The next hour of the same day knows the same networks; another key has its own.
    let mut another = used(NOW, 1);
    another.from = from("172.16.0.0/24");
    send(&mut store, vec![key(2, NOW, vec![another])], later(NOW, 60));
    assert_eq!(sum(&store, "hours"), 141);
}

#[test]
fn a_client_that_varies_everything_adds_a_bounded_number_of_rows() {
    let mut store = store();
    let mut sent = 0;
    for number in 0..60_u32 {
        let uses: Vec<_> = (0..50_u32)
            .map(|at| {
                let mut one = used(NOW, 1);
                one.from = from(&format!("10.{number}.{at}.0/24"));
                one.client = format!("client-{number}-{at}");
                one.route = format!("GET /{number}/{at}");
                one
            })
            .collect();
        sent += 50;
        send(&mut store, vec![key(1, NOW, uses)], NOW);
    }
    assert_eq!((sum(&store, "hours"), sum(&store, "days")), (sent, sent), "nothing is lost");
    let seen = NETWORKS_A_DAY + CLIENTS_A_DAY + ROUTES_A_DAY;
    assert_eq!(rows(&store, "seen"), i64::try_from(seen).unwrap());
    let sources = i64::try_from(SOURCES_AN_HOUR + ROUTES_A_DAY + 1).unwrap();
    assert!(rows(&store, "hours") <= sources, "{}", rows(&store, "hours"));
    assert!(rows(&store, "days") <= i64::try_from(ROUTES_A_DAY + 1).unwrap());
    assert!(rows(&store, "sources") <= sources);
}

#[test]
fn a_client_that_varies_its_address_and_agent_does_not_hide_which_routes_it_uses() {
    let mut store = store();
    let mut uses = Vec::new();
    for number in 0..SOURCES_AN_HOUR {
        let mut one = used(NOW, 1);
        one.from = from(&format!("10.0.{}.0/24", number % 60));
        one.client = format!("client-{}", number % 31);
        uses.push(one);
    }
    send(&mut store, vec![key(1, NOW, uses)], NOW);
    let mut secret = used(NOW, 7);
    (secret.route, secret.client) = ("GET /v1/export".to_owned(), "curl".to_owned());
    send(&mut store, vec![key(1, NOW, vec![secret])], NOW);
    let hour = step_of(Step::Hour, NOW);
    let query = ActivityQuery { id: id(1), from: hour, to: hour + 1, after: None, limit: 200 };
    let page = activity(&mut store, &query).unwrap();
    let export: Vec<_> = page.items.iter().filter(|item| item.route == "GET /v1/export").collect();
    assert_eq!(export.len(), 1);
    assert_eq!(export[0].counts, [("allowed".to_owned(), 7)]);
}

#[test]
fn a_long_client_name_is_cut() {
    let mut store = store();
    let mut one = used(NOW, 1);
    one.client = "x".repeat(5_000);
    send(&mut store, vec![key(1, NOW, vec![one])], NOW);
    let longest: i64 =
        store.connection.query_row("SELECT max(length(client)) FROM sources", [], |row| row.get(0)).unwrap();
    assert_eq!(longest, 40);
}
