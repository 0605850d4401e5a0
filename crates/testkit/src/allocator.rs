//! Allocator that counts the bytes in use. The count covers the whole process, so a test file that uses it has one `#[test]` only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the bytes in use. Installed with `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
pub struct Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded unchanged to the system's allocator; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Start of a measurement: the number of bytes in use then.
pub struct Since(usize);

impl Since {
    pub fn now() -> Self {
        let live = LIVE_BYTES.load(Ordering::Relaxed);
        PEAK_BYTES.store(live, Ordering::Relaxed);
        Self(live)
    }

    /// Returns how many more bytes are in use now.
    pub fn kept(&self) -> usize {
        LIVE_BYTES.load(Ordering::Relaxed).saturating_sub(self.0)
    }

    /// Returns how many more bytes were in use at the peak.
    pub fn most(&self) -> usize {
        PEAK_BYTES.load(Ordering::Relaxed).saturating_sub(self.0)
    }
}
