//! The one place of core that reads clocks. Monotonic time comes from tokio, so that tests can pause it.

use std::time::Instant;

/// Monotonic time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
