//! Roles of members. Each operation of the control plane names the roles that may do it.

use serde::{Deserialize, Serialize};

/// Role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything, and is the only role that manages members.
    Owner,
    /// Issues and changes keys.
    Manager,
    /// Revokes keys.
    Responder,
    /// Reads.
    Auditor,
    /// A machine that asks whether a key is valid.
    Verifier,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Manager, Self::Responder, Self::Auditor, Self::Verifier];

    /// Returns the name in answers and in the store.
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

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether the gate trusts the client data of a gateway that presents this role's credential (`Keyward-Verifier`).
    /// An owner's is not: a credential in a gateway's configuration must not be able to do everything.
    #[must_use]
    pub const fn vouches(self) -> bool {
        matches!(self, Self::Verifier)
    }
}
