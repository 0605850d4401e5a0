//! Reports of GitHub that come while its list of keys is not available. The isolate seals the body, the registry keeps it, and its object
//! judges it once the list is back, exactly as if it had arrived then.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::github::{Signature, found, parse};
use super::github_keys::{GithubKeys, Next, fetch};
use super::texts::keys_of;
use super::{ReportPlatform, reports};
use crate::platform::ControlPlatform;
use crate::serve::ControlContext;
use keyward_config::Config;
use keyward_edge::{BackgroundReport, Level, Platform};
use keyward_key::time::Millis;
use keyward_protocol::PendingReport;
use keyward_registry::object::Judged;

/// Has the registry keep a report, after the answer. A report without a text of ours is not kept, but is sealed even so: the time of the
/// answer must not tell which texts are ours. Nobody has verified the signature yet, so the body is searched as one text, in which the number
/// of MACs is bounded.
pub(super) async fn keep<P: Platform, C: ControlPlatform>(
    context: &ControlContext<'_, P, C>,
    signature: &Signature,
    body: &[u8],
) {
    let config = context.request.config;
    let keys = config.keyring.current();
    let sealed = match context.event.reports().seal(keys.leak_reports(), body).await {
        Ok(sealed) => sealed,
        Err(cause) => {
            let fields = [("cause", cause.as_str()), ("request_id", context.request.request_id)];
            return context.request.platform.log(Level::Error, "leak_report_failed", &fields);
        }
    };
    let digest = Sha256::new()
        .chain_update(signature.identifier.as_bytes())
        .chain_update([0_u8])
        .chain_update(signature.raw)
        .chain_update(body)
        .finalize();
    let pending = Box::new(PendingReport {
        digest: hex::encode(digest),
        identifier: signature.identifier.clone(),
        signature: hex::encode(signature.raw),
        sealed_under: keys.generation().clone(),
        sealed: STANDARD.encode(sealed),
        request: context.meta(),
    });
    let is_ours = str::from_utf8(body).is_ok_and(|text| !keys_of(config, text).is_empty());
    if is_ours && context.take(|callers, now| callers.take_query(now)).is_ok() {
        context.event.report_in_background(BackgroundReport::Pending(pending));
    }
}

/// Judges a report that was kept. Runs in the registry's object. `keys` are the object's own.
pub async fn judge(
    platform: &impl ReportPlatform,
    config: &Config,
    keys: &RefCell<GithubKeys>,
    pending: &PendingReport,
    now: Millis,
) -> Judged {
    let mut cause = "the list was not available less than a minute ago".to_owned();
    let key = loop {
        let next = keys.try_borrow_mut().map_or(Next::Unavailable, |mut keys| keys.next(&pending.identifier, now));
        match next {
            Next::Verify(key) => break key,
            // It asks for one fetch a minute.
            Next::Fetch(etag) => {
                if let Err(failed) = fetch(platform, &config.leak_github_keys_url, keys, etag.as_deref()).await {
                    cause = failed;
                }
            }
            Next::Unknown => return Judged::Invalid("GitHub's list does not have the key of the signature"),
            Next::Wait | Next::Unavailable => return Judged::Later(cause),
        }
    };
    let Some(derived) = config.keyring.of_generation(&pending.sealed_under) else {
        return Judged::Invalid("it was sealed under another secret");
    };
    let mut signature = [0; 64];
    let Some(sealed) = STANDARD.decode(&pending.sealed).ok() else { return Judged::Invalid(DAMAGED) };
    let Some(body) = platform.open(derived.leak_reports(), &sealed).await else { return Judged::Invalid(DAMAGED) };
    if hex::decode_to_slice(&pending.signature, &mut signature).is_err()
        || !platform.verify_p256(&key.spki, &signature, &body).await
    {
        return Judged::Invalid("the signature is wrong");
    }
    let Ok(entries) = parse(config, &body) else { return Judged::Invalid("it is no JSON list") };
    match reports(&found(&entries), &pending.request, &mut platform.entropy()) {
        Ok(reports) => Judged::Genuine(reports),
        Err(_) => Judged::Later("no entropy".to_owned()),
    }
}

const DAMAGED: &str = "the sealed body is damaged";
