//! Severity of a log event.

use crate::metrics::{LOG_EVENTS, Sample};

/// Severity of a log event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// An event of normal operation.
    Info,
    /// A fault outside the worker, which was handled.
    Warn,
    /// A fault inside the worker, or one that an operator must look at.
    Error,
}

impl Level {
    /// Returns the name in the log and in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Events of one name that were written to the log and are not counted yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEvents {
    /// Name of the event.
    pub event: String,
    /// Severity.
    pub level: Level,
    /// Number of events.
    pub count: u64,
}

impl LoggedEvents {
    /// Returns the increase of the counter of log events.
    #[must_use]
    pub fn sample(&self) -> Sample {
        Sample::new(LOG_EVENTS, &[("event", &self.event), ("level", self.level.as_str())], self.count)
    }
}
