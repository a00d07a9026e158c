//! How long the queue on the way is, told from when datagrams left and came. The two clocks have nothing in
//! common but their speed, nearly. Never decides on a rate.

use std::time::{Duration, Instant};

use crate::backbone::limits::{CLOCK_SLACK, CLOCK_STEP, LOWEST_SPAN};

/// µs, signed: the difference of two clocks.
fn us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The lowest value of the last one to two spans.
#[derive(Debug)]
pub(super) struct Lowest {
    began_at: Instant,
    current: Option<i64>,
    previous: Option<i64>,
}

impl Lowest {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            began_at: now,
            current: None,
            previous: None,
        }
    }

    pub(super) fn push(&mut self, now: Instant, value: i64) {
        let since = now.saturating_duration_since(self.began_at);
        if since >= LOWEST_SPAN {
            let recent = since < LOWEST_SPAN * 2;
            self.previous = if recent { self.current } else { None };
            self.current = None;
            self.began_at = now;
        }
        self.current = Some(self.current.map_or(value, |lowest| lowest.min(value)));
    }

    pub(super) fn get(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }

    /// Everything before does not count any more.
    pub(super) const fn restart(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

/// Follows the delay of one direction.
#[derive(Debug)]
pub(super) struct Delay {
    one_way: Lowest,
    round_trip: Lowest,
    /// The receiver's clock at the last report, without its wrap.
    arrived_us: i64,
    last: Option<(u32, Instant)>,
    rtt: Option<Duration>,
    /// The last two queues: the shorter one counts, so that one late datagram is no queue.
    recent_us: [i64; 2],
}

impl Delay {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            one_way: Lowest::new(now),
            round_trip: Lowest::new(now),
            arrived_us: 0,
            last: None,
            rtt: None,
            recent_us: [0; 2],
        }
    }

    /// A datagram left at `sent_at` and came at `arrived_us` of the other clock. Whether the clocks seem to have
    /// gone on as before.
    pub(super) fn on_arrival(
        &mut self,
        now: Instant,
        origin: Instant,
        sent_at: Instant,
        arrived_us: u32,
        round_trip: Option<Duration>,
    ) -> bool {
        let mut steady = true;
        if let Some((last_us, last_sent_at)) = self.last {
            let arrived = i64::from(arrived_us.wrapping_sub(last_us).cast_signed());
            let sent = us(sent_at.saturating_duration_since(last_sent_at));
            self.arrived_us += arrived;
            if (arrived - sent).abs() > us(CLOCK_STEP) {
                self.one_way.restart(now);
                steady = false;
            }
        }
        self.last = Some((arrived_us, sent_at));
        let one_way = self.arrived_us - us(sent_at.saturating_duration_since(origin));
        self.one_way.push(now, one_way);
        let lowest = self.one_way.get().unwrap_or(one_way);
        let mut queue = one_way - lowest;
        if let Some(round_trip) = round_trip {
            self.rtt = Some(
                self.rtt
                    .map_or(round_trip, |rtt| (rtt * 7 + round_trip) / 8),
            );
            self.round_trip.push(now, us(round_trip));
            let shortest = self.round_trip.get().unwrap_or_default();
            let excess = us(round_trip) - shortest;
            if queue > excess + us(CLOCK_SLACK) {
                self.one_way.restart(now);
                self.one_way.push(now, one_way - excess);
                queue = excess;
                steady = false;
            }
        }
        let [_, last] = self.recent_us;
        self.recent_us = if steady { [last, queue] } else { [queue; 2] };
        steady
    }

    /// The queue that datagrams met of late.
    pub(super) fn queue(&self) -> Duration {
        let [a, b] = self.recent_us;
        Duration::from_micros(u64::try_from(a.min(b)).unwrap_or_default())
    }

    /// The smoothed round trip.
    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::testing::{ms, start};

    /// Reports each 25 ms; `at` gives what the queue and the clock's offset are, in ms.
    fn follow(
        delay: &mut Delay,
        begin: Instant,
        from_ms: u64,
        to_ms: u64,
        at: impl Fn(u64) -> (u64, i64),
    ) {
        for t in (from_ms..to_ms).step_by(25) {
            let (queue, offset) = at(t);
            let arrived_us = ((t + 15 + queue) as i64 + offset) * 1_000;
            let now = begin + ms(t + 30 + queue);
            let round_trip = Some(ms(30 + queue));
            delay.on_arrival(now, begin, begin + ms(t), arrived_us as u32, round_trip);
        }
    }

    #[test]
    fn a_queue_is_what_is_above_the_lowest_of_late() {
        let begin = start();
        let mut delay = Delay::new(begin);
        follow(&mut delay, begin, 0, 1_000, |_| (0, 0));
        assert_eq!(delay.queue(), ms(0));
        follow(&mut delay, begin, 1_000, 1_025, |_| (40, 0));
        assert_eq!(delay.queue(), ms(0));
        follow(&mut delay, begin, 1_025, 5_000, |_| (40, 0));
        assert_eq!(delay.queue(), ms(40));
        // A longer route is believed in the end.
        follow(&mut delay, begin, 5_000, 12_000, |_| (40, 0));
        assert_eq!(delay.queue(), ms(0));
    }

    #[test]
    fn a_clock_that_is_set_or_drifts_is_no_queue() {
        for step in [-100_000, -500, 300, 30_000, 1_500_000] {
            let begin = start();
            let mut delay = Delay::new(begin);
            let clock = |t| (0, if t >= 1_000 { step } else { 0 });
            follow(&mut delay, begin, 0, 1_200, clock);
            assert!(delay.queue() <= ms(20), "{step}: {:?}", delay.queue());
            // And a queue behind it is one.
            follow(&mut delay, begin, 1_200, 1_300, |_| (40, step));
            assert!(delay.queue() >= ms(40), "{step}: {:?}", delay.queue());
            assert!(delay.queue() <= ms(60), "{step}: {:?}", delay.queue());
        }
        let begin = start();
        let mut delay = Delay::new(begin);
        // 1 ms each 5 s, for ten minutes.
        for t in (0..600_000).step_by(5_000) {
            follow(&mut delay, begin, t, t + 5_000, |t| (0, (t / 5_000) as i64));
            assert!(delay.queue() <= ms(2));
        }
    }

    #[test]
    fn the_receivers_clock_wraps() {
        let begin = start();
        let mut delay = Delay::new(begin);
        let near_the_wrap = i64::from(u32::MAX / 1_000) - 500;
        follow(&mut delay, begin, 0, 1_000, |_| (0, near_the_wrap));
        assert_eq!(delay.queue(), ms(0));
        follow(&mut delay, begin, 1_000, 1_100, |_| (30, near_the_wrap));
        assert_eq!(delay.queue(), ms(30));
    }
}
