//! Severity of a log event.

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
