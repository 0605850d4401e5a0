//! Gate with its configuration, clock and authority, without a platform.

use std::collections::HashMap;

use keyward_config::Config;
use keyward_gate::{Applied, Gate, Need, Plan, Reason, Refusal, Step};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::epoch::Epoch;
use keyward_key::id::{Class, Environment, KeyId};
use keyward_key::mint::mint;
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::sealed::Sealed;
use keyward_key::time::Millis;
use keyward_protocol::feed::{Change, ChangeList, FeedPage, FeedQuery, Position};
use serde_json::{Value, json};

use crate::entropy::Seeded;

/// 2026-11-23T14:02:03.004Z
pub const NOW: Millis = Millis(1_795_442_523_004);
pub const DAY: i64 = 86_400;

/// Returns the configuration of the tests with some variables changed. `null` unsets a variable.
pub fn config(changes: &Value) -> Config {
    let mut vars = json!({
        "KEYWARD_SECRET": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "BOOTSTRAP_TOKEN": "a-bootstrap-token-of-a-test",
        "ORIGIN_LIVE": "https://live.example",
        "ORIGIN_TEST": "https://test.example",
        "ROUTES": [
            {"match": "GET /public/*", "access": "public"},
            {"match": "GET /v1/contacts", "scope": "contacts:read"},
            {"match": "GET /v1/contacts/*", "scope": "contacts:read"},
            {"match": "POST /v1/contacts", "scope": "contacts:write"},
            {"match": "GET /v1/closed", "scope": "contacts:read", "on_outage": "closed"},
        ],
    });
    for (name, value) in changes.as_object().unwrap() {
        vars[name] = value.clone();
    }
    let vars = vars.as_object().unwrap();
    Config::parse(vars).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A minted key: its text and its record in the authority.
#[derive(Clone)]
pub struct Key {
    pub text: String,
    pub record: Record,
}

impl Key {
    pub fn new(config: &Config, class: Class, seed: u64) -> Self {
        let minted = mint(&config.keyring, &config.prefix, class, &mut Seeded::new(seed)).unwrap();
        let record = Record {
            id: minted.id,
            key_hash: minted.hash,
            minted_under: minted.generation,
            integration: "crm-sync".to_owned(),
            scopes: vec![Scope::parse("contacts:read").unwrap()],
            allowed_cidrs: Vec::new(),
            expires_at: NOW.plus_seconds(30 * DAY),
            retiring: false,
            revoked: false,
            revision: 10,
            quarantined: None,
            limits: None,
            limit_group: None,
            limit_revision: 0,
        };
        Self { text: minted.api_key.expose().to_owned(), record }
    }

    pub fn live(config: &Config, seed: u64) -> Self {
        Self::new(config, Class::Data(Environment::Live), seed)
    }
}

/// A client's request. [`Self::text`] serialises it as the glue does.
#[derive(Clone)]
pub struct ClientRequest {
    pub line: String,
    pub base: String,
    pub headers: Vec<(String, String)>,
}

impl ClientRequest {
    /// Creates a request from `METHOD /path?query`, over HTTPS.
    pub fn new(line: &str) -> Self {
        Self { line: line.to_owned(), base: "https://gate.example".to_owned(), headers: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn key(self, key: &Key) -> Self {
        self.with("authorization", &format!("Bearer {}", key.text))
    }

    pub fn text(&self) -> String {
        let (method, target) = self.line.split_once(' ').unwrap();
        let mut text = format!("{}\n{method}\n{}{target}\n", NOW.0, self.base);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}\n{value}\n"));
        }
        text
    }
}

/// Decision of the gate for one request.
pub enum GateAnswer {
    Forward(Plan),
    Refuse(Refusal),
    Need(Need),
}

impl GateAnswer {
    /// Returns `200`, `need changes`, `need record`, or status and code, such as `401 invalid_key`.
    pub fn verdict(&self) -> String {
        match self {
            Self::Forward(_) => "200".to_owned(),
            Self::Need(Need::Changes) => "need changes".to_owned(),
            Self::Need(Need::Record(_)) => "need record".to_owned(),
            Self::Need(Need::Lease(_)) => "need lease".to_owned(),
            Self::Refuse(refusal) => format!("{} {}", refusal.problem.status(), refusal.problem.code.as_str()),
        }
    }

    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Refuse(refusal) => refusal,
            other => panic!("{}", other.verdict()),
        }
    }

    pub fn edits(&self) -> &str {
        match self {
            Self::Forward(plan) => &plan.edits,
            other => panic!("{}", other.verdict()),
        }
    }

    /// Returns whether the response must not be stored in a shared cache.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Forward(plan) if plan.private)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.refusal().problem.headers().iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}

/// One isolate and its authority.
pub struct World {
    pub config: Config,
    pub gate: Gate,
    pub now: Millis,
    pub authority: HashMap<KeyId, Record>,
    /// Revision of the authority's last change.
    pub revision: u64,
    pub epoch: Epoch,
    /// The authority does not answer.
    pub unreachable: bool,
    /// Number of reads of the authority or of KV for a record.
    pub reads: u32,
}

impl World {
    pub fn new(changes: &Value) -> Self {
        let config = config(changes);
        let epoch = Epoch::new(NOW, "first");
        let gate = Gate::default();
        Self { config, gate, now: NOW, authority: HashMap::new(), revision: 10, epoch, unreachable: false, reads: 0 }
    }

    /// Creates a world whose gate has just received all changes.
    pub fn started(changes: &Value) -> Self {
        let mut world = Self::new(changes);
        world.refresh(NOW);
        world
    }

    /// Issues a live key whose record `change` adjusts.
    pub fn issue(&mut self, seed: u64, change: impl FnOnce(&mut Record)) -> Key {
        let mut key = Key::live(&self.config, seed);
        change(&mut key.record);
        self.authority.insert(key.record.id.clone(), key.record.clone());
        key
    }

    /// Runs the gate once, without a refresh or a lookup.
    pub fn ask(&mut self, request: &ClientRequest) -> GateAnswer {
        let text = request.text();
        let head = match Head::parse(&text) {
            Ok(head) => head,
            Err(bad_head) => return GateAnswer::Refuse(Refusal::from(bad_head)),
        };
        match crate::signing::admit(&mut self.gate, &self.config, &head, self.now, "req-1") {
            Step::Sign(_) => panic!("`signing::admit` signs every grant"),
            Step::Forward(grant) => GateAnswer::Forward(grant.plan(&head, "req-1")),
            Step::Refuse(refusal) => GateAnswer::Refuse(refusal),
            Step::Need(need) => GateAnswer::Need(need),
        }
    }

    /// Runs the gate with the refreshes and lookups that it needs, as the edge does.
    pub fn send(&mut self, request: &ClientRequest) -> GateAnswer {
        for _ in 0..3 {
            match self.ask(request) {
                GateAnswer::Need(Need::Changes) => self.refresh(self.now),
                GateAnswer::Need(Need::Record(id)) => {
                    self.reads += 1;
                    if self.unreachable {
                        let refusal = Refusal::new(Code::AuthorityUnavailable, Reason::RecordUnknown);
                        return GateAnswer::Refuse(refusal);
                    }
                    self.answer(&id, self.now);
                }
                decided => return decided,
            }
        }
        panic!("the gate needs more data after a refresh and a lookup");
    }

    /// Changes a key in the authority.
    pub fn change(&mut self, id: &KeyId, change: impl FnOnce(&mut Record)) {
        self.revision += 1;
        let record = self.authority.get_mut(id).unwrap();
        change(record);
        record.revision = self.revision;
    }

    pub fn position(&self) -> Position {
        let revision = self.revision;
        Position { epoch: self.epoch.clone(), revision, head: format!("{revision:016x}") }
    }

    /// Returns the authority's current answer to a feed query.
    pub fn changes(&self, query: &FeedQuery) -> FeedPage {
        let (after, first) = match query {
            FeedQuery::Snapshot { .. } => (0, 10),
            FeedQuery::Since(known) if known.epoch != self.epoch => {
                return self.changes(&FeedQuery::Snapshot { after: None });
            }
            FeedQuery::Since(known) => (known.revision, known.revision),
        };
        let mut entries = ChangeList::default();
        for record in self.authority.values().filter(|record| record.revision > first) {
            entries.push(&record.id, Change { revision: record.revision, revoked: record.revoked });
        }
        match query {
            FeedQuery::Snapshot { after } => {
                FeedPage::Snapshot { after: after.clone(), at: self.position(), entries, next: None }
            }
            FeedQuery::Since(_) => FeedPage::Since { after, to: self.position(), entries, more: false },
        }
    }

    /// Refreshes the gate from the authority, or records a failure.
    pub fn refresh(&mut self, asked_at: Millis) {
        if self.unreachable {
            self.gate.record_failure(self.now);
            return;
        }
        for _ in 0..3 {
            let changes = self.changes(&self.gate.next_query());
            let asked = self.gate.start_query(asked_at);
            if self.gate.apply_authority(&changes, asked, self.now.max(asked_at)) == Applied::Complete {
                return;
            }
        }
        panic!("the gate is not complete after every page");
    }

    /// Returns the copy of a record that KV holds.
    pub fn copy(&self, record: &Record) -> String {
        let sealed = Sealed { epoch: self.epoch.clone(), record: record.clone() };
        sealed.seal(self.config.keyring.current()).unwrap()
    }

    /// Applies the authority's answer to a lookup that was sent at `asked_at`, or records a failure.
    pub fn answer(&mut self, id: &KeyId, asked_at: Millis) {
        if self.unreachable {
            self.gate.record_failure(self.now);
        } else {
            let position = self.position();
            self.gate.apply_record(id, self.authority.get(id).cloned(), &position, self.now.max(asked_at));
        }
    }

    /// Sets the clock to `milliseconds` after [`NOW`].
    pub fn at(&mut self, milliseconds: i64) -> &mut Self {
        self.now = Millis(NOW.0 + milliseconds);
        self
    }

    pub fn verdict(&mut self, request: &ClientRequest) -> String {
        self.send(request).verdict()
    }
}
