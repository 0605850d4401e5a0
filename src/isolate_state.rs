//! State of one isolate: configuration, gate, limiters and request ids.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::entropy::RequestIds;
use super::log::{Level, event};
use super::platform::Platform;
use super::{connections, glue, send};
use keyward_config::{Config, SETTINGS};
use keyward_control::certs::Certs;
use keyward_control::{Callers, LeakState, RevocationLimiter};
use keyward_edge::{Isolate, LookupSizes, Platform as _};
use keyward_gate::GateSizes;

/// State of one isolate for one `env`. A panic drops it, and the next request creates it again.
pub struct IsolateState {
    /// Number of the `env`.
    pub number: u32,
    /// The `env`, for connections that outlive the request that opened them.
    pub env: JsValue,
    /// `None` if the configuration is invalid; its problems were logged.
    pub config: Option<Config>,
    /// The gate and its lookups in flight.
    pub isolate: Isolate,
    /// Keys of the Access team; borrowed for one step at a time, never across an await or a crossing.
    pub certs: RefCell<Certs>,
    /// Rate limiter of revocations by holders, per client address.
    pub revocation_limiter: RefCell<RevocationLimiter>,
    /// State about callers of the control plane; borrowed for one step at a time.
    pub callers: RefCell<Callers>,
    /// State about leak reports.
    pub leaks: LeakState,
    ids: RefCell<RequestIds>,
}

thread_local! {
    static STATES: RefCell<Vec<(u32, Rc<IsolateState>)>> = const { RefCell::new(Vec::new()) };
}

impl IsolateState {
    /// Returns the state for this `env`, which has this number. The first request with an `env` creates its state. Variables and secrets can
    /// change during the lifetime of an isolate. They then arrive in another `env`, and everything derived from the old ones is dropped.
    /// During a gradual deployment two `env` alternate, so the previous state is kept too.
    pub fn of(env: &JsValue, number: u32) -> Rc<Self> {
        STATES.with(|states| {
            let existing = states.try_borrow().ok().and_then(|states| {
                states.iter().find(|(known, _)| *known == number).map(|(_, state)| Rc::clone(state))
            });
            existing.unwrap_or_else(|| {
                let state = Rc::new(Self::new(env, number));
                if let Ok(mut states) = states.try_borrow_mut() {
                    states.retain(|(known, _)| known.saturating_add(1) >= number);
                    states.push((number, Rc::clone(&state)));
                }
                state
            })
        })
    }

    /// Returns the state for the `env` of this number, or the newest one if that `env` was replaced. `None` before the first request.
    pub fn numbered(number: u32) -> Option<Rc<Self>> {
        STATES.with(|states| {
            let states = states.try_borrow().ok()?;
            let found = states.iter().find(|(known, _)| *known == number).or_else(|| states.last());
            found.map(|(_, state)| Rc::clone(state))
        })
    }

    fn new(env: &JsValue, number: u32) -> Self {
        let config = load_config(env);
        answer_failures(config.as_ref().map_or(0, |config| config.origin_timeout_seconds));
        connections::listen();
        Self {
            number,
            env: env.clone(),
            config,
            isolate: Isolate::new(GateSizes::default(), LookupSizes::default(), Platform::of(env).jitter()),
            certs: RefCell::default(),
            revocation_limiter: RefCell::default(),
            callers: RefCell::default(),
            leaks: LeakState::default(),
            ids: RefCell::new(RequestIds::new()),
        }
    }

    /// Returns a new `Keyward-Request-Id`; empty if the system has no entropy.
    pub fn request_id(&self) -> String {
        self.ids.try_borrow_mut().map(|mut ids| ids.next()).unwrap_or_default()
    }
}

/// Registers callbacks with the glue, which keeps them for the lifetime of the isolate: one creates the reply to a failed exchange with
/// the origin, the other logs a response that could not be edited.
fn answer_failures(timeout_seconds: u32) {
    let failed = Closure::<dyn Fn(String, String, String, bool) -> JsValue>::new(
        |request_id: String, code: String, cause: String, https: bool| send::failed(&request_id, &code, &cause, https),
    );
    glue::on_failed(&failed, timeout_seconds.saturating_mul(1000));
    failed.forget();
    let unedited = Closure::<dyn Fn(String, u16, String)>::new(|request_id: String, status: u16, cause: String| {
        let status = status.to_string();
        let fields = [("request_id", request_id.as_str()), ("status", &status), ("cause", &cause)];
        event(Level::Warn, "answer_not_edited", &fields);
    });
    glue::on_unedited(&unedited);
    unedited.forget();
}

/// Reads and checks the variables and bindings, and logs every problem.
pub fn load_config(env: &JsValue) -> Option<Config> {
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    let json = glue::variables(env, &names.join(",")).unwrap_or_default();
    let vars: Map<String, Value> = serde_json::from_str(&json).unwrap_or_default();
    let config = Config::parse(&vars);
    let missing = glue::missing_bindings(env);
    for binding in missing.split(',').filter(|name| !name.is_empty()) {
        let detail = "is missing: add the binding as in wrangler.toml";
        event(Level::Error, "misconfigured", &[("variable", binding), ("problem", detail)]);
    }
    if let Err(problems) = &config {
        for problem in problems {
            let fields = [("variable", problem.variable.as_str()), ("problem", problem.detail.as_str())];
            event(Level::Error, "misconfigured", &fields);
        }
    }
    config.ok().filter(|_| missing.is_empty())
}
