//! Interruptions: Ctrl-C, a closed terminal, a request to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on a signal no longer ends the program; [`happened`] tells of it instead. Called before a key is made, so that an
/// interrupted delivery can still revoke it.
pub fn hold() {
    let flag = INTERRUPTED.get_or_init(|| Arc::new(AtomicBool::new(false)));
    let mut signals = vec![SIGINT, SIGTERM];
    #[cfg(unix)]
    signals.push(signal_hook::consts::SIGHUP);
    for signal in signals {
        // Without a handler the signal ends the program, as it does before this call.
        let _ = signal_hook::flag::register(signal, Arc::clone(flag));
    }
}

/// Returns whether a signal came after [`hold`].
#[must_use]
pub fn happened() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::SeqCst))
}
