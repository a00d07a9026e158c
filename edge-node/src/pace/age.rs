//! How long the oldest byte that a receiver has not acknowledged has been under way, and how long those take
//! that have nothing of ours before them. A smoothed round trip says the same, but some acknowledgements
//! later, which a link that has just become narrow takes a second for. Pure: time is an argument; it never decides what that means.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::limits::{LOOK_MAX, SENT_GRAIN, SENT_MARKS};

/// All up to `end` left at `at` or later.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    end: u64,
    /// Little was under way before it.
    alone: bool,
}

/// What was sent when, as far as it is not acknowledged.
#[derive(Debug)]
pub(super) struct Sent {
    /// All that ever left; guessed until the kernel was asked once.
    total: u64,
    read_at: Option<Instant>,
    marks: VecDeque<Mark>,
}

impl Sent {
    /// Nothing has left.
    pub(super) const fn new() -> Self {
        Self {
            total: 0,
            read_at: None,
            marks: VecDeque::new(),
        }
    }

    /// So much was handed to the kernel; `alone` if little was under way before it.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64, alone: bool) {
        self.total = self.total.saturating_add(bytes);
        if let Some(mark) = self.marks.back_mut()
            && now.saturating_duration_since(mark.at) < SENT_GRAIN
        {
            mark.end = self.total;
            return;
        }
        if self.marks.len() >= SENT_MARKS {
            // The oldest that is left is old enough to tell.
            self.marks.pop_front();
        }
        self.marks.push_back(Mark {
            at: now,
            end: self.total,
            alone,
        });
    }

    /// So much of `total` was acknowledged. Returns how long the newest of what left alone took, if some of
    /// that has come.
    pub(super) fn on_reading(&mut self, now: Instant, acked: u64, total: u64) -> Option<Duration> {
        if self.read_at.is_none() {
            // Headers of HTTP and TLS had not been counted.
            let missing = total.saturating_sub(self.total);
            for mark in &mut self.marks {
                mark.end += missing;
            }
        }
        // At the last reading it was still under way; if that was long ago, it may have come long ago.
        let before = self.read_at.replace(now).unwrap_or(now);
        let by = if now.saturating_duration_since(before) <= 2 * LOOK_MAX {
            now
        } else {
            before
        };
        self.total = total;
        let mut took = None;
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.end <= acked) {
            if mark.alone {
                took = Some(by.saturating_duration_since(mark.at));
            }
        }
        took
    }

    /// All that ever left.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// For how long something has been under way; zero if nothing is.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.marks.front().map_or(Duration::ZERO, |mark| {
            now.saturating_duration_since(mark.at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_oldest_unacknowledged_byte_is_found() {
        let start = tokio::time::Instant::now().into_std();
        let mut sent = Sent::new();
        assert_eq!(sent.age(start), Duration::ZERO);
        sent.on_sent(start, 100, true);
        sent.on_sent(start + ms(2), 100, true);
        sent.on_sent(start + ms(50), 100, false);
        let at = start + ms(60);
        // 400 bytes of a handshake had left before.
        assert_eq!(sent.on_reading(at, 400, 700), None);
        assert_eq!(sent.age(at), ms(60));
        assert_eq!(sent.on_reading(at, 599, 700), None);
        assert_eq!(sent.age(at), ms(60), "one byte of the first two");
        let seen = sent.on_reading(start + ms(70), 600, 700);
        assert_eq!(seen, Some(ms(70)));
        assert_eq!(sent.age(at), ms(10));
        assert_eq!(
            sent.on_reading(at, 700, 700),
            None,
            "it did not leave alone"
        );
        assert_eq!(sent.age(start + ms(90)), Duration::ZERO);
    }

    #[test]
    fn what_nobody_asks_for_is_bounded() {
        let start = tokio::time::Instant::now().into_std();
        let mut sent = Sent::new();
        for step in 0..10_000 {
            sent.on_sent(start + ms(20 * step), 100, true);
        }
        assert!(sent.marks.len() <= SENT_MARKS);
        assert!(sent.age(start + ms(200_000)) >= ms(1_000));
    }
}
