//! How many bytes of pictures may leave for one receiver now, told from what its kernel has not had
//! acknowledged: what is in the network already can no longer make way for a voice. Pure: time and the
//! kernel's figures are arguments. Voices never wait for it.
//!
//! The bound is `rate × (path + QUEUE_TARGET)`. It rises by itself on a link that is not full (more in
//! flight gives a higher measured rate gives a higher bound, twice as much each round trip while
//! no queue shows), and falls only by a rate that was measured while the link had something to do.

use std::time::{Duration, Instant};

use pulse_proto::limits::MAX_MEDIA_FRAME;

use crate::limits::{
    DELAYED_ACK, LOOK_MAX, LOOK_MIN, LOWER_OVER, NOTSENT_LOWAT_MAX, NOTSENT_LOWAT_MIN,
    NOTSENT_TIME, OUTSTANDING_MIN, PATH_CHANGE_MAX, PATH_REST, QUEUE_TARGET, RATE_FIRST, RATE_MIN,
    RATE_WINDOW, STANDING_QUEUE,
};

/// What a kernel says of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Bytes that the receiver has acknowledged, ever.
    pub(crate) acked: u64,
    /// Bytes that it has not: in the network, or not sent yet.
    pub(crate) outstanding: u64,
    /// The smoothed round trip.
    pub(crate) rtt: Duration,
    /// The shortest one of late.
    pub(crate) min_rtt: Duration,
}

/// Time over which a rate is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    acked: u64,
    /// There was more to send than the link could take when it began.
    full: bool,
}

/// One receiver's bound.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second.
    rate: f64,
    /// The round trip without a queue of ours.
    path: Duration,
    rtt: Duration,
    /// At the last reading, and all that left since.
    outstanding: u64,
    window: Option<Window>,
    /// When there was last no room right after a look.
    short_at: Option<Instant>,
    look_at: Instant,
    unsent_max: u32,
}

impl Pace {
    /// Nothing is known of the link yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            rate: RATE_FIRST,
            path: Duration::ZERO,
            rtt: Duration::ZERO,
            outstanding: 0,
            window: None,
            short_at: None,
            look_at: now,
            unsent_max: NOTSENT_LOWAT_MAX,
        }
    }

    /// Bytes below the bound; a chunk of a picture may leave while there are any. Negative by what
    /// the kernel holds beyond it.
    pub(crate) fn room(&self) -> i64 {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        signed(self.bound()).saturating_sub(signed(self.outstanding))
    }

    /// So much was handed to the kernel.
    pub(crate) const fn on_sent(&mut self, bytes: u64) {
        self.outstanding = self.outstanding.saturating_add(bytes);
    }

    /// What its kernel says; `leaving` is what is on its way there. Call it when something is
    /// held back and [`Pace::look_at`] has come; a fast link is asked now and then, for what it has sent
    /// alone cannot say how much is left.
    pub(crate) fn on_reading(&mut self, now: Instant, reading: Reading, leaving: u64) {
        self.rtt = reading.rtt;
        self.path = self.path.max(reading.min_rtt);
        let full = self.is_full(reading.outstanding);
        if !full {
            self.measure_path(now, reading);
        }
        self.measure_rate(now, reading, full);
        self.outstanding = reading.outstanding + leaving;
        if self.room() <= 0 {
            self.short_at = Some(now);
        }
        let excess = self.outstanding.saturating_sub(self.bound()) + MAX_MEDIA_FRAME as u64;
        let wait = Duration::from_secs_f64(excess as f64 / self.rate);
        self.look_at = now + wait.clamp(LOOK_MIN, LOOK_MAX);
    }

    /// When looking at the kernel again makes sense: not before it can have got rid of enough.
    pub(crate) const fn look_at(&self) -> Instant {
        self.look_at
    }

    /// A new bound of unsent bytes for the kernel, if it differs by much from the last one.
    pub(crate) fn unsent_max(&mut self) -> Option<u32> {
        let wanted = (self.rate * NOTSENT_TIME.as_secs_f64()) as u32;
        let wanted = wanted.clamp(NOTSENT_LOWAT_MIN, NOTSENT_LOWAT_MAX);
        if wanted.abs_diff(self.unsent_max) < self.unsent_max / 4 {
            return None;
        }
        self.unsent_max = wanted;
        Some(wanted)
    }

    /// What the link is known to carry, in bytes a second; at least, while it was never full.
    pub(crate) const fn rate(&self) -> f64 {
        self.rate
    }

    /// The smoothed round trip.
    pub(crate) const fn rtt(&self) -> Duration {
        self.rtt
    }

    fn bound(&self) -> u64 {
        // While no queue shows, twice the path: as slow start does.
        let path = self.path * if self.queue_shows() { 1 } else { 2 };
        let bytes = self.rate * (path + QUEUE_TARGET).as_secs_f64();
        (bytes as u64).max(OUTSTANDING_MIN)
    }

    /// Whether round trips are longer than the path and what receivers delay acknowledgements by.
    fn queue_shows(&self) -> bool {
        self.rtt >= self.path + DELAYED_ACK
    }

    /// Whether so much is a queue even at the rate known.
    fn is_full(&self, outstanding: u64) -> bool {
        outstanding as f64 >= self.rate * (self.path + STANDING_QUEUE).as_secs_f64()
    }

    /// While everything found room for a while, the round trip holds no queue of ours: it is the
    /// path, whatever the kernel remembers from before the client moved, less what receivers delay
    /// their acknowledgements by.
    fn measure_path(&mut self, now: Instant, reading: Reading) {
        let rested = self
            .short_at
            .is_none_or(|at| now.saturating_duration_since(at) >= PATH_REST);
        if rested {
            let usual = reading.rtt.saturating_sub(DELAYED_ACK);
            self.path = usual.clamp(reading.min_rtt, reading.min_rtt + PATH_CHANGE_MAX);
        }
    }

    /// More than was known counts at once while no queue shows, but twice at most: a link may let one
    /// burst pass. Otherwise what a full link carries counts by and by, up and down: acknowledgements
    /// come in lumps.
    fn measure_rate(&mut self, now: Instant, reading: Reading, full: bool) {
        let window = *self.window.get_or_insert(Window {
            from: now,
            acked: reading.acked,
            full,
        });
        let passed = now.saturating_duration_since(window.from);
        if passed < RATE_WINDOW.max(reading.rtt.min(LOOK_MAX)) {
            return;
        }
        let carried = reading.acked.saturating_sub(window.acked) as f64 / passed.as_secs_f64();
        if carried > self.rate && !self.queue_shows() {
            self.rate = carried.min(self.rate * 2.0);
        } else if carried > self.rate || (window.full && full) {
            let weight = (passed.as_secs_f64() / LOWER_OVER.as_secs_f64()).min(1.0);
            self.rate = (self.rate + (carried - self.rate) * weight).max(RATE_MIN);
        }
        self.window = Some(Window {
            from: now,
            acked: reading.acked,
            full: self.is_full(reading.outstanding),
        });
    }
}

#[cfg(test)]
mod tests;
