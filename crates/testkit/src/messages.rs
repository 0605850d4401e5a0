//! Typed forms of the control plane's messages, for tests that speak to the registry.

use keyward_control::Operation;
use keyward_control::delivery::{ClaimTerms, Opened};
use keyward_control::operation::ControlOperation;
use keyward_control::operations::{
    audit_checkpoint, bootstrap, claim_key, create_member, dismiss_exposure, issue_key, list_claims, list_exposures,
    list_keys, list_leaks, list_members, look_up_claim, me, read_audit, release_key, revoke_by_claimant,
    revoke_by_holder, revoke_key, revoke_member, rotate_key, rotate_member, show_key, show_leak, show_member,
    update_key, update_member, withdraw_claim,
};
use keyward_key::id::{Environment, KeyId};
use keyward_key::record::Record;
use keyward_key::scope::Scope;
use keyward_key::time::Millis;
use keyward_protocol::audit::Entry;
use keyward_protocol::{
    Caller, ControlRequest, Idempotency, KeyAttributes, KeyView, MemberView, NewCredential, Rejection, RequestMeta,
    Response as RawResponse,
};
use keyward_registry::audit::AuditFilter;
use keyward_registry::leaks::Leak;
use keyward_registry::list::KeyFilter;
use keyward_registry::order::KeyOrder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// A request for an operation.
#[derive(Debug, Clone)]
pub enum Command {
    Bootstrap {
        name: String,
        email: String,
        credential: NewCredential,
    },
    Me,
    /// Checks only whether the caller may do the operation.
    Authorise {
        operation: Operation,
    },
    IssueKey {
        draft: Box<KeyDraft>,
        credential: NewCredential,
    },
    ListKeys {
        filter: KeyFilter,
        limit: u32,
        cursor: Option<String>,
    },
    SortKeys {
        filter: KeyFilter,
        order: KeyOrder,
        limit: u32,
        cursor: Option<String>,
    },
    ShowKey {
        id: KeyId,
    },
    RevokeKey {
        id: KeyId,
        reason: String,
    },
    UpdateKey {
        id: KeyId,
        changes: Box<update_key::KeyChanges>,
    },
    RotateKey {
        id: KeyId,
        overlap_seconds: u32,
        credential: NewCredential,
    },
    CreateMember {
        draft: Box<create_member::CreateMember>,
        credential: NewCredential,
    },
    ListMembers {
        limit: u32,
        cursor: Option<String>,
    },
    ShowMember {
        id: KeyId,
    },
    UpdateMember {
        id: KeyId,
        changes: Box<update_member::MemberChanges>,
    },
    RevokeMember {
        id: KeyId,
    },
    RotateMember {
        id: KeyId,
        credential: NewCredential,
    },
    ReadAudit {
        after: u64,
        limit: u32,
    },
    FilterAudit {
        after: u64,
        limit: u32,
        filter: AuditFilter,
    },
    AuditHead,
    DismissExposure {
        id: KeyId,
        reason: String,
    },
    ReleaseKey {
        id: KeyId,
        reason: String,
    },
    ListExposures {
        id: KeyId,
        limit: u32,
        cursor: Option<String>,
    },
    ListLeaks {
        limit: u32,
        cursor: Option<String>,
    },
    ShowLeak {
        id: String,
    },
    Introspect(KeyId),
    Verify(KeyId),
    RevokeByHolder,
    /// Issues a key by claim. The credential has the hash of the claim's secret.
    IssueByClaim {
        draft: Box<KeyDraft>,
        credential: NewCredential,
        hours: u32,
    },
    RotateByClaim {
        id: KeyId,
        overlap_seconds: u32,
        credential: NewCredential,
        hours: u32,
    },
    ListClaims {
        limit: u32,
        cursor: Option<String>,
    },
    WithdrawClaim {
        id: KeyId,
    },
    LookUpClaim,
    ClaimKey {
        credential: NewCredential,
    },
    RevokeByClaimant,
}

/// A key to issue: its attributes and its lifetime.
#[derive(Debug, Clone)]
pub struct KeyDraft {
    pub name: String,
    pub integration: String,
    pub environment: Environment,
    pub purpose: String,
    pub owner: String,
    pub scopes: Vec<Scope>,
    pub allowed_cidrs: Vec<ipnet::IpNet>,
    pub lifetime: issue_key::Lifetime,
}

impl From<KeyDraft> for issue_key::IssueKey {
    fn from(draft: KeyDraft) -> Self {
        let KeyDraft { name, integration, environment, purpose, owner, scopes, allowed_cidrs, lifetime } = draft;
        let attributes =
            KeyAttributes { name, integration, environment, purpose, owner, scopes, allowed_cidrs, limits: None };
        Self { attributes, lifetime, claim: None, min_reader: None }
    }
}

fn raw(operation: Operation, request: &impl ControlOperation) -> (Operation, Option<Box<RawValue>>) {
    (operation, Some(to_raw_value(request).unwrap()))
}

fn raw_json(operation: Operation, json: &serde_json::Value) -> (Operation, Option<Box<RawValue>>) {
    (operation, Some(to_raw_value(json).unwrap()))
}

impl Command {
    /// Creates the message.
    pub fn into_request(
        self,
        caller: Caller,
        request: RequestMeta,
        idempotency: Option<Idempotency>,
    ) -> ControlRequest {
        let mut new_credential = None;
        let (operation, command) = match self {
            Self::Bootstrap { name, email, credential } => {
                new_credential = Some(credential);
                raw(Operation::Bootstrap, &bootstrap::Bootstrap { name, email })
            }
            Self::Me => raw(Operation::Me, &me::Me {}),
            Self::Authorise { operation } => (operation, None),
            Self::IssueKey { draft, credential } => {
                new_credential = Some(credential);
                raw(Operation::IssueKey, &issue_key::IssueKey::from(*draft))
            }
            Self::ListKeys { filter, limit, cursor } => {
                raw(Operation::ListKeys, &list_keys::ListKeys::new(filter, KeyOrder::default(), limit, cursor))
            }
            Self::SortKeys { filter, order, limit, cursor } => {
                raw(Operation::ListKeys, &list_keys::ListKeys::new(filter, order, limit, cursor))
            }
            Self::ShowKey { id } => raw(Operation::ShowKey, &show_key::ShowKey { id }),
            Self::RevokeKey { id, reason } => raw(Operation::RevokeKey, &revoke_key::RevokeKey { id, reason }),
            Self::UpdateKey { id, changes } => {
                raw(Operation::UpdateKey, &update_key::UpdateKey { id, changes: *changes })
            }
            Self::RotateKey { id, overlap_seconds, credential } => {
                new_credential = Some(credential);
                raw(Operation::RotateKey, &rotate_key::RotateKey { id, overlap_seconds, claim: None })
            }
            Self::CreateMember { draft, credential } => {
                new_credential = Some(credential);
                raw(Operation::CreateMember, &*draft)
            }
            Self::ListMembers { limit, cursor } => {
                raw(Operation::ListMembers, &list_members::ListMembers { limit, cursor })
            }
            Self::ShowMember { id } => raw(Operation::ShowMember, &show_member::ShowMember { id }),
            Self::UpdateMember { id, changes } => {
                raw(Operation::UpdateMember, &update_member::UpdateMember { id, changes: *changes })
            }
            Self::RevokeMember { id } => raw(Operation::RevokeMember, &revoke_member::RevokeMember { id }),
            Self::RotateMember { id, credential } => {
                new_credential = Some(credential);
                raw(Operation::RotateMember, &rotate_member::RotateMember { id })
            }
            Self::ReadAudit { after, limit } => {
                raw(Operation::ReadAudit, &read_audit::ReadAudit::new(after, limit, AuditFilter::default()))
            }
            Self::FilterAudit { after, limit, filter } => {
                raw(Operation::ReadAudit, &read_audit::ReadAudit::new(after, limit, filter))
            }
            Self::AuditHead => raw(Operation::AuditCheckpoint, &audit_checkpoint::AuditCheckpoint {}),
            Self::DismissExposure { id, reason } => {
                raw(Operation::DismissExposure, &dismiss_exposure::DismissExposure { id, reason })
            }
            Self::ReleaseKey { id, reason } => raw(Operation::ReleaseKey, &release_key::ReleaseKey { id, reason }),
            Self::ListExposures { id, limit, cursor } => {
                raw(Operation::ListExposures, &list_exposures::ListExposures { id, limit, cursor })
            }
            Self::ListLeaks { limit, cursor } => raw(Operation::ListLeaks, &list_leaks::ListLeaks { limit, cursor }),
            Self::ShowLeak { id } => raw(Operation::ShowLeak, &show_leak::ShowLeak { id }),
            Self::Introspect(id) => raw_json(Operation::Introspect, &json!({ "id": id })),
            Self::Verify(id) => raw_json(Operation::Verify, &json!({ "id": id })),
            Self::RevokeByHolder => raw(Operation::RevokeByHolder, &revoke_by_holder::RevokeByHolder::default()),
            Self::IssueByClaim { draft, credential, hours } => {
                new_credential = Some(credential);
                let claim = Some(ClaimTerms::new(hours));
                raw(Operation::IssueKey, &issue_key::IssueKey { claim, ..issue_key::IssueKey::from(*draft) })
            }
            Self::RotateByClaim { id, overlap_seconds, credential, hours } => {
                new_credential = Some(credential);
                let claim = Some(ClaimTerms::new(hours));
                raw(Operation::RotateKey, &rotate_key::RotateKey { id, overlap_seconds, claim })
            }
            Self::ListClaims { limit, cursor } => {
                raw(Operation::ListClaims, &list_claims::ListClaims { limit, cursor })
            }
            Self::WithdrawClaim { id } => raw(Operation::WithdrawClaim, &withdraw_claim::WithdrawClaim { id }),
            Self::LookUpClaim => raw(Operation::LookUpClaim, &look_up_claim::LookUpClaim::default()),
            Self::ClaimKey { credential } => {
                new_credential = Some(credential);
                raw(Operation::ClaimKey, &claim_key::ClaimKey::default())
            }
            Self::RevokeByClaimant => {
                raw(Operation::RevokeByClaimant, &revoke_by_claimant::RevokeByClaimant::default())
            }
        };
        ControlRequest {
            credential: new_credential,
            idempotency,
            ..keyward_control::serve::control_request(operation, caller, request, command)
        }
    }

    /// Returns the operation of the message.
    pub fn operation(&self) -> Operation {
        let meta = RequestMeta { request_id: String::new(), client_address: None };
        let message = self.clone().into_request(Caller::Bootstrap, meta, None);
        Operation::parse(&message.operation).unwrap()
    }
}

/// An answer to [`Command`].
#[derive(Debug)]
pub enum Response {
    Done(Outcome),
    Refused(Rejection),
}

/// An outcome of any operation, with its views parsed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    MemberCreated(MemberView),
    Me(MemberView),
    #[serde(skip)]
    Authorised,
    KeyIssued(Box<KeyView>),
    Keys {
        items: Vec<KeyView>,
        next_cursor: Option<String>,
    },
    Key(Box<KeyView>),
    KeyRevoked {
        key: Box<KeyView>,
        changed_at: Millis,
    },
    KeyUpdated {
        key: Box<KeyView>,
        changed_at: Millis,
    },
    KeyRotated {
        key: Box<KeyView>,
        retiring: Box<KeyView>,
        changed_at: Millis,
    },
    KeyPending {
        key: Box<KeyView>,
        claim: Opened,
    },
    KeyClaimed {
        key: Box<KeyView>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retiring: Option<Box<KeyView>>,
        changed_at: Millis,
    },
    ClaimShown(serde_json::Value),
    ClaimWithdrawn(serde_json::Value),
    Claims {
        items: Vec<serde_json::Value>,
        next_cursor: Option<String>,
    },
    ExposureDismissed(Box<KeyView>),
    KeyReleased {
        key: Box<KeyView>,
        changed_at: Millis,
    },
    Exposures {
        items: Vec<serde_json::Value>,
        next_cursor: Option<String>,
    },
    Leaks {
        items: Vec<Leak>,
        next_cursor: Option<String>,
    },
    Leak(Box<Leak>),
    MemberRotated(MemberView),
    Members {
        items: Vec<MemberView>,
        next_cursor: Option<String>,
    },
    Member(MemberView),
    Audit {
        entries: Vec<Entry>,
        more: bool,
        next: Option<u64>,
    },
    AuditHead {
        size: u64,
        hash: String,
    },
    Inspected {
        at: Millis,
        found: Option<Box<Inspected>>,
    },
    /// A retry: the first outcome as JSON.
    #[serde(skip)]
    Replayed {
        outcome: Box<RawValue>,
        nonce: String,
        minted_under: String,
    },
}

/// A key that a client presented to another service.
#[derive(Debug, Serialize, Deserialize)]
pub struct Inspected {
    pub record: Record,
    pub created_at: Millis,
    pub key: KeyView,
}

impl From<RawResponse> for Response {
    fn from(response: RawResponse) -> Self {
        match response {
            RawResponse::Authorised => Self::Done(Outcome::Authorised),
            RawResponse::Done(outcome) if outcome.get() == "{}" => Self::Done(Outcome::Authorised),
            RawResponse::Done(outcome) => Self::Done(serde_json::from_str(outcome.get()).unwrap()),
            RawResponse::Replayed { outcome, nonce, minted_under } => {
                Self::Done(Outcome::Replayed { outcome, nonce, minted_under: minted_under.as_str().to_owned() })
            }
            RawResponse::Refused(refused) => Self::Refused(refused),
            other @ (RawResponse::Reported
            | RawResponse::UsageNoted
            | RawResponse::EndpointsNoted
            | RawResponse::Records { .. }
            | RawResponse::Changes { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}
