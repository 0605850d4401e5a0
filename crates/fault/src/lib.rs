//! Switches for planted faults. They let the simulator show that its checker finds them.
//!
//! `fault!("name")` is the constant `false` unless the feature `simulation` is on. Only the simulator turns it on: in the worker a
//! switch compiles to nothing.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

/// Returns whether the fault of this name is planted on this thread.
#[macro_export]
macro_rules! fault {
    ($name:literal) => {
        $crate::is_planted($name)
    };
}

/// Returns `false`: without the feature `simulation` no fault can be planted.
#[cfg(not(feature = "simulation"))]
#[inline(always)]
#[must_use]
pub const fn is_planted(_name: &str) -> bool {
    false
}

#[cfg(feature = "simulation")]
mod planted {
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<&'static str> = const { Cell::new("") };
    }

    /// Plants one fault on this thread and removes any other. An empty name plants none.
    pub fn plant(name: &'static str) {
        PLANTED.with(|planted| planted.set(name));
    }

    /// Returns whether the fault of this name is planted on this thread.
    #[must_use]
    pub fn is_planted(name: &str) -> bool {
        PLANTED.with(|planted| planted.get() == name)
    }
}

#[cfg(feature = "simulation")]
pub use planted::{is_planted, plant};
