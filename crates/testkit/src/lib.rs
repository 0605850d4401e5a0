//! SQLite store, test worlds and native signing for tests, fuzzers and the simulator.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "the trait of an allocator is unsafe")]
pub mod allocator;
pub mod authority;
pub mod entropy;
pub mod gate_world;
pub mod messages;
pub mod model;
pub mod registry_world;
pub mod replay;
pub mod sealing;
pub mod signing;
pub mod sqlite_store;
pub mod text;
