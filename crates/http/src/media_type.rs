//! Media types: the type of a body, and the choice of an answer's type by `Accept` (RFC 9110, sections 8.3 and 12.5.1).

/// Returns whether a `Content-Type` has this media type, with any parameters.
#[must_use]
pub fn is(content_type: &str, media_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// Returns the offer that the client prefers, the first one among equals. `None` if the client accepts none. Without `Accept` every
/// offer is acceptable.
#[must_use]
pub fn negotiate<'o>(accept: Option<&str>, offers: &[&'o str]) -> Option<&'o str> {
    let accept = accept.filter(|accept| !accept.trim().is_empty());
    let mut best: Option<(u16, &'o str)> = None;
    for offer in offers {
        let quality = accept.map_or(MOST, |accept| quality(accept, offer));
        if quality > best.map_or(0, |(best, _)| best) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// The quality 1, in thousandths.
const MOST: u16 = 1_000;

/// Returns the quality of a media type in thousandths, by the most specific range that matches it; 0 if none does. Malformed ranges
/// are ignored. Parameters other than `q` are not compared.
fn quality(accept: &str, media_type: &str) -> u16 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let mut most_specific = (0_u8, 0_u16);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specificity = match name.split_once('/') {
            _ if name.eq_ignore_ascii_case(media_type) => 3,
            Some((named, "*")) if named.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        let weight =
            parts.find_map(|part| part.split_once('=').filter(|(name, _)| name.trim_end().eq_ignore_ascii_case("q")));
        let Some(quality) = weight.map_or(Some(MOST), |(_, value)| thousandths(value.trim_start())) else { continue };
        most_specific = most_specific.max((specificity, quality));
    }
    most_specific.1
}

/// Parses a weight: `0` or `1` with up to three decimals (RFC 9110, section 12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let fits = matches!(whole, "0" | "1") && decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (fits && thousandths <= MOST).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const LINES: &str = "application/x-ndjson";

    #[test]
    fn the_quality_decides_and_then_the_order_of_the_offers() {
        for (accept, chosen) in [
            (None, Some(JSON)),
            (Some(""), Some(JSON)),
            (Some("*/*"), Some(JSON)),
            (Some("application/*"), Some(JSON)),
            (Some(LINES), Some(LINES)),
            (Some("Application/X-NDJSON"), Some(LINES)),
            (Some("application/json, application/x-ndjson"), Some(JSON)),
            (Some("application/x-ndjson, application/json"), Some(JSON)),
            (Some("application/json, application/x-ndjson;q=0"), Some(JSON)),
            (Some("application/json, application/x-ndjson;q=0.1"), Some(JSON)),
            (Some("application/json;q=0.5, application/x-ndjson"), Some(LINES)),
            (Some("application/json;q=0.5,application/x-ndjson; charset=utf-8 ; Q = 0.501"), Some(LINES)),
            (Some("application/x-ndjson, */*;q=0.1"), Some(LINES)),
            (Some("*/*, application/json;q=0"), Some(LINES)),
            (Some("application/*;q=0.2, */*;q=0.9"), Some(JSON)),
            (Some("application/json;q=0.2, application/*;q=0.9"), Some(LINES)),
            (Some("text/html"), None),
            (Some("text/*, application/json;q=0"), None),
            (Some("application/json;q=0, application/x-ndjson;q=0.000"), None),
        ] {
            assert_eq!(negotiate(accept, &[JSON, LINES]), chosen, "{accept:?}");
        }
    }

    #[test]
    fn a_malformed_range_counts_for_nothing() {
        for accept in [
            "*",
            "/",
            "json",
            "*/json",
            "application/json;q=2",
            "application/json;q=1.001",
            "application/json;q=0.0001",
        ] {
            assert_eq!(negotiate(Some(accept), &[JSON]), None, "{accept}");
        }
        for accept in
            ["application/json;q=-1", "application/json;q=", "application/json;q=é", "application/json;q=.5", ",;,=;q"]
        {
            assert_eq!(negotiate(Some(accept), &[JSON]), None, "{accept}");
        }
    }

    #[test]
    fn a_content_type_is_compared_without_its_parameters() {
        assert!(is("Application/JSON ; charset=utf-8", JSON));
        assert!(!is("application/jsonp", JSON));
        assert!(!is("", JSON));
    }
}
