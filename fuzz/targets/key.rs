//! The text form of a key, and finding keys in other text.

use keyward_key::base62::is_base62;
use keyward_key::format::{Presented, check_of, contains_key};
use keyward_key::id::KeyId;

use super::fixture::{CONFIG, LIVE, MEMBER, OTHER, text_of};

pub fn run(data: &[u8]) {
    let text = text_of(data);
    let found = contains_key(text.as_bytes(), &CONFIG.prefix);
    // The same search, in its simplest form.
    let found_by_simple_search = (0..text.len()).any(|at| {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        rest.starts_with(b"wafl_")
            && (60..=80).any(|length| {
                let part = rest.get(..length).and_then(|part| std::str::from_utf8(part).ok());
                part.is_some_and(|part| Presented::parse(part, &CONFIG.prefix).is_ok())
            })
    });
    assert_eq!(found, found_by_simple_search, "{text}");
    // Bytes that are not UTF-8 are searched too.
    let _ = contains_key(data, &CONFIG.prefix);

    if let Some(id) = KeyId::parse(&text) {
        assert_eq!(id.as_str(), text);
        assert_eq!(text.split('_').nth(1), Some(id.class().as_str()));
    }
    let Ok(presented) = Presented::parse(&text, &CONFIG.prefix) else { return };
    assert!(found && text.is_ascii());
    let parts: Vec<&str> = text.split('_').collect();
    assert_eq!(parts.len(), 4);
    assert_eq!((parts[0], parts[2].len(), parts[3].len()), ("wafl", 12, 46));
    assert!(parts[2..].iter().all(|part| is_base62(part)));
    assert_eq!(presented.class().as_str(), parts[1]);
    assert_eq!(KeyId::parse(presented.id()).map(|id| id.to_string()), Some(parts[..3].join("_")));
    let (body, check) = text.split_at(text.len() - 6);
    assert_eq!(check.as_bytes(), check_of(body));
    // Only a key that the keyring minted is recognised.
    let ours = [&LIVE, &OTHER, &MEMBER].iter().any(|minted| minted.api_key.expose() == text);
    assert_eq!(CONFIG.keyring.recognise(&presented).is_some(), ours, "{text}");
}
