//! Ways in which a key becomes visible to others.

use serde::{Deserialize, Serialize};

/// How a request exposed the key that it presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExposureKind {
    /// In a URL, which logs, browser histories and `Referer` headers record.
    Url,
    /// From a browser page, whose visitors can read it.
    Browser,
    /// Over plain HTTP, where every network in between can read it.
    Http,
}

impl ExposureKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Url, Self::Browser, Self::Http];

    /// Returns the name in answers, settings and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Browser => "browser",
            Self::Http => "http",
        }
    }

    /// Parses the output of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
