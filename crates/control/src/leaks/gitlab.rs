//! `/_keyward/v1/leaks/gitlab/v1/…`: GitLab's token revocation API (docs.gitlab.com, "Token Revocation API"). Both endpoints are absent while
//! `LEAK_GITLAB_TOKEN` is not set.

use serde::Serialize;
use serde_json::Value;

use super::Found;
use super::rules::rule_id;
use super::texts::keys_at;
use crate::failure::Failure;
use crate::operation::BodyKind;
use crate::platform::ControlPlatform;
use crate::serve::ControlContext;
use crate::transport::check_transport;
use keyward_config::Config;
use keyward_edge::Platform;
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_protocol::LeakSource;

#[derive(Serialize)]
struct Types {
    types: [String; 1],
}

/// Answers the types of tokens that can be revoked here.
pub(super) fn types<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Result<Reply, Failure> {
    authenticate(context, BodyKind::None)?;
    let types = [format!("gitleaks_rule_id_{}", rule_id(context.request.config))];
    Ok(Reply::json(200, &Types { types }, context.request.request_id))
}

/// Revokes the tokens of a report: 204.
pub(super) async fn tokens<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
) -> Result<Reply, Failure> {
    authenticate(context, BodyKind::Json)?;
    let body = context.leak_body().await?;
    context.report_leak(&found(context.request.config, &body)?).await?;
    Ok(Reply::no_content(context.request.request_id))
}

/// Checks the whole value of `Authorization`, which GitLab sends without a scheme.
fn authenticate<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
    body: BodyKind,
) -> Result<(), Problem> {
    let (config, head) = (context.request.config, context.request.head);
    let Some(token) = &config.leak_gitlab_token else { return Err(Code::NoRoute.into()) };
    check_transport(config, head, body)?;
    match head.authorization() {
        None => Err(Problem::detailed(Code::MissingKey, "Send `Authorization` with the value of `LEAK_GITLAB_TOKEN`.")),
        Some(presented) if token.matches(presented) => Ok(()),
        Some(_) => Err(Problem::detailed(Code::InvalidKey, "The value of `Authorization` is not `LEAK_GITLAB_TOKEN`.")),
    }
}

/// Parses a JSON list of `{"type", "token", "location"}`, and skips the entries without a text token.
fn found(config: &Config, body: &[u8]) -> Result<Found, Problem> {
    let Ok(Value::Array(items)) = serde_json::from_slice::<Value>(body) else {
        return Err(Problem::detailed(Code::InvalidRequest, "The body must be a JSON list."));
    };
    let mut keys = Vec::new();
    for item in &items {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let Some(token) = text("token") else { continue };
        keys.extend(keys_at(config, token, text("location")));
    }
    Ok(Found { source: LeakSource::GitLab, found_at: None, note: None, keys })
}
