//! The control plane's way: transport, sign-in, body, command, registry, answer.

use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};

use super::edge::Edge;
use super::entropy::System;
use super::log::{Level, event};
use super::{ask, glue, send};
use crate::admin::{self, Place, Prepared, Unprepared};
use crate::config::Config;
use crate::http::head::Head;
use crate::http::limits::BODY_BYTES;
use crate::http::problem::{Code, Problem};
use crate::http::reply::Reply;
use crate::registry::command::{Answer, Call, Caller, Command, Control, Done, Operation, Provenance, Refused};

/// Serves a request below `/_keyward/`. Health and the problem pages need no member.
pub async fn serve(
    edge: Rc<Edge>,
    config: &Config,
    request: JsValue,
    env: JsValue,
    head: &Head<'_>,
    id: &str,
) -> JsValue {
    match admin::find(head.method(), head.target().path()) {
        Ok(Place::Health) => send::reply(&admin::health(edge.config.is_some(), id)),
        Ok(Place::ProblemPage(code)) => send::reply(&admin::problem_page(code, id)),
        Ok(Place::Operation(operation, segment)) => {
            match operate(config, &request, &env, head, operation, segment, id).await {
                Ok(reply) => send::reply(&reply),
                Err(problem) => send::problem(&problem, id),
            }
        }
        Err(problem) => send::problem(&problem, id),
    }
}

/// 1. Transport: HTTPS, no other site's page, JSON.
/// 2. Sign-in, as far as form and tag tell: strangers cost nothing more.
/// 3. Body, and the command it makes.
/// 4. The registry: who the caller is, what they may do, and the change itself in one transaction.
async fn operate(
    config: &Config,
    request: &JsValue,
    env: &JsValue,
    head: &Head<'_>,
    operation: Operation,
    segment: &str,
    request_id: &str,
) -> Result<Reply, Problem> {
    admin::check_transport(config, head, operation)?;
    let caller = admin::sign_in(config, head, operation).map_err(|code| {
        let fields = [("code", code.as_str()), ("request_id", request_id)];
        event(Level::Info, "sign_in_refused", &fields);
        match code {
            Code::MissingKey => {
                Problem::detailed(code, "Sign in with `Authorization: Bearer` and a member's credential.")
            }
            code => code.into(),
        }
    })?;
    let body = if admin::takes_body(operation) { read_body(request).await? } else { Vec::new() };
    let mut attempts = 3_u8;
    loop {
        let mut wrong = None;
        let prepared = match admin::prepare(config, head, operation, segment, &body, &mut System) {
            Ok(prepared) => prepared,
            Err(Unprepared::Wrong(problem)) => {
                wrong = Some(problem);
                Prepared { command: Command::Authorise { operation }, api_key: None }
            }
            Err(Unprepared::Entropy) => {
                event(Level::Error, "entropy_failed", &[("request_id", request_id)]);
                return Err(Code::InternalError.into());
            }
        };
        let answer = ask_registry(env, &caller, head, request_id, prepared.command).await?;
        match (answer, wrong) {
            (Answer::Done(Done::Authorised), Some(problem)) => return Err(problem),
            (Answer::Done(done), _) => {
                return Ok(admin::answer(config, &done, prepared.api_key.as_ref(), request_id));
            }
            // 71 bits of identifier collided: mint another.
            (Answer::Refused(Refused::IdTaken), _) if attempts > 0 => attempts = attempts.saturating_sub(1),
            (Answer::Refused(refused), _) => {
                let reason = format!("{refused:?}");
                event(Level::Info, "operation_refused", &[("reason", &reason), ("request_id", request_id)]);
                return Err(Problem::from(&refused));
            }
            (Answer::Record(_), _) => {
                event(Level::Error, "registry_confused", &[("request_id", request_id)]);
                return Err(Code::InternalError.into());
            }
        }
    }
}

async fn ask_registry(
    env: &JsValue,
    caller: &Caller,
    head: &Head<'_>,
    request_id: &str,
    command: Command,
) -> Result<Answer, Problem> {
    let origin = Provenance {
        request_id: request_id.to_owned(),
        client_address: head.client_address().map(|address| address.chars().take(64).collect()),
    };
    let call = Call::Control(Box::new(Control { caller: caller.clone(), origin, command }));
    ask::registry(env, &call).await.map_err(|ask::Silent(cause)| {
        event(Level::Error, "authority_silent", &[("cause", &cause), ("request_id", request_id)]);
        Code::AuthorityUnavailable.into()
    })
}

async fn read_body(request: &JsValue) -> Result<Vec<u8>, Problem> {
    let most = u32::try_from(BODY_BYTES).unwrap_or(u32::MAX);
    let body = glue::read_body(request, most)
        .await
        .map_err(|_| Problem::detailed(Code::InvalidRequest, "The body did not arrive whole. Send it again."))?;
    let bytes = body.dyn_ref::<js_sys::Uint8Array>().ok_or(Code::BodyTooLarge)?;
    Ok(bytes.to_vec())
}
