//! Pages of lists: their size, and the cursor of the next page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::store::LARGEST_INTEGER;
use keyward_protocol::Rejection;

/// Maximum size of a page of a list.
pub const LARGEST_PAGE: u32 = 200;

/// Maximum size of a page of the audit log. A stream takes pages of this size.
pub const LARGEST_AUDIT_PAGE: u32 = 1000;

/// Approximate maximum size of a page, in bytes of JSON. A page holds at least one item and then as many as fit. An isolate has 128 MB
/// for all its requests.
pub const PAGE_BYTES: u64 = 1_000_000;

/// Returns the number of items that fit on a page, given their sizes in bytes; at least one if there is any.
pub(super) fn fitting(sizes: impl IntoIterator<Item = u64>) -> usize {
    let mut bytes = 0_u64;
    let fits = |(position, size): &(usize, u64)| {
        bytes = bytes.saturating_add(*size);
        *position == 0 || bytes <= PAGE_BYTES
    };
    sizes.into_iter().enumerate().take_while(fits).count()
}

/// Refuses a page size that is 0 or above `most`.
///
/// # Errors
/// [`Rejection::Invalid`] with the field `limit`.
pub fn check_limit(limit: u32, most: u32) -> Result<(), Rejection> {
    if (1..=most).contains(&limit) {
        return Ok(());
    }
    Err(Rejection::Invalid { field: "limit".to_owned(), detail: format!("The page size is 1 to {most}.") })
}

/// Returns the exclusive upper bound of the positions on a page. Without a cursor it is above every position.
///
/// # Errors
/// [`Rejection::Invalid`] with the field `cursor`.
pub fn start(cursor: Option<&str>) -> Result<i64, Rejection> {
    match cursor {
        None => Ok(LARGEST_INTEGER),
        Some(text) => read_cursor(text).ok_or_else(|| Rejection::Invalid {
            field: "cursor".to_owned(),
            detail: "Unknown cursor. Send the `next_cursor` of the previous page.".to_owned(),
        }),
    }
}

/// Returns the cursor of the page that begins after `position`.
#[must_use]
pub fn write_cursor(position: i64) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

/// Parses the output of [`write_cursor`]. Accepts no other spelling of the same position.
fn read_cursor(text: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let position = str::from_utf8(&bytes).ok()?.parse().ok()?;
    let canonical = (1..=LARGEST_INTEGER).contains(&position) && write_cursor(position) == text;
    canonical.then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_least_one_item_and_otherwise_what_fits() {
        for (sizes, expected) in [
            (vec![], 0),
            (vec![PAGE_BYTES + 1], 1),
            (vec![u64::MAX, u64::MAX], 1),
            (vec![PAGE_BYTES, 1], 1),
            (vec![PAGE_BYTES - 1, 1, 1], 2),
            (vec![0, PAGE_BYTES + 1, 0], 1),
        ] {
            assert_eq!(fitting(sizes.clone()), expected, "{sizes:?}");
        }
    }
}
