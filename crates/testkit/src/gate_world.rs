//! A gate with its configuration, clock and authority, and no platform beneath.

use std::collections::HashMap;

use keyward_config::Config;
use keyward_gate::{Applied, Gate, Need, Plan, Reason, Refusal, Step};
use keyward_http::head::{BadHead, Head};
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

/// The configuration of the tests with some variables changed; `null` unsets one.
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

/// A minted key, its text and the record that the authority has of it.
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
        };
        Self { text: minted.api_key.expose().to_owned(), record }
    }

    pub fn live(config: &Config, seed: u64) -> Self {
        Self::new(config, Class::Data(Environment::Live), seed)
    }
}

/// A request as a client means it; [`Self::text`] is what the glue makes of it.
#[derive(Clone)]
pub struct ClientRequest {
    pub line: String,
    pub base: String,
    pub headers: Vec<(String, String)>,
}

impl ClientRequest {
    /// `GET /path?query`, over HTTPS.
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

/// What the gate said.
pub enum GateAnswer {
    Forward(Plan),
    Refuse(Refusal),
    Need(Need),
}

impl GateAnswer {
    /// `200`, `need changes`, `need record`, or status and code, as `401 invalid_key`.
    pub fn verdict(&self) -> String {
        match self {
            Self::Forward(_) => "200".to_owned(),
            Self::Need(Need::Changes) => "need changes".to_owned(),
            Self::Need(Need::Record(_)) => "need record".to_owned(),
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

    /// Whether the answer may be kept in no shared cache.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Forward(plan) if plan.private)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.refusal().problem.headers().iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}

/// One isolate, and an authority that it can ask.
pub struct World {
    pub config: Config,
    pub gate: Gate,
    pub now: Millis,
    pub authority: HashMap<KeyId, Record>,
    /// The number of the authority's last change.
    pub revision: u64,
    pub epoch: Epoch,
    pub silent: bool,
    /// How often the authority or KV would have been asked for a record.
    pub reads: u32,
}

impl World {
    pub fn new(changes: &Value) -> Self {
        let config = config(changes);
        let epoch = Epoch::new(NOW, "first");
        let gate = Gate::default();
        Self { config, gate, now: NOW, authority: HashMap::new(), revision: 10, epoch, silent: false, reads: 0 }
    }

    /// One that has just heard from its authority.
    pub fn started(changes: &Value) -> Self {
        let mut world = Self::new(changes);
        world.tell(NOW);
        world
    }

    /// A live key that the authority knows, as `change` leaves it.
    pub fn issue(&mut self, seed: u64, change: impl FnOnce(&mut Record)) -> Key {
        let mut key = Key::live(&self.config, seed);
        change(&mut key.record);
        self.authority.insert(key.record.id.clone(), key.record.clone());
        key
    }

    /// Asks the gate once.
    pub fn ask(&mut self, request: &ClientRequest) -> GateAnswer {
        let text = request.text();
        let head = match Head::parse(&text) {
            Ok(head) => head,
            Err(why) => return GateAnswer::Refuse(Refusal::from(why)),
        };
        match crate::signing::admit(&mut self.gate, &self.config, &head, self.now, "req-1") {
            Step::Sign(_) => panic!("not signed"),
            Step::Forward(grant) => GateAnswer::Forward(grant.plan(&head, "req-1")),
            Step::Refuse(refusal) => GateAnswer::Refuse(refusal),
            Step::Need(need) => GateAnswer::Need(need),
        }
    }

    /// Asks the gate, and the authority for it, as the edge does.
    pub fn send(&mut self, request: &ClientRequest) -> GateAnswer {
        for _ in 0..3 {
            match self.ask(request) {
                GateAnswer::Need(Need::Changes) => self.tell(self.now),
                GateAnswer::Need(Need::Record(id)) => {
                    self.reads += 1;
                    if self.silent {
                        let refusal = Refusal::new(Code::AuthorityUnavailable, Reason::RecordUnknown);
                        return GateAnswer::Refuse(refusal);
                    }
                    self.answer(&id, self.now);
                }
                decided => return decided,
            }
        }
        panic!("the gate was told, and needs to know again");
    }

    /// A change of a key, as the authority makes it.
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

    /// What the authority answers now.
    pub fn changes(&self, ask: &FeedQuery) -> FeedPage {
        let (after, first) = match ask {
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
        match ask {
            FeedQuery::Snapshot { after } => {
                FeedPage::Snapshot { after: after.clone(), at: self.position(), entries, next: None }
            }
            FeedQuery::Since(_) => FeedPage::Since { after, to: self.position(), entries, more: false },
        }
    }

    /// The authority tells what has changed, or is silent.
    pub fn tell(&mut self, asked_at: Millis) {
        if self.silent {
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
        panic!("told everything, and it is not complete");
    }

    /// What KV holds of a record.
    pub fn copy(&self, record: &Record) -> String {
        let sealed = Sealed { epoch: self.epoch.clone(), record: record.clone() };
        sealed.seal(self.config.keyring.current()).unwrap()
    }

    /// The authority's answer to a question asked at `asked_at`.
    pub fn answer(&mut self, id: &KeyId, asked_at: Millis) {
        if self.silent {
            self.gate.record_failure(self.now);
        } else {
            let position = self.position();
            self.gate.apply_record(id, self.authority.get(id).cloned(), &position, self.now.max(asked_at));
        }
    }

    /// Sets the clock so many milliseconds after [`NOW`].
    pub fn at(&mut self, milliseconds: i64) -> &mut Self {
        self.now = Millis(NOW.0 + milliseconds);
        self
    }

    pub fn verdict(&mut self, request: &ClientRequest) -> String {
        self.send(request).verdict()
    }
}

/// Whether a head has its form.
pub fn form(request: &ClientRequest) -> Result<(), BadHead> {
    Head::parse(&request.text()).map(|_| ())
}
