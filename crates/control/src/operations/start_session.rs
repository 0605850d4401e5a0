//! `POST /_keyward/v1/session`: signs a member in to the console. The answer sets the session cookie, and only its hash is stored.

use serde::{Deserialize, Serialize};

use super::show_session::{Shown, SignedInBy};
use crate::body::Fields;
use crate::credential::SystemEntropy;
use crate::failure::Failure;
use crate::operation::{Access, Answer, BodyKind, ControlOperation, Input, ServedOn, Spec, confused, raw};
use keyward_http::cookies::{SessionCookie, set_session};
use keyward_key::entropy::Entropy;
use keyward_key::hash::KeyHash;
use keyward_key::mint::Minted;
use keyward_key::session::{NewSession, SessionToken, mint_session, recognise_session};
use keyward_protocol::{Raw, Role};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::sessions;
use keyward_registry::store::{Store, StoreError};

/// The request.
#[derive(Serialize, Deserialize)]
pub struct StartSession {
    /// Hash of the new token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_hash: Option<KeyHash>,
    /// Hash of the token that the browser has now, whose session ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<KeyHash>,
    /// The new token, which stays in the isolate.
    #[serde(skip)]
    token: Option<SessionToken>,
}

/// The new session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// View of the member, and the session's ends.
    pub session: Raw,
    /// Whether a session began. Cloudflare Access signs in each request, so whoever it vouches for needs none.
    pub started: bool,
}

impl ControlOperation for StartSession {
    const SPEC: Spec = Spec {
        method: "POST",
        path: "v1/session",
        body: BodyKind::OptionalJson,
        takes_query: false,
        access: Access::Roles(&Role::ALL),
        writes: true,
        idempotent: false,
    };
    const SERVED_ON: ServedOn = ServedOn::Console;
    const OPEN_API: &'static str = OPEN_API;
    type Outcome = Outcome;

    fn parse(input: &Input<'_>) -> Result<Self, Failure> {
        Fields::none(input.body)?;
        let replaced = match input.session_cookie() {
            SessionCookie::One(text) => recognise_session(&input.config.keyring, text),
            SessionCookie::Absent | SessionCookie::Several => None,
        };
        Ok(Self { token_hash: None, replaced, token: None })
    }

    fn draw(&mut self, input: &Input<'_>, entropy: &mut dyn Entropy) -> Result<(), Failure> {
        let NewSession { token, hash } =
            mint_session(input.config.keyring.current(), &mut SystemEntropy(entropy))?;
        (self.token, self.token_hash) = (Some(token), Some(hash));
        Ok(())
    }

    fn authorise(_: Option<&Self>, _: &mut dyn Store, _: &Context<'_>) -> Result<(), OperationError> {
        Ok(())
    }

    fn handle(&self, store: &mut dyn Store, by: &Context<'_>) -> Result<Outcome, OperationError> {
        if by.presented.is_none() && by.session.is_none() {
            return Ok(Outcome { session: raw(&Shown::of(by, None, SignedInBy::Access)?)?, started: false });
        }
        let hash = self.token_hash.as_ref().ok_or_else(|| StoreError::new("the message lacks the session's hash"))?;
        let session = sessions::start(store, by, hash, self.replaced.as_ref())?;
        Ok(Outcome { session: raw(&Shown::of(by, Some(&session), SignedInBy::Session)?)?, started: true })
    }

    fn respond(
        self,
        input: &Input<'_>,
        outcome: Result<Outcome, Failure>,
        _: Option<&Minted>,
    ) -> Result<Answer, Failure> {
        let Outcome { session, started } = outcome?;
        if !started {
            return Ok(input.ok(&session));
        }
        let token = self.token.ok_or_else(confused)?;
        Ok(input.created(&session).setting_cookie(set_session(token.expose())))
    }
}

const OPEN_API: &str = r##"{
  "operationId": "startSession",
  "tags": ["Session"],
  "summary": "Signs in to the console",
  "description": "Any role, with a credential in `Authorization`. The answer sets the cookie `__Host-keyward`, which signs in the following requests of the browser on `CONTROL_HOST`. A session ends after 15 minutes without a request and after 8 hours. Whoever signs in through Cloudflare Access needs none, and gets 200 without a cookie.",
  "security": [{"member": []}, {"access": []}],
  "requestBody": {
    "required": false,
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Nothing"}}}
  },
  "responses": {
    "200": {
      "description": "Cloudflare Access signs in each request, so no session began",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Session"}}}
    },
    "201": {
      "description": "The session",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Set-Cookie": {"$ref": "#/components/headers/SessionCookie"}
      },
      "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Session"}}}
    }
  }
}"##;
