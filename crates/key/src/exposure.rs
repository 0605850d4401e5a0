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

/// What happens to a key that was exposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExposureAction {
    /// The exposure is recorded, and the key keeps working.
    #[default]
    Record,
    /// The key is refused until a member releases it; after three days it is revoked.
    Quarantine,
    /// The key is revoked.
    Revoke,
}

impl ExposureAction {
    /// Parses the name in the setting.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "record" => Some(Self::Record),
            "quarantine" => Some(Self::Quarantine),
            "revoke" => Some(Self::Revoke),
            _ => None,
        }
    }
}

/// `ON_EXPOSURE`: the action for each kind of exposure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnExposure {
    /// Action for a key in a URL.
    pub url: ExposureAction,
    /// Action for a key from a browser page.
    pub browser: ExposureAction,
    /// Action for a key over plain HTTP.
    pub http: ExposureAction,
}

impl OnExposure {
    /// Returns the action for a kind.
    #[must_use]
    pub const fn of(&self, kind: ExposureKind) -> ExposureAction {
        match kind {
            ExposureKind::Url => self.url,
            ExposureKind::Browser => self.browser,
            ExposureKind::Http => self.http,
        }
    }

    /// Returns the same with another action for a kind.
    #[must_use]
    pub const fn with(mut self, kind: ExposureKind, action: ExposureAction) -> Self {
        match kind {
            ExposureKind::Url => self.url = action,
            ExposureKind::Browser => self.browser = action,
            ExposureKind::Http => self.http = action,
        }
        self
    }
}
