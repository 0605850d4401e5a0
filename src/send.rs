//! Sends a response of our own, or the request to its origin.

use wasm_bindgen::JsValue;

use super::glue;
use super::log::{Level, event};
use keyward_gate::Plan;
use keyward_http::headers::write_line;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;

/// Sends a request to its origin. No other function does, and only the gate creates a [`Plan`]. `environment` is the number of the
/// `env` of the request.
pub fn forward(request: &JsValue, context: &JsValue, environment: u32, plan: Plan, request_id: &str) -> JsValue {
    let environment = if plan.private { environment } else { 0 };
    glue::forward(request, context, &plan.edits, environment, plan.answer.as_deref()).unwrap_or_else(|thrown| {
        event(Level::Error, "forward_failed", &[("request_id", request_id), ("cause", &glue::cause(&thrown))]);
        problem(&Code::InternalError.into(), request_id)
    })
}

/// Returns the reply to a failed exchange with the origin. `code` is the glue's name of the failure. `https` says how the request
/// came.
pub fn failed(request_id: &str, code: &str, cause: &str, https: bool) -> JsValue {
    let known = [Code::OriginUnreachable, Code::OriginTimeout, Code::InvalidBody];
    let code = known.into_iter().find(|known| known.as_str() == code).unwrap_or(Code::InternalError);
    let level = if code.status() < 500 { Level::Info } else { Level::Warn };
    event(level, code.as_str(), &[("request_id", request_id), ("cause", cause)]);
    reply(&Reply::problem(&code.into(), request_id).over(https))
}

/// Returns an error response.
pub fn problem(problem: &Problem, request_id: &str) -> JsValue {
    reply(&Reply::problem(problem, request_id))
}

/// Returns the header lines of a reply in the form that the glue reads.
pub fn header_block(reply: &Reply) -> String {
    let mut block = String::with_capacity(256);
    for (name, value) in &reply.headers {
        write_line(&mut block, name, value);
    }
    block
}

/// Returns the OpenAPI document. The glue stores it, because in the wasm every isolate would have to load it.
pub fn open_api(head: &Reply, request_id: &str) -> JsValue {
    glue::open_api(&header_block(head)).unwrap_or_else(|thrown| {
        event(Level::Error, "reply_failed", &[("cause", &glue::cause(&thrown))]);
        problem(&Code::InternalError.into(), request_id)
    })
}

/// Returns the response with a file of the console.
pub async fn console(env: &JsValue, file: &str, head: &Reply, request_id: &str) -> JsValue {
    match glue::console_asset(env, file, head.status, &header_block(head)).await {
        Ok(response) => response,
        Err(thrown) => {
            event(Level::Error, "console_file_failed", &[("file", file), ("cause", &glue::cause(&thrown))]);
            problem(&Code::InternalError.into(), request_id)
        }
    }
}

/// Returns the response for a reply.
pub fn reply(reply: &Reply) -> JsValue {
    glue::reply(reply.status, &header_block(reply), &reply.body).unwrap_or_else(|thrown| {
        event(Level::Error, "reply_failed", &[("cause", &glue::cause(&thrown))]);
        JsValue::UNDEFINED
    })
}
