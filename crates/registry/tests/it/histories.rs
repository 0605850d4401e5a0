//! Ten thousand random histories of several members, compared with a simple model. The store fails at random.

use keyward_key::entropy::Entropy;
use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Idempotency, NewCredential, Rejection};
use keyward_registry::due::WORK;
use keyward_testkit::entropy::Seeded;
use keyward_testkit::model::{DAY, Limit, Member, Model, ModelOutcome, Op, Step};
use keyward_testkit::registry_world::{
    Command, KeyChanges, KeyDraft, KeyFilter, Lifetime, MemberChanges, MemberDraft, Outcome, Response,
};
use keyward_testkit::registry_world::{World, credential, key_id, member_id, scope};
use keyward_testkit::sqlite_store::Fault;

const STEPS: usize = 30;

#[test]
fn three_hundred_histories_match_the_model() {
    (0..300).for_each(live_through);
}

#[test]
#[ignore = "takes half a minute: npm test runs it"]
fn the_first_half_of_ten_thousand_histories_matches_the_model() {
    (0..5_000).for_each(live_through);
}

#[test]
#[ignore = "takes half a minute: npm test runs it"]
fn the_second_half_of_ten_thousand_histories_matches_the_model() {
    (5_000..10_000).for_each(live_through);
}

/// Prints the seed if the history panics.
struct History {
    seed: u64,
    log: Vec<String>,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("history {}:\n{}", self.seed, self.log.join("\n"));
        }
    }
}

fn live_through(seed: u64) {
    let mut dice = Dice(Seeded::new(seed));
    let mut history = History { seed, log: Vec::new() };
    let (mut world, mut model) = begin();
    for _ in 0..STEPS {
        let later = dice.advance();
        model.now += later;
        world.now = Millis(model.now);
        for work in WORK {
            work.run_if_due(&mut world.store, world.now).unwrap();
        }
        model.end_claims();
        let step = dice.step(&model);
        let fault = dice.fault(&step.op);
        history.log.push(format!("+{later} ms, {fault:?}: {step:?}"));
        let outcome = act(&mut world, &mut model, &step, fault);
        history.log.push(format!("    {outcome:?}"));
    }
    keyward_testkit::replay::check(&mut world.store, &model);
}

/// A world and a model with one owner, number 0, whose secret is 0.
fn begin() -> (World, Model) {
    let mut world = World::empty();
    let credential = NewCredential { key_hash: secret(0), ..credential(member_id("0")) };
    world.done(Caller::Bootstrap, Command::Bootstrap { name: "A name".to_owned(), email: email(0), credential });
    let first = Member {
        number: 0,
        secret: 0,
        role: Role::Owner,
        limit: None,
        email: 0,
        expires_at: world.now.0 + 365 * DAY,
        days: 365,
        revoked: false,
        previous: None,
        email_by_limited: false,
    };
    let model = Model { now: world.now.0, members: vec![first], changes: 1, last_change: 1, ..Model::default() };
    (world, model)
}

/// Applies one step to both, then checks the invariants.
fn act(world: &mut World, model: &mut Model, step: &Step, fault: Option<Fault>) -> ModelOutcome {
    let owners = model.full_owners();
    let ask = |world: &mut World, model: &Model| {
        let attempt = step.attempt.map(|(header, body)| attempt(&step.op, header, body));
        world.attempt(caller(step, model), to_command(&step.op, model), attempt)
    };
    if fault.is_some() {
        let before = world.store.dump();
        world.store.fail_at(fault);
        let answer = ask(world, model);
        world.store.fail_at(None);
        match (answer, fault) {
            (Ok(answer), _) => return compare(world, model, step, &answer, owners),
            // The change was committed, but the caller got no answer.
            (Err(_), Some(Fault::AfterCommit)) => {
                let outcome = model.take(step);
                assert!(!matches!(outcome, ModelOutcome::Refused(_)), "a refusal was committed: {outcome:?}");
                check(world, model, owners);
                return outcome;
            }
            (Err(_), _) => assert_eq!(world.store.dump(), before, "partial change"),
        }
    }
    let answer = ask(world, model).unwrap();
    compare(world, model, step, &answer, owners)
}

fn compare(world: &mut World, model: &mut Model, step: &Step, answer: &Response, owners: usize) -> ModelOutcome {
    let expected = model.take(step);
    assert_eq!(outcome_of(answer), expected, "{answer:?}");
    if let Response::Done(Outcome::Keys { items, next_cursor }) = answer {
        assert_eq!(*next_cursor, None);
        for item in items {
            let key = model.keys.iter().find(|key| to_key_id(model, key.number) == item.id).unwrap();
            assert_eq!(item.status.as_str(), key.status(model.now));
        }
    }
    check(world, model, owners);
    expected
}

fn check(world: &mut World, model: &Model, owners: usize) {
    assert!(owners == 0 || model.full_owners() > 0, "no owner is left");
    let count = |sql: &str| {
        let mut statement = world.store.connection.prepare_cached(sql).unwrap();
        let found: i64 = statement.query_row([], |row| row.get(0)).unwrap();
        u64::try_from(found).unwrap()
    };
    assert_eq!(count("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'revision'"), model.changes, "revision");
    assert_eq!(count("SELECT max(seq) FROM audit"), model.changes, "entries");
    let last = "SELECT max(r) FROM (SELECT revision AS r FROM keys UNION ALL SELECT revision FROM members)";
    assert_eq!(count(last), model.last_change, "the last change's row");
    let mut twins = world
        .store
        .connection
        .prepare_cached(
            "SELECT 1 FROM keys WHERE state = 'active' AND expires_at > ?1
             GROUP BY environment, integration HAVING count(*) > 1",
        )
        .unwrap();
    assert!(!twins.exists([model.now]).unwrap(), "two active keys of an integration");
}

fn outcome_of(answer: &Response) -> ModelOutcome {
    match answer {
        Response::Done(Outcome::Replayed { nonce, .. }) => ModelOutcome::Replayed(nonce.parse().unwrap()),
        Response::Done(_) => ModelOutcome::Done,
        Response::Refused(refused) => ModelOutcome::Refused(match refused {
            Rejection::Unauthenticated { .. } => "unauthenticated",
            Rejection::Forbidden => "forbidden",
            Rejection::NotFound => "not_found",
            Rejection::IntegrationHasKey { .. } => "integration_has_key",
            Rejection::NameTaken { .. } => "name_taken",
            Rejection::Invalid { .. } => "invalid",
            Rejection::NotActive { .. } => "not_active",
            Rejection::LastOwner => "last_owner",
            Rejection::EmailTaken => "email_taken",
            Rejection::IdempotencyMismatch => "mismatch",
            Rejection::AlreadyClaimed => "already_claimed",
            Rejection::SuccessorPending { .. } => "successor_pending",
            other => panic!("{other:?}"),
        }),
    }
}

fn secret(number: u32) -> KeyHash {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    KeyHash::new(bytes)
}

fn email(number: u8) -> String {
    format!("Person{number}@acme.example")
}

fn caller(step: &Step, model: &Model) -> Caller {
    if let Op::RevokeByHolder { key, secret: held } = step.op {
        return Caller::Holder { id: to_key_id(model, key), key_hash: secret(held) };
    }
    if let Op::ClaimKey { key, secret: held }
    | Op::LookUpClaim { key, secret: held }
    | Op::RevokeByClaimant { key, secret: held } = step.op
    {
        return Caller::Claimant { id: to_key_id(model, key), secret_hash: secret(held) };
    }
    if step.access {
        let member = model.members.iter().find(|member| member.number == step.member).unwrap();
        return Caller::Access { email: email(member.email).to_uppercase() };
    }
    Caller::Credential { id: member_id(&step.member.to_string()), key_hash: secret(step.secret) }
}

fn attempt(op: &Op, header: u8, body: u8) -> Idempotency {
    let (route, nonce) = match op {
        Op::Issue { new, .. } => ("issue", *new),
        Op::RotateKey { new, .. } => ("rotate", *new),
        Op::CreateMember { new, .. } => ("create", *new),
        Op::RotateMember { secret, .. } => ("renew", *secret),
        Op::ClaimKey { key, .. } => {
            let fingerprint = format!("claim {key} {header}");
            return Idempotency { fingerprint, body: String::new(), nonce: key.to_string(), minted_under: None };
        }
        _ => ("other", 0),
    };
    let fingerprint = format!("{route} {header}");
    Idempotency { fingerprint, body: body.to_string(), nonce: nonce.to_string(), minted_under: None }
}

/// Returns the id of a key. A number without a key gives an id in live.
fn to_key_id(model: &Model, number: u32) -> KeyId {
    let key = model.keys.iter().find(|key| key.number == number);
    key_id(key.map_or(Environment::Live, |key| key.environment), number)
}

fn to_command(op: &Op, model: &Model) -> Command {
    let id = |number: u32| to_key_id(model, number);
    let new_key =
        |environment, number| NewCredential { key_hash: secret(number), ..credential(key_id(environment, number)) };
    let new_secret =
        |member: u32, number| NewCredential { key_hash: secret(number), ..credential(member_id(&member.to_string())) };
    let days = |days: i64| u32::try_from(days).unwrap();
    match op.clone() {
        Op::Issue { new, environment, integration, name, days: life, claim_hours } => {
            let draft = Box::new(KeyDraft {
                name: format!("name {name}"),
                lifetime: Lifetime::Days(days(life)),
                ..keyward_testkit::registry_world::draft(&format!("i{integration}"), environment)
            });
            let credential = new_key(environment, new);
            match claim_hours {
                Some(hours) => Command::IssueByClaim { draft, credential, hours },
                None => Command::IssueKey { draft, credential },
            }
        }
        Op::UpdateKey { key, name, wide, end } => Command::UpdateKey {
            id: id(key),
            changes: Box::new(KeyChanges {
                name: name.map(|name| format!("name {name}")),
                scopes: wide.map(|wide| {
                    let read = vec![scope("contacts:read")];
                    if wide { [read, vec![scope("contacts:write")]].concat() } else { read }
                }),
                expires_at: end.map(Millis),
                ..KeyChanges::default()
            }),
        },
        Op::RotateKey { key, new, overlap, claim_hours } => {
            let environment = model.keys.iter().find(|one| one.number == key).map(|key| key.environment);
            let credential = new_key(environment.unwrap_or(Environment::Live), new);
            let (id, overlap_seconds) = (id(key), days(overlap));
            match claim_hours {
                Some(hours) => Command::RotateByClaim { id, overlap_seconds, credential, hours },
                None => Command::RotateKey { id, overlap_seconds, credential },
            }
        }
        Op::RevokeKey { key } => Command::RevokeKey { id: id(key), reason: "a reason".to_owned() },
        Op::RevokeByHolder { .. } => Command::RevokeByHolder,
        Op::ClaimKey { key, .. } => {
            Command::ClaimKey { credential: NewCredential { key_hash: secret(key), ..credential(id(key)) } }
        }
        Op::LookUpClaim { .. } => Command::LookUpClaim,
        Op::RevokeByClaimant { .. } => Command::RevokeByClaimant,
        Op::WithdrawClaim { key } => Command::WithdrawClaim { id: id(key) },
        Op::CreateMember { new, role, limit, email: address, days: life } => Command::CreateMember {
            draft: Box::new(MemberDraft {
                email: email(address),
                environments: limit,
                expires_in_days: Some(days(life)),
                ..keyward_testkit::registry_world::member(role)
            }),
            credential: new_secret(new, new),
        },
        Op::UpdateMember { member, role, limit, email: address, days: life } => Command::UpdateMember {
            id: member_id(&member.to_string()),
            changes: Box::new(MemberChanges {
                role,
                environments: limit.map(|limit| {
                    limit.map_or(
                        keyward_testkit::registry_world::Limit::Everywhere,
                        keyward_testkit::registry_world::Limit::Only,
                    )
                }),
                email: address.map(email),
                expires_in_days: life.map(days),
                ..MemberChanges::default()
            }),
        },
        Op::RotateMember { member, secret } => {
            Command::RotateMember { id: member_id(&member.to_string()), credential: new_secret(member, secret) }
        }
        Op::RevokeMember { member } => Command::RevokeMember { id: member_id(&member.to_string()) },
        Op::ShowKey { key } => Command::ShowKey { id: id(key) },
        Op::ListKeys => keyward_testkit::registry_world::list(KeyFilter::default(), 200, None),
        Op::ReadAudit => Command::ReadAudit { after: 0, limit: 1 },
    }
}

struct Dice(Seeded);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_be_bytes(bytes) % limit
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }

    fn small(&mut self, limit: u8) -> u8 {
        u8::try_from(self.below(limit.into())).unwrap()
    }

    fn sometimes<T>(&mut self, one_in: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(one_in) == 0).then(|| make(self))
    }

    /// Draws seconds to advance: often none, often to the edge of a window, sometimes past an expiry.
    fn advance(&mut self) -> i64 {
        self.one(&[0, 0, 0, 1, 1_000, 299_999, 300_000, 600_000, 3_600_000, DAY, DAY, 20 * DAY])
    }

    fn limit(&mut self) -> Limit {
        use Environment::{Live, Test};
        self.one(&[None, None, None, Some(vec![Live]), Some(vec![Test]), Some(vec![Live, Test])])
    }

    fn role(&mut self) -> Role {
        self.one(&[
            Role::Owner,
            Role::Owner,
            Role::Manager,
            Role::Manager,
            Role::Responder,
            Role::Auditor,
            Role::Verifier,
        ])
    }

    fn fault(&mut self, op: &Op) -> Option<Fault> {
        // A list that marks expired keys may fail after such writes, which change nothing visible.
        let reads = matches!(op, Op::ShowKey { .. } | Op::ListKeys | Op::ReadAudit | Op::LookUpClaim { .. });
        if reads || self.below(6) > 0 {
            return None;
        }
        let at = 1 + usize::try_from(self.below(8)).unwrap();
        Some(self.one(&[
            Fault::Read(at),
            Fault::BeforeWrite(at),
            Fault::AfterWrite(at),
            Fault::BeforeCommit,
            Fault::AfterCommit,
        ]))
    }

    /// Draws a step, mostly by a member with the present secret, sometimes with an old one.
    fn step(&mut self, model: &Model) -> Step {
        let owner = if self.below(3) == 0 { None } else { Some(0) };
        let member = owner.unwrap_or_else(|| self.one(&model.members).number);
        let named = model.members.iter().find(|one| one.number == member).unwrap();
        let secret = match (self.below(12), named.previous) {
            (0, _) => self.one(&model.members).secret,
            (1..=4, Some((old, _))) => old,
            _ => named.secret,
        };
        let (access, op) = (self.below(8) == 0, self.op(model));
        let attempt = match op {
            Op::ClaimKey { .. } => Some((self.small(2), 0)),
            _ => self.sometimes(3, |dice| (dice.small(3), dice.small(8) / 7)),
        };
        Step { member, secret, access, op, attempt }
    }

    fn op(&mut self, model: &Model) -> Op {
        // Keys, members and secrets share one sequence of numbers, so that none is used twice.
        let new = u32::try_from(self.below(1 << 31)).unwrap();
        let key = if self.below(20) == 0 || model.keys.is_empty() { new } else { self.one(&model.keys).number };
        let member = if self.below(20) == 0 { new } else { self.one(&model.members).number };
        let claims: Vec<u32> = model.keys.iter().filter(|key| key.claim.is_some()).map(|key| key.number).collect();
        let claim = if self.below(10) == 0 || claims.is_empty() { key } else { self.one(&claims) };
        match self.below(28) {
            0..=4 => Op::Issue {
                new,
                environment: self.one(&[Environment::Live, Environment::Test]),
                integration: self.small(3),
                name: self.small(4),
                days: self.one(&[1, 30, 365]),
                claim_hours: self.sometimes(3, |dice| dice.one(&[1, 24, 168])),
            },
            5..=6 => Op::UpdateKey {
                key,
                name: self.sometimes(2, |dice| dice.small(4)),
                wide: self.sometimes(2, |dice| dice.below(2) == 0),
                end: self
                    .sometimes(2, |dice| model.now + dice.one(&[-1, 0, 1, DAY, 40 * DAY, 365 * DAY, 365 * DAY + 1])),
            },
            7..=9 => Op::RotateKey {
                key,
                new,
                overlap: self.one(&[0, 1, 300, 3600, 86_400, 2_592_000]),
                claim_hours: self.sometimes(3, |dice| dice.one(&[1, 24, 168])),
            },
            10 => Op::RevokeKey { key },
            11..=12 => Op::CreateMember {
                new,
                role: self.role(),
                limit: self.limit(),
                email: self.small(6),
                days: self.one(&[1, 30, 365]),
            },
            13..=14 => Op::UpdateMember {
                member,
                role: self.sometimes(2, Self::role),
                limit: self.sometimes(2, Self::limit),
                email: self.sometimes(4, |dice| dice.small(6)),
                days: self.sometimes(4, |dice| dice.one(&[1, 30, 365])),
            },
            15 => Op::RotateMember { member, secret: new },
            16 => Op::RevokeMember { member },
            17 => Op::ShowKey { key },
            18 => Op::ListKeys,
            19 => Op::RevokeByHolder { key, secret: self.one(&[key, key, key, new, 0]) },
            20 => Op::ReadAudit,
            21..=24 => Op::ClaimKey { key: claim, secret: self.one(&[claim, claim, claim, claim, new]) },
            25 => Op::LookUpClaim { key: claim, secret: self.one(&[claim, claim, new]) },
            26 => Op::RevokeByClaimant { key: claim, secret: self.one(&[claim, claim, new]) },
            _ => Op::WithdrawClaim { key: claim },
        }
    }
}
