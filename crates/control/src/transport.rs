//! Transport checks of a control-plane request: HTTPS, no page of another site, the right media type.

use super::operation::BodyKind;
use keyward_config::Config;
use keyward_http::head::Head;
use keyward_http::media_type;
use keyward_http::problem::{Code, Problem};

/// Header of the console's requests: `1`, or `background` for a request that a page sent unprompted. A page of another site cannot send
/// it without a preflight, which is refused.
pub(super) const CONSOLE_HEADER: &str = "keyward-console";

/// Refuses a write by session unless the console's own page sent it. A read needs no more than [`check_transport`], because it changes
/// nothing and its answer is of no use to another page.
///
/// # Errors
/// `cross_site`.
pub(super) fn check_console(head: &Head<'_>, body: BodyKind) -> Result<(), Problem> {
    const DETAIL: &str = "With a session a change needs `Sec-Fetch-Site: same-origin` and `Keyward-Console: 1`, which the console's page sends.";
    let by_console = head.sec_fetch_site() == Some("same-origin") && head.header(CONSOLE_HEADER) == Some("1");
    if body == BodyKind::None || by_console { Ok(()) } else { Err(Problem::detailed(Code::CrossSite, DETAIL)) }
}

/// Refuses plain HTTP, requests from pages of other sites, and bodies of another media type.
///
/// # Errors
/// `insecure_transport`, `cross_site` or `unsupported_media_type`.
pub fn check_transport(config: &Config, head: &Head<'_>, body: BodyKind) -> Result<(), Problem> {
    if config.require_https && !head.https() {
        return Err(Code::InsecureTransport.into());
    }
    let other_origin = head.origin().is_some_and(|origin| !origin.eq_ignore_ascii_case(head.base()));
    let other_site = head.sec_fetch_site().is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if other_origin || other_site {
        return Err(Code::CrossSite.into());
    }
    let acceptable = match (body, head.content_type()) {
        // A form's media type is checked with its parameters, because that error has OAuth's form.
        (BodyKind::None | BodyKind::Form, _) => true,
        // A browser that is signed in through Access sends its cookie with every request. A page of another site cannot send JSON
        // without a preflight, so a request without a credential or the console's mark in a header must have this media type.
        (BodyKind::OptionalJson, None) => {
            config.access.is_none() || head.authorization().is_some() || head.header(CONSOLE_HEADER).is_some()
        }
        (BodyKind::Json | BodyKind::OptionalJson, value) => {
            value.is_some_and(|value| media_type::is(value, "application/json"))
        }
    };
    if acceptable { Ok(()) } else { Err(Code::UnsupportedMediaType.into()) }
}
