//! Requests at the gate, and changes on the control plane.

use std::rc::Rc;

use keyward_edge::{self, Isolate, RequestContext};
use keyward_gate::{Grant, Refusal, Step};
use keyward_http::head::Head;
use keyward_http::problem::{AUTHORITY, Code};
use keyward_key::id::Environment;
use keyward_key::scope::Scope;
use keyward_protocol::{NewCredential, Request, RequestMeta, Response};
use keyward_testkit::registry_world::{Command, KeyChanges, KeyDraft, Lifetime};

use crate::history::{Answered, Presents, Verdict, What};
use crate::keys;
use crate::plan::{Change, Route};
use crate::port::Port;
use crate::random::Random;
use crate::scheduler::Owner;
use crate::sqlite;
use crate::world::{NETWORKS, SCOPES, World};

/// A request comes in, as `src/cloudflare/events.rs` deals with it.
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
    let text = format!(
        "{}\nGET\nhttps://gate.example{path}\nauthorization\nBearer {credential}\ncf-connecting-ip\n{client}\n",
        clock.0
    );
    let answered = Answered {
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
    let head = Head::parse(&text).unwrap_or_else(|why| panic!("{why:?}"));
    let port = Port::new(world, Some(number), location, random.clone());
    let (step, refresh_due) = keyward_edge::step(
        &RequestContext {
            isolate: &isolate,
            config: &world.config,
            platform: &port,
            head: &head,
            request_id: "request",
        },
        head.now(),
    );
    if refresh_due {
        refresh(world, number, Rc::clone(&isolate), location, Random::new(random.next()));
    }
    match step {
        Step::Forward(grant) => answer(world, answered, Ok(grant), &head),
        // A signature takes no time that the world would notice.
        Step::Sign(unsigned) => {
            let mut gate = isolate.gate().unwrap_or_else(|| panic!("the gate is busy"));
            answer(
                world,
                answered,
                keyward_testkit::signing::sign_assertion(&mut gate, &world.config, unsigned, &head, "request"),
                &head,
            );
        }
        Step::Refuse(refusal) => answer(world, answered, Err(refusal), &head),
        Step::Need(_) => later(world, isolate, location, answered, text, random),
    }
}

fn refresh(world: &Rc<World>, number: usize, isolate: Rc<Isolate>, location: usize, random: Random) {
    let port = Port::new(world, Some(number), location, random);
    let config = Rc::clone(&world.config);
    world.scheduler.start(Owner::Isolate(number), async move { keyward_edge::refresh(&isolate, &config, &port).await });
}

fn later(
    world: &Rc<World>,
    isolate: Rc<Isolate>,
    location: usize,
    mut answered: Answered,
    text: String,
    random: Random,
) {
    let number = answered.isolate;
    answered.at_once = false;
    let port = Port::new(world, Some(number), location, random);
    let world = Rc::clone(world);
    let scheduler = Rc::clone(&world.scheduler);
    scheduler.start(Owner::Isolate(number), async move {
        let head = Head::parse(&text).unwrap_or_else(|why| panic!("{why:?}"));
        let decided = keyward_edge::decide(&RequestContext {
            isolate: &isolate,
            config: &world.config,
            platform: &port,
            head: &head,
            request_id: "request",
        })
        .await;
        answered.clock = world.clock(number).0;
        answer(&world, answered, decided, &head);
    });
}

fn answer(world: &World, mut answered: Answered, decided: Result<Grant, Refusal>, head: &Head<'_>) {
    let header = |text: &str| text.strip_prefix("unreachable; age=").and_then(|age| age.parse().ok());
    match decided {
        Ok(grant) => {
            answered.verdict = Verdict::Accepted;
            let plan = grant.plan(head, "request");
            let lines: Vec<&str> = plan.answer.as_deref().unwrap_or_default().split('\n').collect();
            answered.age = lines.chunks(2).find(|pair| pair[0] == AUTHORITY).and_then(|pair| header(pair[1]));
        }
        Err(refusal) => {
            answered.verdict = match refusal.problem.code {
                Code::InvalidKey => Verdict::Invalid,
                Code::RevokedKey => Verdict::Revoked,
                Code::ExpiredKey => Verdict::Expired,
                Code::AddressNotAllowed => Verdict::Address,
                Code::InsufficientScope => Verdict::Scope,
                Code::AuthorityUnavailable => Verdict::Unavailable,
                _ => Verdict::Other,
            };
            let found = refusal.problem.headers().iter().find(|(name, _)| *name == AUTHORITY);
            answered.age = found.and_then(|(_, value)| header(value));
        }
    }
    world.record(What::Answered(answered));
}

/// Somebody asks for a change, through a location of chance.
pub fn change(world: &Rc<World>, change: &Change, mut random: Random) {
    let (key, name, command) = command(world, change);
    let meta = RequestMeta { request_id: "simulated".to_owned(), client_address: None };
    let control = command.into_request(sqlite::owner(), meta, None);
    let locations = world.locations.borrow().len();
    let port = Port::new(world, None, random.below(locations), random);
    let world = Rc::clone(world);
    let scheduler = Rc::clone(&world.scheduler);
    scheduler.start(Owner::Nobody, async move {
        let Ok(Response::Done(done)) = keyward_edge::registry::ask(&port, &Request::Control(Box::new(control))).await
        else {
            return;
        };
        let outcome: serde_json::Value = serde_json::from_str(done.get()).unwrap();
        let changed = [
            (key, &outcome["key_issued"]),
            (key, &outcome["key_revoked"]["key"]),
            (key, &outcome["key_updated"]["key"]),
            (key, &outcome["key_rotated"]["retiring"]),
            (usize::MAX, &outcome["key_rotated"]["key"]),
        ];
        for (key, view) in changed.into_iter().filter(|(_, view)| !view.is_null()) {
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
