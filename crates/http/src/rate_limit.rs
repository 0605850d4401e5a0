//! The headers `RateLimit-Policy` and `RateLimit`, in the form of draft-ietf-httpapi-ratelimit-headers-11. Their names and parameters
//! may change before the draft is final, so only this file writes them.

use keyward_key::limit::{Limit, Period, Span};

use super::headers::write_line;

/// Name of the header with the limits, in lower case.
const POLICY: &str = "ratelimit-policy";
/// Name of the header with what is left, in lower case.
const STATE: &str = "ratelimit";

/// What is left of one limit.
pub struct Left<'a> {
    /// Name of the limit.
    pub name: &'a str,
    /// Units that are left.
    pub remaining: u64,
    /// Time in seconds until more are left.
    pub reset_seconds: i64,
}

/// Returns both headers, `name LF value LF` for each. `left` is empty while the state is unknown; then only the policy is written.
#[must_use]
pub fn rate_limit_headers(limits: &[Limit], left: &[Left<'_>]) -> String {
    let mut block = String::with_capacity(128);
    for (name, value) in rate_limit_fields(limits, left) {
        write_line(&mut block, name, &value);
    }
    block
}

/// Returns both headers as names and values.
#[must_use]
pub fn rate_limit_fields(limits: &[Limit], left: &[Left<'_>]) -> Vec<(&'static str, String)> {
    let policies = limits.iter().map(|limit| {
        // A month has no fixed number of seconds, and the parameter is optional.
        let window = match limit.span() {
            Span::Seconds(seconds) => format!(";w={seconds}"),
            Span::Period(Period::Day) => ";w=86400".to_owned(),
            Span::Period(Period::Month) => String::new(),
        };
        format!("\"{}\";q={}{window}", limit.name(), limit.requests())
    });
    let states = left.iter().map(|left| {
        let reset = if left.reset_seconds > 0 { format!(";t={}", left.reset_seconds) } else { String::new() };
        format!("\"{}\";r={}{reset}", left.name, left.remaining)
    });
    let (policies, states): (Vec<_>, Vec<_>) = (policies.collect(), states.collect());
    [(POLICY, policies), (STATE, states)]
        .into_iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(name, items)| (name, items.join(",")))
        .collect()
}

/// Reads the block of [`rate_limit_headers`] back as names and values.
pub fn fields_of(block: &str) -> impl Iterator<Item = (&'static str, String)> {
    let mut lines = block.split_terminator('\n');
    std::iter::from_fn(move || {
        let name = lines.next()?;
        let value = lines.next()?;
        Some((if name == POLICY { POLICY } else { STATE }, value.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_have_the_form_of_the_draft() {
        let limits = [
            Limit::new("burst".to_owned(), 100, Span::Seconds(60)).unwrap(),
            Limit::new("daily".to_owned(), 10_000, Span::Period(Period::Day)).unwrap(),
            Limit::new("monthly".to_owned(), 90_000, Span::Period(Period::Month)).unwrap(),
        ];
        let left = [
            Left { name: "burst", remaining: 57, reset_seconds: 21 },
            Left { name: "daily", remaining: 0, reset_seconds: 0 },
        ];
        assert_eq!(
            rate_limit_headers(&limits, &left),
            "ratelimit-policy\n\"burst\";q=100;w=60,\"daily\";q=10000;w=86400,\"monthly\";q=90000\nratelimit\n\"burst\";r=57;t=21,\"daily\";r=0\n"
        );
        assert_eq!(rate_limit_headers(&limits[..1], &[]), "ratelimit-policy\n\"burst\";q=100;w=60\n");
    }
}
