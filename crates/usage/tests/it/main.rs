//! Tests of the usage object on real SQLite.

mod capacity;
mod caps;
mod merge;
mod object;
mod queries;
mod retention;
mod world;
