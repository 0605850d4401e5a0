//! The product with planted faults. None is on until a test switches it on, for its thread.
#![allow(warnings, reason = "faults leave things unused")]

use std::cell::Cell;

include!("../faults.rs");
include!(concat!(env!("OUT_DIR"), "/keyward/lib.rs"));

thread_local! {
    static ON: Cell<&'static str> = const { Cell::new("") };
}

/// Switches one fault on, and all others off.
pub fn plant(fault: &'static str) {
    ON.with(|on| on.set(fault));
}

pub(crate) fn planted(fault: &str) -> bool {
    ON.with(|on| on.get() == fault)
}
