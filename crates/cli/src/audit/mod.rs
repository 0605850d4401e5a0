//! Verifies an exported audit log offline, by docs/concepts/audit.md.
//!
//! | module | purpose |
//! |---|---|
//! | [`entry`] | one line of the log, read strictly |
//! | [`log`] | the chain of hashes, and its heads that somebody signed |
//! | [`note`] | verifier keys and signed checkpoints |

pub mod entry;
pub mod log;
pub mod note;
