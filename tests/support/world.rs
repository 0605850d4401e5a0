//! A registry in memory with fixed ids, times and members.
#![allow(dead_code, reason = "each test file uses a part")]

use keyward::key::hash::KeyHash;
use keyward::key::house::Generation;
use keyward::key::id::{Environment, KeyId};
use keyward::key::scope::Scope;
use keyward::registry::apply::{Policy, apply};
use keyward::registry::command::{
    Answer, Caller, Command, Control, Done, KeyDraft, KeyFilter, KeyView, Lifetime, NewCredential, Provenance, Refused,
};
use keyward::registry::roles::Role;
use keyward::registry::schema::migrate;
use keyward::registry::store::StoreError;
use keyward::time::Millis;
use rusqlite::params;

use crate::sqlite_store::SqliteStore;

/// 2026-11-23T14:02:03.004Z
pub const NOW: Millis = Millis(1_795_442_523_004);
pub const DAY: i64 = 86_400;

pub struct World {
    pub store: SqliteStore,
    pub policy: Policy,
    pub now: Millis,
}

impl World {
    /// Migrated, with no member.
    pub fn empty() -> Self {
        let mut store = SqliteStore::new();
        migrate(&mut store, "epoch-1").unwrap();
        Self {
            store,
            policy: Policy {
                max_key_days: 365,
                max_member_days: 365,
                known_scopes: vec![scope("contacts:read"), scope("contacts:write")],
            },
            now: NOW,
        }
    }

    /// With the first owner, whose caller is [`owner`].
    pub fn with_owner() -> Self {
        let mut world = Self::empty();
        let answer = world.ask(Caller::Bootstrap, bootstrap()).unwrap();
        assert!(matches!(answer, Answer::Done(Done::MemberCreated(_))), "{answer:?}");
        world
    }

    /// A further member, straight into the table: the operation that makes them comes later.
    pub fn add_member(&mut self, role: Role, environments: Option<&str>) -> Caller {
        let id = format!("wafl_admin_{:0>12}", format!("{}{}", role.as_str(), environments.map_or(0, str::len)));
        self.store
            .connection
            .execute(
                "INSERT INTO members (id, key_hash, minted_under, name, email, role, environments, created_at,
                     created_by, expires_at, revision)
                 VALUES (?1, ?2, '1f2e3d4c', 'A name', 'a@acme.example', ?3, ?4, ?5, 'test', ?6, 0)",
                params![id, hash(7).to_hex(), role.as_str(), environments, NOW.0, NOW.plus_seconds(DAY).0],
            )
            .unwrap();
        Caller::Credential { id: KeyId::parse(&id).unwrap(), key_hash: hash(7) }
    }

    pub fn ask(&mut self, caller: Caller, command: Command) -> Result<Answer, StoreError> {
        let control = Control {
            caller,
            origin: Provenance { request_id: "req-1".to_owned(), client_address: Some("192.0.2.7".to_owned()) },
            command,
        };
        apply(&mut self.store, control, &self.policy, self.now)
    }

    pub fn done(&mut self, caller: Caller, command: Command) -> Done {
        match self.ask(caller, command).unwrap() {
            Answer::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    /// Asks for what must be refused, and sees to it that nothing was written.
    pub fn refused(&mut self, caller: Caller, command: Command) -> Refused {
        let before = self.store.dump();
        let answer = self.ask(caller, command).unwrap();
        assert_eq!(self.store.dump(), before, "a refusal has written");
        match answer {
            Answer::Refused(refused) => refused,
            other => panic!("{other:?}"),
        }
    }

    pub fn issue(&mut self, number: u32, draft: KeyDraft) -> KeyView {
        match self.done(owner(), issue(number, draft)) {
            Done::KeyIssued(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub fn revoke(&mut self, id: &KeyId, reason: &str) -> KeyView {
        match self.done(owner(), revoke(id, reason)) {
            Done::KeyRevoked { key, .. } => *key,
            other => panic!("{other:?}"),
        }
    }

    pub fn later(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }
}

pub fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub fn hash(byte: u8) -> KeyHash {
    KeyHash::new([byte; 32])
}

/// `wafl_live_000000000001` and so on.
pub fn key_id(environment: Environment, number: u32) -> KeyId {
    KeyId::parse(&format!("wafl_{}_{number:012}", environment.as_str())).unwrap()
}

pub fn credential(id: KeyId) -> NewCredential {
    NewCredential { id, key_hash: hash(9), minted_under: Generation::from_stored("1f2e3d4c").unwrap() }
}

pub fn owner_id() -> KeyId {
    KeyId::parse("wafl_admin_Owner0000001").unwrap()
}

pub fn owner() -> Caller {
    Caller::Credential { id: owner_id(), key_hash: hash(9) }
}

pub fn bootstrap() -> Command {
    Command::Bootstrap {
        name: "Ada".to_owned(),
        email: "ada@acme.example".to_owned(),
        credential: credential(owner_id()),
    }
}

pub fn draft(integration: &str, environment: Environment) -> KeyDraft {
    KeyDraft {
        name: format!("{integration} sync"),
        integration: integration.to_owned(),
        environment,
        purpose: "Nightly contact sync".to_owned(),
        owner: "ops@acme.example".to_owned(),
        scopes: vec![scope("contacts:read")],
        allowed_cidrs: Vec::new(),
        lifetime: Lifetime::Default,
    }
}

pub fn live(integration: &str) -> KeyDraft {
    draft(integration, Environment::Live)
}

pub fn test(integration: &str) -> KeyDraft {
    draft(integration, Environment::Test)
}

pub fn issue(number: u32, draft: KeyDraft) -> Command {
    Command::IssueKey { credential: credential(key_id(draft.environment, number)), draft: Box::new(draft) }
}

pub fn revoke(id: &KeyId, reason: &str) -> Command {
    Command::RevokeKey { id: id.clone(), reason: reason.to_owned() }
}

pub fn show(id: &KeyId) -> Command {
    Command::ShowKey { id: id.clone() }
}

pub fn list(filter: KeyFilter, limit: u32, cursor: Option<String>) -> Command {
    Command::ListKeys { filter, limit, cursor }
}
