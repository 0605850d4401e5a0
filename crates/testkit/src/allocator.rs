//! An allocator that counts what is alive. A test that uses it has its process for itself: one `#[test]` in its file.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts bytes that are alive. A test that uses it says `#[global_allocator] static ALLOCATOR: Counting = Counting;`.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(live, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many bytes were alive when it began.
pub struct Since(usize);

impl Since {
    pub fn now() -> Self {
        let live = LIVE.load(Ordering::Relaxed);
        MOST.store(live, Ordering::Relaxed);
        Self(live)
    }

    /// How many more bytes are alive now.
    pub fn kept(&self) -> usize {
        LIVE.load(Ordering::Relaxed).saturating_sub(self.0)
    }

    /// How many more were at the most.
    pub fn most(&self) -> usize {
        MOST.load(Ordering::Relaxed).saturating_sub(self.0)
    }
}
