//! Finds the credential that a request presents. See docs/concepts/keys.md.

use super::head::Head;
use super::headers::fold;
use super::key_copies::basic;
use keyward_key::id::Prefix;

/// A presented credential. Borrows the secret, so it has no `Debug`.
pub enum Credential<'a> {
    /// No credential, or only empty headers.
    Absent,
    /// Two Keyward credentials, or a repeated header.
    Ambiguous,
    /// An `Authorization` scheme other than `Bearer`.
    OtherScheme,
    /// Text to be parsed as a key.
    Candidate(&'a str),
}

/// Headers that hold a Keyward credential and are therefore not forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialHeaders {
    /// `Authorization`.
    pub authorization: bool,
    /// `X-API-Key`, in any spelling.
    pub api_key: bool,
}

impl<'a> Credential<'a> {
    /// Finds the credential of a request to a route that needs a key, and the headers to remove with it.
    #[must_use]
    pub fn find(head: &Head<'a>, prefix: &Prefix) -> (Self, CredentialHeaders) {
        let Some(api_key) = head.api_key() else {
            let strip = CredentialHeaders { authorization: true, api_key: true };
            return match head.authorization() {
                None => (Self::Absent, strip),
                Some(value) if value.contains(',') => (Self::Ambiguous, strip),
                Some(value) => (bearer(value).map_or(Self::OtherScheme, Self::Candidate), strip),
            };
        };
        let ours = head.authorization().is_some_and(|value| names_ours(value, prefix));
        let strip = CredentialHeaders { authorization: ours, api_key: true };
        if ours || api_key.contains(',') { (Self::Ambiguous, strip) } else { (Self::Candidate(api_key), strip) }
    }

    /// Returns the headers of a request to a public route that hold a Keyward credential, with `X-API-Key` in any spelling.
    #[must_use]
    pub fn strip_public(head: &Head<'a>, prefix: &Prefix) -> CredentialHeaders {
        CredentialHeaders {
            authorization: head.authorization().is_some_and(|value| {
                // `curl -u <key>:` sends a key as the user's name.
                let in_basic = |text: String| text.split(':').any(|part| names_ours(part, prefix));
                names_ours(value, prefix) || basic(value).is_some_and(in_basic)
            }),
            api_key: head.headers().iter().any(|(name, value)| fold(name) == "x-api-key" && names_ours(value, prefix)),
        }
    }
}

/// Returns the token of `Bearer <token>`, with the scheme in any letter case (RFC 9110, section 11.4). `None` for every other
/// scheme.
#[must_use]
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// Returns whether any comma-separated value begins with our prefix, after any scheme. Such a value counts as a Keyward credential even
/// if it is malformed.
fn names_ours(value: &str, prefix: &Prefix) -> bool {
    value.split(',').any(|part| {
        part.split([' ', '\t']).any(|word| word.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('_')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &str) -> (String, CredentialHeaders) {
        let text = format!("0\nGET\nhttp://h/\n{headers}");
        let head = Head::parse(&text).unwrap();
        let (credential, strip) = Credential::find(&head, &Prefix::parse("wafl").unwrap());
        let name = match credential {
            Credential::Absent => "absent".to_owned(),
            Credential::Ambiguous => "ambiguous".to_owned(),
            Credential::OtherScheme => "other".to_owned(),
            Credential::Candidate(text) => text.to_owned(),
        };
        (name, strip)
    }

    #[test]
    fn one_credential_is_found_in_either_header() {
        for (headers, expected) in [
            ("", "absent"),
            ("authorization\n\nx-api-key\n \n", "absent"),
            ("authorization\nBearer wafl_x\n", "wafl_x"),
            ("authorization\nbEARER   wafl_x \n", "wafl_x"),
            ("authorization\nBearer\n", "other"),
            ("authorization\nwafl_x\n", "other"),
            ("authorization\nBasic abc\n", "other"),
            ("authorization\nBearer\twafl_x\n", "other"),
            ("authorization\nBearer a, Bearer b\n", "ambiguous"),
            ("x-api-key\nwafl_x\n", "wafl_x"),
            ("x-api-key\na, b\n", "ambiguous"),
            ("x-api-key\nwafl_x\nauthorization\nBearer wafl_y\n", "ambiguous"),
            ("x-api-key\nwafl_x\nauthorization\nwafl_y\n", "ambiguous"),
            ("x-api-key\nwafl_x\nauthorization\nBasic abc, Bearer wafl_y\n", "ambiguous"),
        ] {
            assert_eq!(found(headers).0, expected, "{headers}");
        }
    }

    #[test]
    fn on_a_public_route_a_key_as_the_name_or_password_of_basic_is_removed() {
        for (value, removed) in [
            ("Basic d2FmbF9saXZlX3g6", true),
            ("basic d2FmbF9saXZlX3g", true),
            ("Basic dXNlcjp3YWZsX2xpdmVfeA==", true),
            ("Bearer wafl_live_x", true),
            ("Basic dXNlcjpwYXNzd29yZA==", false),
            ("Basic eHdhZmxfbGl2ZV94Og==", false),
        ] {
            let text = format!("0\nGET\nhttp://h/\nauthorization\n{value}\n");
            let head = Head::parse(&text).unwrap();
            let strip = Credential::strip_public(&head, &Prefix::parse("wafl").unwrap());
            assert_eq!(strip.authorization, removed, "{value}");
        }
    }

    #[test]
    fn beside_an_api_key_another_authorization_is_the_origins() {
        let (credential, strip) = found("x-api-key\nwafl_x\nauthorization\nDigest a=\"b\", c=\"d\"\n");
        assert_eq!(credential, "wafl_x");
        assert_eq!(strip, CredentialHeaders { authorization: false, api_key: true });
    }
}
