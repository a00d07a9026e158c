//! How many bytes of pictures may leave for one receiver now, told from what its kernel has not had
//! acknowledged: what is in the network already can no longer make way for a voice. Pure: time and the
//! kernel's figures are arguments. Voices never wait for it.
//!
//! The bound is `rate × (path + QUEUE_TARGET)`. It rises by itself on a link that is not full (more in
//! flight gives a higher measured rate gives a higher bound, twice as much each round trip while
//! no queue shows), and falls only by a rate that was measured while the link had something to do.
//!
//! A link may become narrow at any moment, and what is in flight then stands before every voice. So
//! no more is in flight than what flows needs (`burst`): a keyframe takes some round trips where it could take
//! one, more with each that comes back in time. And once the oldest byte is late, no picture leaves until
//! what is late has been acknowledged.

mod age;
mod slots;

use std::time::{Duration, Instant};

use pulse_proto::limits::MAX_MEDIA_FRAME;

pub(crate) use self::slots::Segments;
use self::{age::Sent, slots::Slots};
use crate::limits::{
    BURST_FIRST, BURST_REST, DELAYED_ACK, FLOW_WINDOW, LATE_REST, LOOK_LATE, LOOK_MAX, LOOK_MIN,
    LOWER_OVER, NEAR_PATH, NOTSENT_LOWAT_MAX, NOTSENT_LOWAT_MIN, NOTSENT_TIME, OUTSTANDING_MIN,
    PATH_CHANGE_MAX, PATH_REST, QUEUE_TARGET, RATE_FIRST, RATE_MIN, RATE_WINDOW, STANDING_QUEUE,
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
    /// Something was lost, or has come out of order, and is not repaired yet.
    pub(crate) torn: bool,
    /// Its congestion window.
    pub(crate) segments: Segments,
}

/// Time over which a rate is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    acked: u64,
    /// There was more to send than the link could take when it began.
    full: bool,
}

/// What is sent to a receiver, whatever its link could carry.
#[derive(Clone, Copy, Debug)]
struct Flow {
    from: Instant,
    bytes: u64,
    /// Bytes a second in the last whole window.
    before: f64,
}

impl Flow {
    fn on_sent(&mut self, now: Instant, bytes: u64) {
        let passed = now.saturating_duration_since(self.from);
        if passed >= FLOW_WINDOW {
            self.before = self.bytes as f64 / passed.as_secs_f64();
            (self.from, self.bytes) = (now, 0);
        }
        self.bytes += bytes;
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        self.before
            .max(self.bytes as f64 / FLOW_WINDOW.as_secs_f64())
    }
}

/// A link that is late.
#[derive(Clone, Copy, Debug)]
struct Late {
    /// All that had left by then.
    sent: u64,
}

/// One receiver's bound.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes a second.
    rate: f64,
    /// The round trip without a queue of ours.
    path: Duration,
    rtt: Duration,
    min_rtt: Duration,
    /// At the last reading, and all that left since.
    outstanding: u64,
    window: Option<Window>,
    /// When there was last no room right after a look.
    short_at: Option<Instant>,
    look_at: Instant,
    /// Until then what was read is believed while nothing is held back.
    fresh_until: Instant,
    unsent_max: u32,
    flow: Flow,
    sent: Sent,
    acked: u64,
    /// What the link carried when that was last measured, full or not.
    carried: f64,
    /// Bytes that may be in flight whatever the link could carry.
    burst: u64,
    /// How long something takes that leaves alone.
    usual: Duration,
    /// Since when that is measured, and the least of it.
    alone: Option<(Instant, Duration)>,
    late: Option<Late>,
    slots: Slots,
}

impl Pace {
    /// Nothing is known of the link yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            rate: RATE_FIRST,
            path: Duration::ZERO,
            rtt: Duration::ZERO,
            min_rtt: Duration::ZERO,
            outstanding: 0,
            window: None,
            short_at: None,
            look_at: now,
            fresh_until: now,
            unsent_max: NOTSENT_LOWAT_MAX,
            flow: Flow {
                from: now,
                bytes: 0,
                before: 0.0,
            },
            sent: Sent::new(),
            acked: 0,
            carried: RATE_FIRST,
            burst: BURST_FIRST,
            usual: Duration::ZERO,
            alone: None,
            late: None,
            slots: Slots::new(),
        }
    }

    /// Bytes below the bound; a chunk of a picture may leave while there are any. Negative by what
    /// the kernel holds beyond it. What was read some time ago counts for nothing: a link is asked before
    /// a picture leaves.
    pub(crate) fn room(&self, now: Instant) -> i64 {
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let room = signed(self.bound()).saturating_sub(signed(self.outstanding));
        if self.late.is_some() || now >= self.fresh_until {
            return room.min(0);
        }
        self.slots
            .room()
            .map_or(room, |slots| room.min(signed(slots)))
    }

    /// So much was handed to the kernel.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u64) {
        if bytes == 0 {
            return;
        }
        // Or no picture was: those from before it was late have arrived.
        let alone = self.outstanding <= OUTSTANDING_MIN
            || self.late.is_some_and(|late| self.acked >= late.sent);
        self.outstanding = self.outstanding.saturating_add(bytes);
        self.flow.on_sent(now, bytes);
        self.sent.on_sent(now, bytes, alone);
        self.slots.on_sent(bytes);
    }

    /// What its kernel says; `leaving` is what is on its way there and was counted already. Call it when
    /// something is held back and [`Pace::look_at`] has come.
    pub(crate) fn on_reading(&mut self, now: Instant, reading: Reading, leaving: u64) {
        (self.rtt, self.min_rtt) = (reading.rtt, reading.min_rtt);
        self.path = self.path.max(reading.min_rtt);
        let all = reading.acked + reading.outstanding + leaving;
        let took = self.sent.on_reading(now, reading.acked, all);
        self.measure_usual(now, took);
        let full = self.is_full(now, reading);
        if !full {
            self.measure_path(now, reading);
        }
        self.measure_rate(now, reading, full);
        self.judge_lateness(now, reading);
        let limited = self.outstanding + MAX_MEDIA_FRAME as u64 > self.bound();
        self.measure_burst(now, reading, limited);
        self.outstanding = reading.outstanding + leaving;
        self.slots.on_reading(now, self.path, reading.segments);
        self.slots.on_sent(leaving);
        self.fresh_until = now + LOOK_MAX;
        if self.room(now) <= 0 {
            self.short_at = Some(now);
        }
        let excess = self.outstanding.saturating_sub(self.bound()) + MAX_MEDIA_FRAME as u64;
        let wait = Duration::from_secs_f64(excess as f64 / self.rate);
        let least = if self.late.is_some() || self.slots.room().is_some() {
            LOOK_LATE
        } else {
            LOOK_MIN
        };
        self.look_at = now + wait.clamp(least, LOOK_MAX);
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
        let bytes = (self.rate * (path + QUEUE_TARGET).as_secs_f64()) as u64;
        let bytes = if self.path < NEAR_PATH {
            bytes
        } else {
            bytes.min(self.burst)
        };
        bytes.max(OUTSTANDING_MIN)
    }

    /// What is late by more than a queue of ours may be, and still fills the link: that has become narrow, or
    /// takes nothing. A hole makes all behind it late on any link, so while there is one the last verdict
    /// stands.
    fn judge_lateness(&mut self, now: Instant, reading: Reading) {
        if reading.torn {
            return;
        }
        let late = self.sent.age(now) > self.usual() + DELAYED_ACK + QUEUE_TARGET;
        let fills = reading.outstanding as f64 >= self.carried * self.usual().as_secs_f64();
        if late != self.late.is_some() || !fills {
            let sent = self.sent.total();
            self.late = (late && fills).then_some(Late { sent });
        }
    }

    /// What takes so long with nothing of ours before it takes so long by the path, or by somebody else's queue:
    /// holding pictures back would not change it.
    fn measure_usual(&mut self, now: Instant, took: Option<Duration>) {
        let Some(took) = took else { return };
        let (from, least) = *self.alone.get_or_insert((now, took));
        let least = least.min(took);
        self.alone = Some((from, least));
        if now.saturating_duration_since(from) >= LATE_REST {
            self.alone = None;
            if least > self.usual() + DELAYED_ACK + QUEUE_TARGET {
                self.path = self.far(least + DELAYED_ACK);
            }
            self.usual = least;
        }
    }

    /// A path on which acknowledgements take so long without a queue of ours.
    fn far(&self, took: Duration) -> Duration {
        let least = self.min_rtt;
        took.saturating_sub(DELAYED_ACK)
            .clamp(least, least + PATH_CHANGE_MAX)
    }

    fn usual(&self) -> Duration {
        self.path.max(self.usual)
    }

    /// More may be in flight with what was acknowledged in time while that was too little, as in a slow start;
    /// less when that was long ago, or when it is late.
    fn measure_burst(&mut self, now: Instant, reading: Reading, limited: bool) {
        let acked = reading.acked.saturating_sub(self.acked);
        self.acked = reading.acked;
        let usual = self.usual();
        let in_flight = |rate: f64, more: Duration| (rate * (usual + more).as_secs_f64()) as u64;
        let short = |within| {
            self.short_at
                .is_some_and(|at| now.saturating_duration_since(at) < within)
        };
        self.burst = if self.late.is_some() {
            let carried = in_flight(self.carried, QUEUE_TARGET);
            self.burst.min(carried).max(OUTSTANDING_MIN)
        } else if !short(BURST_REST) {
            in_flight(self.flow.rate(), STANDING_QUEUE).max(BURST_FIRST)
        } else if limited && self.in_time(now) {
            self.burst.saturating_add(acked)
        } else {
            self.burst
        };
    }

    /// Whether round trips are longer than the path and what receivers delay acknowledgements by.
    fn queue_shows(&self) -> bool {
        self.rtt >= self.path + DELAYED_ACK
    }

    /// Whether the link has something to do all the time: so much is a queue even at the rate known, or what
    /// left is longer under way than it takes.
    fn is_full(&self, now: Instant, reading: Reading) -> bool {
        let queued = self.rate * (self.path + STANDING_QUEUE).as_secs_f64();
        let waits = !reading.torn && !self.in_time(now);
        waits || reading.outstanding as f64 >= queued
    }

    /// Whether nothing is under way for longer than the path and a delayed acknowledgement take.
    fn in_time(&self, now: Instant) -> bool {
        self.sent.age(now) <= self.usual() + DELAYED_ACK
    }

    /// While everything found room for a while, the round trip holds no queue of ours: it is the
    /// path, whatever the kernel remembers from before the client moved, less what receivers delay
    /// their acknowledgements by.
    fn measure_path(&mut self, now: Instant, reading: Reading) {
        let rested = self
            .short_at
            .is_none_or(|at| now.saturating_duration_since(at) >= PATH_REST);
        if rested {
            self.path = self.far(reading.rtt);
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
        self.carried = carried;
        if carried > self.rate && !self.queue_shows() {
            self.rate = carried.min(self.rate * 2.0);
        } else if carried > self.rate || (window.full && full) {
            let weight = (passed.as_secs_f64() / LOWER_OVER.as_secs_f64()).min(1.0);
            self.rate = (self.rate + (carried - self.rate) * weight).max(RATE_MIN);
        }
        self.window = Some(Window {
            from: now,
            acked: reading.acked,
            full,
        });
    }
}

#[cfg(test)]
mod tests;
