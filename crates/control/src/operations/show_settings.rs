//! `GET /_keyward/v1/settings`: shows the effective settings without secrets, the routes, the limits and the versions.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, Spec};
use keyward_config::{Config, EffectiveSetting, of_default};
use keyward_http::limits;
use keyward_key::mint::Minted;
use keyward_protocol::{MAX_LOOKUP_KEYS, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::sessions::{IDLE_SECONDS, LONGEST_SECONDS, SESSIONS_PER_MEMBER};
use keyward_registry::store::Store;
use keyward_registry::{meta, schema};

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowSettings {}

/// What the authority knows of its versions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Version of the schema.
    pub schema: u64,
    /// Name of the epoch.
    pub epoch: String,
    /// Number of the last change.
    pub revision: u64,
}

#[derive(Serialize)]
struct Shown {
    settings: Vec<ShownSetting>,
    routes: Vec<Value>,
    limits: Vec<ShownLimit>,
    versions: Versions,
}

#[derive(Serialize)]
struct ShownSetting {
    name: &'static str,
    value: Value,
    default: Option<Value>,
    is_set: bool,
    required: bool,
    secret: bool,
    meaning: &'static str,
}

#[derive(Serialize)]
struct ShownLimit {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Versions {
    worker: &'static str,
    schema: String,
    epoch: String,
    revision: String,
    /// Public names of the secrets that credentials are minted and recognised under.
    secret: String,
    secret_previous: Option<String>,
}

impl From<EffectiveSetting> for ShownSetting {
    fn from(EffectiveSetting { setting, value, is_set }: EffectiveSetting) -> Self {
        Self {
            name: setting.name,
            value,
            default: setting.default.map(of_default),
            is_set,
            required: setting.required,
            secret: setting.secret,
            meaning: setting.meaning,
        }
    }
}

impl ControlOperation for ShowSettings {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/settings",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&[Role::Owner, Role::Auditor]),
        writes: false,
        idempotent: false,
    };
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, _: &Context<'_>) -> Result<Outcome, OperationError> {
        Ok(Outcome {
            schema: schema::VERSION,
            epoch: meta::epoch(store)?.as_str().to_owned(),
            revision: meta::revision(store)?,
        })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let outcome = outcome?;
        Ok(input.ok(&Shown {
            settings: input.config.effective().into_iter().map(ShownSetting::from).collect(),
            routes: input.config.route_rows(),
            limits: limits(),
            versions: versions(input.config, outcome),
        }))
    }
}

fn versions(config: &Config, Outcome { schema, epoch, revision }: Outcome) -> Versions {
    let mut generations = config.keyring.generations().map(|derived| derived.generation().as_str().to_owned());
    Versions {
        worker: env!("CARGO_PKG_VERSION"),
        schema: schema.to_string(),
        epoch,
        revision: revision.to_string(),
        secret: generations.next().unwrap_or_default(),
        secret_previous: generations.next(),
    }
}

/// Returns the limits that callers and members meet. docs/reference/limits.md lists every one, with its reason.
fn limits() -> Vec<ShownLimit> {
    let row = |name: &'static str, value: String| ShownLimit { name, value };
    vec![
        row("Path and query of a request", format!("{} bytes", limits::TARGET_BYTES)),
        row("Headers of a request", format!("{}, {} bytes together", limits::HEADER_COUNT, limits::HEADER_BYTES)),
        row("Body of a control-plane request", format!("{} bytes", limits::BODY_BYTES)),
        row("Scopes of a key", format!("{}, {} bytes together", limits::SCOPES, limits::SCOPE_BYTES)),
        row("Networks of a key", limits::CIDRS.to_string()),
        row("Items on a page of a list", limits::PAGE_MOST.to_string()),
        row(
            "Control-plane requests with one credential or session, in each isolate",
            format!("{} a second", limits::CONTROL_REQUESTS_A_SECOND),
        ),
        row(
            "Refused sign-ins with one credential, in each isolate",
            format!("{} a second", limits::REFUSED_SIGN_INS_A_SECOND),
        ),
        row("Sessions of a member", SESSIONS_PER_MEMBER.to_string()),
        row("Session without a request", format!("{IDLE_SECONDS} seconds")),
        row("Session altogether", format!("{LONGEST_SECONDS} seconds")),
        row("Keys cached in an isolate", limits::REMEMBERED_KEYS.to_string()),
        row("Keys in one lookup", MAX_LOOKUP_KEYS.to_string()),
        row(
            "Revocations by holders from one address, in each isolate",
            format!("{} at once, then one in {} ms", limits::REVOCATIONS_AT_ONCE, limits::REVOCATION_MILLIS),
        ),
    ]
}

const OPEN_API: &str = r##"{
  "operationId": "showSettings",
  "tags": ["Documents"],
  "summary": "Shows the effective settings",
  "description": "Owner, auditor. Values of secrets are never shown.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "Settings, routes, limits and versions",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Settings"}}}
    }
  }
}"##;
