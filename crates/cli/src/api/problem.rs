//! Problems of the API (RFC 9457) as failures of this program.

use serde::Deserialize;

use super::address::Address;
use crate::failure::{Exit, Failure};

#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    field: Option<String>,
    request_id: Option<String>,
    /// Of the two OAuth endpoints.
    error_description: Option<String>,
}

/// Returns the failure of an answer.
#[must_use]
pub fn to_failure(status: u16, body: &[u8], address: &Address) -> Failure {
    let exit = match status {
        401 | 403 => Exit::Refused,
        429 | 502..=504 => Exit::Unavailable,
        _ => Exit::Failed,
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Failure::new(exit, format!("{address} answered {status} without saying why."))
            .next("Check that this is the address of a Keyward control plane.");
    };
    let title = problem.title.unwrap_or_else(|| format!("Status {status}"));
    let detail = problem.detail.or(problem.error_description).unwrap_or_default();
    let mut failure = Failure::new(exit, format!("{title}. {detail}").trim().to_owned());
    if let Some(field) = problem.field {
        failure = failure.fact("field", field);
    }
    if let Some(id) = problem.request_id {
        failure = failure.fact("request", id);
    }
    failure.next = next_step(problem.code.as_deref().unwrap_or_default(), address);
    failure.code = problem.code;
    failure
}

/// Returns the next step after a problem, in terms of this program.
fn next_step(code: &str, address: &Address) -> Option<String> {
    let step = match code {
        "missing_key" | "invalid_key" | "expired_key" | "revoked_key" => {
            "Sign in with another credential: `keyward login`. If yours ended, ask an owner to rotate it."
        }
        "forbidden" => "`keyward whoami` shows your role. Ask an owner, or somebody whose role allows this.",
        "not_found" => "`keyward keys list` shows the ids. What is outside your environments is not found either.",
        "integration_has_key" => "Rotate that key instead: `keyward keys rotate ID`.",
        "name_taken" => "Choose another name: `keyward keys list --search NAME` shows the key that has it.",
        "not_active" => "`keyward keys show ID` says what happened to it.",
        "precondition_failed" => "Somebody changed it meanwhile. Look at it again, then repeat the command.",
        "rate_limited" | "authority_unavailable" => "Wait a little, then run the command again.",
        "wrong_host" => "Use the address of the control plane (CONTROL_HOST), not that of the gate.",
        "" => return None,
        code => return Some(format!("{address}/_keyward/problems/{code} explains the error.")),
    };
    Some(step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: u16, body: &str) -> (Exit, String) {
        let failure = to_failure(status, body.as_bytes(), &Address::parse("https://keys.example").unwrap());
        (failure.exit, failure.text())
    }

    #[test]
    fn a_problem_shows_title_detail_field_request_and_the_next_step() {
        let (exit, text) = shown(
            400,
            r#"{"title":"Invalid request","detail":"Known scopes: a.","status":400,"code":"unknown_scope","field":"scopes[0]","request_id":"r-1"}"#,
        );
        assert_eq!(exit, Exit::Failed);
        assert_eq!(
            text,
            "error: Invalid request. Known scopes: a.\n  field: scopes[0]\n  request: r-1\n  next: https://keys.example/_keyward/problems/unknown_scope explains the error.\n"
        );
    }

    #[test]
    fn the_status_decides_the_exit_code() {
        for (status, exit) in [
            (400, Exit::Failed),
            (401, Exit::Refused),
            (403, Exit::Refused),
            (404, Exit::Failed),
            (409, Exit::Failed),
            (429, Exit::Unavailable),
            (500, Exit::Failed),
            (503, Exit::Unavailable),
        ] {
            assert_eq!(shown(status, r#"{"code":"x"}"#).0, exit, "{status}");
            assert_eq!(shown(status, "<html>").0, exit, "{status}");
        }
    }
}
