//! Failure of a call of an object.

/// Reason why a call of an object has no answer. The object has logged the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The message is malformed. Nothing was done.
    Malformed,
    /// The store or the platform failed. A change may have been committed. Units of limits were not granted.
    Failed,
}
