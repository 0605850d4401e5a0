//! The control plane's port to one event of the runtime.

use std::rc::Rc;

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;

use super::access::Access;
use super::entropy::System;
use super::isolate_state::IsolateState;
use super::log::{Level, event};
use super::platform::Platform;
use super::reports::Reports;
use super::{events, glue, send, usage};
use keyward_config::{AccessSettings, Config};
use keyward_control::access_verifier;
use keyward_control::audit_stream::AuditStream;
use keyward_control::console::ConsoleReply;
use keyward_control::leaks::ReportPlatform;
use keyward_control::{AccessFailure, BODY_TIMEOUT_MS, BodyError, ControlContext, ControlPlatform, ControlReply};
use keyward_edge::usage::UsageDue;
use keyward_edge::{BackgroundReport, RequestContext};
use keyward_http::head::Head;
use keyward_http::problem::Code;
use keyward_key::entropy::Entropy;

/// One event for the control plane.
pub struct ControlEvent {
    pub state: Rc<IsolateState>,
    pub request: JsValue,
    pub env: JsValue,
    pub context: JsValue,
}

impl ControlPlatform for ControlEvent {
    async fn read_body(&self, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let max_bytes = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        let body =
            glue::read_body(&self.request, max_bytes, BODY_TIMEOUT_MS).await.map_err(|_| BodyError::Incomplete)?;
        body.dyn_ref::<js_sys::Uint8Array>().map(js_sys::Uint8Array::to_vec).ok_or(BodyError::TooLarge)
    }

    fn entropy(&self) -> impl Entropy {
        System
    }

    async fn verify_access(&self, token: &str, settings: &AccessSettings) -> Result<String, AccessFailure> {
        access_verifier::verify(&Access, &self.state.certs, settings, token).await
    }

    fn refresh_in_background(&self) {
        events::refresh(Rc::clone(&self.state), self.env.clone(), &self.context);
    }

    fn renew_in_background(&self) {
        events::renew(Rc::clone(&self.state), self.env.clone(), &self.context);
    }

    fn report_usage_in_background(&self, due: UsageDue) {
        usage::report(&self.state, &self.env, &self.context, &due);
    }

    fn report_in_background(&self, report: BackgroundReport) {
        events::report(Rc::clone(&self.state), self.env.clone(), &self.context, report);
    }

    fn reports(&self) -> &impl ReportPlatform {
        &Reports
    }

    fn nfc(&self, text: &str) -> String {
        js_sys::JsString::from(text).normalize("NFC").into()
    }

    fn console_file(&self, path: &str) -> Option<String> {
        glue::console_file(&self.env, path)
    }

    fn advice(&self, code: Code) -> String {
        glue::advice(code.as_str())
    }
}

/// Serves a request to the control plane.
pub async fn serve(control_event: &ControlEvent, config: &Config, head: &Head<'_>, request_id: &str) -> JsValue {
    let ControlEvent { state, env, context, .. } = control_event;
    let platform = Platform::new(env, context);
    let request = RequestContext { isolate: &state.isolate, config, platform: &platform, head, request_id };
    let context = ControlContext {
        request,
        event: control_event,
        revocation_limiter: &state.revocation_limiter,
        callers: &state.callers,
        leaks: &state.leaks,
    };
    match keyward_control::serve(&context).await {
        ControlReply::Reply(reply) => send::reply(&reply),
        ControlReply::OpenApi(head) => send::open_api(&head, request_id),
        ControlReply::Lines(stream) => send_lines(Rc::clone(state), env.clone(), stream),
        ControlReply::Console(ConsoleReply { file, head }) => send::console(env, &file, &head, request_id).await,
    }
}

/// Sends a stream: the first page with the head, further pages as the client reads them. A failure breaks the connection.
fn send_lines(state: Rc<IsolateState>, env: JsValue, mut stream: AuditStream) -> JsValue {
    let head = stream.head();
    let made = match glue::stream(head.status, &send::header_block(&head)) {
        Ok(made) => made,
        Err(thrown) => {
            event(Level::Error, "reply_failed", &[("cause", &glue::cause(&thrown))]);
            return send::problem(&Code::InternalError.into(), stream.request_id());
        }
    };
    let (response, writer) = (made.get(0), made.get(1));
    spawn_local(async move {
        if let Err(cause) = write_lines(&state, &env, &writer, &mut stream).await {
            event(Level::Warn, "audit_stream_broken", &[("cause", &cause), ("request_id", stream.request_id())]);
            let _ = glue::stream_break(&writer).await;
        }
    });
    response
}

async fn write_lines(
    state: &IsolateState,
    env: &JsValue,
    writer: &JsValue,
    stream: &mut AuditStream,
) -> Result<(), String> {
    while let Some(lines) = stream.next(&Platform::of(env), &state.callers).await? {
        if !lines.is_empty() {
            glue::stream_write(writer, &lines).await.map_err(|thrown| glue::cause(&thrown))?;
        }
    }
    glue::stream_close(writer).await.map(drop).map_err(|thrown| glue::cause(&thrown))
}
