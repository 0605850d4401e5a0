//! `GET /_keyward/v1/audit`: the log, oldest first; page by page as JSON, or to its end as a stream.

use serde::Deserialize;

use super::body::invalid;
use super::query::Query;
use keyward_http::head::Head;
use keyward_http::problem::Problem;
use keyward_key::version;
use keyward_protocol::{Command, Raw};

/// Entries that a stream asks the registry for at a time: about half a megabyte, which is all that is held of it at once.
const STREAM_PAGE: u32 = 1_000;

/// Whether the caller asks for lines instead of a page: `Accept` names `application/x-ndjson`.
#[must_use]
pub fn wants_lines(head: &Head<'_>) -> bool {
    head.header("accept").is_some_and(|accept| {
        accept.split(',').any(|range| {
            let essence = range.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/x-ndjson")
        })
    })
}

/// Parses `after` (or `cursor`, by which every list pages; here both mean the same) and, for a page, `limit`.
pub(super) fn command(query: &str, lines: bool) -> Result<Command, Problem> {
    let mut query = Query::parse(query, &["after", "cursor", "limit"])?;
    let after = match (query.take("after"), query.take("cursor")) {
        (Some(_), Some(_)) => return Err(invalid("cursor", "Send either after or cursor: they mean the same.")),
        (Some(text), None) => seq("after", &text)?,
        (None, Some(text)) => seq("cursor", &text)?,
        (None, None) => 0,
    };
    if !lines {
        return Ok(Command::ReadAudit { after, limit: query.limit()? });
    }
    match query.take("limit") {
        Some(_) => Err(invalid("limit", "A stream runs to the end of the log: it takes no limit.")),
        None => Ok(next_page(after)),
    }
}

/// The next page of a stream.
#[must_use]
pub const fn next_page(after: u64) -> Command {
    Command::ReadAudit { after, limit: STREAM_PAGE }
}

/// A page of a stream as lines of JSON.
#[must_use]
pub fn lines(entries: &[Raw]) -> String {
    let mut lines = String::with_capacity(entries.len().saturating_mul(512));
    for entry in entries {
        lines.push_str(entry.get());
        lines.push('\n');
    }
    lines
}

/// The number of an entry, after which the next page begins. `None` for what is no entry.
#[must_use]
pub fn last_seq(entry: &Raw) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    version::read::<Numbered>(entry.get()).ok().map(|entry| entry.seq)
}

fn seq(name: &str, text: &str) -> Result<u64, Problem> {
    // What a float can't hold exactly is no number of an entry.
    let plain = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|seq| plain && *seq < 1 << 53).ok_or_else(|| {
        invalid(name, "This must be the number of an entry: the entries after it are given, from 0 all.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_after_an_entry() {
        for (query, expected) in
            [("", (0, 50)), ("after=0", (0, 50)), ("after=17&limit=200", (17, 200)), ("cursor=9", (9, 50))]
        {
            let Ok(Command::ReadAudit { after, limit }) = command(query, false) else { panic!("{query}") };
            assert_eq!((after, limit), expected, "{query}");
        }
        for query in [
            "after=",
            "after=-1",
            "after=+1",
            "after=1.0",
            "after=x",
            "after=9007199254740992",
            "after=1&cursor=1",
            "limit=0",
            "seq=1",
            "after=1&after=1",
        ] {
            assert!(command(query, false).is_err(), "{query}");
        }
    }

    #[test]
    fn a_stream_takes_no_limit() {
        assert!(matches!(command("after=3", true), Ok(Command::ReadAudit { after: 3, limit: STREAM_PAGE })));
        assert!(command("limit=3", true).is_err());
    }

    #[test]
    fn lines_are_asked_for_by_their_type() {
        for (accept, expected) in [
            ("application/x-ndjson", true),
            ("application/json, Application/X-NDJSON; q=0.5", true),
            ("application/json", false),
            ("*/*", false),
            ("application/x-ndjsonx", false),
        ] {
            let text = format!("0\nGET\nhttp://h/\naccept\n{accept}\n");
            assert_eq!(wants_lines(&Head::parse(&text).unwrap()), expected, "{accept}");
        }
    }
}
