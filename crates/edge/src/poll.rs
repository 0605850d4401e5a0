//! Waiting for another request's lookup in the same isolate. A promise belongs to the request that created it, so other requests cannot
//! await it and poll instead.

use super::platform::Platform;

/// First pause, in milliseconds. Pauses double up to the longest. Together they take 7.7 s, longer than any lookup.
const FIRST_MS: u32 = 5;
const LONGEST_MS: u32 = 100;
const MAX_POLLS: u32 = 80;

/// The pauses of one wait.
pub(super) struct Polls {
    left: u32,
    pause_ms: u32,
}

impl Default for Polls {
    fn default() -> Self {
        Self { left: MAX_POLLS, pause_ms: FIRST_MS }
    }
}

impl Polls {
    /// Pauses, or returns `false` if the wait has taken too long.
    pub async fn pause(&mut self, platform: &impl Platform) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        platform.pause(self.pause_ms).await;
        self.pause_ms = self.pause_ms.saturating_mul(2).min(LONGEST_MS);
        true
    }
}
