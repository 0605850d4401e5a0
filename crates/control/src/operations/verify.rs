//! `POST /_keyward/v1/verify`: checks whether a key permits a request that another worker or server has received.
//!
//! The gate's own checks decide, in the gate's order. The origin is not checked, because the caller handles the request itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};


use crate::body::{Fields, Json, invalid};
use crate::failure::Failure;
use crate::inspect::{Found, Inspected, inspect};
use crate::operation::{Access, Answer, BodyKind, ControlOperation, CountedRequest, Input, ServedOn, Spec};
use keyward_gate::leases::KeyLimits;
use keyward_gate::{Refusal, SubmittedKey, check_rights, cost_asked, scope_asked};
use keyward_http::address::parse_address;
use keyward_http::head::{BadHead, Head};
use keyward_http::problem::{Code, Problem};
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::scope::Scope;
use keyward_protocol::{Raw, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

/// The request.
#[derive(Serialize, Deserialize)]
pub struct Verify {
    /// Id of the key; `None` if the answer is already known to be negative.
    pub id: Option<KeyId>,
    #[serde(skip)]
    question: Option<Question>,
}

/// The registry's data about the key.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Key and time of the read.
    pub inspected: Inspected,
}

impl ControlOperation for Verify {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/verify",
        body: BodyKind::Json,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Verifier]),
        writes: false,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::EveryHost;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        let question = Question::parse(input)?;
        Ok(Self { id: question.key().map(|key| key.id().clone()), question: Some(question) })
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome { inspected: inspect(store, by, self.id.as_ref())? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let inspected = outcome?.inspected;
        let question = self.question.ok_or(Code::InternalError)?;
        let refused = |code: Code| input.reply(&Verdict { valid: false, key: None, code: Some(code.as_str()) });
        Ok(match question.decide(&inspected) {
            Err(code) => Answer::Reply(refused(code)),
            Ok(found) => {
                let permitted = input.reply(&Verdict { valid: true, key: Some(&found.key), code: None });
                let limits = KeyLimits::of_record(&found.record, input.config).filter(|_| question.counts);
                match limits {
                    None => Answer::Reply(permitted),
                    Some(limits) => Answer::Counted(Box::new(CountedRequest {
                        limits: Arc::new(limits),
                        cost: question.cost,
                        counted: permitted,
                        over_limit: refused(Code::RateLimited),
                    })),
                }
            }
        })
    }
}

/// The parsed question, which stays in the isolate.
struct Question {
    /// The key and the required scopes, or the code of a refusal that does not depend on the authority.
    checked: Result<(SubmittedKey, Vec<Scope>), Code>,
    /// Address of the client.
    ip: Option<String>,
    /// Whether the request counts against the limits of the key.
    counts: bool,
    /// Units that it costs.
    cost: u32,
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl Question {
    /// Parses `{"api_key", "method"?, "path"?, "scope"?, "ip"?, "count"?}`. `method` and `path` must be sent together.
    fn parse(input: &Input<'_>) -> Result<Self, Problem> {
        let mut fields = Fields::parse(input.body, &["api_key", "method", "path", "scope", "ip", "count"])?;
        let Json::Text(api_key) = fields.require("api_key")? else {
            return Err(invalid("api_key", "This must be a string."));
        };
        let [method, path, scope, ip] = ["method", "path", "scope", "ip"].map(|name| string(&mut fields, name));
        let (method, path, ip) = (method?, path?, ip?);
        let mut scopes = Vec::new();
        if let Some(text) = scope? {
            let form = "This must be a scope: 1 to 64 of a-z, 0-9, `:`, `.`, `_`, `-`, beginning with a letter.";
            scopes.push(Scope::parse(&text).ok_or_else(|| invalid("scope", form))?);
        }
        if ip.as_ref().is_some_and(|text| parse_address(text).is_none()) {
            return Err(invalid("ip", "This must be an IPv4 or IPv6 address."));
        }
        let counts = fields.flag("count")?;
        let needed = match (&method, &path) {
            (Some(method), Some(path)) => scope_of(input, method, path),
            (None, None) => Ok((None, 1)),
            (Some(_), None) => return Err(invalid("path", "This is required together with `method`.")),
            (None, Some(_)) => return Err(invalid("method", "This is required together with `path`.")),
        };
        let cost = needed.as_ref().map_or(1, |(_, cost)| *cost);
        let checked = needed.and_then(|(needed, _)| {
            scopes.extend(needed);
            Ok((SubmittedKey::recognise(input.config, &api_key).map_err(code)?, scopes))
        });
        Ok(Self { checked, ip, counts, cost })
    }

    /// Returns the key, unless the answer is already known to be negative.
    fn key(&self) -> Option<&SubmittedKey> {
        self.checked.as_ref().ok().map(|(key, _)| key)
    }

    fn decide<'i>(&self, inspected: &'i Inspected) -> Result<&'i Found, Code> {
        let (key, scopes) = self.checked.as_ref().map_err(|code| *code)?;
        let found = inspected.found.as_ref();
        key.check_alive(found.map(|found| &found.record), inspected.at).map_err(code)?;
        let found = found.ok_or(Code::InvalidKey)?;
        check_rights(&found.record, scopes, self.ip.as_deref()).map_err(code)?;
        Ok(found)
    }
}

fn code(refusal: Refusal) -> Code {
    refusal.problem.code
}

/// Takes an optional text.
fn string(fields: &mut Fields, name: &str) -> Result<Option<String>, Problem> {
    match fields.take(name) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(name, "This must be a string.")),
    }
}

/// Returns the scope that the route table requires for this method and path, on the host of this request, and the cost.
fn scope_of(input: &Input<'_>, method: &str, path: &str) -> Result<(Option<Scope>, u32), Code> {
    // A head consists of lines, so neither value may contain a line feed.
    if method.contains(char::is_control) {
        return Err(Code::MethodNotAllowed);
    }
    if !path.starts_with('/') || path.contains(char::is_control) {
        return Err(Code::BadPath);
    }
    let text = format!("{}\n{method}\n{}{path}\n", input.head.now().0, input.head.base());
    let described = Head::parse(&text).map_err(BadHead::code)?;
    let scope = scope_asked(input.config, &described).map_err(code)?.cloned();
    Ok((scope, cost_asked(input.config, &described)))
}

const OPEN_API: &str = r##"{
  "operationId": "verifyKey",
  "tags": ["Gateways"],
  "summary": "Checks whether a key permits a request",
  "description": "Owner, verifier. Every request queries the authority. A key outside the caller's environments counts as unknown.",
  "security": [{"member": []}, {"access": []}],
  "requestBody": {
    "required": true,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Question"}}}
  },
  "responses": {
    "200": {
      "description": "The gate's decision",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Verdict"}}}
    }
  }
}"##;
