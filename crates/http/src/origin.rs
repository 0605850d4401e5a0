//! Canonical spelling of a URL's scheme and host, so that equal origins compare as equal text.

use std::borrow::Cow;

/// Returns an origin in its ASCII form (RFC 6454, section 6.2): lower case, without the scheme's default port. `base` is the
/// scheme and authority of a URL, without a path.
#[must_use]
pub fn origin_of(base: &str) -> Cow<'_, str> {
    let plain: Cow<'_, str> =
        if base.bytes().any(|byte| byte.is_ascii_uppercase()) { base.to_ascii_lowercase().into() } else { base.into() };
    let port = if plain.starts_with("https:") || plain.starts_with("wss:") { ":443" } else { ":80" };
    match plain {
        Cow::Borrowed(text) => text.strip_suffix(port).unwrap_or(text).into(),
        Cow::Owned(text) => text.strip_suffix(port).map(str::to_owned).unwrap_or(text).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (base, origin) in [
            ("https://api.example", "https://api.example"),
            ("HTTPS://API.Example:443", "https://api.example"),
            ("https://api.example:80", "https://api.example:80"),
            ("http://api.example:80", "http://api.example"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787"),
            ("https://[2001:DB8::443]", "https://[2001:db8::443]"),
        ] {
            assert_eq!(origin_of(base), origin);
        }
    }
}
