//! Environment limits of members.
//!
//! A key or member that the caller may not see is refused as absent. No member can grant a wider limit than their own. The audit log
//! covers every environment and cannot be filtered without breaking its hash chain, so only members without a limit may read it.
//! docs/decisions/0014-limited-members.md explains why.

use keyward_key::id::KeyId;
use keyward_protocol::Rejection;
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;
use keyward_registry::{keys, members};

/// Refuses with 403 unless `allowed`.
pub(super) fn allow(allowed: bool) -> Result<(), OperationError> {
    if allowed { Ok(()) } else { Err(Rejection::Forbidden.into()) }
}

/// Refuses a caller who is limited to environments, with 403.
pub(super) fn check_unlimited(by: &Context<'_>) -> Result<(), OperationError> {
    allow(by.member()?.environments.is_none())
}

/// Refuses a key that is absent or in an environment that the caller may not see, with 404 for both.
pub(super) fn check_key_in_sight(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<(), OperationError> {
    let environment = keys::environment(store, id)?.ok_or(Rejection::NotFound)?;
    if by.member()?.sees(environment) { Ok(()) } else { Err(Rejection::NotFound.into()) }
}

/// Refuses a member who is absent, or whose limit exceeds the caller's, with 404 for both.
pub(super) fn check_member_in_sight(store: &mut dyn Store, by: &Context<'_>, id: &KeyId) -> Result<(), OperationError> {
    let other = members::find(store, id)?.ok_or(Rejection::NotFound)?;
    if by.member()?.covers(other.environments.as_deref()) { Ok(()) } else { Err(Rejection::NotFound.into()) }
}
