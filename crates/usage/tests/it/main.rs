//! Tests of the usage object on real SQLite.

mod capacity;
mod caps;
mod merge;
mod messages;
mod metrics;
mod object;
mod queries;
mod retention;
mod world;
