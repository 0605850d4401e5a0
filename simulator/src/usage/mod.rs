//! Simulation of usage: the shipped counters of isolates, the shipped usage object and the shipped tables of the registry over some days
//! in which objects, networks and clocks fail, and a checker of the recorded history.
//!
//! The main simulation lasts minutes; a key becomes idle after days. So this one has a world of its own, in steps of ten minutes.

mod check;
mod world;

pub use check::{Violation, check};
pub use world::{History, Use, execute};
