//! The two credential headers: at most one credential is found, and it is not forwarded.

use keyward_http::credential::Credential;
use keyward_http::head::Head;

use super::fixture::{CONFIG, folded, text_of};

/// Input: `Authorization` and `X-API-Key`, separated by a line feed. Without a line feed only the first is sent.
pub fn run(data: &[u8]) {
    let text = text_of(data);
    let mut lines = text.split('\n');
    let (authorization, api_key) = (lines.next(), lines.next());
    let mut glued = "0\nGET\nhttp://h/\n".to_owned();
    for (name, value) in [("authorization", authorization), ("x-api-key", api_key)] {
        if let Some(value) = value {
            glued.push_str(&format!("{name}\n{value}\n"));
        }
    }
    let Ok(head) = Head::parse(&glued) else { return };
    let (credential, strip) = Credential::find(&head, &CONFIG.prefix);
    match credential {
        Credential::Absent => assert!(head.authorization().is_none() && head.api_key().is_none()),
        Credential::OtherScheme => assert!(head.authorization().is_some() && head.api_key().is_none()),
        Credential::Ambiguous => {
            let both = head.authorization().is_some() && head.api_key().is_some();
            let comma = |value: Option<&str>| value.is_some_and(|value| value.contains(','));
            assert!(both || comma(head.authorization()) || comma(head.api_key()));
        }
        Credential::Candidate(candidate) => {
            assert!(!candidate.contains(','));
            let source = head.api_key().or(head.authorization()).expect("a credential comes from a header");
            assert!(source.ends_with(candidate) || source.contains(candidate));
            // No Keyward credential is forwarded, and a header has no second one.
            assert!(strip.api_key);
            let key = format!("{}_", CONFIG.prefix.as_str());
            let left = head.authorization().filter(|_| !strip.authorization).unwrap_or_default();
            let words = left.split([' ', '\t', ',']).filter(|word| word.starts_with(&key)).count();
            assert_eq!(words, 0, "a Keyward credential would be forwarded: {left}");
            if head.api_key().is_none() {
                let scheme = source.split(' ').next().unwrap_or_default();
                assert!(folded(scheme) == "bearer" && strip.authorization);
            }
        }
    }
    let public = Credential::strip_public(&head, &CONFIG.prefix);
    for (value, stripped) in [(head.authorization(), public.authorization), (head.api_key(), public.api_key)] {
        let ours = value.is_some_and(|value| value.split([' ', '\t', ',']).any(|word| word.starts_with("wafl_")));
        assert_eq!(ours, stripped, "{value:?}");
    }
}
