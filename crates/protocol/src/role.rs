//! Who may do what: the one table. The README shows it.

use serde::{Deserialize, Serialize};

use crate::{Command, Operation};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers for everything, members included.
    Owner,
    /// Issues and changes keys.
    Manager,
    /// Shuts keys off.
    Responder,
    /// Reads.
    Auditor,
    /// A machine that asks whether a key is good.
    Verifier,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Manager, Self::Responder, Self::Auditor, Self::Verifier];

    /// The word in answers and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Manager => "manager",
            Self::Responder => "responder",
            Self::Auditor => "auditor",
            Self::Verifier => "verifier",
        }
    }

    /// Reads [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether a member of this role may do `operation`.
    #[must_use]
    pub fn may(self, operation: Operation) -> bool {
        who(operation).contains(&self)
    }

    /// Whether a gateway that shows such a member's credential (`Keyward-Verifier`) is believed what it says of its clients.
    #[must_use]
    pub const fn vouches(self) -> bool {
        matches!(self, Self::Owner | Self::Verifier)
    }
}

/// The table. Two operations belong to no role: only the token makes the first owner, only a key's holder surrenders it.
const fn who(operation: Operation) -> &'static [Role] {
    use Role::{Auditor, Manager, Owner, Responder, Verifier};
    match operation {
        Operation::Bootstrap | Operation::RevokeByHolder => &[],
        Operation::Me => &Role::ALL,
        Operation::IssueKey | Operation::UpdateKey | Operation::RotateKey => &[Owner, Manager],
        Operation::ListKeys | Operation::ShowKey => &[Owner, Manager, Responder, Auditor],
        Operation::RevokeKey => &[Owner, Manager, Responder],
        Operation::CreateMember
        | Operation::ListMembers
        | Operation::ShowMember
        | Operation::UpdateMember
        | Operation::RevokeMember
        | Operation::RotateMember => &[Owner],
        Operation::ReadAudit | Operation::AuditCheckpoint | Operation::AuditKey => &[Owner, Responder, Auditor],
        Operation::Verify | Operation::Introspect => &[Owner, Verifier],
    }
}

impl Command {
    /// The operation that must be allowed for this command.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        match self {
            Self::Bootstrap { .. } => Operation::Bootstrap,
            Self::Me => Operation::Me,
            Self::Authorise { operation } => *operation,
            Self::IssueKey { .. } => Operation::IssueKey,
            Self::ListKeys { .. } => Operation::ListKeys,
            Self::ShowKey { .. } => Operation::ShowKey,
            Self::RevokeKey { .. } => Operation::RevokeKey,
            Self::UpdateKey { .. } => Operation::UpdateKey,
            Self::RotateKey { .. } => Operation::RotateKey,
            Self::CreateMember { .. } => Operation::CreateMember,
            Self::ListMembers { .. } => Operation::ListMembers,
            Self::ShowMember { .. } => Operation::ShowMember,
            Self::UpdateMember { .. } => Operation::UpdateMember,
            Self::RevokeMember { .. } => Operation::RevokeMember,
            Self::RotateMember { .. } => Operation::RotateMember,
            Self::ReadAudit { .. } => Operation::ReadAudit,
            Self::AuditHead => Operation::AuditCheckpoint,
            Self::Introspect(_) => Operation::Introspect,
            Self::Verify(_) => Operation::Verify,
            Self::RevokeByHolder => Operation::RevokeByHolder,
        }
    }
}
