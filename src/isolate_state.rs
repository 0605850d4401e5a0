//! What one isolate keeps: its configuration, its gate, its request ids.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

use super::entropy::RequestIds;
use super::log::{Level, event};
use super::platform::Platform;
use super::{glue, send};
use keyward_config::{Config, VARIABLES};
use keyward_control::RevocationLimiter;
use keyward_control::certs::Certs;
use keyward_edge::{Isolate, Platform as _};
use keyward_gate::GateSizes;
use keyward_http::problem::Code;

/// One isolate's state for one `env`. A panic resets it, and the next request makes it anew.
pub struct IsolateState {
    /// `None` when the configuration is bad; its problems were logged.
    pub config: Option<Config>,
    /// The gate, and who is asking for it.
    pub isolate: Isolate,
    /// The keys of the Access team; borrowed for one step at a time, never across an await or a crossing.
    pub certs: RefCell<Certs>,
    /// Who has asked that keys be shut off, and how often.
    pub revocation_limiter: RefCell<RevocationLimiter>,
    ids: RefCell<RequestIds>,
}

thread_local! {
    static EDGES: RefCell<Vec<(u32, Rc<IsolateState>)>> = const { RefCell::new(Vec::new()) };
}

impl IsolateState {
    /// The isolate's state for this `env`, the `number`th that it was handed; made at the first request with it. Variables and
    /// secrets can change while an isolate lives, and come in another `env` then: what was derived of the old ones ends with them.
    /// The one before is kept too, while a deployment is gradual.
    pub fn of(env: &JsValue, number: u32) -> Rc<Self> {
        EDGES.with(|edges| {
            let kept = edges
                .try_borrow()
                .ok()
                .and_then(|edges| edges.iter().find(|(known, _)| *known == number).map(|(_, edge)| Rc::clone(edge)));
            kept.unwrap_or_else(|| {
                let edge = Rc::new(Self::new(env));
                if let Ok(mut edges) = edges.try_borrow_mut() {
                    edges.retain(|(known, _)| known.saturating_add(1) >= number);
                    edges.push((number, Rc::clone(&edge)));
                }
                edge
            })
        })
    }

    fn new(env: &JsValue) -> Self {
        let config = load_config(env);
        let answer =
            Closure::<dyn Fn(String, String, bool) -> JsValue>::new(|request_id: String, cause: String, late| {
                let code = if late { Code::OriginTimeout } else { Code::OriginUnreachable };
                event(Level::Warn, code.as_str(), &[("request_id", &request_id), ("cause", &cause)]);
                send::problem(&code.into(), &request_id)
            });
        let seconds = config.as_ref().map_or(0, |config| config.origin_timeout_seconds);
        glue::on_origin_failed(&answer, seconds.saturating_mul(1000));
        // The glue keeps it for as long as the isolate lives.
        answer.forget();
        Self {
            config,
            isolate: Isolate::new(GateSizes::default(), Platform::of(env).jitter()),
            certs: RefCell::default(),
            revocation_limiter: RefCell::default(),
            ids: RefCell::new(RequestIds::new()),
        }
    }

    /// A new `Keyward-Request-Id`.
    pub fn request_id(&self) -> String {
        self.ids.try_borrow_mut().map(|mut ids| ids.next()).unwrap_or_default()
    }
}

/// Reads and checks the variables and bindings; logs every problem at once.
pub fn load_config(env: &JsValue) -> Option<Config> {
    let json = glue::variables(env, &VARIABLES.join(",")).unwrap_or_default();
    let vars: Map<String, Value> = serde_json::from_str(&json).unwrap_or_default();
    let config = Config::parse(&vars);
    let missing = glue::missing_bindings(env);
    for binding in missing.split(',').filter(|name| !name.is_empty()) {
        let detail = "this binding is missing: see wrangler.toml";
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
