//! The flow of a request to one of Keyward's own paths: route, transport, sign-in, body, registry, response.

use std::cell::RefCell;

use super::audit_stream::AuditStream;
use super::callers::{Callers, Standing};
use super::console::ConsoleReply;
use super::failure::Failure;
use super::guard::{NoAnswer, refused_before};
use super::leaks::LeakState;
use super::oauth::{self, Challenge, OAuthError};
use super::operation::{Access, Answer, BodyKind, CountedRequest, Input, confused};
use super::operations::Operation;
use super::platform::{AccessFailure, BodyError, ControlPlatform};
use super::revocation_limiter::RevocationLimiter;
use super::route::{Endpoint, find};
use super::sign_in::{NotSignedIn, SignIn, confirmation, sign_in};
use super::text::TextParser;
use super::transport::{check_console, check_transport};
use super::{
    authorize, checkpoint, console, events_query, health, jwks, leaks, metadata, metrics, problem_page, rejection,
    usage_query,
};
use keyward_edge::entry::refuse_gateway;
use keyward_edge::{BackgroundReport, Level, Platform, RequestContext, exposures, leases, reports, signing};
use keyward_http::forwarded_request::{AUTHORIZE, ForwardAuthError, is_asking};
use keyward_http::limits::BODY_BYTES;
use keyward_http::problem::{Code, Problem};
use keyward_http::rate_limit::fields_of;
use keyward_http::reply::Reply;
use keyward_http::route::is_own_path;
use keyward_key::exposure::ExposureKind;
use keyward_key::id::KeyId;
use keyward_key::keyring::DerivedKeys;
use keyward_protocol::{Caller, ControlRequest, Raw, Rejection, RequestMeta, Response, SubmittedHash};

/// Maximum number of attempts to mint a credential. Another attempt is made only if the 71 random bits of an identifier collide.
const MINT_ATTEMPTS: u8 = 4;

/// Context of one control-plane request.
pub struct ControlContext<'a, P, C> {
    /// Context of the request.
    pub request: RequestContext<'a, P>,
    /// Port to the event.
    pub event: &'a C,
    /// Rate limiter of revocations by holders.
    pub revocation_limiter: &'a RefCell<RevocationLimiter>,
    /// The isolate's state about callers.
    pub callers: &'a RefCell<Callers>,
    /// The isolate's state about leak reports.
    pub leaks: &'a LeakState,
}

/// A response of the control plane.
pub enum ControlReply {
    /// A complete response.
    Reply(Reply),
    /// The OpenAPI document, which the platform serves, with this head.
    OpenApi(Reply),
    /// The audit log as a stream.
    Lines(AuditStream),
    /// A file of the console, which the platform stores.
    Console(ConsoleReply),
}

impl From<Reply> for ControlReply {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Serves a request to one of Keyward's own paths, or any request on `CONTROL_HOST`.
pub async fn serve<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> ControlReply {
    let head = context.request.head;
    // A reply to a gateway concerns another host. Its transport headers would reach that host's clients, so it has none.
    let below = head.target().path().strip_prefix(AUTHORIZE);
    let is_for_gateway = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let https = head.https() && !is_for_gateway;
    match serve_path(context).await {
        ControlReply::Reply(reply) => ControlReply::Reply(reply.over(https)),
        ControlReply::OpenApi(head) => ControlReply::OpenApi(head.over(https)),
        ControlReply::Lines(stream) => ControlReply::Lines(stream.over(https)),
        ControlReply::Console(ConsoleReply { file, head }) => {
            ControlReply::Console(ConsoleReply { file, head: head.over(https) })
        }
    }
}

async fn serve_path<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> ControlReply {
    let RequestContext { config, platform, head, request_id: id, .. } = context.request;
    if !is_own_path(head.target().path()) {
        return console::serve(context);
    }
    let found = find(head.method(), head.target().path(), config.host_role(head));
    if !matches!(found, Ok((Endpoint::Authorize, _))) && is_asking(head) {
        return refuse_gateway(platform, ForwardAuthError::WrongPath.into(), id).into();
    }
    match found {
        Ok((Endpoint::Authorize, _)) => authorize::serve(context).await.into(),
        Ok((Endpoint::Health, _)) => health::health(true, id).into(),
        Ok((Endpoint::Jwks, _)) => {
            let keys: Vec<_> =
                config.keyring.generations().flat_map(|derived| [derived.assertion(), derived.events()]).collect();
            signing::hold(platform, &keys, id).await;
            jwks::jwks(config, id).into()
        }
        Ok((Endpoint::ProblemPage, name)) => match Code::ALL.iter().find(|code| code.as_str() == name) {
            Some(code) => problem_page::problem_page(*code, &context.event.advice(*code), id).into(),
            None => Reply::problem(&Code::NoRoute.into(), id).into(),
        },
        Ok((Endpoint::OpenApi, _)) => ControlReply::OpenApi(Reply::document_head(id)),
        Ok((Endpoint::ClaimPage, _)) => console::serve_page(context),
        Ok((Endpoint::Metadata, _)) => metadata::metadata(config, head, id).into(),
        Ok((Endpoint::Leak(receiver), _)) => {
            leaks::serve(context, receiver).await.unwrap_or_else(|failure| context.fail(&failure)).into()
        }
        Ok((Endpoint::Operation(operation), segment)) => {
            context.operate(operation, segment).await.unwrap_or_else(|failure| context.fail(&failure).into())
        }
        Err(problem) => Reply::problem(&problem, id).into(),
    }
}

/// Creates the message that requests an operation from the registry. Without a command, the registry checks only the permission.
#[must_use]
pub fn control_request(
    operation: Operation,
    caller: Caller,
    request: RequestMeta,
    command: Option<Raw>,
) -> ControlRequest {
    ControlRequest {
        caller,
        request,
        operation: operation.as_str().to_owned(),
        writes: operation.spec().writes && command.is_some(),
        command,
        credential: None,
        idempotency: None,
        precondition: None,
        confirmation: None,
    }
}

/// An authenticated caller.
struct SignedIn {
    caller: Caller,
    /// Scheme of an OAuth client. The challenge of a 401 uses the same scheme.
    challenge: Option<Challenge>,
}

impl<P: Platform, C: ControlPlatform> ControlContext<'_, P, C> {
    /// Runs one operation.
    ///
    /// 1. Transport: HTTPS, no page of another site, the right media type.
    /// 2. Sign-in, by the credential's form and tag or by the signature of Access. Unknown callers cause no query to the registry.
    /// 3. The body.
    /// 4. The registry, in one query: caller, role and operation.
    async fn operate(&self, operation: Operation, segment: &str) -> Result<ControlReply, Failure> {
        let spec = operation.spec();
        check_transport(self.request.config, self.request.head, spec.body)
            .inspect_err(|problem| self.report_credential(problem.code))?;
        let signed_in = self.signed_in(operation).await?;
        let body = if spec.body == BodyKind::None { Vec::new() } else { self.body().await? };
        let nfc = |text: &str| self.event.nfc(text);
        let input = Input {
            config: self.request.config,
            head: self.request.head,
            id: segment,
            body: &body,
            text: TextParser::new(&nfc).refusing_keys(&self.request.config.prefix),
            request_id: self.request.request_id,
        };
        let answer = self.ask_for(operation, &input, signed_in.as_ref()).await?;
        self.complete(answer, signed_in).await
    }

    /// Reports a member's credential that a page of another site sent.
    fn report_credential(&self, code: Code) {
        let RequestContext { isolate, config, head, request_id, .. } = self.request;
        if code != Code::CrossSite {
            return;
        }
        if let Ok((Caller::Credential { id, key_hash }, _)) = oauth::client(config, head) {
            let exposed = (ExposureKind::Browser, vec![SubmittedHash { id, key_hash }]);
            let report = exposures::report_of(isolate, config, head, exposed, request_id);
            report.into_iter().for_each(|report| self.event.report_in_background(BackgroundReport::Exposure(report)));
        }
    }

    /// Authenticates the caller. `None` for an operation whose caller is the holder of the key or claim's secret in its body.
    async fn signed_in(&self, operation: Operation) -> Result<Option<SignedIn>, Failure> {
        let spec = operation.spec();
        if matches!(spec.access, Access::KeyHolder | Access::Claimant) {
            return Ok(None);
        }
        if spec.body == BodyKind::Form {
            let client = oauth::client(self.request.config, self.request.head).map_err(|challenge| {
                self.log(Level::Info, "sign_in_refused", ("reason", "OAuth client"));
                OAuthError::Client(challenge)
            });
            let (caller, challenge) = client?;
            return Ok(Some(SignedIn { caller, challenge: Some(challenge) }));
        }
        let refuse = |code: Code, reason: &str| {
            self.log(Level::Info, "sign_in_refused", ("reason", reason));
            match code {
                Code::MissingKey => {
                    let detail = "Sign in with `Authorization: Bearer` and a member's credential.";
                    Problem::detailed(Code::MissingKey, detail)
                }
                code => code.into(),
            }
        };
        let caller = match sign_in(self.request.config, self.request.head, operation) {
            Ok(SignIn::Caller(caller)) => caller,
            Ok(SignIn::Access(token, settings)) => match self.event.verify_access(token, settings).await {
                Ok(email) => Caller::Access { email },
                Err(AccessFailure::Refused(reason)) => {
                    return Err(refuse(Code::InvalidKey, &format!("Access({reason})")).into());
                }
                Err(AccessFailure::Unavailable(cause)) => {
                    self.log(Level::Warn, "access_certs_failed", ("cause", &cause));
                    return Err(Code::AuthorityUnavailable.into());
                }
            },
            Err(NotSignedIn::DataKey(id)) => {
                self.log_refusal("sign_in_refused", "DataKey", Some(&id));
                return Err(Code::InvalidKey.into());
            }
            Err(why) => return Err(refuse(why.code(), &format!("{why:?}")).into()),
        };
        if let Caller::Session { .. } = caller {
            check_console(self.request.head, spec.body)?;
        }
        Ok(Some(SignedIn { caller, challenge: None }))
    }

    /// Counts a revocation by a holder. Only a text with our tag counts, because other texts cause no query to the registry. They must not
    /// prevent other clients at the same address from revoking.
    fn limit_revocations(&self) -> Result<(), Problem> {
        const DETAIL: &str = "Too many revocations from this address. Retry after the time in `Retry-After`.";
        let Ok(mut limiter) = self.revocation_limiter.try_borrow_mut() else { return Ok(()) };
        let taken = limiter.take(self.request.head.client_address(), self.request.head.now());
        taken.map_err(|seconds| Problem::rate_limited(DETAIL, seconds))
    }

    async fn body(&self) -> Result<Vec<u8>, Problem> {
        self.event.read_body(BODY_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge => Code::BodyTooLarge.into(),
            BodyError::Incomplete => Problem::detailed(Code::InvalidRequest, "The body is incomplete. Send it again."),
        })
    }

    /// Parses the request, queries the registry, and creates the operation's answer.
    async fn ask_for(
        &self,
        operation: Operation,
        input: &Input<'_>,
        signed_in: Option<&SignedIn>,
    ) -> Result<Answer, Failure> {
        if let Some(signed_in) = signed_in {
            self.admit_member(signed_in)?;
            // An incident may need 2,000 claims, which are minted only for a role that may open one.
            if operation == Operation::OpenIncident {
                self.check_role(operation, signed_in).await?;
            }
        }
        let mut attempts = MINT_ATTEMPTS;
        loop {
            let prepared = match operation.prepare(input, &mut self.event.entropy()) {
                Ok(prepared) => prepared,
                Err(failure @ Failure::Fault { .. }) => return Err(failure),
                Err(failure) => return Err(self.refuse_input(operation, signed_in, failure).await),
            };
            if matches!(prepared.holder, Some(Caller::Holder { .. })) {
                self.limit_revocations()?;
            }
            let Some(caller) = prepared.holder.clone().or_else(|| signed_in.map(|signed_in| signed_in.caller.clone()))
            else {
                // The body contains no key or secret of ours, so it has no holder.
                let failure = match operation.spec().access {
                    Access::Claimant => self.refuse_claimant(input.id),
                    _ => Code::InvalidKey.into(),
                };
                return prepared.respond(input, Err(failure));
            };
            if signed_in.is_none() {
                self.admit(&caller)?;
            }
            self.limit(operation, &caller)?;
            let by_session = matches!(caller, Caller::Session { .. });
            let control = ControlRequest {
                confirmation: confirmation(self.request.config, self.request.head).filter(|_| by_session),
                credential: prepared.credential.clone(),
                idempotency: prepared.idempotency.clone(),
                precondition: prepared.precondition.clone(),
                ..control_request(operation, caller, self.meta(), Some(prepared.command.clone()))
            };
            // Read before the query: a revision learned while the answer is in transit may be newer than the answer.
            let known = self.request.isolate.gate().map_or(0, |gate| gate.known_revision());
            attempts = attempts.saturating_sub(1);
            return match self.ask(control).await? {
                Response::Done(outcome) => {
                    self.log_done(operation, prepared.holder.as_ref());
                    let answer = prepared.respond(input, Ok(outcome))?;
                    self.compare_with_feed(&answer, known);
                    Ok(answer)
                }
                Response::Replayed { outcome, nonce, minted_under } => {
                    prepared.replay(input, outcome, &nonce, &minted_under)
                }
                Response::Refused(Rejection::IdTaken) if attempts > 0 => continue,
                Response::Refused(refused) => {
                    let failure = match &prepared.holder {
                        Some(Caller::Claimant { id, .. }) => self.refused_claimant(&refused, id),
                        _ => self.refused(&refused, signed_in),
                    };
                    prepared.respond(input, Err(failure))
                }
                Response::Authorised
                | Response::Reported
                | Response::UsageNoted
                | Response::EndpointsNoted
                | Response::Records { .. }
                | Response::Changes { .. } => Err(confused()),
            };
        }
    }

    /// Counts a request of a caller who signed in, before any work is done for it.
    ///
    /// # Errors
    /// 429 `rate_limited`, or the refusal of a credential that the authority has refused before.
    fn admit_member(&self, signed_in: &SignedIn) -> Result<(), Failure> {
        match self.admit(&signed_in.caller)? {
            Standing::Refused(refused) => Err(self.refused(&refused_before(refused), Some(signed_in))),
            Standing::Accepted | Standing::Unknown => Ok(()),
        }
    }

    /// Asks the registry whether the caller's role permits an operation, without doing it.
    ///
    /// # Errors
    /// The failure to answer with.
    async fn check_role(&self, operation: Operation, signed_in: &SignedIn) -> Result<(), Failure> {
        match self.ask(control_request(operation, signed_in.caller.clone(), self.meta(), None)).await? {
            Response::Authorised => Ok(()),
            Response::Refused(refused) => Err(self.refused(&refused, Some(signed_in))),
            _ => Err(confused()),
        }
    }

    /// Answers an invalid request. Only callers with permission for the operation learn the reason.
    async fn refuse_input(&self, operation: Operation, signed_in: Option<&SignedIn>, failure: Failure) -> Failure {
        let Some(signed_in) = signed_in else { return failure };
        self.check_role(operation, signed_in).await.err().unwrap_or(failure)
    }

    async fn ask(&self, control: ControlRequest) -> Result<Response, Failure> {
        const DETAIL: &str = "This gate has too many control-plane requests. Retry after the time in `Retry-After`.";
        self.query(control).await.map_err(|failed| match failed {
            NoAnswer::Busy(seconds) => Problem::rate_limited(DETAIL, seconds).into(),
            NoAnswer::Unreachable(cause) => {
                self.log(Level::Error, "authority_query_failed", ("cause", &cause));
                Code::AuthorityUnavailable.into()
            }
        })
    }

    /// Turns a refusal of the registry into its response, and logs the reason and the id of the credential.
    fn refused(&self, refused: &Rejection, signed_in: Option<&SignedIn>) -> Failure {
        let id = match (refused, signed_in.map(|signed_in| &signed_in.caller)) {
            (Rejection::Unauthenticated { .. }, Some(Caller::Credential { id, .. })) => Some(id),
            _ => None,
        };
        self.log_refusal("operation_refused", &format!("{refused:?}"), id);
        match (refused, signed_in) {
            (Rejection::Unauthenticated { .. }, Some(SignedIn { challenge: Some(challenge), .. })) => {
                OAuthError::Client(*challenge).into()
            }
            (Rejection::Unauthenticated { .. }, Some(SignedIn { caller: Caller::Session { .. }, .. })) => {
                Code::SessionEnded.into()
            }
            _ => rejection::problem_of(refused).into(),
        }
    }

    /// Returns the answer to a wrong secret: the 404 of an unknown claim, and 429 if there were too many for this claim.
    fn refuse_claimant(&self, claim: &str) -> Failure {
        const DETAIL: &str = "Too many wrong secrets for this claim. Retry after the time in `Retry-After`.";
        self.log(Level::Info, "sign_in_refused", ("reason", "Claim"));
        let Some(claim) = KeyId::parse(claim) else { return Code::NotFound.into() };
        let now = self.request.platform.now();
        let taken = self.callers.try_borrow_mut().map_or(Ok(()), |mut callers| callers.wrong_secret(&claim, now));
        match taken {
            Ok(()) => Code::NotFound.into(),
            Err(seconds) => Problem::rate_limited(DETAIL, seconds).into(),
        }
    }

    /// Turns a refusal of a claimant into its response. A claim that has ended gets the 404 of an unknown one.
    fn refused_claimant(&self, refused: &Rejection, claim: &KeyId) -> Failure {
        match refused {
            Rejection::Unauthenticated { .. } | Rejection::NotFound => {
                self.log_refusal("operation_refused", &format!("{refused:?}"), Some(claim));
                Code::NotFound.into()
            }
            Rejection::AlreadyClaimed => {
                // Somebody else may have opened the link first.
                let fields = [("key_id", claim.as_str()), ("request_id", self.request.request_id)];
                self.request.platform.log(Level::Warn, "claim_used_again", &fields);
                rejection::problem_of(refused).into()
            }
            refused => self.refused(refused, None),
        }
    }

    /// Turns the answer of an operation into a response.
    async fn complete(&self, answer: Answer, signed_in: Option<SignedIn>) -> Result<ControlReply, Failure> {
        match (answer, signed_in) {
            (Answer::Reply(reply), _) => Ok(reply.into()),
            (Answer::Counted(request), _) => self.count(*request).await,
            (Answer::Lines(first, filter), Some(SignedIn { caller, .. })) => {
                Ok(ControlReply::Lines(AuditStream::new(caller, self.meta(), filter, first)))
            }
            (Answer::Lines(..), None) => Err(confused()),
            (Answer::Checkpoint { size, hash }, _) => self.sign_checkpoint(size, &hash).await,
            (Answer::Usage(question), _) => {
                let answered = usage_query::answer(self.request.platform, question, self.request.request_id).await;
                answered.map(ControlReply::Reply)
            }
            (Answer::Metrics(samples, exposition), _) => {
                let found = metrics::gather(self.request.platform, samples, self.request.request_id).await?;
                Ok(exposition.reply(&found, self.request.request_id).into())
            }
            (Answer::Events(question), _) => {
                let answered = events_query::answer(self.request.platform, question, self.request.request_id).await;
                answered.map(ControlReply::Reply)
            }
            (Answer::Leaks(leaks), _) => {
                Ok(leaks::shown(leaks, self.request.platform, self.request.request_id).await.into())
            }
            (Answer::EventKeys, _) => {
                self.hold_event_keys().await;
                Ok(events_query::keys(self.request.config, self.request.request_id).into())
            }
            (Answer::CheckpointKeys, _) => {
                self.hold_checkpoint_keys().await;
                Ok(checkpoint::verifier_keys(self.request.config, self.request.request_id).into())
            }
        }
    }

    /// Counts a request that another worker handles, and answers whether it may pass.
    async fn count(&self, request: CountedRequest) -> Result<ControlReply, Failure> {
        let CountedRequest { key, limits, cost, counted, over_limit } = request;
        let answered = leases::count(&self.request.lookups(), &limits, cost).await;
        if leases::take_renewal_due(self.request.isolate) {
            self.event.renew_in_background();
        }
        if let Err(refusal) = &answered {
            let report = reports::limited(refusal, &key, self.request.request_id);
            report.into_iter().for_each(|report| self.event.report_in_background(report));
        }
        let (mut reply, fields) = match answered {
            Ok(receipt) => (counted, fields_of(&receipt.headers).collect()),
            Err(refusal) if refusal.problem.code == Code::RateLimited => {
                (over_limit, refusal.problem.headers().to_vec())
            }
            Err(refusal) => return Err(refusal.problem.into()),
        };
        reply.headers.extend(fields);
        Ok(reply.into())
    }

    async fn sign_checkpoint(&self, size: u64, hash: &str) -> Result<ControlReply, Failure> {
        self.hold_checkpoint_keys().await;
        let text = checkpoint::checkpoint_text(self.request.config, size, hash)
            .ok_or(Failure::Fault { event: "audit_head_broken", code: Code::InternalError })?;
        let key = self.request.config.keyring.current().checkpoint();
        let signed = signing::sign(self.request.platform, key, &text, self.request.request_id).await;
        let signature = signed.map_err(|refusal| refusal.problem)?;
        Ok(checkpoint::checkpoint(self.request.config, &text, &signature, self.request.request_id).into())
    }

    async fn hold_event_keys(&self) {
        let keys: Vec<_> = self.request.config.keyring.generations().map(DerivedKeys::events).collect();
        signing::hold(self.request.platform, &keys, self.request.request_id).await;
    }

    async fn hold_checkpoint_keys(&self) {
        let keys: Vec<_> = self.request.config.keyring.generations().map(DerivedKeys::checkpoint).collect();
        signing::hold(self.request.platform, &keys, self.request.request_id).await;
    }

    /// Logs an alarm if the audit log is shorter than this isolate knows it to be: it was restored from a backup, or truncated.
    fn compare_with_feed(&self, answer: &Answer, known: u64) {
        if let Answer::Checkpoint { size, .. } = answer
            && *size < known
        {
            let (size, known) = (size.to_string(), known.to_string());
            self.request.platform.log(Level::Error, "audit_log_shrank", &[("known_revision", &known), ("size", &size)]);
        }
    }

    fn log_done(&self, operation: Operation, holder: Option<&Caller>) {
        if let (Operation::RevokeByHolder, Some(Caller::Holder { id, .. })) = (operation, holder) {
            self.log(Level::Info, "key_revoked_by_holder", ("key_id", id.as_str()));
        }
    }

    fn fail(&self, failure: &Failure) -> Reply {
        if let Failure::Fault { event, .. } = failure {
            self.request.platform.log(Level::Error, event, &[("request_id", self.request.request_id)]);
        }
        failure.reply(self.request.request_id)
    }

    pub(super) fn meta(&self) -> RequestMeta {
        RequestMeta {
            request_id: self.request.request_id.to_owned(),
            client_address: self.request.head.client_address().map(|address| address.chars().take(64).collect()),
        }
    }

    /// Logs a refusal. For a correctly tagged credential it also logs a keyed digest of the client's address, which distinguishes clients
    /// without revealing their addresses.
    fn log_refusal(&self, event: &str, reason: &str, id: Option<&KeyId>) {
        let mut fields = vec![("reason", reason), ("request_id", self.request.request_id)];
        let digest = self.request.head.client_address().filter(|_| id.is_some());
        let digest = digest.map(|address| self.request.config.keyring.current().address_digest(address));
        fields.extend(id.map(|id| ("key_id", id.as_str())));
        fields.extend(digest.as_deref().map(|digest| ("address_digest", digest)));
        self.request.platform.log(Level::Info, event, &fields);
    }

    fn log(&self, level: Level, event: &str, field: (&str, &str)) {
        self.request.platform.log(level, event, &[field, ("request_id", self.request.request_id)]);
    }
}
