//! Activity as a JSON page, as JSON lines or as CSV (RFC 4180).

use serde::Serialize;

use super::usage_query::{ActivityItem, MergedPage, ShownUse};
use keyward_http::reply::Reply;
use keyward_protocol::Raw;

/// Media type of JSON lines.
pub(super) const LINES: &str = "application/x-ndjson";
/// Media type of CSV.
pub(super) const CSV: &str = "text/csv";

/// Header with the cursor of the next page, in forms that have no place for it.
const NEXT_CURSOR: &str = "keyward-next-cursor";

/// Form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A JSON page.
    Json,
    /// JSON, one object per line.
    Lines,
    /// CSV with a header row.
    Csv,
}

/// A JSON page.
#[derive(Serialize)]
struct Page {
    items: Vec<ActivityItem>,
    next_cursor: Option<String>,
}

/// Returns a page of activity in a form.
pub(super) fn reply(form: &Form, page: MergedPage, request_id: &str) -> Reply {
    let MergedPage { items, next_cursor } = page;
    let (media_type, body) = match form {
        Form::Json => return Reply::json(200, &Page { items, next_cursor }, request_id),
        Form::Lines => {
            let line = |item: &ActivityItem| serde_json::to_string(item).map(|line| line + "\n").unwrap_or_default();
            (LINES, items.iter().map(line).collect())
        }
        Form::Csv => ("text/csv; charset=utf-8; header=present", csv(&items)),
    };
    let mut reply = Reply::table(media_type, body, request_id);
    reply.headers.extend(next_cursor.map(|cursor| (NEXT_CURSOR, cursor)));
    reply
}

const COLUMNS: &str = "at,route,network,client,country,asn,allowed,refused,action,actor,seq\r\n";

fn csv(items: &[ActivityItem]) -> String {
    let mut table = COLUMNS.to_owned();
    for item in items {
        let cells = match item {
            ActivityItem::Use(used) => use_cells(used),
            ActivityItem::Change { at, audit } => change_cells(at, audit),
        };
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        table.push_str(&cells.join(","));
        table.push_str("\r\n");
    }
    table
}

fn use_cells(used: &ShownUse) -> [String; 11] {
    let refused: Vec<String> = used.refused.iter().map(|(code, count)| format!("{code}={count}")).collect();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        used.at.clone(),
        used.route.clone(),
        text(&used.network),
        used.client.clone(),
        text(&used.country),
        used.asn.map(|asn| asn.to_string()).unwrap_or_default(),
        used.allowed.to_string(),
        refused.join(" "),
        String::new(),
        String::new(),
        String::new(),
    ]
}

fn change_cells(at: &str, audit: &Raw) -> [String; 11] {
    let entry: serde_json::Value = serde_json::from_str(audit.get()).unwrap_or_default();
    let text = |name: &str| entry.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let seq = entry.get("seq").map(ToString::to_string).unwrap_or_default();
    let mut cells: [String; 11] = Default::default();
    let last = [at.to_owned(), text("action"), text("actor"), seq];
    for (place, value) in [0, 8, 9, 10].into_iter().zip(last) {
        if let Some(cell) = cells.get_mut(place) {
            *cell = value;
        }
    }
    cells
}

/// Quotes a cell. A client chooses its `User-Agent`, so a cell that a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (cell, expected) in [
            ("curl", "curl"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("-1", "'-1"),
            ("+x", "'+x"),
            ("@x", "'@x"),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
