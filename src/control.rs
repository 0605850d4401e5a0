//! The control plane's way: transport, sign-in, body, command, registry, answer.

use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};

use super::isolate_state::IsolateState;
use super::entropy::System;
use super::log::{Level, event};
use super::platform::Platform;
use super::{access, audit_stream, authorize, glue, key_endpoints, send};
use keyward_config::Config;
use keyward_control::{self, Asked, BodyKind, Endpoint, Prepared, SignIn, Unprepared};
use keyward_edge::registry::{Unreachable, ask};
use keyward_edge::signing;
use keyward_http::forwarded_request::{ForwardAuthError, is_asking};
use keyward_http::head::Head;
use keyward_http::limits::BODY_BYTES;
use keyward_http::problem::{Code, Problem};
use keyward_key::keyring::DerivedKeys;
use keyward_protocol::{
    Caller, Command, ControlRequest, Operation, Outcome, RawOutcome, Rejection, Request, RequestMeta, Response,
};

/// Serves a request to one of Keyward's own paths. Health, documents and the problem pages need no member.
pub async fn serve(
    edge: Rc<IsolateState>,
    config: &Config,
    request: JsValue,
    env: JsValue,
    context: &JsValue,
    head: &Head<'_>,
    id: &str,
) -> JsValue {
    match keyward_control::find(head.method(), head.target().path()) {
        Ok(Endpoint::Authorize) => authorize::serve(edge, config, &env, context, head, id).await,
        _ if is_asking(head) => authorize::refuse(ForwardAuthError::WrongPath.into(), id),
        Ok(Endpoint::Health) => send::reply(&keyward_control::health(edge.config.is_some(), id)),
        Ok(Endpoint::Jwks) => {
            let keys: Vec<_> = config.keyring.generations().map(DerivedKeys::assertion).collect();
            signing::hold(&Platform::of(&env), &keys, id).await;
            send::reply(&keyward_control::jwks(config, id))
        }
        Ok(Endpoint::ProblemPage(code)) => send::problem_page(code, id),
        Ok(Endpoint::OpenApi) => send::open_api(id),
        Ok(Endpoint::Metadata) => send::reply(&keyward_control::metadata(config, head, id)),
        Ok(Endpoint::Operation(operation, segment)) => {
            let way = ControlContext { edge: &edge, config, env: &env, head, operation, request_id: id };
            if matches!(operation, Operation::Verify | Operation::Introspect | Operation::RevokeByHolder) {
                return key_endpoints::serve(&way, &request).await;
            }
            match way.operate(&request, segment).await {
                Ok(response) => response,
                Err(problem) => send::problem(&problem, id),
            }
        }
        Err(problem) => send::problem(&problem, id),
    }
}

/// One request for an operation.
pub(super) struct ControlContext<'a> {
    pub(super) edge: &'a IsolateState,
    pub(super) config: &'a Config,
    env: &'a JsValue,
    pub(super) head: &'a Head<'a>,
    pub(super) operation: Operation,
    pub(super) request_id: &'a str,
}

impl ControlContext<'_> {
    /// 1. Transport: HTTPS, no other site's page, JSON.
    /// 2. Sign-in, as far as form and tag, or the signature of Access, tell: strangers cost nothing more.
    /// 3. Body, and the command it makes.
    /// 4. The registry: who the caller is, what they may do, and the change itself in one transaction.
    async fn operate(&self, request: &JsValue, segment: &str) -> Result<JsValue, Problem> {
        keyward_control::check_transport(self.config, self.head, self.operation)?;
        let caller = self.sign_in().await?;
        let body = match keyward_control::body_kind(self.operation) {
            BodyKind::None => Vec::new(),
            BodyKind::Json | BodyKind::OptionalJson | BodyKind::Form => read_body(request).await?,
        };
        let asked = Asked { config: self.config, head: self.head, operation: self.operation, id: segment, body: &body };
        let mut attempts = 3_u8;
        loop {
            let mut wrong = None;
            let prepared = match keyward_control::prepare(&asked, &mut System) {
                Ok(prepared) => prepared,
                Err(Unprepared::Wrong(problem)) => {
                    wrong = Some(problem);
                    let command = Command::Authorise { operation: self.operation };
                    Prepared { command, api_key: None, idempotency: None }
                }
                Err(Unprepared::Entropy) => return Err(self.fault("entropy_failed")),
            };
            let control = ControlRequest {
                caller: caller.clone(),
                origin: self.provenance(),
                command: prepared.command,
                idempotency: prepared.idempotency,
            };
            // Read before asking: what is learned while the answer is on its way may be newer than the answer.
            let known = self.edge.isolate.gate().map_or(0, |gate| gate.known_revision());
            match (self.ask(control).await?, wrong) {
                (Response::Done(Outcome::Authorised), Some(problem)) => return Err(problem),
                (Response::Done(Outcome::Audit { entries, more }), _) if keyward_control::read_audit::wants_lines(self.head) => {
                    return audit_stream::begin(self.env.clone(), caller, self.provenance(), entries, more);
                }
                (Response::Done(Outcome::Replayed { done, nonce, minted_under }), _) => {
                    // An isolate that is older than the secret can't make that credential again; a newer one can.
                    let again = keyward_control::derive_again(&asked, &done, &nonce, &minted_under);
                    let Some((done, api_key)) = again else {
                        event(Level::Error, "replay_failed", &[("request_id", self.request_id)]);
                        return Err(Code::AuthorityUnavailable.into());
                    };
                    return Ok(self.answer(&done, Some(&api_key)));
                }
                (Response::Done(done), _) => {
                    self.compare_with_feed(&done, known);
                    if matches!(self.operation, Operation::AuditCheckpoint | Operation::AuditKey) {
                        let keys: Vec<_> = self.config.keyring.generations().map(DerivedKeys::checkpoint).collect();
                        signing::hold(&Platform::of(self.env), &keys, self.request_id).await;
                    }
                    if let Outcome::AuditHead { size, hash } = &done {
                        return self.checkpoint(*size, hash).await;
                    }
                    return Ok(self.answer(&done, prepared.api_key.as_ref()));
                }
                // 71 bits of identifier collided: mint another.
                (Response::Refused(Rejection::IdTaken), _) if attempts > 0 => attempts = attempts.saturating_sub(1),
                (Response::Refused(refused), _) => return Err(self.refused(&refused)),
                (Response::Record { .. } | Response::Changes { .. }, _) => return Err(self.fault("registry_confused")),
            }
        }
    }

    pub(super) async fn sign_in(&self) -> Result<Caller, Problem> {
        let refused = |why: keyward_control::NotSignedIn| {
            self.note(Level::Info, "sign_in_refused", ("reason", &format!("{why:?}")));
            match why.code() {
                Code::MissingKey => {
                    let detail = "Sign in with `Authorization: Bearer` and a member's credential.";
                    Problem::detailed(Code::MissingKey, detail)
                }
                code => code.into(),
            }
        };
        let assertion = match keyward_control::sign_in(self.config, self.head, self.operation).map_err(refused)? {
            SignIn::Caller(caller) => return Ok(caller),
            SignIn::Access(assertion) => assertion,
        };
        let settings = self.config.access.as_ref().ok_or(Code::MissingKey)?;
        access::verify(self.edge, settings, assertion, self.request_id).await.map_err(|why| match why {
            access::Unverified::Refused(why) => refused(why),
            access::Unverified::Unavailable => Code::AuthorityUnavailable.into(),
        })
    }

    /// Transport alone: HTTPS, no other site's page, JSON where JSON is due.
    pub(super) fn check_transport(&self) -> Result<(), Problem> {
        keyward_control::check_transport(self.config, self.head, self.operation)
    }

    /// Asks the registry for a command that no `Idempotency-Key` counts for.
    pub(super) async fn command(&self, caller: Caller, command: Command) -> Result<Response<RawOutcome>, Problem> {
        self.ask(ControlRequest { caller, origin: self.provenance(), command, idempotency: None }).await
    }

    /// A refusal of the registry, logged with its inner reason.
    pub(super) fn refused(&self, refused: &Rejection) -> Problem {
        let reason = format!("{refused:?}");
        self.note(Level::Info, "operation_refused", ("reason", &reason));
        keyward_control::problem_of(refused)
    }

    async fn ask(&self, control: ControlRequest) -> Result<Response<RawOutcome>, Problem> {
        ask(&Platform::of(self.env), &Request::Control(Box::new(control))).await.map_err(|Unreachable(cause)| {
            self.note(Level::Error, "authority_silent", ("cause", &cause));
            Code::AuthorityUnavailable.into()
        })
    }

    /// A log that is shorter than this isolate knew it was is one that was restored, or cut off.
    fn compare_with_feed(&self, done: &RawOutcome, known: u64) {
        let Outcome::AuditHead { size, .. } = done else { return };
        if *size < known {
            let (size, known) = (size.to_string(), known.to_string());
            event(Level::Error, "audit_log_shrank", &[("known_revision", &known), ("size", &size)]);
        }
    }

    async fn checkpoint(&self, size: u64, hash: &str) -> Result<JsValue, Problem> {
        let text = keyward_control::checkpoint_text(self.config, size, hash).ok_or_else(|| self.fault("audit_head_broken"))?;
        let key = self.config.keyring.current().checkpoint();
        let signed = signing::sign(&Platform::of(self.env), key, &text, self.request_id).await;
        let signature = signed.map_err(|refusal| refusal.problem)?;
        Ok(send::reply(&keyward_control::checkpoint(self.config, &text, &signature, self.request_id)))
    }

    fn provenance(&self) -> RequestMeta {
        RequestMeta {
            request_id: self.request_id.to_owned(),
            client_address: self.head.client_address().map(|address| address.chars().take(64).collect()),
        }
    }

    fn answer(&self, done: &RawOutcome, api_key: Option<&keyward_key::mint::ApiKey>) -> JsValue {
        send::reply(&keyward_control::answer(self.config, self.operation, done, api_key, self.request_id))
    }

    pub(super) fn note(&self, level: Level, name: &str, field: (&str, &str)) {
        event(level, name, &[field, ("request_id", self.request_id)]);
    }

    pub(super) fn fault(&self, name: &str) -> Problem {
        event(Level::Error, name, &[("request_id", self.request_id)]);
        Code::InternalError.into()
    }
}

pub(super) async fn read_body(request: &JsValue) -> Result<Vec<u8>, Problem> {
    let most = u32::try_from(BODY_BYTES).unwrap_or(u32::MAX);
    let body = glue::read_body(request, most)
        .await
        .map_err(|_| Problem::detailed(Code::InvalidRequest, "The body did not arrive whole. Send it again."))?;
    let bytes = body.dyn_ref::<js_sys::Uint8Array>().ok_or(Code::BodyTooLarge)?;
    Ok(bytes.to_vec())
}
