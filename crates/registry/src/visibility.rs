//! Where a member may act: the one table of limits to environments, as [`super::roles`] is that of roles.
//!
//! What lies outside a member's limit is as if it were absent. Nobody gives another a limit wider than their own. The
//! audit log tells of every environment at once and can't be read in part without breaking its chain, so it is for
//! members without a limit. docs/decisions/0303-limited-members.md gives the reasons.

use super::apply::OperationError;
use super::keys;
use super::members::{self, Member};
use super::store::Store;
use keyward_protocol::{Command, Limit, Operation, Rejection};

/// Whether what this command names exists for `member`, and what it grants is theirs to grant.
pub(super) fn check(store: &mut dyn Store, member: &Member, command: &Command) -> Result<(), OperationError> {
    match command {
        Command::Bootstrap { .. } | Command::Me | Command::ListKeys { .. } | Command::ListMembers { .. } => Ok(()),
        // What lies outside is answered as absent, not refused: to the caller both are one answer about one text.
        Command::Introspect(_) | Command::Verify(_) | Command::RevokeByHolder => Ok(()),
        Command::Authorise { operation } => {
            let reads_audit =
                matches!(operation, Operation::ReadAudit | Operation::AuditCheckpoint | Operation::AuditKey);
            allow(!reads_audit || member.environments.is_none())
        }
        Command::ReadAudit { .. } | Command::AuditHead => allow(member.environments.is_none()),
        Command::IssueKey { draft, .. } => allow(member.sees(draft.environment)),
        Command::ShowKey { id }
        | Command::UpdateKey { id, .. }
        | Command::RotateKey { id, .. }
        | Command::RevokeKey { id, .. } => {
            let environment = keys::environment(store, id)?.ok_or(Rejection::NotFound)?;
            exists(member.sees(environment))
        }
        Command::CreateMember { draft, .. } => allow(member.covers(draft.environments.as_deref())),
        Command::ShowMember { id } | Command::RevokeMember { id } | Command::RotateMember { id, .. } => {
            let other = members::find(store, id)?.ok_or(Rejection::NotFound)?;
            exists(member.covers(other.environments.as_deref()))
        }
        Command::UpdateMember { id, changes } => {
            let other = members::find(store, id)?.ok_or(Rejection::NotFound)?;
            exists(member.covers(other.environments.as_deref()))?;
            match &changes.environments {
                None => Ok(()),
                Some(Limit::Everywhere) => allow(member.covers(None)),
                Some(Limit::Only(environments)) => allow(member.covers(Some(environments))),
            }
        }
    }
}

fn allow(allowed: bool) -> Result<(), OperationError> {
    if allowed { Ok(()) } else { Err(Rejection::Forbidden.into()) }
}

fn exists(visible: bool) -> Result<(), OperationError> {
    if visible { Ok(()) } else { Err(Rejection::NotFound.into()) }
}
