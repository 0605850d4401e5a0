//! `GET /_keyward/v1/session`: shows who is signed in, how, and until when. Like every request, it extends the session.

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, ServedOn, Spec, raw};
use keyward_key::mint::Minted;
use keyward_protocol::{MemberView, Raw, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::sessions::Session;
use keyward_registry::store::Store;

/// The request.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShowSession {}

/// How a member signed in.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SignedInBy {
    /// A session.
    Session,
    /// A credential in the request.
    Credential,
    /// Cloudflare Access.
    Access,
}

/// A session as responses show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    member: MemberView,
    signed_in_by: SignedInBy,
    /// End if nothing else is requested, RFC 3339. `None` without a session.
    expires_at: Option<String>,
    /// Latest end, RFC 3339. `None` without a session.
    latest_expires_at: Option<String>,
}

impl Shown {
    pub fn of(by: &Context<'_>, session: Option<&Session>, signed_in_by: SignedInBy) -> Result<Self, OperationError> {
        Ok(Self {
            member: by.member()?.view(by.now),
            signed_in_by,
            expires_at: session.map(|session| session.idle_expires_at().rfc3339()),
            latest_expires_at: session.map(|session| session.expires_at.rfc3339()),
        })
    }
}

/// The session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View of the member, and the session's ends.
    pub session: Raw,
}

impl ControlOperation for ShowSession {
    const SPEC: Spec = Spec {
        method: "GET",
        path: "v1/session",
        body: BodyKind::None,
        takes_query: false,
        access: Access::Roles(&Role::ALL),
        writes: false,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::Console;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(_: &Input<'_>) -> Result<Self, Failure> {
        Ok(Self {})
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, _: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        let signed_in_by = match (by.session, by.presented) {
            (Some(_), _) => SignedInBy::Session,
            (None, Some(_)) => SignedInBy::Credential,
            (None, None) => SignedInBy::Access,
        };
        Ok(Outcome { session: raw(&Shown::of(by, by.session, signed_in_by)?)? })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        Ok(input.ok(&outcome?.session))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "showSession",
  "tags": ["Session"],
  "summary": "Shows the session",
  "description": "Any role. Like every request without `Keyward-Console: background` it extends the session. Whoever signed in by credential or through Cloudflare Access has none, and its ends are null.",
  "security": [{"member": []}, {"access": []}],
  "responses": {
    "200": {
      "description": "The session",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Session"}}}
    }
  }
}"##;
