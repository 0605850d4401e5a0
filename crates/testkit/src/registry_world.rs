//! Registry in memory with fixed ids, times and members.

use keyward_key::epoch::Epoch;
pub use keyward_key::exposure::{ExposureAction, ExposureKind, OnExposure};
use keyward_key::hash::KeyHash;
use keyward_key::id::{Environment, KeyId};
use keyward_key::keyring::Generation;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::role::Role;
use keyward_protocol::{
    Caller, ExposureReport, Idempotency, KeyView, MemberView, NewCredential, Rejection, Request, RequestMeta,
    Response as RawResponse, SubmittedHash,
};
use keyward_registry::audit::{audit_after, head};
use keyward_registry::context::Policy;
use keyward_registry::schema::migrate;
use keyward_registry::store::StoreError;
use serde_json::Value as Json;

pub use crate::messages::{Command, Inspected, KeyDraft, Outcome, Response};
use crate::sqlite_store::SqliteStore;
pub use keyward_control::Operation;
use keyward_control::authority::apply;
pub use keyward_control::operations::create_member::CreateMember as MemberDraft;
pub use keyward_control::operations::issue_key::Lifetime;
pub use keyward_control::operations::update_key::KeyChanges;
pub use keyward_control::operations::update_member::{Limit, MemberChanges};
pub use keyward_registry::audit::AuditFilter;
pub use keyward_registry::list::KeyFilter;
pub use keyward_registry::order::KeyOrder;

/// 2026-11-23T14:02:03.004Z
pub const NOW: Millis = Millis(1_795_442_523_004);
pub const DAY: i64 = 86_400;

pub struct World {
    pub store: SqliteStore,
    pub policy: Policy,
    pub now: Millis,
    /// `Idempotency-Key` of every request that has none of its own.
    pub idempotency: Option<Idempotency>,
}

impl World {
    /// Creates a migrated registry without members.
    pub fn empty() -> Self {
        let mut store = SqliteStore::new();
        migrate(&mut store, &epoch(1)).unwrap();
        Self {
            store,
            policy: Policy {
                max_key_days: 365,
                max_member_days: 365,
                known_scopes: vec![scope("contacts:read"), scope("contacts:write")],
                on_exposure: OnExposure::default(),
            },
            now: NOW,
            idempotency: None,
        }
    }

    /// Creates a registry with the first owner, whose caller is [`owner`].
    pub fn with_owner() -> Self {
        let mut world = Self::empty();
        let answer = world.ask(Caller::Bootstrap, bootstrap()).unwrap();
        assert!(matches!(answer, Response::Done(Outcome::MemberCreated(_))), "{answer:?}");
        world
    }

    /// Adds a member for one day, whose secret is [`hash`] of 7. Its id ends with its role and the length of the text of its limit:
    /// `wafl_admin_000000owner0` without a limit.
    pub fn add_member(&mut self, role: Role, environments: Option<&str>) -> Caller {
        let number = environments.map_or(0, str::len);
        let id = member_id(&format!("{}{number}", role.as_str()));
        let draft = MemberDraft {
            email: format!("{}{number}@acme.example", role.as_str()),
            role,
            environments: environments.map(|text| serde_json::from_str(text).unwrap()),
            expires_in_days: Some(1),
            ..member(role)
        };
        let credential = NewCredential { key_hash: hash(7), ..credential(id.clone()) };
        self.done(owner(), Command::CreateMember { draft: Box::new(draft), credential });
        Caller::Credential { id, key_hash: hash(7) }
    }

    pub fn ask(&mut self, caller: Caller, command: Command) -> Result<Response, StoreError> {
        self.attempt(caller, command, self.idempotency.clone())
    }

    /// Like [`Self::ask`], under an `Idempotency-Key`.
    pub fn attempt(
        &mut self,
        caller: Caller,
        command: Command,
        idempotency: Option<Idempotency>,
    ) -> Result<Response, StoreError> {
        let request = RequestMeta { request_id: "req-1".to_owned(), client_address: Some("192.0.2.7".to_owned()) };
        let control = command.into_request(caller, request, idempotency);
        apply(&mut self.store, &control, &self.policy, self.now).map(Response::from)
    }

    pub fn done(&mut self, caller: Caller, command: Command) -> Outcome {
        match self.ask(caller, command).unwrap() {
            Response::Done(done) => done,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a request that must be refused, and checks that nothing was written.
    pub fn refused(&mut self, caller: Caller, command: Command) -> Rejection {
        let before = self.store.dump();
        let answer = self.ask(caller, command).unwrap();
        assert_eq!(self.store.dump(), before, "a refused request wrote to the store");
        match answer {
            Response::Refused(refused) => refused,
            other => panic!("{other:?}"),
        }
    }

    pub fn issue(&mut self, number: u32, draft: KeyDraft) -> KeyView {
        match self.done(owner(), issue(number, draft)) {
            Outcome::KeyIssued(view) => *view,
            other => panic!("{other:?}"),
        }
    }

    pub fn revoke(&mut self, id: &KeyId, reason: &str) -> KeyView {
        match self.done(owner(), revoke(id, reason)) {
            Outcome::KeyRevoked { key, .. } => *key,
            other => panic!("{other:?}"),
        }
    }

    /// Rotates key `number` to `next`, and returns the successor and the old key.
    pub fn rotate(&mut self, number: u32, next: u32, overlap_seconds: u32) -> (KeyView, KeyView) {
        match self.done(owner(), rotate(number, next, overlap_seconds)) {
            Outcome::KeyRotated { key, retiring, changed_at } => {
                assert_eq!(changed_at, self.now);
                (*key, *retiring)
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn update(&mut self, number: u32, changes: KeyChanges) -> KeyView {
        match self.done(owner(), update(number, changes)) {
            Outcome::KeyUpdated { key, changed_at } => {
                assert_eq!(changed_at, self.now);
                *key
            }
            other => panic!("{other:?}"),
        }
    }

    /// Executes an operation on a member as the owner, and returns the member.
    pub fn member(&mut self, command: Command) -> MemberView {
        match self.done(owner(), command) {
            Outcome::Member(view) | Outcome::MemberCreated(view) | Outcome::MemberRotated(view) => view,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the last audit entry: actor, action, subject, and the detail without the request's origin.
    pub fn last_entry(&mut self) -> (String, String, String, Json) {
        let size = head(&mut self.store).unwrap().seq;
        let mut entry = audit_after(&mut self.store, size - 1, 1).unwrap().remove(0);
        assert_eq!(entry.at, self.now.rfc3339());
        assert_eq!(entry.detail.remove("request_id").unwrap(), "req-1");
        assert_eq!(entry.detail.remove("client_address").unwrap(), "192.0.2.7");
        (entry.actor, entry.action, entry.subject, Json::Object(entry.detail))
    }

    /// Reports exposures, and returns the number of audit entries that this made.
    pub fn expose(&mut self, report: &ExposureReport) -> u64 {
        let before = head(&mut self.store).unwrap().seq;
        let request = Request::Expose(Box::new(report.clone()));
        let answered = keyward_control::answer(&mut self.store, request, &self.policy, "random", self.now).unwrap();
        assert!(matches!(answered, RawResponse::Reported), "{answered:?}");
        head(&mut self.store).unwrap().seq - before
    }

    pub fn later(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }
}

/// Returns the name of an epoch.
pub fn epoch(number: u32) -> Epoch {
    Epoch::from_stored(format!("{number}-epoch"))
}

pub fn scope(text: &str) -> Scope {
    Scope::parse(text).unwrap()
}

pub fn hash(byte: u8) -> KeyHash {
    KeyHash::new([byte; 32])
}

/// Returns a report that live key `number` was exposed by its holder.
pub fn exposure(number: u32, kind: ExposureKind) -> ExposureReport {
    ExposureReport {
        kind,
        keys: vec![SubmittedHash { id: key_id(Environment::Live, number), key_hash: hash(9) }],
        route: Some("GET /v1/contacts/*".to_owned()),
        network: Some("192.0.2.0/24".to_owned()),
        request_id: "req-7".to_owned(),
    }
}

/// Returns the holder of live key `number`, whose secret is [`hash`] of 9.
pub fn holder(number: u32) -> Caller {
    Caller::Holder { id: key_id(Environment::Live, number), key_hash: hash(9) }
}

/// Returns an id such as `wafl_live_000000000001`.
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

/// Rotates live key `number` to `next`.
pub fn rotate(number: u32, next: u32, overlap_seconds: u32) -> Command {
    Command::RotateKey {
        id: key_id(Environment::Live, number),
        overlap_seconds,
        credential: credential(key_id(Environment::Live, next)),
    }
}

/// Changes live key `number`.
pub fn update(number: u32, changes: KeyChanges) -> Command {
    Command::UpdateKey { id: key_id(Environment::Live, number), changes: Box::new(changes) }
}

/// Dismisses the exposures of live key `number`.
pub fn dismiss_exposure(number: u32) -> Command {
    Command::DismissExposure { id: key_id(Environment::Live, number), reason: "a test page".to_owned() }
}

/// Releases live key `number` from its quarantine.
pub fn release(number: u32) -> Command {
    Command::ReleaseKey { id: key_id(Environment::Live, number), reason: "a test page".to_owned() }
}

/// Returns an id such as `wafl_admin_00000manager`.
pub fn member_id(name: &str) -> KeyId {
    KeyId::parse(&format!("wafl_admin_{name:0>12}")).unwrap()
}

pub fn member(role: Role) -> MemberDraft {
    MemberDraft {
        name: "A name".to_owned(),
        email: "a@acme.example".to_owned(),
        role,
        environments: None,
        expires_in_days: None,
    }
}

/// Creates a member with this name, whose secret is [`hash`] of 9.
pub fn create(name: &str, draft: MemberDraft) -> Command {
    Command::CreateMember { draft: Box::new(draft), credential: credential(member_id(name)) }
}

/// Returns a member that [`create`] created.
pub fn caller(name: &str) -> Caller {
    Caller::Credential { id: member_id(name), key_hash: hash(9) }
}

pub fn update_member(id: KeyId, changes: MemberChanges) -> Command {
    Command::UpdateMember { id, changes: Box::new(changes) }
}

pub fn revoke_member(id: KeyId) -> Command {
    Command::RevokeMember { id }
}

/// Rotates a member's secret to [`hash`] of `byte`.
pub fn rotate_member(id: KeyId, byte: u8) -> Command {
    Command::RotateMember { credential: NewCredential { key_hash: hash(byte), ..credential(id.clone()) }, id }
}

/// Issues live key `number` by a claim of 24 hours, whose secret is [`hash`] of 9.
pub fn issue_by_claim(number: u32, draft: KeyDraft) -> Command {
    Command::IssueByClaim {
        credential: credential(key_id(draft.environment, number)),
        draft: Box::new(draft),
        hours: 24,
    }
}

/// Rotates live key `number` to `next` by a claim of 24 hours.
pub fn rotate_by_claim(number: u32, next: u32, overlap_seconds: u32) -> Command {
    Command::RotateByClaim {
        id: key_id(Environment::Live, number),
        overlap_seconds,
        credential: credential(key_id(Environment::Live, next)),
        hours: 24,
    }
}

/// Returns the holder of the claim of live key `number`, whose secret is [`hash`] of 9.
pub fn claimant(number: u32) -> Caller {
    Caller::Claimant { id: key_id(Environment::Live, number), secret_hash: hash(9) }
}

/// Claims live key `number`.
pub fn claim(number: u32) -> Command {
    Command::ClaimKey { credential: credential(key_id(Environment::Live, number)) }
}

/// Withdraws the claim of live key `number`.
pub fn withdraw(number: u32) -> Command {
    Command::WithdrawClaim { id: key_id(Environment::Live, number) }
}

/// Returns a command that succeeds in a [`furnished`] world. For an operation that is not listed here, the command only checks permission.
pub fn command_for(operation: Operation) -> Command {
    let id = || key_id(Environment::Live, 1);
    let other = || member_id("other");
    match operation {
        Operation::Bootstrap => bootstrap(),
        Operation::Me => Command::Me,
        Operation::IssueKey => issue(2, live("shop")),
        Operation::ListKeys => list(KeyFilter::default(), 50, None),
        Operation::ShowKey => show(&id()),
        Operation::UpdateKey => update(1, KeyChanges { name: Some("new".to_owned()), ..KeyChanges::default() }),
        Operation::RotateKey => rotate(1, 2, 60),
        Operation::RevokeKey => revoke(&id(), "leaked"),
        Operation::CreateMember => {
            create("new", MemberDraft { email: "new@acme.example".to_owned(), ..member(Role::Manager) })
        }
        Operation::ListMembers => Command::ListMembers { limit: 50, cursor: None },
        Operation::ShowMember => Command::ShowMember { id: other() },
        Operation::UpdateMember => {
            update_member(other(), MemberChanges { name: Some("New".to_owned()), ..MemberChanges::default() })
        }
        Operation::RevokeMember => revoke_member(other()),
        Operation::RotateMember => rotate_member(other(), 8),
        Operation::ReadAudit => Command::ReadAudit { after: 0, limit: 50 },
        Operation::AuditCheckpoint => Command::AuditHead,
        Operation::Verify => Command::Verify(id()),
        Operation::Introspect => Command::Introspect(id()),
        Operation::RevokeByHolder => Command::RevokeByHolder,
        Operation::ListClaims => Command::ListClaims { limit: 50, cursor: None },
        Operation::ListExposures => Command::ListExposures { id: id(), limit: 50, cursor: None },
        Operation::DismissExposure => dismiss_exposure(1),
        Operation::ListLeaks => Command::ListLeaks { limit: 50, cursor: None },
        other => Command::Authorise { operation: other },
    }
}

/// Creates a world with the owner, live key 1 (`crm`) and the member `other`, in which every [`command_for`] succeeds.
pub fn furnished() -> World {
    let mut world = World::with_owner();
    world.issue(1, live("crm"));
    world.member(create("other", MemberDraft { email: "other@acme.example".to_owned(), ..member(Role::Auditor) }));
    world
}

/// Returns the `Idempotency-Key` header `key` of a write.
pub fn attempt(key: &str) -> Idempotency {
    Idempotency {
        fingerprint: format!("fingerprint of {key}"),
        body: "body".to_owned(),
        nonce: format!("nonce of {key}"),
        minted_under: None,
    }
}
