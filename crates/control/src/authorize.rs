//! `ANY /_keyward/v1/authorize`, `…/authorize/*`: forward auth. Which gateway asks, and whether it is believed.
//!
//! The decision itself is the gate's: see `http::original` for how the request is put together that it judges.

use serde::Deserialize;

use keyward_config::Config;
use keyward_gate::{Reason, Refusal};
use keyward_http::forwarded_request::VERIFIER;
use keyward_http::head::Head;
use keyward_http::problem::{Code, Problem};
use keyward_key::id::Environment;
use keyward_key::version;
use keyward_protocol::role::Role;
use keyward_protocol::{Caller, Raw};

/// The gateway's credential, as far as form and tag tell; `None` where it shows none, and then nothing it says of its client
/// counts.
///
/// # Errors
/// The refusal of [`untrusted_gateway`].
pub fn verifier(config: &Config, head: &Head<'_>) -> Result<Option<Caller>, Refusal> {
    match head.header(VERIFIER).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => super::caller::member(config, text).map(Some).ok_or_else(untrusted_gateway),
    }
}

/// What counts of a member here, of all that their view shows.
#[derive(Deserialize)]
struct Gateway {
    role: Role,
    environments: Option<Vec<Environment>>,
}

/// Whether a member vouches for what a gateway says about a request with a key of that environment. `member` is their view.
///
/// # Errors
/// The refusal of [`untrusted_gateway`].
pub fn check_vouching(member: &Raw, environment: Environment) -> Result<(), Refusal> {
    let vouches = |voucher: &Gateway| {
        let limit = voucher.environments.as_ref();
        voucher.role.vouches() && limit.is_none_or(|environments| environments.contains(&environment))
    };
    version::read(member.get()).ok().filter(vouches).map(|_| ()).ok_or_else(untrusted_gateway)
}

/// 403, and not 401: the client's own credential is not what is wrong.
#[must_use]
pub fn untrusted_gateway() -> Refusal {
    let detail =
        "The gateway before this API shows a credential that does not vouch here. Its operator has to mend that.";
    Refusal::with(Problem::detailed(Code::Forbidden, detail), Reason::Verifier)
}
