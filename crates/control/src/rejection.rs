//! Refusals of the registry as problems.

use keyward_http::problem::{Code, Problem};
use keyward_protocol::{Rejection, Status};

/// Returns the problem for a refusal of the registry.
pub(super) fn problem_of(refused: &Rejection) -> Problem {
    match refused {
        Rejection::Unauthenticated { .. } => Code::InvalidKey.into(),
        Rejection::Forbidden => Code::Forbidden.into(),
        Rejection::NotFound => Code::NotFound.into(),
        Rejection::AlreadyBootstrapped => Code::AlreadyBootstrapped.into(),
        Rejection::IntegrationHasKey { id } => Problem::detailed(
            Code::IntegrationHasKey,
            format!(
                "This integration already has the key {id} in this environment. Rotate that key, or withdraw its claim if it is pending."
            ),
        ),
        Rejection::NameTaken { id } => Problem::detailed(
            Code::NameTaken,
            format!("The active key {id} of this environment has this name. Choose another."),
        ),
        Rejection::Invalid { field, detail } => Problem::field(Code::InvalidRequest, field, detail),
        Rejection::UnknownScope { field, detail, .. } => Problem::field(Code::UnknownScope, field, detail),
        Rejection::NotActive { status: Status::Pending } => Problem::detailed(
            Code::NotActive,
            "This key waits for its claim. Withdraw the claim, or wait until it is used.",
        ),
        Rejection::NotActive { status: Status::Retiring } => {
            Problem::detailed(Code::NotActive, "This key is retiring. Rotate its successor.")
        }
        Rejection::NotActive { status: Status::Active } => {
            Problem::detailed(Code::NotActive, "This key is active and has no successor. Rotate it first.")
        }
        Rejection::NotActive { status: Status::Quarantined } => {
            Problem::detailed(Code::NotActive, "This key is quarantined. Release it, rotate it or revoke it.")
        }
        Rejection::NotActive { status } => Problem::detailed(
            Code::NotActive,
            format!("This key is {}. Issue another key for the integration.", status.as_str()),
        ),
        Rejection::NotQuarantined => Code::NotQuarantined.into(),
        Rejection::LastOwner => Code::LastOwner.into(),
        Rejection::EmailTaken => Code::EmailTaken.into(),
        Rejection::IdempotencyMismatch => Code::IdempotencyMismatch.into(),
        Rejection::PreconditionFailed => Code::PreconditionFailed.into(),
        Rejection::ConfirmationRequired => Code::ConfirmationRequired.into(),
        Rejection::AlreadyClaimed => Code::AlreadyClaimed.into(),
        Rejection::KeyNotFound { id } => {
            Problem::detailed(Code::NotFound, format!("There is no key {id}, or you may not see it. Nothing was done."))
        }
        Rejection::CountNotConfirmed { keys } => Problem::count_not_confirmed(format!(
            "This would revoke {keys} keys. Send \"confirm\": \"{keys} keys\" if that is what you want."
        )),
        Rejection::NotReviewed => Code::NotReviewed.into(),
        Rejection::SuccessorPending { id } => Problem::detailed(
            Code::IntegrationHasKey,
            format!(
                "The successor {id} of this key waits for its claim. Withdraw that claim before you rotate this key again."
            ),
        ),
        Rejection::EndpointNotTested => Code::EndpointNotTested.into(),
        Rejection::IdTaken => Code::InternalError.into(),
    }
}
