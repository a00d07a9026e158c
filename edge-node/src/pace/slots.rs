//! How much of a congestion window pictures may take on a long path that loses. Where it holds a few segments a
//! voice that finds it full waits for a round trip, so pictures leave it some, and wait while anything is
//! unsent. Pure: time and the kernel's figures are arguments; without losses it bounds nothing.

use std::time::{Duration, Instant};

use crate::limits::{LONG_PATH, LOSS_MEMORY, SEGMENT, VOICE_SEGMENTS};

/// What a kernel says of its congestion window, in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segments {
    /// That may be in flight.
    pub(crate) window: u32,
    /// That are.
    pub(crate) in_flight: u32,
    /// That were ever sent once more.
    pub(crate) repeated: u32,
    /// Bytes that wait for a place.
    pub(crate) unsent: u32,
}

/// The places that are left to pictures of one receiver.
#[derive(Debug)]
pub(super) struct Slots {
    repeated: u32,
    lost_at: Option<Instant>,
    /// `None` while there is nothing to spare.
    left: Option<u32>,
}

impl Slots {
    /// Nothing was lost yet.
    pub(super) const fn new() -> Self {
        Self {
            repeated: 0,
            lost_at: None,
            left: None,
        }
    }

    /// So much was handed to the kernel at once.
    pub(super) fn on_sent(&mut self, bytes: u64) {
        if let Some(left) = &mut self.left {
            let segments = u32::try_from(bytes.div_ceil(SEGMENT)).unwrap_or(u32::MAX);
            *left = left.saturating_sub(segments);
        }
    }

    /// What its kernel says of a path of that length.
    pub(super) fn on_reading(&mut self, now: Instant, path: Duration, segments: Segments) {
        if segments.repeated != self.repeated {
            self.repeated = segments.repeated;
            self.lost_at = Some(now);
        }
        let loses = self
            .lost_at
            .is_some_and(|at| now.saturating_duration_since(at) < LOSS_MEMORY);
        self.left = (loses && path >= LONG_PATH).then(|| {
            if segments.unsent > 0 {
                return 0;
            }
            let taken = segments.in_flight.saturating_add(VOICE_SEGMENTS);
            segments.window.saturating_sub(taken)
        });
    }

    /// Bytes that may leave; `None` if it does not matter.
    pub(super) fn room(&self) -> Option<u64> {
        self.left.map(|left| u64::from(left) * SEGMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Duration = Duration::from_millis(200);

    fn segments(window: u32, in_flight: u32, repeated: u32) -> Segments {
        Segments {
            window,
            in_flight,
            repeated,
            unsent: 0,
        }
    }

    #[test]
    fn without_losses_or_on_a_short_path_it_bounds_nothing() {
        let now = tokio::time::Instant::now().into_std();
        let mut slots = Slots::new();
        slots.on_reading(now, PATH, segments(4, 4, 0));
        assert_eq!(slots.room(), None);
        slots.on_reading(now, LONG_PATH / 2, segments(4, 4, 1));
        assert_eq!(slots.room(), None);
        slots.on_reading(now, PATH, segments(4, 4, 1));
        assert_eq!(slots.room(), Some(0));
        slots.on_reading(now + LOSS_MEMORY, PATH, segments(4, 4, 1));
        assert_eq!(slots.room(), None, "it was long ago");
    }

    #[test]
    fn after_a_loss_some_of_the_window_is_left_to_voices() {
        let now = tokio::time::Instant::now().into_std();
        let mut slots = Slots::new();
        slots.on_reading(now, PATH, segments(14, 4, 1));
        assert_eq!(slots.room(), Some(u64::from(10 - VOICE_SEGMENTS) * SEGMENT));
        slots.on_sent(180);
        slots.on_sent(2 * SEGMENT);
        let left = 10 - VOICE_SEGMENTS - 3;
        assert_eq!(slots.room(), Some(u64::from(left) * SEGMENT));
        slots.on_sent(100 * SEGMENT);
        assert_eq!(slots.room(), Some(0));
        slots.on_reading(now, PATH, segments(10, 9, 1));
        assert_eq!(slots.room(), Some(0));
    }

    #[test]
    fn nothing_stands_before_what_is_unsent() {
        let now = tokio::time::Instant::now().into_std();
        let mut slots = Slots::new();
        let unsent = 177;
        slots.on_reading(
            now,
            PATH,
            Segments {
                unsent,
                ..segments(100, 4, 1)
            },
        );
        assert_eq!(slots.room(), Some(0));
    }
}
