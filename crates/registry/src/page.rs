//! What every list has in common: how much a page holds, and where the next one begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::store::LARGEST_INTEGER;
use keyward_protocol::Rejection;

/// The most that one page of a list holds.
pub const LARGEST_PAGE: u32 = 200;

/// The most that one page of the audit log holds, which may go out as a stream.
pub const LARGEST_AUDIT_PAGE: u32 = 1000;

/// Refuses a page of none, or of more than `most`.
pub(super) fn check_limit(limit: u32, most: u32) -> Result<(), Rejection> {
    if (1..=most).contains(&limit) {
        return Ok(());
    }
    Err(Rejection::Invalid { field: "limit".to_owned(), detail: format!("A page holds 1 to {most}.") })
}

/// The position before which a page begins: above all without a cursor.
pub(super) fn start(cursor: Option<&str>) -> Result<i64, Rejection> {
    match cursor {
        None => Ok(LARGEST_INTEGER),
        Some(text) => read_cursor(text).ok_or_else(|| Rejection::Invalid {
            field: "cursor".to_owned(),
            detail: "Only a next_cursor of this list is a cursor.".to_owned(),
        }),
    }
}

/// The text by which a list goes on after `position`.
pub(super) fn write_cursor(position: i64) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

/// Reads [`write_cursor`], and nothing that it does not write.
fn read_cursor(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = str::from_utf8(&bytes).ok()?.parse().ok()?;
    let ours = (1..=LARGEST_INTEGER).contains(&position) && write_cursor(position) == text;
    ours.then_some(position)
}
