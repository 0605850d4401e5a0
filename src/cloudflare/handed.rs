//! The ways of a key that is handed over in a body: asked about, introspected, or surrendered by its holder. What is decided
//! stands in `crate::gate` and `crate::admin`; here it is only asked for.

use wasm_bindgen::JsValue;

use super::control::{Way, read_body};
use super::log::{Level, event};
use super::{clock, send};
use crate::admin::oauth::{self, OAuthRefusal};
use crate::admin::{self, Question};
use crate::gate::Handed;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::registry::command::{Answer, Caller, Command, Done, Operation, Refused};

/// `POST /_keyward/v1/verify`, in the order of every operation: transport, sign-in, body, registry.
pub async fn verify(way: &Way<'_>, request: &JsValue) -> Result<JsValue, Problem> {
    way.check_transport()?;
    let caller = way.sign_in().await?;
    let body = read_body(request).await?;
    let question = Question::parse(way.config, way.head, &body);
    // What is wrong with the body is told to those only who may ask at all.
    let command = match &question {
        Ok(question) => question.command(),
        Err(_) => Command::Authorise { operation: Operation::Verify },
    };
    let (at, found) = match way.command(caller, command).await? {
        Answer::Done(Done::Inspected { at, found }) => (at, found),
        Answer::Done(Done::Authorised) => (clock::now(), None),
        Answer::Refused(refused) => return Err(way.refused(&refused)),
        _ => return Err(way.fault("registry_confused")),
    };
    Ok(send::reply(&question?.answer(at, found.as_deref(), way.request_id)))
}

/// `POST /_keyward/oauth/introspect`.
pub async fn introspect(way: &Way<'_>, request: &JsValue) -> JsValue {
    let answered = introspection(way, request).await;
    send::reply(&answered.unwrap_or_else(|refusal| refusal.reply(way.request_id)))
}

/// 1. Transport, then who asks, as far as form and tag tell: strangers cost nothing more.
/// 2. The form, and what its token is by form and tag.
/// 3. The registry: who asks, whether they may, and the record, in one call.
async fn introspection(way: &Way<'_>, request: &JsValue) -> Result<Reply, OAuthRefusal> {
    way.check_transport()?;
    let (caller, challenge) = oauth::client(way.config, way.head).map_err(|challenge| {
        way.note(Level::Info, "sign_in_refused", ("reason", "OAuth client"));
        OAuthRefusal::Client(challenge)
    })?;
    let body = read_body(request).await?;
    let token = oauth::token(way.head, &body);
    let handed = token.as_ref().ok().and_then(|token| Handed::recognise(way.config, token).ok());
    match way.command(caller, admin::introspect(handed.as_ref())).await? {
        Answer::Done(Done::Inspected { at, found }) => Ok(match &handed {
            Some(handed) => admin::introspection(way.config, way.head, handed, at, found.as_deref(), way.request_id),
            None => admin::inactive(way.request_id),
        }),
        Answer::Done(Done::Authorised) => token.map(|_| admin::inactive(way.request_id)),
        Answer::Refused(refused) => {
            let stranger = matches!(refused, Refused::Unauthenticated { .. });
            let problem = way.refused(&refused);
            Err(if stranger { OAuthRefusal::Client(challenge) } else { problem.into() })
        }
        _ => Err(way.fault("registry_confused").into()),
    }
}

/// `POST /_keyward/oauth/revoke`.
pub async fn surrender(way: &Way<'_>, request: &JsValue) -> JsValue {
    let answered = revocation(way, request).await;
    send::reply(&match answered {
        Ok(()) => Reply::empty(way.request_id),
        Err(refusal) => refusal.reply(way.request_id),
    })
}

/// 1. Transport, then how often this address has asked.
/// 2. The form. What is no key of ours by form and tag is answered as one that was revoked.
/// 3. The registry compares the hash and revokes. Its refusals are answered as done; its silence is not.
async fn revocation(way: &Way<'_>, request: &JsValue) -> Result<(), OAuthRefusal> {
    way.check_transport()?;
    if let Ok(mut surrenders) = way.edge.surrenders.try_borrow_mut() {
        let detail = "Too many revocations came from this address. Retry after the time in `Retry-After`.";
        surrenders
            .take(way.head.client_address(), way.head.now())
            .map_err(|seconds| Problem::rate_limited(detail, seconds))?;
    }
    let body = read_body(request).await?;
    let token = oauth::token(way.head, &body)?;
    let Ok(handed) = Handed::recognise(way.config, &token) else { return Ok(()) };
    let caller = Caller::Holder { id: handed.id().clone(), key_hash: handed.hash().clone() };
    match way.command(caller, Command::Surrender).await? {
        Answer::Done(Done::KeyRevoked { .. }) => {
            let fields = [("key_id", handed.id().as_str()), ("request_id", way.request_id)];
            event(Level::Info, "key_surrendered", &fields);
        }
        Answer::Refused(refused) => drop(way.refused(&refused)),
        _ => return Err(way.fault("registry_confused").into()),
    }
    Ok(())
}
