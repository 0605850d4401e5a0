//! Many isolates of one data centre, its cache and one authority, on virtual time: how often the authority is asked, and what an isolate
//! knows that is born when the authority is gone.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use keyward_edge::{Isolate, Level, Platform, RegistryFailure, RequestContext, decide, refresh, step};
use keyward_gate::{GateSizes, Step};
use keyward_http::head::Head;
use keyward_key::signing::{PublicKey, Signature, SigningKey};
use keyward_key::time::Millis;
use keyward_testkit::gate_world::{ClientRequest, Key, NOW, World};
use serde_json::json;

/// How far the clock goes at once.
const TICK: i64 = 5;
/// How long the data centre's cache takes, either way.
const CACHE: i64 = 5;
/// Between two requests of an isolate.
const EVERY: i64 = 20;

/// What is the same for all isolates.
struct Place {
    world: World,
    now: Cell<i64>,
    /// How long the authority takes.
    takes: i64,
    silent: Cell<bool>,
    /// How often it was asked.
    asked: Cell<u32>,
    /// How often the cache was.
    looked: Cell<u32>,
    /// How many requests had to wait.
    waited: Cell<u32>,
    /// Somebody pretends that somebody asks.
    forged: Cell<bool>,
    cache: RefCell<HashMap<String, (String, i64, i64)>>,
    logged: RefCell<Vec<String>>,
}

impl Place {
    fn new(takes: i64) -> (Rc<Self>, Key) {
        let mut world = World::new(&json!({}));
        let key = world.issue(1, |_| {});
        let place = Self {
            world,
            now: Cell::new(0),
            takes,
            silent: Cell::new(false),
            asked: Cell::new(0),
            looked: Cell::new(0),
            waited: Cell::new(0),
            forged: Cell::new(false),
            cache: RefCell::default(),
            logged: RefCell::default(),
        };
        (Rc::new(place), key)
    }

    fn context<'a>(&'a self, isolate: &'a Isolate, head: &'a Head<'a>) -> RequestContext<'a, Self> {
        RequestContext { isolate, config: &self.world.config, platform: self, head, request_id: "req-1" }
    }

    async fn sleep(&self, milliseconds: i64) {
        let until = self.now.get() + milliseconds;
        std::future::poll_fn(|_| if self.now.get() >= until { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

impl Platform for Place {
    fn now(&self) -> Millis {
        Millis(NOW.0 + self.now.get())
    }

    fn jitter(&self) -> u8 {
        0
    }

    fn log(&self, _: Level, event: &str, _: &[(&str, &str)]) {
        self.logged.borrow_mut().push(event.to_owned());
    }

    async fn kv_get(&self, name: &str) -> Result<Option<String>, String> {
        let record = self.world.authority.values().find(|record| name == format!("key:{}", record.id));
        Ok(record.map(|record| self.world.copy(record)))
    }

    async fn cache_get(&self, name: &str) -> Option<String> {
        self.looked.set(self.looked.get() + 1);
        self.sleep(CACHE).await;
        if self.forged.get() && name.ends_with("/asking") {
            return Some("forged".to_owned());
        }
        let cache = self.cache.borrow();
        let (text, from, until) = cache.get(name)?;
        (*from..*until).contains(&self.now.get()).then(|| text.clone())
    }

    fn cache_put(&self, name: &str, text: &str, seconds: u32) {
        let from = self.now.get() + CACHE;
        self.cache.borrow_mut().insert(name.to_owned(), (text.to_owned(), from, from + 1_000 * i64::from(seconds)));
    }

    async fn ask_registry(&self, message: &str, _: bool) -> Result<String, RegistryFailure> {
        if self.silent.get() {
            return Err("silent".to_owned().into());
        }
        self.asked.set(self.asked.get() + 1);
        self.sleep(self.takes / 2).await;
        let answer = keyward_testkit::authority::reply(&self.world, message)?;
        self.sleep(self.takes - self.takes / 2).await;
        Ok(answer)
    }

    async fn hold_key(&self, key: &SigningKey) -> Result<PublicKey, String> {
        Ok(keyward_testkit::signing::public_of(key))
    }

    async fn sign(&self, key: &SigningKey, text: &[u8]) -> Result<Signature, String> {
        Ok(keyward_testkit::signing::sign(key, text))
    }

    async fn pause(&self, milliseconds: u32) {
        self.sleep(milliseconds.into()).await;
    }
}

/// Isolates and what is under way in them.
struct Centre {
    place: Rc<Place>,
    key: Key,
    isolates: Vec<Rc<Isolate>>,
    tasks: Vec<Pin<Box<dyn Future<Output = ()>>>>,
    answers: Rc<RefCell<Vec<(usize, i64, bool)>>>,
}

impl Centre {
    fn new(takes: i64, isolates: u32) -> Self {
        let (place, key) = Place::new(takes);
        let mut centre = Self { place, key, isolates: Vec::new(), tasks: Vec::new(), answers: Rc::default() };
        for number in 0..isolates {
            centre.born((number * 97 % 256) as u8);
        }
        centre
    }

    fn born(&mut self, jitter: u8) -> usize {
        self.isolates.push(Rc::new(Isolate::new(GateSizes::default(), jitter)));
        self.isolates.len() - 1
    }

    /// What the worker does with a request.
    fn request(&mut self, number: usize) {
        let text = ClientRequest::new("GET /v1/contacts").key(&self.key).text();
        let (isolate, place) = (Rc::clone(&self.isolates[number]), Rc::clone(&self.place));
        let answers = Rc::clone(&self.answers);
        let head = Head::parse(&text).unwrap();
        let (step, due) = step(&place.context(&isolate, &head), place.now());
        if due {
            let (isolate, place) = (Rc::clone(&isolate), Rc::clone(&place));
            self.tasks.push(Box::pin(async move { refresh(&isolate, &place.world.config, &*place).await }));
        }
        let at = place.now.get();
        match step {
            Step::Forward(_) | Step::Sign(_) => answers.borrow_mut().push((number, at, true)),
            Step::Refuse(_) => answers.borrow_mut().push((number, at, false)),
            Step::Need(_) => {
                place.waited.set(place.waited.get() + 1);
                self.tasks.push(Box::pin(async move {
                    let head = Head::parse(&text).unwrap();
                    let decided = decide(&place.context(&isolate, &head)).await;
                    answers.borrow_mut().push((number, at, decided.is_ok()));
                }));
            }
        }
    }

    /// Lets so much time pass, under traffic in all of these isolates.
    fn run(&mut self, milliseconds: i64, isolates: std::ops::Range<usize>) {
        for _ in 0..milliseconds / TICK {
            self.place.now.set(self.place.now.get() + TICK);
            let now = self.place.now.get();
            for number in isolates.clone() {
                // Not all in the same moment.
                if (now + TICK * number as i64) % EVERY == 0 {
                    self.request(number);
                }
            }
            let mut context = Context::from_waker(Waker::noop());
            self.tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        }
    }
}

/// How often a second each of so many isolates asks the authority and looks into the cache, in steady traffic.
fn rates(takes: i64, isolates: u32) -> (f64, f64) {
    const SECONDS: i64 = 30;
    let mut centre = Centre::new(takes, isolates);
    let all = 0..centre.isolates.len();
    centre.run(10_000, all.clone());
    centre.place.asked.set(0);
    centre.place.looked.set(0);
    centre.run(1_000 * SECONDS, all);
    assert!(centre.answers.borrow().iter().all(|(.., accepted)| *accepted));
    let [asked, looked] =
        [&centre.place.asked, &centre.place.looked].map(|count| f64::from(count.get()) / SECONDS as f64);
    (asked, looked / f64::from(isolates))
}

#[test]
fn the_authority_is_asked_about_once_a_second_however_many_isolates_a_data_centre_has() {
    for takes in [20, 100, 200, 400] {
        for isolates in [1, 10, 40] {
            let (asked, looked) = rates(takes, isolates);
            println!(
                "it takes {takes} ms, {isolates} isolates: asked {asked:.2} times a second, each looked {looked:.2} times"
            );
            assert!(asked <= 2.0, "{takes} {isolates}: asked {asked} times a second");
            // One look is up to two reads: is there an answer, and does somebody ask.
            assert!(looked <= 8.0, "{takes} {isolates}: each looked {looked} times a second");
        }
    }
}

#[test]
fn a_sign_that_somebody_asks_delays_an_asking_and_never_past_the_bound() {
    let mut centre = Centre::new(100, 1);
    centre.run(10_000, 0..1);
    // Whoever can write to the cache says so for ever, and nobody asks.
    centre.place.forged.set(true);
    centre.place.asked.set(0);
    centre.place.waited.set(0);
    centre.run(60_000, 0..1);
    assert!(centre.place.asked.get() >= 12, "asked {} times a minute under a bound of 5 s", centre.place.asked.get());
    assert_eq!(centre.place.waited.get(), 0, "it is asked beside the requests, before the bound");
}

#[test]
fn an_isolate_that_is_born_in_an_outage_serves_although_none_was_born_there_for_long() {
    let mut centre = Centre::new(100, 2);
    centre.run(100_000, 0..2);
    centre.place.silent.set(true);
    centre.run(2_000, 0..2);
    let late = centre.born(7);
    centre.run(3_000, late..late + 1);
    let answers = centre.answers.borrow();
    let of_the_late: Vec<bool> =
        answers.iter().filter(|(number, ..)| *number == late).map(|(.., accepted)| *accepted).collect();
    assert!(of_the_late.len() > 100);
    assert!(of_the_late.iter().all(|accepted| *accepted), "{of_the_late:?}");
}

#[test]
fn what_another_secret_sealed_is_neither_found_nor_overwritten() {
    let mut centre = Centre::new(20, 1);
    centre.run(10_000, 0..1);
    let names: Vec<String> = centre.place.cache.borrow().keys().cloned().collect();
    let generation = centre.place.world.config.keyring.current().generation().as_str();
    let prefix = format!("changes/{generation}/");
    for name in ["fresh", "last", "asking", "snapshot/first"] {
        assert!(names.contains(&format!("{prefix}{name}")), "{name}: {names:?}");
    }
    assert!(names.iter().all(|name| name.starts_with(&prefix)), "{names:?}");
    assert!(centre.place.logged.borrow().is_empty());
}
