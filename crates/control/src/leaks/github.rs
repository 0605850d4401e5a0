//! `POST /_keyward/v1/leaks/github`: reports of GitHub's secret scanning partner program
//! (docs.github.com, "Secret scanning partner program").

use serde::Serialize;
use serde_json::Value;

use super::der::raw_signature;
use super::github_keys::{FETCH_MILLIS, GithubKey, Next, fetch};
use super::texts::keys_at;
use super::{Found, ReportPlatform as _, pending};
use crate::failure::Failure;
use crate::operation::BodyKind;
use crate::platform::ControlPlatform;
use crate::serve::ControlContext;
use crate::transport::check_transport;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_config::Config;
use keyward_edge::{Level, Platform, RequestContext};
use keyward_http::problem::{Code, Problem};
use keyward_http::reply::Reply;
use keyward_protocol::{LeakSource, LeakedKey};

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// Interval at which a request checks whether another one has fetched the list, and the maximum number of checks.
const POLL_MS: u32 = 50;
const MAX_POLLS: u32 = FETCH_MILLIS / POLL_MS + 2;

/// Answer about one entry.
#[derive(Serialize)]
struct Labelled<'a> {
    token_raw: &'a str,
    token_type: &'a str,
    label: &'static str,
}

pub(super) async fn serve<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
) -> Result<Reply, Failure> {
    let (config, request_id) = (context.request.config, context.request.request_id);
    check_transport(config, context.request.head, BodyKind::Json)?;
    let signature = Signature::of(context).ok_or(Code::InvalidSignature)?;
    let body = context.leak_body().await?;
    let Some(key) = find_key(context, &signature.identifier).await? else {
        pending::keep(context, &signature, &body).await;
        return Err(Code::AuthorityUnavailable.into());
    };
    if !context.event.reports().verify_p256(&key.spki, &signature.raw, &body).await {
        return Err(Code::InvalidSignature.into());
    }
    let entries = parse(config, &body)?;
    context.report_leak(&found(&entries)).await?;
    Ok(Reply::json(200, &labelled(&entries), request_id))
}

/// The signature of a request, in the form that the platform verifies.
pub(super) struct Signature {
    pub identifier: String,
    pub raw: [u8; 64],
}

impl Signature {
    fn of<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Option<Self> {
        let head = context.request.head;
        let identifier = head.header(IDENTIFIER).filter(|text| !text.is_empty() && text.len() <= 128)?;
        let der = STANDARD.decode(head.header(SIGNATURE)?).ok()?;
        Some(Self { identifier: identifier.to_owned(), raw: raw_signature(&der)? })
    }
}

/// Returns the key with this identifier; `None` if no list is available. Fetches GitHub's list if that is due; other requests wait for the
/// fetch.
///
/// # Errors
/// 401 `invalid_signature` if the list does not have it.
async fn find_key<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
    identifier: &str,
) -> Result<Option<GithubKey>, Failure> {
    let RequestContext { config, platform, request_id, .. } = context.request;
    let keys = &context.leaks.github;
    for _ in 0..MAX_POLLS {
        let next = keys.try_borrow_mut().map_or(Next::Unavailable, |mut keys| keys.next(identifier, platform.now()));
        match next {
            Next::Verify(key) => return Ok(Some(key)),
            Next::Fetch(etag) => {
                let fetched = fetch(context.event.reports(), &config.leak_github_keys_url, keys, etag.as_deref()).await;
                if let Err(cause) = fetched {
                    let fields = [("cause", cause.as_str()), ("request_id", request_id)];
                    platform.log(Level::Warn, "leak_keys_failed", &fields);
                }
            }
            Next::Wait => platform.pause(POLL_MS).await,
            Next::Unknown => return Err(Code::InvalidSignature.into()),
            Next::Unavailable => break,
        }
    }
    Ok(None)
}

/// One entry of a report with a text token.
pub(super) struct Entry {
    token: String,
    kind: String,
    /// The keys in the token that this deployment minted, each with the entry's `url` as its place.
    keys: Vec<LeakedKey>,
}

/// Parses a JSON list, and skips the entries without a text token.
pub(super) fn parse(config: &Config, body: &[u8]) -> Result<Vec<Entry>, Problem> {
    let Ok(Value::Array(items)) = serde_json::from_slice::<Value>(body) else {
        return Err(Problem::detailed(Code::InvalidRequest, "The body must be a JSON list."));
    };
    let entry = |item: &Value| {
        let text = |name: &str| item.get(name).and_then(Value::as_str);
        let token = text("token")?;
        Some(Entry {
            token: token.to_owned(),
            kind: text("type").unwrap_or_default().to_owned(),
            keys: keys_at(config, token, text("url")),
        })
    };
    Ok(items.iter().filter_map(entry).collect())
}

/// Returns the keys of a report.
pub(super) fn found(entries: &[Entry]) -> Found {
    let keys = entries.iter().flat_map(|entry| entry.keys.iter().cloned()).collect();
    Found { source: LeakSource::GitHub, found_at: None, note: None, keys }
}

/// Returns the answer: a text is a true positive if this deployment minted a key in it, whatever became of the key.
fn labelled(entries: &[Entry]) -> Vec<Labelled<'_>> {
    let labelled = entries.iter().map(|entry| Labelled {
        token_raw: &entry.token,
        token_type: &entry.kind,
        label: if entry.keys.is_empty() { "false_positive" } else { "true_positive" },
    });
    labelled.collect()
}
