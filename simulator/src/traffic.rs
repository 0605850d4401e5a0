//! Requests at the gate, and changes on the control plane.

use std::rc::Rc;

use keyward_edge::Isolate;
use keyward_edge::entry::{self, Action, Decided, Entry, RawRequest};
use keyward_gate::Plan;
use keyward_http::problem::AUTHORITY;
use keyward_http::reply::Reply;
use keyward_key::exposure::ExposureKind;
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_protocol::{ExposureReport, NewCredential, Request, RequestMeta, Response, SubmittedHash};
use keyward_testkit::registry_world::{Command, KeyChanges, KeyDraft, Lifetime};

use crate::history::{Answered, Credential, Event, Verdict};
use crate::keys;
use crate::plan::{Change, PlannedRequest, Route};
use crate::port::Port;
use crate::random::Random;
use crate::scheduler::Owner;
use crate::sqlite;
use crate::world::{NETWORKS, SCOPES, World};

/// `Keyward-Request-Id` of every simulated request.
const REQUEST_ID: &str = "request";

/// Sends one request to the shipped entry of the gate, and records the answer.
pub fn request(world: &Rc<World>, planned: PlannedRequest, mut random: Random) {
    let PlannedRequest { isolate: number, key, credential, route, address } = planned;
    let Some((isolate, location)) = world.isolate(number) else { return };
    let (path, scope, closed) = match route {
        Route::First => ("/first", 1, false),
        Route::Second => ("/second", 2, false),
        Route::Closed => ("/closed", 1, true),
    };
    let minted = &keys::all()[key];
    let bearer = match credential {
        Credential::Issued => &minted.text,
        Credential::WrongSecret => &minted.wrong_secret,
        Credential::ForgedTag => &minted.forged_tag,
    };
    let client = NETWORKS[usize::from(address == 2)].1;
    let clock = world.clock(number);
    let head_text = format!(
        "{}\nGET\nhttps://gate.example{path}\nauthorization\nBearer {bearer}\ncf-connecting-ip\n{client}\n",
        clock.0
    );
    let mut answered = Answered {
        isolate: number,
        key,
        credential,
        scope,
        address,
        closed,
        arrived: world.scheduler.now(),
        clock: clock.0,
        without_read: true,
        verdict: Verdict::Other,
        age_seconds: None,
    };
    world.record(Event::RequestArrived { isolate: number, clock: clock.0 });
    let request = RawRequest { head_text, request_id: REQUEST_ID.to_owned() };
    let port = Port::new(world, Some(number), location, random.clone());
    let Entry { action, due } = entry::handle(&isolate, Some(&world.config), &port, &request);
    if due.refresh {
        refresh(world, number, Rc::clone(&isolate), location, Random::new(random.next()));
    }
    match action {
        Action::Forward(plan) => accept(world, answered, &plan),
        Action::Reply(reply) => refuse(world, answered, &reply),
        Action::ControlPlane => panic!("no path of a simulated request is Keyward's own"),
        Action::Later(pending) => {
            answered.without_read = !pending.outlives_client();
            let port = Port::new(world, Some(number), location, random);
            let world = Rc::clone(world);
            let scheduler = Rc::clone(&world.scheduler);
            scheduler.start(Owner::Isolate(number), async move {
                // Usage has a simulation of its own: crate::usage.
                let decided = entry::resume(&isolate, Some(&world.config), &port, &request, pending).await.decided;
                answered.clock = world.clock(number).0;
                match decided {
                    Decided::Forward(plan) => accept(&world, answered, &plan),
                    Decided::Reply(reply) => refuse(&world, answered, &reply),
                }
            });
        }
    }
}

fn refresh(world: &Rc<World>, number: usize, isolate: Rc<Isolate>, location: usize, random: Random) {
    let port = Port::new(world, Some(number), location, random);
    let config = Rc::clone(&world.config);
    world.scheduler.start(Owner::Isolate(number), async move { keyward_edge::refresh(&isolate, &config, &port).await });
}

fn parse_age(text: &str) -> Option<i64> {
    text.strip_prefix("unreachable; age=").and_then(|age| age.parse().ok())
}

fn accept(world: &World, mut answered: Answered, plan: &Plan) {
    answered.verdict = Verdict::Accepted;
    let lines: Vec<&str> = plan.answer.as_deref().unwrap_or_default().split('\n').collect();
    answered.age_seconds = lines.chunks(2).find(|pair| pair[0] == AUTHORITY).and_then(|pair| parse_age(pair[1]));
    world.record(Event::Answered(answered));
}

fn refuse(world: &World, mut answered: Answered, reply: &Reply) {
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    answered.verdict = match body["code"].as_str().unwrap() {
        "invalid_key" => Verdict::Invalid,
        "revoked_key" => Verdict::Revoked,
        "expired_key" => Verdict::Expired,
        "quarantined_key" => Verdict::Quarantined,
        "address_not_allowed" => Verdict::Address,
        "insufficient_scope" => Verdict::Scope,
        "authority_unavailable" => Verdict::Unavailable,
        _ => Verdict::Other,
    };
    answered.age_seconds =
        reply.headers.iter().find(|(name, _)| *name == AUTHORITY).and_then(|(_, value)| parse_age(value));
    world.record(Event::Answered(answered));
}

/// Sends a change to the registry through a random location, and records its confirmation.
pub fn change(world: &Rc<World>, change: &Change, mut random: Random) {
    let (key, name, request) = message(world, change);
    let locations = world.locations.borrow().len();
    let port = Port::new(world, None, random.below(locations), random);
    let world = Rc::clone(world);
    let scheduler = Rc::clone(&world.scheduler);
    scheduler.start(Owner::External, async move {
        let Ok(Response::Done(done)) = keyward_edge::registry::ask(&port, &request).await else { return };
        let outcome: serde_json::Value = serde_json::from_str(done.get()).unwrap();
        let changed = [
            (key, &outcome["key_issued"]),
            (key, &outcome["key_revoked"]["key"]),
            (key, &outcome["key_updated"]["key"]),
            (key, &outcome["key_released"]["key"]),
            (key, &outcome["key_rotated"]["retiring"]),
            (usize::MAX, &outcome["key_rotated"]["key"]),
        ];
        for (key, view) in changed.into_iter().filter(|(_, view)| !view.is_null()) {
            let key = if key == usize::MAX { keys::index_of(view["id"].as_str().unwrap()).unwrap() } else { key };
            let revision = view["revision"].as_u64().unwrap();
            world.record(Event::ChangeConfirmed { key, revision, change: name });
        }
    });
}

/// Returns the message of a change, its key and its name.
fn message(world: &World, change: &Change) -> (usize, &'static str, Request) {
    if let Change::Quarantine { key } = *change {
        let minted = &keys::all()[key];
        let report = ExposureReport {
            kind: ExposureKind::Url,
            keys: vec![SubmittedHash { id: minted.id.clone(), key_hash: minted.hash.clone() }],
            route: None,
            network: None,
            request_id: REQUEST_ID.to_owned(),
        };
        return (key, "quarantine", Request::Expose(Box::new(report)));
    }
    let (key, name, command) = command(world, change);
    let meta = RequestMeta { request_id: "simulated".to_owned(), client_address: None };
    (key, name, Request::Control(Box::new(command.into_request(sqlite::owner(), meta, None))))
}

fn command(world: &World, change: &Change) -> (usize, &'static str, Command) {
    let id = |key: usize| keys::all()[key].id.clone();
    let credential = |key: usize| {
        let key = &keys::all()[key];
        NewCredential { id: key.id.clone(), key_hash: key.hash.clone(), minted_under: key.generation.clone() }
    };
    let scopes_of = |bits: u8| {
        (0..2).filter(|bit| bits & 1 << bit != 0).map(|bit| Scope::parse(SCOPES[bit]).unwrap()).collect::<Vec<_>>()
    };
    let networks_of = |bits: u8| match bits {
        3 => Vec::new(),
        _ => vec![NETWORKS[usize::from(bits == 2)].0.parse().unwrap()],
    };
    let expires_after = |lifetime_ms: i64| keyward_key::time::Millis(world.registry_clock().0 + lifetime_ms);
    let update = |key: usize, changes: KeyChanges| Command::UpdateKey { id: id(key), changes: Box::new(changes) };
    match *change {
        Change::Issue { key, scopes, addresses, lifetime_ms } => {
            let draft = KeyDraft {
                name: format!("key {key}"),
                integration: format!("integration-{key}"),
                environment: Environment::Live,
                purpose: "simulation".to_owned(),
                owner: "ops@acme.example".to_owned(),
                scopes: scopes_of(scopes),
                allowed_cidrs: networks_of(addresses),
                lifetime: Lifetime::Until(expires_after(lifetime_ms)),
            };
            (key, "issue", Command::IssueKey { draft: Box::new(draft), credential: credential(key) })
        }
        Change::Rotate { key, next, overlap_seconds } => {
            (key, "rotate", Command::RotateKey { id: id(key), overlap_seconds, credential: credential(next) })
        }
        Change::Revoke { key } => (key, "revoke", Command::RevokeKey { id: id(key), reason: "simulated".to_owned() }),
        Change::Release { key } => {
            (key, "release", Command::ReleaseKey { id: id(key), reason: "simulated".to_owned() })
        }
        Change::Quarantine { .. } => unreachable!("an isolate reports it: no command"),
        Change::Scopes { key, scopes } => {
            (key, "scopes", update(key, KeyChanges { scopes: Some(scopes_of(scopes)), ..KeyChanges::default() }))
        }
        Change::Addresses { key, addresses } => {
            let allowed_cidrs = Some(networks_of(addresses));
            (key, "addresses", update(key, KeyChanges { allowed_cidrs, ..KeyChanges::default() }))
        }
        Change::Expiry { key, lifetime_ms } => (
            key,
            "expiry",
            update(key, KeyChanges { expires_at: Some(expires_after(lifetime_ms)), ..KeyChanges::default() }),
        ),
    }
}
