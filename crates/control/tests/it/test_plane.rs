//! A control plane in memory: the shipped flow over the shipped registry on SQLite, and a platform that answers at once.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use keyward_config::{AccessSettings, Config};
use keyward_control::console::ConsoleReply;
use keyward_control::leaks::ReportPlatform;
use keyward_control::leaks::github_keys::Fetched;
use keyward_control::{
    AccessFailure, BodyError, Callers, ControlContext, ControlPlatform, ControlReply, LeakState, RevocationLimiter,
    answer, serve,
};
use keyward_edge::entry::{self, Action, Decided, Entry, RawRequest};
use keyward_edge::platform::REGISTRY_READ_TIMEOUT_MS;
use keyward_edge::usage::UsageDue;
use keyward_edge::{
    BackgroundReport, Isolate, Level, LookupSizes, Platform, RegistryFailure, RequestContext, ShardedObject, reports,
};
use keyward_gate::GateSizes;
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_http::reply::Reply;
use keyward_key::entropy::Entropy;
use keyward_key::keyring::SealingKey;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::Request;
use keyward_protocol::events::Event;
use keyward_protocol::usage::{UsageRequest, UsageResponse, UsageTimes};
use keyward_registry::context::Policy;
use keyward_registry::events::EffectTimes;
use keyward_testkit::entropy::Seeded;
use keyward_testkit::gate_world::ClientRequest;
use keyward_testkit::leases;
use keyward_testkit::registry_world::{NOW, World};
use keyward_testkit::sealing;
use keyward_testkit::sqlite_store::SqliteStore;
use keyward_testkit::text::nfc;
use keyward_usage::query;
use serde_json::{Value, json};

pub const BOOTSTRAP_TOKEN: &str = "a-bootstrap-token-of-a-test";

/// Reads of the registry by their message, and the number of them.
pub struct TestPlatform {
    pub world: RefCell<World>,
    policy: Policy,
    pub now: Cell<Millis>,
    /// Whether the registry answers.
    pub reachable: Cell<bool>,
    /// Number of queries of the control plane that time out before one is answered.
    pub timeouts: Cell<u32>,
    /// Whether the registry's answers are held back: queries of the control plane and pauses then wait.
    pub is_held: Cell<bool>,
    /// Messages to the registry, each with whether it may change something.
    pub messages: RefCell<Vec<(Value, bool)>>,
    /// Logged events and their fields.
    pub log: RefCell<Vec<String>>,
    pub refreshes: Cell<u32>,
    pub renewals: Cell<u32>,
    /// Units that the limits object grants to each query; `None` while it does not answer.
    pub lease_units: Cell<Option<u64>>,
    /// Reports that were started.
    pub reports: RefCell<Vec<BackgroundReport>>,
    /// GitHub's list of keys, and the `ETag` of each request for it.
    pub list: RefCell<Result<Fetched, String>>,
    pub fetches: RefCell<Vec<Option<String>>>,
    /// Signature, in the form that the platform verifies, that is right for any body.
    pub right_signature: Cell<[u8; 64]>,
    /// Body of the request that is served; `None` does not arrive whole.
    pub body: RefCell<Option<Vec<u8>>>,
    /// Whether bodies do not arrive before all requests of [`Plane::serve_together`] wait.
    pub holds_bodies: Cell<bool>,
    seed: Cell<u64>,
    /// A seed that is used for the next minting, as if an identifier collided.
    pub next_seed: Cell<Option<u64>>,
    /// The console's manifest.
    pub console: RefCell<Value>,
    /// Answer of Cloudflare Access.
    pub access: RefCell<Result<String, AccessFailure>>,
    /// Shards of the usage object.
    pub shards: RefCell<HashMap<u32, SqliteStore>>,
    pub usage_due: RefCell<Vec<UsageDue>>,
    /// Whether these shards answer.
    pub shards_reachable: Cell<bool>,
}

impl Platform for TestPlatform {
    fn now(&self) -> Millis {
        self.now.get()
    }

    fn jitter(&self) -> u8 {
        0
    }

    fn log(&self, _: Level, event: &str, fields: &[(&str, &str)]) {
        self.log.borrow_mut().push(format!("{event} {fields:?}"));
    }

    async fn kv_get(&self, _: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    async fn cache_get(&self, _: &str) -> Option<String> {
        None
    }

    fn cache_put(&self, _: &str, _: &str, _: u32) {}

    async fn ask_registry(&self, message: &str, may_change: bool) -> Result<String, RegistryFailure> {
        self.messages.borrow_mut().push((serde_json::from_str(message).unwrap(), may_change));
        if !self.reachable.get() {
            return Err("unreachable".to_owned().into());
        }
        let request: Request = serde_json::from_str(message).unwrap();
        if matches!(request, Request::Control(_)) {
            poll_fn(|_| if self.is_held.get() { Poll::Pending } else { Poll::Ready(()) }).await;
            if self.timeouts.get() > 0 {
                self.timeouts.set(self.timeouts.get() - 1);
                self.pass(i64::from(REGISTRY_READ_TIMEOUT_MS));
                return Err("timeout".to_owned().into());
            }
        }
        let store = &mut self.world.borrow_mut().store;
        let response = answer(store, request, &self.policy, "abcdefghijklmnop", self.now.get());
        Ok(serde_json::to_string(&response.map_err(|error| error.to_string())?).unwrap())
    }

    async fn ask_shard(&self, object: ShardedObject, shard: u32, message: &str) -> Result<String, String> {
        match object {
            ShardedObject::Events => return Err("this plane has no events object".to_owned()),
            ShardedObject::Limits => {
                let units = self.lease_units.get().ok_or("the limits object does not answer")?;
                return Ok(serde_json::to_string(&leases::granting(message, units, self.now.get())).unwrap());
            }
            ShardedObject::Usage => {}
        }
        if !self.shards_reachable.get() {
            return Err("unreachable".to_owned());
        }
        let mut shards = self.shards.borrow_mut();
        let store = shards.entry(shard).or_insert_with(|| {
            let mut store = SqliteStore::new();
            keyward_usage::schema::migrate(&mut store).unwrap();
            store
        });
        let now = self.now.get();
        let response = match serde_json::from_str(message).unwrap() {
            UsageRequest::Report(report) => {
                keyward_usage::report::keep(store, &report, now).unwrap();
                keyward_usage::sums::add_up(store, now).unwrap();
                UsageResponse::Reported
            }
            UsageRequest::Series(asked) => UsageResponse::Series(query::series(store, &asked, now).unwrap()),
            UsageRequest::Totals(asked) => UsageResponse::Totals(query::totals(store, &asked).unwrap()),
            UsageRequest::RoutesOfKey(asked) => UsageResponse::Totals(query::routes_of_key(store, &asked).unwrap()),
            UsageRequest::Activity(asked) => UsageResponse::Activity(query::activity(store, &asked).unwrap()),
            UsageRequest::UsesSince(asked) => UsageResponse::UsesSince(query::uses_since(store, &asked, now).unwrap()),
            UsageRequest::Metrics => UsageResponse::Metrics(keyward_usage::metrics::read(store, now).unwrap()),
        };
        Ok(serde_json::to_string(&response).unwrap())
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        Ok(keyward_testkit::signing::public_of(key))
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        Ok(keyward_testkit::signing::sign(key, text))
    }

    async fn pause(&self, milliseconds: u32) {
        if !self.is_held.get() {
            self.pass(i64::from(milliseconds));
            return;
        }
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl TestPlatform {
    pub fn pass(&self, milliseconds: i64) {
        self.now.set(Millis(self.now.get().0 + milliseconds));
    }
}

impl ReportPlatform for TestPlatform {
    async fn fetch_list(&self, _: &str, etag: Option<&str>) -> Result<Fetched, String> {
        self.fetches.borrow_mut().push(etag.map(str::to_owned));
        self.list.borrow().clone()
    }

    async fn verify_p256(&self, _: &[u8], signature: &[u8; 64], _: &[u8]) -> bool {
        *signature == self.right_signature.get()
    }

    async fn seal(&self, key: &SealingKey, body: &[u8]) -> Result<Vec<u8>, String> {
        Ok(sealing::seal(key, body))
    }

    async fn open(&self, key: &SealingKey, sealed: &[u8]) -> Option<Vec<u8>> {
        sealing::open(key, sealed)
    }

    fn entropy(&self) -> impl Entropy {
        ControlPlatform::entropy(self)
    }
}

impl ControlPlatform for TestPlatform {
    fn report_usage_in_background(&self, due: UsageDue) {
        self.usage_due.borrow_mut().push(due);
    }

    async fn read_body(&self, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        poll_fn(|_| if self.holds_bodies.get() { Poll::Pending } else { Poll::Ready(()) }).await;
        let body = self.body.borrow().clone().ok_or(BodyError::Incomplete)?;
        if body.len() > max_bytes { Err(BodyError::TooLarge) } else { Ok(body) }
    }

    fn entropy(&self) -> impl Entropy {
        let seed = self.next_seed.take().unwrap_or_else(|| {
            self.seed.set(self.seed.get() + 1);
            self.seed.get()
        });
        Seeded::new(seed)
    }

    async fn verify_access(&self, _: &str, _: &AccessSettings) -> Result<String, AccessFailure> {
        self.access.borrow().clone()
    }

    fn refresh_in_background(&self) {
        self.refreshes.set(self.refreshes.get() + 1);
    }

    fn renew_in_background(&self) {
        self.renewals.set(self.renewals.get() + 1);
    }

    fn report_in_background(&self, report: BackgroundReport) {
        self.reports.borrow_mut().push(report);
    }

    fn reports(&self) -> &impl ReportPlatform {
        self
    }

    fn nfc(&self, text: &str) -> String {
        nfc(text)
    }

    fn console_file(&self, path: &str) -> Option<String> {
        self.console.borrow().get(path).map(Value::to_string)
    }

    fn advice(&self, code: Code) -> String {
        format!("Advice about {}.", code.as_str())
    }
}

pub struct Plane {
    pub config: Config,
    pub isolate: Isolate,
    pub platform: TestPlatform,
    pub limiter: RefCell<RevocationLimiter>,
    pub callers: RefCell<Callers>,
    pub leaks: LeakState,
}

/// A response, with its body parsed if it is JSON.
#[derive(Debug)]
pub struct TestReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub text: String,
    pub json: Value,
}

impl TestReply {
    /// Status and code, such as `403 forbidden`.
    pub fn verdict(&self) -> String {
        let code = self.json["code"].as_str().or(self.json["error"].as_str()).unwrap_or_default();
        format!("{} {code}", self.status).trim_end().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
    }
}

impl From<Reply> for TestReply {
    fn from(reply: Reply) -> Self {
        let json = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
        Self { status: reply.status, headers: reply.headers, text: reply.body, json }
    }
}

impl Plane {
    /// A deployment without members; `changes` are variables of its configuration.
    pub fn new(changes: &Value) -> Self {
        let config = keyward_testkit::gate_world::config(changes);
        let policy = Policy {
            max_key_days: 365,
            max_member_days: 365,
            known_scopes: config.routes.scopes(),
            on_exposure: config.on_exposure,
        };
        let platform = TestPlatform {
            world: RefCell::new(World::empty()),
            policy,
            now: Cell::new(NOW),
            reachable: Cell::new(true),
            timeouts: Cell::new(0),
            is_held: Cell::new(false),
            messages: RefCell::default(),
            log: RefCell::default(),
            refreshes: Cell::new(0),
            renewals: Cell::new(0),
            lease_units: Cell::new(Some(100)),
            reports: RefCell::default(),
            list: RefCell::new(Err("unreachable".to_owned())),
            fetches: RefCell::default(),
            right_signature: Cell::new([0; 64]),
            body: RefCell::new(Some(Vec::new())),
            holds_bodies: Cell::new(false),
            seed: Cell::new(0),
            next_seed: Cell::new(None),
            console: RefCell::default(),
            access: RefCell::new(Err(AccessFailure::Refused("Form".to_owned()))),
            shards: RefCell::default(),
            usage_due: RefCell::default(),
            shards_reachable: Cell::new(true),
        };
        Self {
            config,
            isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), 0),
            platform,
            limiter: RefCell::default(),
            callers: RefCell::default(),
            leaks: LeakState::default(),
        }
    }

    /// A deployment with an owner, and the owner's credential.
    pub fn with_owner() -> (Self, String) {
        Self::with_owner_of(&json!({}))
    }

    /// The same, with some variables changed.
    pub fn with_owner_of(changes: &Value) -> (Self, String) {
        let plane = Self::new(changes);
        let body = json!({"name": "Ada", "email": "ada@acme.example"});
        let made = plane.call(&post("v1/bootstrap").with("authorization", &bearer(BOOTSTRAP_TOKEN)), &body);
        assert_eq!(made.status, 201, "{}", made.text);
        let credential = made.json["api_key"].as_str().unwrap().to_owned();
        plane.platform.messages.borrow_mut().clear();
        (plane, credential)
    }

    /// Creates a member and returns their credential.
    pub fn member(&self, owner: &str, role: &str, environments: &Value) -> String {
        let email = format!("{role}{}@acme.example", self.platform.seed.get());
        let body = json!({"name": role, "email": email, "role": role, "environments": environments});
        let made = self.call(&post("v1/members").with("authorization", &bearer(owner)), &body);
        assert_eq!(made.status, 201, "{}", made.text);
        made.json["api_key"].as_str().unwrap().to_owned()
    }

    /// Issues a key of live and returns its view and text.
    pub fn issue(&self, owner: &str, integration: &str) -> (Value, String) {
        let made = self.call(&post("v1/keys").with("authorization", &bearer(owner)), &key_draft(integration));
        assert_eq!(made.status, 201, "{}", made.text);
        (made.json["key"].clone(), made.json["api_key"].as_str().unwrap().to_owned())
    }

    /// Serves a request with a JSON body, if it is a write.
    pub fn call(&self, request: &ClientRequest, body: &Value) -> TestReply {
        let request =
            if body.is_null() { request.clone() } else { request.clone().with("content-type", "application/json") };
        self.send(&request, if body.is_null() { String::new() } else { body.to_string() }.as_bytes())
    }

    /// Serves a GET as the holder of a credential.
    pub fn get(&self, path: &str, credential: &str) -> TestReply {
        let request = ClientRequest::new(&format!("GET /_keyward/{path}")).with("authorization", &bearer(credential));
        self.send(&request, b"")
    }

    pub fn send(&self, request: &ClientRequest, body: &[u8]) -> TestReply {
        *self.platform.body.borrow_mut() = Some(body.to_vec());
        match self.serve(request) {
            ControlReply::Reply(reply) | ControlReply::OpenApi(reply) => reply.into(),
            ControlReply::Console(ConsoleReply { file, head }) => {
                TestReply { text: format!("file {file}"), ..head.into() }
            }
            ControlReply::Lines(_) => panic!("a stream"),
        }
    }

    /// Serves a request with the body that the platform has.
    pub fn serve(&self, request: &ClientRequest) -> ControlReply {
        let reply = run(self.serving(request));
        self.send_reports();
        reply
    }

    /// Sends the reports that were started, as the background work of the worker does.
    fn send_reports(&self) {
        for report in self.platform.reports.take() {
            run(reports::send(&self.isolate, &self.platform, report));
        }
    }

    /// Serves a request as the worker does, and returns its status and code. An accepted one is `forwarded`.
    pub fn enter(&self, request: &ClientRequest) -> String {
        let raw = RawRequest { head_text: self.text_of(request), request_id: "req-1".to_owned() };
        let Entry { action, due } = entry::handle(&self.isolate, Some(&self.config), &self.platform, &raw);
        self.platform.reports.borrow_mut().extend(due.report);
        self.send_reports();
        let decided = match action {
            Action::ControlPlane => return self.send(request, b"").verdict(),
            Action::Reply(reply) => Decided::Reply(reply),
            Action::Forward(plan) => Decided::Forward(plan),
            Action::Later(pending) => {
                let resumed = run(entry::resume(&self.isolate, Some(&self.config), &self.platform, &raw, pending));
                self.platform.reports.borrow_mut().extend(resumed.due.report);
                self.send_reports();
                resumed.decided
            }
        };
        match decided {
            Decided::Forward(_) => "forwarded".to_owned(),
            Decided::Reply(reply) => TestReply::from(reply).verdict(),
        }
    }

    /// Returns the head of a request that arrives now.
    fn text_of(&self, request: &ClientRequest) -> String {
        request.text().replacen(&NOW.0.to_string(), &self.platform.now.get().0.to_string(), 1)
    }

    /// Serves requests at the same time. The registry answers none of them before all wait, then every one. Returns the verdicts.
    pub fn serve_together(&self, requests: &[ClientRequest]) -> Vec<String> {
        self.platform.is_held.set(true);
        let mut context = Context::from_waker(Waker::noop());
        let mut serving: Vec<_> = requests.iter().map(|request| Box::pin(self.serving(request))).collect();
        let mut verdicts = vec![None; requests.len()];
        for round in 0..1_000 {
            for (future, verdict) in serving.iter_mut().zip(&mut verdicts).filter(|(_, verdict)| verdict.is_none()) {
                if let Poll::Ready(ControlReply::Reply(reply)) = future.as_mut().poll(&mut context) {
                    *verdict = Some(TestReply::from(reply).verdict());
                }
            }
            self.platform.is_held.set(round == 0);
            self.platform.holds_bodies.set(false);
            if verdicts.iter().all(Option::is_some) {
                break;
            }
        }
        verdicts.into_iter().map(|verdict| verdict.expect("an answer")).collect()
    }

    async fn serving(&self, request: &ClientRequest) -> ControlReply {
        let text = self.text_of(request);
        let head = Head::parse(&text).unwrap();
        let request = RequestContext {
            isolate: &self.isolate,
            config: &self.config,
            platform: &self.platform,
            head: &head,
            request_id: "req-1",
        };
        serve(&ControlContext {
            request,
            event: &self.platform,
            revocation_limiter: &self.limiter,
            callers: &self.callers,
            leaks: &self.leaks,
        })
        .await
    }

    /// Tells the registry times of use, as a shard does.
    pub fn tell(&self, times: UsageTimes) {
        let message = serde_json::to_string(&Request::UsageTimes(times)).unwrap();
        assert_eq!(run(self.platform.ask_registry(&message, true)).unwrap(), "\"usage_noted\"");
    }

    /// Lets time pass.
    pub fn later(&self, milliseconds: i64) {
        self.platform.pass(milliseconds);
    }

    /// Returns the number of queries of the control plane.
    pub fn control_queries(&self) -> usize {
        self.platform.messages.borrow().iter().filter(|(message, _)| message.get("control").is_some()).count()
    }

    /// Returns the events that wait to be told to the events object.
    pub fn events(&self) -> Vec<Event> {
        let effect = EffectTimes { bound_seconds: 5, grace_seconds: 60 };
        let news = keyward_registry::events::news(&mut self.platform.world.borrow_mut().store, effect).unwrap();
        news.map(|(news, _)| news.events).unwrap_or_default()
    }

    pub fn logged(&self, event: &str) -> bool {
        self.platform.log.borrow().iter().any(|line| line.starts_with(event))
    }

    pub fn asked(&self) -> usize {
        self.platform.messages.borrow().len()
    }
}

pub fn key_draft(integration: &str) -> Value {
    json!({
        "name": format!("{integration} sync"), "integration": integration, "environment": "live",
        "purpose": "Nightly contact sync", "owner": "ops@acme.example", "scopes": ["contacts:read"],
    })
}

pub fn post(path: &str) -> ClientRequest {
    ClientRequest::new(&format!("POST /_keyward/{path}"))
}

pub fn bearer(credential: &str) -> String {
    format!("Bearer {credential}")
}

/// Runs a future that never has to wait.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the platform answers at once"),
    }
}
