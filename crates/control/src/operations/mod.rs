//! The operations of the control plane, one file each, and the one list of them.
//!
//! The list generates the enum, the rows for the router and the roles, the dispatch in isolate and registry, and the pieces of the
//! OpenAPI document. To add an operation, write its file and add its line. A line without a file, or a file without a row, does not
//! compile.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::authority::decide;
use super::failure::Failure;
use super::operation::{ControlOperation, Input, Prepared, ServedOn, Spec, prepare};
use keyward_key::entropy::Entropy;
use keyward_key::version;
use keyward_protocol::{ControlRequest, Response};
use keyward_registry::context::{Context, OperationError};
use keyward_registry::store::Store;

macro_rules! operations {
    ($($name:ident => $module:ident,)*) => {
        $(pub mod $module;)*

        /// Name of an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Operation {
            $(
                #[doc = concat!("See [`", stringify!($module), "`].")]
                $name,
            )*
        }

        impl Operation {
            /// Every operation, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the row.
            #[must_use]
            pub const fn spec(self) -> &'static Spec {
                match self { $(Self::$name => &$module::$name::SPEC),* }
            }

            /// Returns the name in messages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($module)),* }
            }

            /// Returns the hosts that serve it.
            #[must_use]
            pub const fn served_on(self) -> ServedOn {
                match self { $(Self::$name => $module::$name::SERVED_ON),* }
            }

            /// Returns whether a session does not suffice for each of its requests.
            #[must_use]
            pub const fn takes_confirmation(self) -> bool {
                match self { $(Self::$name => $module::$name::TAKES_CONFIRMATION),* }
            }

            /// Returns the operation object of the OpenAPI document, as JSON text.
            #[must_use]
            pub const fn open_api(self) -> &'static str {
                match self { $(Self::$name => $module::$name::OPEN_API),* }
            }

            /// Parses a request, and mints the credential that it needs. Runs in the isolate.
            ///
            /// # Errors
            /// The failure to answer with, provided that the caller has permission for the operation.
            pub fn prepare(self, input: &Input<'_>, entropy: &mut dyn Entropy) -> Result<Prepared, Failure> {
                match self { $(Self::$name => prepare::<$module::$name>(input, entropy)),* }
            }

            /// Parses a command and serializes it again, for comparison in tests. `None` if it is malformed.
            #[must_use]
            pub fn rewrite(self, command: &RawValue) -> Option<Box<RawValue>> {
                match self { $(Self::$name => to_raw_value(&version::read::<$module::$name>(command.get()).ok()?).ok()),* }
            }

            /// Authorises and runs the operation in the registry, which has already checked the caller's role.
            pub(super) fn decide(
                self,
                store: &mut dyn Store,
                by: &Context<'_>,
                control: &ControlRequest,
            ) -> Result<Response, OperationError> {
                match self { $(Self::$name => decide::<$module::$name>(store, by, control)),* }
            }
        }
    };
}

operations! {
    Bootstrap => bootstrap,
    Me => me,
    IssueKey => issue_key,
    ListKeys => list_keys,
    ShowKey => show_key,
    UpdateKey => update_key,
    RotateKey => rotate_key,
    FinishRotation => finish_rotation,
    ExtendRotation => extend_rotation,
    RevokeKey => revoke_key,
    CreateMember => create_member,
    ListMembers => list_members,
    ShowMember => show_member,
    UpdateMember => update_member,
    RevokeMember => revoke_member,
    RotateMember => rotate_member,
    ListRoutes => list_routes,
    ReadAudit => read_audit,
    AuditCheckpoint => audit_checkpoint,
    AuditKey => audit_key,
    Verify => verify,
    Introspect => introspect,
    RevokeByHolder => revoke_by_holder,
    ListExposures => list_exposures,
    DismissExposure => dismiss_exposure,
    ReleaseKey => release_key,
    StartSession => start_session,
    ShowSession => show_session,
    EndSession => end_session,
    ShowSettings => show_settings,
    ListClaims => list_claims,
    LookUpClaim => look_up_claim,
    ClaimKey => claim_key,
    RevokeByClaimant => revoke_by_claimant,
    WithdrawClaim => withdraw_claim,
    KeyUsage => key_usage,
    UsageTotals => usage_totals,
    KeyActivity => key_activity,
    OpenIncident => open_incident,
    ListIncidents => list_incidents,
    ShowIncident => show_incident,
    ReviewIncident => review_incident,
    CloseIncident => close_incident,
    CompromiseKey => compromise_key,
    ListLeaks => list_leaks,
    ShowLeak => show_leak,
    ShowPosture => show_posture,
    ReadMetrics => read_metrics,
    ListEndpoints => list_endpoints,
    CreateEndpoint => create_endpoint,
    EndpointKey => endpoint_key,
    ShowEndpoint => show_endpoint,
    UpdateEndpoint => update_endpoint,
    DeleteEndpoint => delete_endpoint,
    TestEndpoint => test_endpoint,
    RotateEndpointSecret => rotate_endpoint_secret,
    ReplayEndpoint => replay_endpoint,
    ListDeliveries => list_deliveries,
    ResendDelivery => resend_delivery,
}

impl Operation {
    /// Parses the name in a message.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.as_str() == name)
    }

    /// Returns method and path in the form of the documentation: below `/_keyward/v1`, or `/oauth/…` below `/_keyward`.
    #[must_use]
    pub fn route(self) -> String {
        let Spec { method, path, .. } = self.spec();
        format!("{method} /{}", path.strip_prefix("v1/").unwrap_or(path))
    }
}

/// Returns the JSON text of a command without arguments.
pub(super) fn no_arguments() -> Option<Box<RawValue>> {
    RawValue::from_string("{}".to_owned()).ok()
}
