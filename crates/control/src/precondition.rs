//! Conditional changes: `ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1). The tag of a key or member is its revision in
//! quotes. Every change of one key or member accepts the condition, and the registry checks it in the transaction of the change.

use serde::Deserialize;

use keyward_http::head::Head;
use keyward_key::id::{Class, KeyId};
use keyward_key::version;
use keyward_protocol::{Precondition, Raw, Rejection};
use keyward_registry::context::OperationError;
use keyward_registry::store::Store;
use keyward_registry::{keys, members};

/// Name of the header, in the runtime's spelling. The runtime joins repeated headers with a comma.
const HEADER: &str = "if-match";

/// Reads the condition for a change of this key or member, if there is one. A malformed list matches nothing: the client requested a
/// condition, so the change must not be made without one.
pub(super) fn read(head: &Head<'_>, id: &str) -> Option<Precondition> {
    let value = head.header(HEADER)?;
    let revisions = if value == "*" { None } else { Some(parse(value).unwrap_or_default()) };
    Some(Precondition { min_reader: 2, id: KeyId::parse(id)?, revisions })
}

/// Reads the condition for a change of an endpoint, whose revision its own operation compares: the revisions, one of which it must have.
/// `None` without a condition, and for `*`: the operation refuses an endpoint that is absent anyway.
pub(super) fn revisions(head: &Head<'_>) -> Option<Vec<u64>> {
    let value = head.header(HEADER).filter(|value| *value != "*")?;
    Some(parse(value).unwrap_or_default())
}

/// Parses a list of entity tags and returns the revisions in it. Weak tags and tags in another form never match. `None` if the text is
/// not a list of tags.
fn parse(value: &str) -> Option<Vec<u64>> {
    let mut revisions = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(revisions);
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        let after = after.trim_start_matches([' ', '\t']);
        if !(after.is_empty() || after.starts_with(','))
            || tag.chars().any(|letter| letter <= ' ' || letter == '\u{7f}')
        {
            return None;
        }
        let revision = tag.parse::<u64>().ok().filter(|revision| !weak && revision.to_string() == tag);
        revisions.extend(revision);
        rest = after;
    }
}

/// Checks a condition, in the transaction of the change.
///
/// # Errors
/// [`Rejection::PreconditionFailed`], or a failure of the store.
pub(super) fn check(store: &mut dyn Store, precondition: Option<&Precondition>) -> Result<(), OperationError> {
    let Some(Precondition { id, revisions, .. }) = precondition else { return Ok(()) };
    let present = match id.class() {
        Class::Member => members::find(store, id)?.map(|member| member.revision),
        Class::Data(_) => keys::find(store, id)?.map(|row| row.count("revision")).transpose()?,
    };
    let fits = match (present, revisions) {
        (Some(present), Some(revisions)) => revisions.contains(&present),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if fits { Ok(()) } else { Err(Rejection::PreconditionFailed.into()) }
}

/// Returns the tag of a view of a key or member.
pub(super) fn tag(view: &Raw) -> Option<String> {
    #[derive(Deserialize)]
    struct Versioned {
        revision: u64,
    }
    version::read::<Versioned>(view.get()).ok().map(|view| format!("\"{}\"", view.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_of_ours_are_revisions_and_all_others_match_nothing() {
        for (value, expected) in [
            ("\"17\"", Some(vec![17])),
            ("\"17\", \"18\"", Some(vec![17, 18])),
            ("\"17\",\"18\"\t, ,", Some(vec![17, 18])),
            ("W/\"17\"", Some(vec![])),
            ("W/\"17\", \"18\"", Some(vec![18])),
            ("\"nope\", \"a,b\", \"\"", Some(vec![])),
            ("\"017\", \"+17\", \"17.0\", \"-1\"", Some(vec![])),
            ("\"18446744073709551616\"", Some(vec![])),
            ("", Some(vec![])),
            (",", Some(vec![])),
            ("17", None),
            ("\"17", None),
            ("\"17\" \"18\"", None),
            ("\"1 7\"", None),
            ("w/\"17\"", None),
            ("*, \"17\"", None),
            ("\"17\", *", None),
        ] {
            assert_eq!(parse(value), expected, "{value}");
        }
        assert_eq!(parse(&"\"a\",".repeat(6_000)), Some(vec![]));
    }
}
