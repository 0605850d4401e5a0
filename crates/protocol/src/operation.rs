//! The operations of the control plane.

use serde::{Deserialize, Serialize};

/// Makes the list of all operations together with the type, so that none can be missing from it.
macro_rules! operations {
    ($($route:literal $name:ident,)*) => {
        /// The operations, as the table of roles knows them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Operation {
            $(#[doc = $route] $name,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Method and path, below `/_keyward/v1`; `/oauth/…` is below `/_keyward`.
            #[must_use]
            pub const fn route(self) -> &'static str {
                match self { $(Self::$name => $route),* }
            }
        }
    };
}

operations! {
    "POST /bootstrap" Bootstrap,
    "GET /me" Me,
    "POST /keys" IssueKey,
    "GET /keys" ListKeys,
    "GET /keys/{id}" ShowKey,
    "PATCH /keys/{id}" UpdateKey,
    "POST /keys/{id}/rotate" RotateKey,
    "POST /keys/{id}/revoke" RevokeKey,
    "POST /members" CreateMember,
    "GET /members" ListMembers,
    "GET /members/{id}" ShowMember,
    "PATCH /members/{id}" UpdateMember,
    "POST /members/{id}/revoke" RevokeMember,
    "POST /members/{id}/rotate" RotateMember,
    "GET /audit" ReadAudit,
    "GET /audit/checkpoint" AuditCheckpoint,
    "GET /audit/key" AuditKey,
    "POST /verify" Verify,
    "POST /oauth/introspect" Introspect,
    "POST /oauth/revoke" RevokeByHolder,
}
