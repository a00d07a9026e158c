//! How much may leave for another edge, and when: congestion control for media. It follows the queue on the
//! way, not losses: a lossy path carries all it is given, a full one is kept at a queue of 25 ms. Never
//! chooses what leaves.
//!
//! A driver sends while [`Budget::room`] is above 0, voices first, and then waits for [`Budget::room_at`]. It
//! says with [`Budget::set_waiting`] whether anything is held back: only then does the rate grow.
//!
//! * *Clear*: no queue. The rate grows by half a second while something waits.
//! * *Full*: a queue of 8 to 50 ms. What arrives is what the path carries; the rate is that, steered to the
//!   target.
//! * *Draining*: the queue was longer, or never empty for 4 s. Half of what arrives is sent until it is gone. A
//!   way that has become longer looks like this, too, until the lowest delay is forgotten after 5 to 10 s.
//! * *Lossy*: as Clear, but loss that came with a higher rate is remembered: a bottleneck without a queue.
//! * *Silent*: nothing is heard. The rate halves, down to what voices need.

mod delay;
mod delivery;
mod loss;
mod sent;

use std::time::{Duration, Instant};

use self::{
    delay::{Delay, Lowest},
    delivery::Delivery,
    loss::{Loss, Verdict},
    sent::Sent,
};
use super::{
    feedback::Feedback,
    limits::{
        AFTER_CUT, AFTER_SILENCE, BURST, DATAGRAM_OVERHEAD, DEBT, DELIVERY_SPAN_MAX, DRAIN,
        DRAIN_GROWN, EMPTY_EVERY, FEEDBACK_INTERVAL, GROWTH, GROWTH_LATENCY, GROWTH_LOSSY,
        MAX_DATAGRAM, QUEUE_HIGH, QUEUE_LOW, QUEUE_TARGET, RATE_FIRST, RATE_FLOOR, RATE_HEADROOM,
        RATE_MAX, RTT_FIRST, SILENCE, SILENCE_DATAGRAMS, STEER, STEER_SHARE, STEER_STEP,
    },
};
use crate::media::newer;

/// What a link is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetState {
    /// No queue, no loss that matters.
    Clear,
    /// A queue near its target.
    Full,
    /// A queue is being emptied.
    Draining,
    /// Loss that grows with the rate.
    Lossy,
    /// No report although datagrams leave.
    Silent,
}

impl BudgetState {
    /// The label of metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Full => "full",
            Self::Draining => "draining",
            Self::Lossy => "lossy",
            Self::Silent => "silent",
        }
    }
}

/// How often something happened on a link, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetCounts {
    /// Reports that were old, or cannot be true.
    pub ignored: u64,
    /// Queues that were drained.
    pub drains: u64,
    /// Cuts for loss.
    pub losses: u64,
    /// Silences.
    pub silences: u64,
}

/// A queue is being emptied.
#[derive(Clone, Copy, Debug)]
struct Drain {
    /// What the path carries for this link, in bytes a second.
    capacity: f64,
    /// Its first round began.
    began_at: Instant,
    /// The queue when this round began, and when the round is to have made a difference.
    began_with: Duration,
    until: Instant,
}

/// The budget of one direction of one link.
#[derive(Debug)]
pub struct Budget {
    origin: Instant,
    /// Bytes a second on the wire.
    rate: f64,
    tokens: f64,
    tokens_at: Instant,
    waiting: bool,
    /// Something waited since the last report.
    waited: bool,
    sent: Sent,
    streams: u64,
    number: Option<u32>,
    highest: Option<u32>,
    /// When that one left.
    reported_at: Option<Instant>,
    heard_at: Instant,
    delay: Delay,
    delivery: Delivery,
    /// The most that was delivered of late, negated.
    best: Lowest,
    loss: Loss,
    state: BudgetState,
    drain: Option<Drain>,
    empty_at: Instant,
    /// Datagrams since the last report or the last time that silence was noted, and when the first left.
    unanswered: u32,
    unanswered_at: Instant,
    /// Before a silence.
    rate_before: f64,
    counts: BudgetCounts,
}

impl Budget {
    /// A connection begins; nothing is known of its path.
    pub const fn new(now: Instant) -> Self {
        Self {
            origin: now,
            rate: RATE_FIRST,
            tokens: BURST_MIN,
            tokens_at: now,
            waiting: false,
            waited: false,
            sent: Sent::new(),
            streams: 0,
            number: None,
            highest: None,
            reported_at: None,
            heard_at: now,
            delay: Delay::new(now),
            delivery: Delivery::new(),
            best: Lowest::new(now),
            loss: Loss::new(),
            state: BudgetState::Clear,
            drain: None,
            empty_at: now,
            unanswered: 0,
            unanswered_at: now,
            rate_before: RATE_FIRST,
            counts: BudgetCounts {
                ignored: 0,
                drains: 0,
                losses: 0,
                silences: 0,
            },
        }
    }

    /// Bytes that may leave now. While there are any, a whole datagram may.
    pub fn room(&self, now: Instant) -> i64 {
        self.tokens_now(now).floor() as i64
    }

    /// When there is room: now, or later.
    pub fn room_at(&self, now: Instant) -> Instant {
        let missing = 1.0 - self.tokens_now(now);
        if missing <= 0.0 {
            return now;
        }
        // A µs more, so that rounding does not wake a driver for nothing.
        now + Duration::from_secs_f64(missing / self.rate) + Duration::from_micros(1)
    }

    /// A datagram of so many bytes left.
    pub fn on_sent(&mut self, now: Instant, sequence: u32, bytes: usize) {
        let bytes = bytes + DATAGRAM_OVERHEAD;
        self.spend(now, bytes as f64);
        self.sent.push(now, sequence, bytes as u64);
        if self.unanswered == 0 {
            self.unanswered_at = now;
        }
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// So many bytes of a stream of this connection left: they take their part of the path, too.
    pub fn on_stream_bytes(&mut self, now: Instant, bytes: usize) {
        self.spend(now, bytes as f64);
        self.streams += bytes as u64;
    }

    /// Whether anything is held back for want of room.
    pub const fn set_waiting(&mut self, waiting: bool) {
        self.waiting = waiting;
        self.waited |= waiting;
    }

    /// The other side reports. One that is old or cannot be true changes nothing.
    pub fn on_feedback(&mut self, now: Instant, report: &Feedback) {
        if !self.believe(now, report) {
            self.counts.ignored += 1;
            return;
        }
        let since = now.saturating_duration_since(self.heard_at);
        self.heard_at = now;
        self.unanswered = 0;
        if since > DELIVERY_SPAN_MAX {
            // Nothing left meanwhile: the queue is gone.
            self.empty_at = now;
        }
        if self.state == BudgetState::Silent {
            self.rate = self.rate.max(self.rate_before * AFTER_SILENCE);
            self.state = BudgetState::Clear;
        }
        self.decide(now, since.min(FEEDBACK_INTERVAL * 4));
        self.waited = self.waiting;
    }

    /// When [`Budget::on_timeout`] has something to do, if nothing is heard before.
    pub fn next_timeout(&self) -> Option<Instant> {
        let silent = self.unanswered >= SILENCE_DATAGRAMS;
        let rtt = self.delay.rtt().unwrap_or(RTT_FIRST);
        silent.then(|| self.unanswered_at + SILENCE + rtt * 2)
    }

    /// Nothing was heard for too long.
    pub fn on_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.unanswered = 0;
        if self.state != BudgetState::Silent {
            self.counts.silences += 1;
            self.rate_before = self.drain.map_or(self.rate, |drain| drain.capacity);
            self.state = BudgetState::Silent;
            self.drain = None;
            self.delivery.restart();
            self.loss.restart();
        }
        self.set_rate(now, self.rate / 2.0);
    }

    /// Bytes a second on the wire, headers of IP included.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The queue that datagrams meet on the way.
    pub fn queue_delay(&self) -> Duration {
        self.delay.queue()
    }

    /// The smoothed round trip, once one is known.
    pub const fn rtt(&self) -> Option<Duration> {
        self.delay.rtt()
    }

    /// The part that was lost lately, 0 to 1.
    pub const fn loss(&self) -> f64 {
        self.loss.part()
    }

    /// What the link is doing.
    pub const fn state(&self) -> BudgetState {
        self.state
    }

    /// How often what happened.
    pub const fn counts(&self) -> BudgetCounts {
        self.counts
    }

    fn tokens_now(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.tokens_at);
        let most = BURST_MIN.max(self.rate * BURST.as_secs_f64());
        (self.tokens + self.rate * since.as_secs_f64()).min(most)
    }

    fn spend(&mut self, now: Instant, bytes: f64) {
        self.tokens = (self.tokens_now(now) - bytes).max(self.least_tokens());
        self.tokens_at = now;
    }

    fn set_rate(&mut self, now: Instant, rate: f64) {
        self.tokens = self.tokens_now(now);
        self.tokens_at = now;
        self.rate = rate.clamp(RATE_FLOOR, RATE_MAX);
        // A debt is time: at a lower rate it does not take longer.
        self.tokens = self.tokens.max(self.least_tokens());
    }

    /// What may be owed at most.
    fn least_tokens(&self) -> f64 {
        -self.rate * DEBT.as_secs_f64() - BURST_MIN
    }

    /// Takes what a report says, if it is new and can be true.
    fn believe(&mut self, now: Instant, report: &Feedback) -> bool {
        let stale = |number| !newer(report.number, number);
        let back = |highest| newer(highest, report.highest);
        if self.number.is_some_and(stale) || self.highest.is_some_and(back) {
            return false;
        }
        let Some(departure) = self.sent.get(report.highest) else {
            return false;
        };
        let delivery = &mut self.delivery;
        if !delivery.on_report(now, report, departure, self.streams) {
            return false;
        }
        self.number = Some(report.number);
        if self.highest != Some(report.highest) {
            let held = (report.held_us != u16::MAX)
                .then(|| Duration::from_micros(u64::from(report.held_us)));
            let since = now.saturating_duration_since(departure.at);
            let round_trip = held.map(|held| since.saturating_sub(held));
            let arrived_us = report.arrived_us;
            let (origin, left_at) = (self.origin, departure.at);
            self.delay
                .on_arrival(now, origin, left_at, arrived_us, round_trip);
        }
        self.highest = Some(report.highest);
        self.reported_at = Some(departure.at);
        self.sent.forget_before(report.highest);
        true
    }

    fn decide(&mut self, now: Instant, since: Duration) {
        let queue = self.delay.queue();
        let delivered = self.delivery.rate();
        if let Some(delivered) = delivered {
            self.best.push(now, -(delivered as i64));
        }
        if queue <= QUEUE_LOW {
            self.empty_at = now;
        }
        self.judge_loss(now, delivered);
        if let Some(drain) = self.drain {
            self.go_on_draining(now, drain, queue, delivered);
            return;
        }
        let never_empty = now.saturating_duration_since(self.empty_at) > EMPTY_EVERY;
        if queue > QUEUE_HIGH || never_empty {
            self.counts.drains += 1;
            let capacity = delivered.unwrap_or(self.rate).min(self.rate);
            self.begin_draining(now, queue, capacity, now);
        } else if queue > QUEUE_LOW {
            self.state = BudgetState::Full;
            self.steer(now, queue, delivered);
        } else {
            self.state = if self.loss.limits() {
                BudgetState::Lossy
            } else {
                BudgetState::Clear
            };
            self.grow(now, since);
        }
    }

    /// No queue: more may fit, if anybody wants it.
    fn grow(&mut self, now: Instant, since: Duration) {
        let best = self.best.get().unwrap_or_default().unsigned_abs() as f64;
        let most = RATE_FIRST.max(best * RATE_HEADROOM);
        if !self.waited || self.loss.begins() {
            // A rate that nothing has used of late is not believed any more.
            if self.rate > most {
                self.set_rate(now, most);
            }
            return;
        }
        let rate = self.rate * self.growth(since);
        self.set_rate(now, rate.min(most.max(self.rate)));
    }

    /// What the rate may be multiplied by after so long.
    fn growth(&self, since: Duration) -> f64 {
        let latency = self.latency();
        let mut growth = GROWTH * (GROWTH_LATENCY.as_secs_f64() / latency).min(1.0);
        if self.loss.limits() {
            growth *= GROWTH_LOSSY;
        }
        1.0 + growth * since.as_secs_f64()
    }

    /// How late news of a queue are, in seconds: the round trip, and the time over which is measured.
    fn latency(&self) -> f64 {
        let rtt = self.delay.rtt().unwrap_or(RTT_FIRST);
        (rtt + FEEDBACK_INTERVAL * 4).as_secs_f64()
    }

    /// The path is full: it delivers what it carries.
    fn steer(&mut self, now: Instant, queue: Duration, delivered: Option<f64>) {
        let Some(delivered) = delivered else { return };
        let above = queue.as_secs_f64() - QUEUE_TARGET.as_secs_f64();
        if above <= 0.0 && !self.waited {
            return;
        }
        let steer = STEER.min(0.5 / self.latency());
        let wanted = delivered * (1.0 - steer * above) + STEER_SHARE;
        let rate = self.rate + (wanted - self.rate) * STEER_STEP;
        let most = if self.waited { RATE_MAX } else { self.rate };
        self.set_rate(now, rate.min(most));
    }

    fn begin_draining(&mut self, now: Instant, queue: Duration, capacity: f64, began_at: Instant) {
        self.state = BudgetState::Draining;
        let rtt = self.delay.rtt().unwrap_or(RTT_FIRST);
        self.drain = Some(Drain {
            capacity,
            began_at,
            began_with: queue,
            // At half the rate it takes twice the queue, and one more for what arrives late.
            until: now + queue * 3 + rtt + FEEDBACK_INTERVAL * 4,
        });
        self.set_rate(now, capacity * DRAIN);
    }

    fn go_on_draining(
        &mut self,
        now: Instant,
        mut drain: Drain,
        queue: Duration,
        delivered: Option<f64>,
    ) {
        if queue <= QUEUE_LOW {
            self.drain = None;
            self.state = BudgetState::Clear;
            self.set_rate(now, drain.capacity * AFTER_CUT);
            return;
        }
        // What left before still tells what the path carries; what leaves now, only what is sent.
        let before = self.reported_at.is_some_and(|at| at <= drain.began_at);
        if let Some(delivered) = delivered
            && before
        {
            drain.capacity = delivered;
        }
        if now < drain.until {
            self.drain = Some(drain);
            self.set_rate(now, drain.capacity * DRAIN);
            return;
        }
        // Even half was too much if the queue grows or overflows. If not, others fill it, or the way has become
        // longer: both pass, the latter when the lowest delay is forgotten.
        let too_much = queue > drain.began_with.mul_f64(DRAIN_GROWN) || self.loss.is_high();
        let capacity = match delivered {
            Some(delivered) if too_much => delivered.clamp(drain.capacity * DRAIN, drain.capacity),
            _ => drain.capacity,
        };
        self.begin_draining(now, queue, capacity, drain.began_at);
    }

    fn judge_loss(&mut self, now: Instant, delivered: Option<f64>) {
        let Some(part) = self.delivery.loss(now) else {
            return;
        };
        // A queue that is too long says all there is to say.
        let draining = self.drain.is_some();
        match self.loss.on_window(now, part, self.rate, draining) {
            Some(Verdict::Full) => {
                self.counts.losses += 1;
                let delivered = delivered.unwrap_or(self.rate * (1.0 - part));
                self.set_rate(now, delivered.min(self.rate) * AFTER_CUT);
            }
            Some(Verdict::InVain { rate_before }) => self.set_rate(now, rate_before),
            None => {}
        }
    }
}

/// Two of the longest datagrams: with less, a burst of one would be held up by its own length.
const BURST_MIN: f64 = (2 * (MAX_DATAGRAM + DATAGRAM_OVERHEAD)) as f64;

#[cfg(test)]
mod tests;
