//! Requests at the gate, and changes on the control plane.

use std::rc::Rc;

use keyward_edge::Isolate;
use keyward_edge::entry::{self, Action, Decided, Entry, RawRequest};
use keyward_gate::Plan;
use keyward_http::problem::AUTHORITY;
use keyward_http::reply::Reply;
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_protocol::{
    Command, ControlRequest, KeyChanges, KeyDraft, Lifetime, NewCredential, Outcome, Request, RequestMeta, Response,
};

use crate::history::{Answered, Presents, Verdict, What};
use crate::keys;
use crate::plan::{Change, Route};
use crate::port::Port;
use crate::random::Random;
use crate::scheduler::Owner;
use crate::sqlite;
use crate::world::{NETWORKS, SCOPES, World};

/// `Keyward-Request-Id` of every simulated request.
const REQUEST_ID: &str = "request";

/// A request comes in, and the shipped entry handles it.
pub fn request(world: &Rc<World>, number: usize, asked: (usize, Presents, Route, u8), mut random: Random) {
    let Some((isolate, location)) = world.isolate(number) else { return };
    let (key, presents, route, address) = asked;
    let (path, scope, closed) = match route {
        Route::First => ("/first", 1, false),
        Route::Second => ("/second", 2, false),
        Route::Closed => ("/closed", 1, true),
    };
    let known = &keys::all()[key];
    let credential = match presents {
        Presents::Right => &known.text,
        Presents::WrongSecret => &known.wrong_secret,
        Presents::Garbage => &known.garbage,
    };
    let client = NETWORKS[usize::from(address == 2)].1;
    let clock = world.clock(number);
    let head_text = format!(
        "{}\nGET\nhttps://gate.example{path}\nauthorization\nBearer {credential}\ncf-connecting-ip\n{client}\n",
        clock.0
    );
    let mut answered = Answered {
        isolate: number,
        key,
        presents,
        scope,
        address,
        closed,
        arrived: world.scheduler.now(),
        clock_then: clock.0,
        clock: clock.0,
        at_once: true,
        verdict: Verdict::Other,
        age: None,
    };
    world.record(What::Arrived { isolate: number, clock: clock.0 });
    let request = RawRequest { head_text, request_id: REQUEST_ID.to_owned() };
    let port = Port::new(world, Some(number), location, random.clone());
    let Entry { action, refresh_due } = entry::handle(&isolate, Some(&world.config), &port, &request);
    if refresh_due {
        refresh(world, number, Rc::clone(&isolate), location, Random::new(random.next()));
    }
    match action {
        Action::Forward(plan) => accept(world, answered, &plan),
        Action::Reply(reply) => refuse(world, answered, &reply),
        Action::ControlPlane => panic!("no path of a simulated request is Keyward's own"),
        Action::Later(pending) => {
            answered.at_once = !pending.outlives_client();
            let port = Port::new(world, Some(number), location, random);
            let world = Rc::clone(world);
            let scheduler = Rc::clone(&world.scheduler);
            scheduler.start(Owner::Isolate(number), async move {
                let decided = entry::resume(&isolate, Some(&world.config), &port, &request, pending).await;
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

fn age_in(text: &str) -> Option<i64> {
    text.strip_prefix("unreachable; age=").and_then(|age| age.parse().ok())
}

fn accept(world: &World, mut answered: Answered, plan: &Plan) {
    answered.verdict = Verdict::Accepted;
    let lines: Vec<&str> = plan.answer.as_deref().unwrap_or_default().split('\n').collect();
    answered.age = lines.chunks(2).find(|pair| pair[0] == AUTHORITY).and_then(|pair| age_in(pair[1]));
    world.record(What::Answered(answered));
}

fn refuse(world: &World, mut answered: Answered, reply: &Reply) {
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    answered.verdict = match body["code"].as_str().unwrap() {
        "invalid_key" => Verdict::Invalid,
        "revoked_key" => Verdict::Revoked,
        "expired_key" => Verdict::Expired,
        "address_not_allowed" => Verdict::Address,
        "insufficient_scope" => Verdict::Scope,
        "authority_unavailable" => Verdict::Unavailable,
        _ => Verdict::Other,
    };
    answered.age = reply.headers.iter().find(|(name, _)| *name == AUTHORITY).and_then(|(_, value)| age_in(value));
    world.record(What::Answered(answered));
}

/// Somebody asks for a change, through a location of chance.
pub fn change(world: &Rc<World>, change: &Change, mut random: Random) {
    let (key, name, command) = command(world, change);
    let control = ControlRequest {
        caller: sqlite::owner(),
        origin: RequestMeta { request_id: "simulated".to_owned(), client_address: None },
        command,
        idempotency: None,
    };
    let locations = world.locations.borrow().len();
    let port = Port::new(world, None, random.below(locations), random);
    let world = Rc::clone(world);
    let scheduler = Rc::clone(&world.scheduler);
    scheduler.start(Owner::Nobody, async move {
        let Ok(Response::Done(done)) = keyward_edge::registry::ask(&port, &Request::Control(Box::new(control))).await
        else {
            return;
        };
        let told = match done {
            Outcome::KeyIssued(view) => vec![(key, view)],
            Outcome::KeyRevoked { key: view, .. } | Outcome::KeyUpdated { key: view, .. } => vec![(key, view)],
            Outcome::KeyRotated { key: view, retiring, .. } => vec![(key, retiring), (usize::MAX, view)],
            _ => return,
        };
        for (key, view) in told {
            let view: serde_json::Value = serde_json::from_str(view.get()).unwrap();
            let key = if key == usize::MAX { keys::number_of(view["id"].as_str().unwrap()).unwrap() } else { key };
            let revision = view["revision"].as_u64().unwrap();
            world.record(What::Confirmed { key, revision, change: name });
        }
    });
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
    let after = |life: i64| keyward_key::time::Millis(world.registry_clock().0 + life);
    let update = |key: usize, changes: KeyChanges| Command::UpdateKey { id: id(key), changes: Box::new(changes) };
    match *change {
        Change::Issue { key, scopes, addresses, life } => {
            let draft = KeyDraft {
                name: format!("key {key}"),
                integration: format!("integration-{key}"),
                environment: Environment::Live,
                purpose: "simulation".to_owned(),
                owner: "ops@acme.example".to_owned(),
                scopes: scopes_of(scopes),
                allowed_cidrs: networks_of(addresses),
                lifetime: Lifetime::Until(after(life)),
            };
            (key, "issue", Command::IssueKey { draft: Box::new(draft), credential: credential(key) })
        }
        Change::Rotate { key, next, overlap_seconds } => {
            (key, "rotate", Command::RotateKey { id: id(key), overlap_seconds, credential: credential(next) })
        }
        Change::Revoke { key } => (key, "revoke", Command::RevokeKey { id: id(key), reason: "simulated".to_owned() }),
        Change::Scopes { key, scopes } => {
            (key, "scopes", update(key, KeyChanges { scopes: Some(scopes_of(scopes)), ..KeyChanges::default() }))
        }
        Change::Addresses { key, addresses } => {
            let allowed_cidrs = Some(networks_of(addresses));
            (key, "addresses", update(key, KeyChanges { allowed_cidrs, ..KeyChanges::default() }))
        }
        Change::End { key, life } => {
            (key, "end", update(key, KeyChanges { expires_at: Some(after(life)), ..KeyChanges::default() }))
        }
    }
}
