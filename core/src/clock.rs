//! The one place of core that reads clocks. Monotonic time comes from tokio, so that tests can pause it.

use std::time::{Duration, Instant, SystemTime};

/// Monotonic time.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Wall time in ms since 1970: a term.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX)
}
