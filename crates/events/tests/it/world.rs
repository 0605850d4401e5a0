//! An events object on real SQLite, with scripted receivers, a registry and a clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use keyward_events::deliveries::{Failure, Outcome};
use keyward_events::object::{
    ATTEMPT_TIMEOUT_MS, EventsHost, EventsObject, EventsSettings, Level, LoggedEvents, Outgoing,
};
use keyward_http::event_url::EventHosts;
use keyward_key::id::Environment;
use keyward_key::keyring::{Keyring, Secret};
use keyward_key::signing::{Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_protocol::Request;
use keyward_protocol::RequestMeta;
use keyward_protocol::events::{
    DeliveryPage, DeliveryQuery, DeliveryStatus, Endpoint, Event, EventsRequest, EventsResponse, News, TestOrder,
};
use keyward_store::{Store, StoreError};
use keyward_testkit::signing;
use keyward_testkit::sqlite_store::SqliteStore;
use serde_json::{Map, json};

/// 2026-11-23T14:02:03.000Z
pub const NOW: Millis = Millis(1_795_442_523_000);
pub const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How a receiver behaves.
#[derive(Clone, Debug)]
pub enum Receiver {
    Answers(u16),
    RetryAfter(u16, &'static str),
    Hangs,
    /// Answers with 200 at once, and sends a body that does not end within the time limit.
    Drips,
    Breaks,
    /// Never ends: the attempt is cut off with the instance.
    NeverEnds,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub at: Millis,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Arrived {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

pub struct Shared {
    pub store: RefCell<SqliteStore>,
    pub now: Cell<Millis>,
    pub alarm: Cell<Option<i64>>,
    /// Number of alarms that came.
    pub alarms: Cell<u32>,
    pub receivers: RefCell<BTreeMap<String, Receiver>>,
    pub arrived: RefCell<Vec<Arrived>>,
    pub told: RefCell<Vec<Request>>,
    pub registry_fails: Cell<bool>,
    pub log: RefCell<Vec<String>>,
    /// Those that are not counted yet.
    pub logged: RefCell<Vec<LoggedEvents>>,
    pub jitter: Cell<u16>,
    names: Cell<u32>,
    /// Attempts at the same time, now and at most.
    pub running: Cell<(usize, usize)>,
}

#[derive(Clone)]
pub struct Host(pub Rc<Shared>);

impl EventsHost for Host {
    fn now(&self) -> Millis {
        self.0.now.get()
    }

    fn jitter(&self) -> u16 {
        self.0.jitter.get()
    }

    fn random_name(&self) -> Option<String> {
        self.0.names.set(self.0.names.get() + 1);
        Some(format!("{:024}", self.0.names.get()))
    }

    fn with_store<T>(&self, work: impl FnOnce(&mut dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        work(&mut *self.0.store.borrow_mut())
    }

    async fn send(&self, request: &Outgoing) -> Result<Outcome, Failure> {
        let receiver = self.0.receivers.borrow().get(&request.url).cloned().unwrap_or(Receiver::Answers(200));
        self.0.arrived.borrow_mut().push(Arrived {
            at: self.0.now.get(),
            url: request.url.clone(),
            headers: request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: request.body.clone(),
        });
        let (running, most) = self.0.running.get();
        self.0.running.set((running + 1, most.max(running + 1)));
        let mut polls = 0;
        poll_fn(|_| {
            polls += 1;
            let ends = polls > 1 && !matches!(receiver, Receiver::NeverEnds);
            if ends { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let (running, most) = self.0.running.get();
        self.0.running.set((running - 1, most));
        match receiver {
            Receiver::Answers(status) => Ok(Outcome::Answered { status, retry_after: None }),
            Receiver::RetryAfter(status, value) => {
                Ok(Outcome::Answered { status, retry_after: Some(value.to_owned()) })
            }
            Receiver::Hangs => Err(Failure::Timeout),
            Receiver::Drips => {
                self.0.now.set(Millis(self.0.now.get().0 + i64::from(ATTEMPT_TIMEOUT_MS)));
                Ok(Outcome::Answered { status: 200, retry_after: None })
            }
            Receiver::Breaks | Receiver::NeverEnds => Err(Failure::Connection),
        }
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        Ok(signing::sign(key, text))
    }

    async fn ask_registry(&self, message: &str) -> Result<String, String> {
        if self.0.registry_fails.get() {
            return Err("the registry is unreachable".to_owned());
        }
        self.0.told.borrow_mut().push(serde_json::from_str(message).unwrap());
        Ok(r#""endpoints_noted""#.to_owned())
    }

    async fn set_alarm(&self, after_ms: i64) -> Result<(), String> {
        self.0.alarm.set(Some(after_ms));
        Ok(())
    }

    fn take_logged(&self) -> Vec<LoggedEvents> {
        self.0.logged.take()
    }

    fn log(&self, level: Level, event: &str, _: &[(&str, &str)]) {
        self.0.log.borrow_mut().push(event.to_owned());
        self.0.logged.borrow_mut().push(LoggedEvents { event: event.to_owned(), level, count: 1 });
    }
}

pub struct World {
    pub host: Host,
    pub object: EventsObject<Host>,
    pub endpoints: Vec<Endpoint>,
    pub seq: u64,
}

pub fn keyring() -> Keyring {
    Keyring::new(&Secret::parse(SECRET).unwrap(), None).unwrap()
}

fn settings() -> EventsSettings {
    let mut hosts = EventHosts::default();
    assert!(hosts.allow("*.example.com"));
    EventsSettings { keyring: keyring(), hosts, source: "https://gate.example/_keyward".to_owned() }
}

pub fn endpoint(name: &str) -> Endpoint {
    Endpoint {
        id: format!("ep_{name}"),
        url: format!("https://{name}.example.com/hook"),
        types: None,
        environments: None,
        secrets: Vec::new(),
        enabled_since: Some(0),
        revision: 1,
    }
}

pub fn poll_once<T>(work: std::pin::Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until the work is done: receivers answer at the second poll.
pub fn finish<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    for _ in 0..100_000 {
        if let Poll::Ready(result) = poll_once(work.as_mut()) {
            return result;
        }
    }
    panic!("it does not end")
}

impl World {
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        let host = Host(Rc::new(Shared {
            store: RefCell::new(SqliteStore::new()),
            now: Cell::new(NOW),
            alarm: Cell::new(None),
            alarms: Cell::new(0),
            receivers: RefCell::default(),
            arrived: RefCell::default(),
            told: RefCell::default(),
            registry_fails: Cell::new(false),
            log: RefCell::default(),
            logged: RefCell::default(),
            jitter: Cell::new(32_768),
            names: Cell::new(0),
            running: Cell::new((0, 0)),
        }));
        Self { object: EventsObject::new(host.clone(), Some(settings())), host, endpoints, seq: 0 }
    }

    /// Starts another instance: the first one's memory is lost.
    pub fn restart(&mut self) {
        self.object = EventsObject::new(self.host.clone(), Some(settings()));
    }

    /// Starts an instance whose configuration is invalid.
    pub fn restart_misconfigured(&mut self) {
        self.object = EventsObject::new(self.host.clone(), None);
    }

    /// Runs SQL that is not the object's.
    pub fn meddle(&self, sql: &str) {
        self.host.0.store.borrow().connection.execute_batch(sql).unwrap();
    }

    pub fn event(&mut self, kind: &str, environment: Option<Environment>) -> Event {
        self.seq += 1;
        let mut data = Map::new();
        data.insert("seq".to_owned(), json!(self.seq));
        data.insert("audit_seq".to_owned(), json!(self.seq));
        Event {
            id: format!("evt_{:024}", self.seq),
            seq: self.seq,
            at: self.host.0.now.get(),
            kind: kind.to_owned(),
            environment,
            data,
        }
    }

    pub fn news(&self, events: Vec<Event>) -> News {
        News { epoch: "1-a".to_owned(), at: self.seq, events, endpoints: self.endpoints.clone() }
    }

    pub fn ask(&self, request: &EventsRequest) -> EventsResponse {
        let message = serde_json::to_string(request).unwrap();
        let answer = finish(self.object.fetch(&message)).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    pub fn tell(&self, news: News) {
        assert_eq!(self.ask(&EventsRequest::News(news)), EventsResponse::Noted);
    }

    /// Tells one event of a live key.
    pub fn happen(&mut self, kind: &str) -> Event {
        let event = self.event(kind, Some(Environment::Live));
        self.tell(self.news(vec![event.clone()]));
        event
    }

    /// Lets the time pass and runs every alarm that falls due.
    pub fn pass(&self, ms: i64) {
        let end = Millis(self.host.0.now.get().0 + ms);
        while let Some(after) = self.host.0.alarm.get() {
            let at = Millis(self.host.0.now.get().0 + after);
            if at > end {
                self.host.0.alarm.set(Some(at.since(end)));
                break;
            }
            self.host.0.now.set(at);
            self.host.0.alarm.set(None);
            self.host.0.alarms.set(self.host.0.alarms.get() + 1);
            finish(self.object.alarm());
        }
        self.host.0.now.set(end);
    }

    pub fn receiver(&self, name: &str, receiver: Receiver) {
        self.host.0.receivers.borrow_mut().insert(format!("https://{name}.example.com/hook"), receiver);
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.host.0.arrived.borrow().clone()
    }

    pub fn arrived_at(&self, name: &str) -> Vec<Arrived> {
        let url = format!("https://{name}.example.com/hook");
        self.arrived().into_iter().filter(|arrived| arrived.url == url).collect()
    }

    pub fn list(&self, endpoint: Option<&str>, kind: Option<&str>, status: Option<DeliveryStatus>) -> DeliveryPage {
        let query = DeliveryQuery {
            endpoint: endpoint.map(str::to_owned),
            kind: kind.map(str::to_owned),
            status,
            limit: 200,
            before: None,
        };
        match self.ask(&EventsRequest::Deliveries(query)) {
            EventsResponse::Deliveries(page) => page,
            other => panic!("{other:?}"),
        }
    }

    pub fn test(&self, endpoint: Endpoint) -> EventsResponse {
        let request = RequestMeta { request_id: "req-1".to_owned(), client_address: None };
        let by = "wafl_admin_Owner0000001".to_owned();
        self.ask(&EventsRequest::Test(Box::new(TestOrder { endpoint, by, request })))
    }
}
