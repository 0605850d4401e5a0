//! The real binary against a server that each test scripts. `tests/cli` runs it against the real worker.

mod arguments;
mod audit;
mod claim;
mod claims;
mod credentials;
mod delivery;
mod endpoints;
mod errors;
mod events;
mod help;
mod hook;
mod incident;
mod keys;
mod members;
mod plan;
mod posture;
mod program;
mod scan;
mod server;
mod snapshot;
mod usage;
