//! The audit log as lines of JSON, to its end.
//!
//! One page is held at a time: the next is asked for when the client has taken the one before. The member is asked for anew
//! with each page, so that one who is revoked in the middle gets no more. Whatever goes wrong breaks the connection:
//! a part must not look like the whole.

use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use super::log::{Level, event};
use super::platform::Platform;
use super::{glue, send};
use keyward_control::read_audit::{last_seq, lines, next_page};
use keyward_edge::registry::{Unreachable, ask};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_protocol::{Caller, ControlRequest, Outcome, Raw, Request, RequestMeta, Response};

/// Begins the answer with the first page; the rest follows as it is taken.
pub fn begin(
    env: JsValue,
    caller: Caller,
    origin: RequestMeta,
    entries: Vec<Raw>,
    more: bool,
) -> Result<JsValue, Problem> {
    let reply = Reply::lines(&origin.request_id);
    let made = glue::stream(reply.status, &send::header_block(&reply)).map_err(|thrown| {
        event(Level::Error, "reply_failed", &[("cause", &glue::cause(&thrown))]);
        Problem::from(Code::InternalError)
    })?;
    let (response, writer) = (made.get(0), made.get(1));
    spawn_local(async move {
        let request_id = origin.request_id.clone();
        if let Err(cause) = write(&env, &caller, origin, &writer, entries, more).await {
            event(Level::Warn, "audit_stream_broken", &[("cause", &cause), ("request_id", &request_id)]);
            let _ = glue::stream_break(&writer).await;
        }
    });
    Ok(response)
}

async fn write(
    env: &JsValue,
    caller: &Caller,
    origin: RequestMeta,
    writer: &JsValue,
    mut entries: Vec<Raw>,
    mut more: bool,
) -> Result<(), String> {
    let mut after = 0;
    loop {
        let text = lines(&entries);
        if let Some(last) = entries.last() {
            after = last_seq(last).ok_or("an entry has no number")?;
        }
        if !text.is_empty() {
            glue::stream_write(writer, &text).await.map_err(|thrown| glue::cause(&thrown))?;
        }
        if !more {
            return glue::stream_close(writer).await.map(drop).map_err(|thrown| glue::cause(&thrown));
        }
        let command = next_page(after);
        let control = ControlRequest { caller: caller.clone(), origin: origin.clone(), command, idempotency: None };
        match ask(&Platform::of(env), &Request::Control(Box::new(control))).await {
            Ok(Response::Done(Outcome::Audit { entries: next, more: rest })) if !next.is_empty() => {
                (entries, more) = (next, rest);
            }
            Ok(Response::Refused(refused)) => return Err(format!("{refused:?}")),
            Ok(_) => return Err("the registry answered another question".to_owned()),
            Err(Unreachable(cause)) => return Err(cause),
        }
    }
}
