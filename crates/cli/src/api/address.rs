//! Address of a deployment.

use std::fmt;

use crate::failure::Failure;

/// Scheme, host and port of a deployment. The scheme is https, or http on this machine only, because a credential is sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Parses a URL. A trailing slash is ignored.
    ///
    /// # Errors
    /// [`Failure`] that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim().trim_end_matches('/');
        let wrong = |problem: &str| {
            Failure::usage(format!("{text} is no address of a deployment: {problem}."))
                .next("Give scheme and host of the control plane, such as https://keys.example.com.")
        };
        let (scheme, host) = text.split_once("://").ok_or_else(|| wrong("the scheme is missing"))?;
        let known = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
        if host.is_empty() || !host.chars().all(known) {
            return Err(wrong("after the scheme there must be a host, with a port if needed, and nothing else"));
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err(wrong("over plain http anybody on the way can read the credential; use https")),
            _ => return Err(wrong("the scheme must be https")),
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// Returns the address without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether the host is this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default().to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine() {
        for (text, address) in [
            ("https://keys.example.com/", "https://keys.example.com"),
            ("https://KEYS.example.com:8443", "https://keys.example.com:8443"),
            ("http://localhost:8789", "http://localhost:8789"),
            ("http://127.0.0.1:1", "http://127.0.0.1:1"),
            ("http://[::1]:8789", "http://[::1]:8789"),
        ] {
            assert_eq!(Address::parse(text).unwrap().as_str(), address);
        }
        for text in [
            "keys.example.com",
            "http://keys.example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@evil.example",
            "https://user:word@keys.example.com",
            "https://keys.example.com/path",
            "https://keys.example.com?x",
            "ftp://localhost",
            "https://",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
