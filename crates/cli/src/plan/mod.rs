//! Keys as code: a TOML file that a team reviews, and its difference from the deployment.
//!
//! | module | purpose |
//! |---|---|
//! | [`mod@file`] | the file: parsing with line and column, and writing |
//! | [`difference`] | what has to change |
//!
//! A key of the file and a key of the deployment are the same if environment and integration are: an integration has at most one active key
//! in an environment. Everything else changes in place.

pub mod difference;
pub mod file;
