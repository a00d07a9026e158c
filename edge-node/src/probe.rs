//! When a link that does not carry a track is probed, and what the acknowledgement says. Pure: time and
//! the kernel's figures are arguments. It never decides what is done about a track.
//!
//! A probe is in time when it is acknowledged within the path and what its bytes take at the rate that is
//! sought. Much makes an acknowledgement late (a voice before it, a receiver that waits, a busy machine), nothing
//! makes it early: so one in time is enough, and one that is late says nothing.

use std::time::{Duration, Instant};

use crate::{
    limits::{LOOK_MAX, PROBE_BYTES, PROBE_INTERVAL, PROBE_LATE, PROBE_SLACK},
    pace::Reading,
};

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The link carries what is sought.
    InTime,
    /// It may not.
    Late,
    /// The look came too late to tell.
    Unknown,
}

impl Answer {
    /// The `answer` label of its counter.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::Late => "late",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    /// All that will have been acknowledged with it.
    end: u64,
    due: Instant,
}

/// The probes of one link.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// When the next one may leave; `None` while nothing is paused.
    next_at: Option<Instant>,
    sent: Option<Sent>,
}

impl Probe {
    /// When to look at the kernel: for an answer, or before the next probe. The first one leaves some time
    /// after something was `paused`.
    pub(crate) fn next(&mut self, now: Instant, paused: bool) -> Option<Instant> {
        if !paused {
            *self = Self::default();
            return None;
        }
        let next_at = *self.next_at.get_or_insert(now + PROBE_INTERVAL);
        Some(self.sent.map_or(next_at, |sent| sent.due))
    }

    /// A probe of so many bytes was handed to the kernel, beginning at `at`; the reading was made after
    /// that. `rate`: the bytes a second that are sought.
    pub(crate) fn on_sent(&mut self, at: Instant, bytes: usize, rate: u64, reading: Reading) {
        let share = bytes.div_ceil(PROBE_BYTES).max(1);
        let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64).min(PROBE_INTERVAL);
        self.next_at = Some(at + PROBE_INTERVAL * u32::try_from(share).unwrap_or(u32::MAX));
        self.sent = Some(Sent {
            end: reading.acked + reading.outstanding,
            due: at + reading.min_rtt + takes.max(PROBE_SLACK),
        });
    }

    /// What the kernel says of the probe that is under way, if one is.
    pub(crate) fn on_look(&mut self, now: Instant, acked: u64) -> Option<Answer> {
        let sent = self.sent.take()?;
        Some(if acked < sent.end {
            Answer::Late
        } else if now <= sent.due + PROBE_LATE {
            Answer::InTime
        } else {
            Answer::Unknown
        })
    }

    /// None leaves now: the kernel holds too much, or nothing is sought.
    pub(crate) fn postpone(&mut self, now: Instant) {
        self.next_at = Some(now + LOOK_MAX);
    }
}

#[cfg(test)]
mod tests;
