//! Limits of members to environments.
//!
//! A key or member out of a caller's sight is refused as absent. Nobody grants a wider limit than their own. The audit log
//! shows every environment and cannot be cut without breaking its chain, so it is for members without a limit.
//! docs/decisions/0014-limited-members.md gives the reasons.

use keyward_key::id::KeyId;
use keyward_protocol::Rejection;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;
use keyward_registry::{keys, members};

/// Refuses what the caller must not do: 403.
pub(super) fn allow(allowed: bool) -> Result<(), OperationError> {
    if allowed { Ok(()) } else { Err(Rejection::Forbidden.into()) }
}

/// Refuses a caller who is limited to environments: 403.
pub(super) fn check_unlimited(by: &Context<'_>) -> Result<(), OperationError> {
    allow(by.member()?.environments.is_none())
}

/// Refuses a key that is absent or in an environment out of the caller's sight: 404 for both.
pub(super) fn check_key_in_sight(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<(), OperationError> {
    let environment = keys::environment(store, id)?.ok_or(Rejection::NotFound)?;
    if by.member()?.sees(environment) { Ok(()) } else { Err(Rejection::NotFound.into()) }
}

/// Refuses a member who is absent, or whose limit the caller's own does not cover: 404 for both.
pub(super) fn check_member_in_sight(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<(), OperationError> {
    let other = members::find(store, id)?.ok_or(Rejection::NotFound)?;
    if by.member()?.covers(other.environments.as_deref()) { Ok(()) } else { Err(Rejection::NotFound.into()) }
}
