//! The list of the control plane's routes.

use super::*;

#[test]
fn every_route_is_found_by_its_method_and_path() {
    for (method, path, expected) in [
        ("GET", "/_keyward/health", Endpoint::Health),
        ("HEAD", "/_keyward/health", Endpoint::Health),
        ("GET", "/_keyward/jwks.json", Endpoint::Jwks),
        ("HEAD", "/_keyward/jwks.json", Endpoint::Jwks),
        ("PUT", "/_keyward/v1/authorize", Endpoint::Authorize),
        ("GET", "/_keyward/v1/authorize/", Endpoint::Authorize),
        ("HEAD", "/_keyward/v1/authorize/v1/contacts/7", Endpoint::Authorize),
        ("GET", "/_keyward/problems/no_route", Endpoint::ProblemPage(Code::NoRoute)),
        ("POST", "/_keyward/v1/keys", Endpoint::Operation(Operation::IssueKey, "")),
        ("GET", "/_keyward/v1/keys", Endpoint::Operation(Operation::ListKeys, "")),
        ("GET", "/_keyward/v1/keys/x", Endpoint::Operation(Operation::ShowKey, "x")),
        ("POST", "/_keyward/v1/keys/x/revoke", Endpoint::Operation(Operation::RevokeKey, "x")),
        ("PATCH", "/_keyward/v1/members/x", Endpoint::Operation(Operation::UpdateMember, "x")),
        ("HEAD", "/_keyward/v1/audit", Endpoint::Operation(Operation::ReadAudit, "")),
        ("GET", "/_keyward/v1/audit/key", Endpoint::Operation(Operation::AuditKey, "")),
    ] {
        assert_eq!(find(method, path).ok(), Some(expected), "{method} {path}");
    }
}

#[test]
fn what_changes_nothing_is_a_get_and_takes_no_body() {
    for (method, pattern, operation) in ROUTES {
        let Some(operation) = operation else { continue };
        assert_eq!(body_kind(*operation) == BodyKind::None, *method == "GET", "{method} {pattern}");
    }
}

#[test]
fn what_is_no_route_says_so() {
    for (method, path, code) in [
        ("GET", "/_keyward", Code::NoRoute),
        ("GET", "/_keyward/", Code::NoRoute),
        ("GET", "/_KEYWARD/health", Code::NoRoute),
        ("GET", "/_keyward/health/", Code::NoRoute),
        ("GET", "/_keyward/problems/", Code::NoRoute),
        ("GET", "/_keyward/problems/nonsense", Code::NoRoute),
        ("GET", "/_keyward/v1/keys/", Code::NoRoute),
        ("POST", "/_keyward/v1/keys//revoke", Code::NoRoute),
        ("GET", "/_keyward/v1/authorized", Code::NoRoute),
        ("POST", "/_keyward/jwks.json", Code::MethodNotAllowed),
        ("DELETE", "/_keyward/v1/keys/x", Code::MethodNotAllowed),
        ("GET", "/_keyward/v1/bootstrap", Code::MethodNotAllowed),
        ("GET", "/_keyward/v1/audit/x", Code::NoRoute),
        ("POST", "/_keyward/v1/audit", Code::MethodNotAllowed),
    ] {
        assert_eq!(find(method, path).unwrap_err().code, code, "{method} {path}");
    }
    let both = find("PUT", "/_keyward/v1/keys").unwrap_err();
    assert_eq!(both.headers(), [("allow", "POST, GET, HEAD".to_owned())]);
}
