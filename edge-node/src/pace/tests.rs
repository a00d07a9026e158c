//! The bound against a simulated link: one queue with a rate and a delay, time in steps of a ms.

use std::collections::VecDeque;

use super::*;

/// A link that takes `rate` bytes a second after `delay_ms` each way.
struct Link {
    start: Instant,
    at_ms: u64,
    rate: f64,
    delay_ms: u64,
    /// Sent and not through the narrow place: when each byte run entered, and its length.
    queue: VecDeque<(u64, f64)>,
    /// Through it: acknowledged at, bytes, round trip.
    returning: VecDeque<(u64, f64, u64)>,
    acked: f64,
    sent: f64,
    rtt_ms: f64,
    min_rtt_ms: f64,
    looks: u32,
    pace: Pace,
}

impl Link {
    fn new(rate: f64, delay_ms: u64) -> Self {
        let start = tokio::time::Instant::now().into_std();
        let rtt_ms = 2.0 * delay_ms as f64;
        Self {
            start,
            at_ms: 0,
            rate,
            delay_ms,
            queue: VecDeque::new(),
            returning: VecDeque::new(),
            acked: 0.0,
            sent: 0.0,
            rtt_ms,
            min_rtt_ms: rtt_ms,
            looks: 0,
            pace: Pace::new(start),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.at_ms)
    }

    fn send(&mut self, bytes: u64) {
        self.queue.push_back((self.at_ms, bytes as f64));
        self.sent += bytes as f64;
        self.pace.on_sent(self.now(), bytes);
    }

    fn look(&mut self) {
        self.looks += 1;
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1_000.0);
        let reading = Reading {
            acked: self.acked as u64,
            outstanding: (self.sent - self.acked) as u64,
            rtt: ms(self.rtt_ms),
            min_rtt: ms(self.min_rtt_ms),
            torn: false,
            segments: Segments::default(),
        };
        let now = self.now();
        self.pace.on_reading(now, reading, 0);
    }

    /// As the writer does with `waiting` bytes of pictures; gives what stays.
    fn offer(&mut self, mut waiting: u64) -> u64 {
        for _ in 0..2 {
            while waiting > 0 && self.pace.room(self.now()) > 0 {
                let chunk = waiting.min(1_000);
                self.send(chunk);
                waiting -= chunk;
            }
            let due = waiting > 0 && self.now() >= self.pace.look_at();
            if due {
                self.look();
            }
        }
        waiting
    }

    fn step(&mut self) {
        self.at_ms += 1;
        let mut carried = self.rate / 1_000.0;
        while carried > 0.0
            && let Some((entered, bytes)) = self.queue.front_mut()
        {
            let part = bytes.min(carried);
            let back_at = self.at_ms + 2 * self.delay_ms;
            self.returning
                .push_back((back_at, part, back_at - *entered));
            *bytes -= part;
            carried -= part;
            if *bytes <= 0.0 {
                self.queue.pop_front();
            }
        }
        while let Some((at, bytes, rtt)) = self.returning.front().copied()
            && at <= self.at_ms
        {
            self.returning.pop_front();
            self.acked += bytes;
            self.rtt_ms += (rtt as f64 - self.rtt_ms) / 8.0;
            self.min_rtt_ms = self.min_rtt_ms.min(rtt as f64);
        }
    }

    fn rest(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
    }

    fn queued_ms(&self) -> f64 {
        let queued: f64 = self.queue.iter().map(|(_, bytes)| bytes).sum();
        queued / self.rate * 1_000.0
    }

    /// Offers without end for so long; the share of the link used and the longest queue of the second half.
    fn saturate(&mut self, ms: u64) -> (f64, f64) {
        let (mut queued, mut acked) = (0.0_f64, 0.0);
        for step in 0..ms {
            self.offer(1_000_000);
            self.step();
            if step == ms / 2 {
                acked = self.acked;
            } else if step > ms / 2 {
                queued = queued.max(self.queued_ms());
            }
        }
        let used = (self.acked - acked) / (self.rate * ms as f64 / 2_000.0);
        (used, queued)
    }
}

#[test]
fn a_voice_waits_little_on_a_narrow_link() {
    let mut link = Link::new(32_000.0, 10);
    let (used, queued) = link.saturate(4_000);
    assert!(queued <= 135.0, "{queued} ms stand before a voice");
    assert!(used >= 0.95, "{used} of the link is used");
    assert!(link.looks < 1_000, "{} looks", link.looks);
}

#[test]
fn a_fast_link_is_filled_soon_however_long_it_is() {
    for (rate, delay_ms) in [(1e6, 5), (5e6, 1), (5e6, 20), (2e6, 100), (12e6, 75)] {
        let mut link = Link::new(rate, delay_ms);
        let (used, queued) = link.saturate(4_000);
        assert!(used >= 0.9, "{rate} B/s, {delay_ms} ms: {used}");
        assert!(queued <= 260.0, "{rate} B/s, {delay_ms} ms: {queued} ms");
    }
}

#[test]
fn a_link_that_shrinks_and_grows_is_followed() {
    let mut link = Link::new(1e6, 10);
    link.saturate(2_000);
    link.rate = 32_000.0;
    let (used, queued) = link.saturate(6_000);
    assert!(used >= 0.95 && queued <= 135.0, "{used}, {queued} ms");
    link.rate = 1e6;
    let (used, _) = link.saturate(1_000);
    assert!(used >= 0.9, "{used} of what came back");
}

#[test]
fn a_little_traffic_on_a_fast_link_is_never_held_and_lowers_nothing() {
    let mut link = Link::new(5e6, 10);
    link.saturate(1_000);
    let known = link.pace.rate();
    link.rest(500);
    for step in 0..20_000 {
        if step % 33 == 0 {
            assert_eq!(link.offer(6_000), 0, "at {step} ms");
        }
        link.step();
    }
    assert!(link.pace.rate() >= known * 0.9, "{}", link.pace.rate());
}

#[test]
fn a_longer_path_does_not_trap_it() {
    let mut link = Link::new(1e6, 5);
    link.saturate(1_000);
    link.rest(500);
    // The client has moved; its kernel remembers the old path for minutes.
    link.delay_ms = 120;
    for step in 0..3_000 {
        if step % 33 == 0 {
            link.offer(2_000);
        }
        link.step();
    }
    link.look();
    let (used, _) = link.saturate(4_000);
    assert!(used >= 0.8, "used {used}");
}

#[test]
fn a_receiver_that_stops_is_asked_seldom_and_soon_live_again() {
    let mut link = Link::new(1e6, 20);
    link.saturate(1_000);
    let rate = link.rate;
    link.rate = 0.0;
    link.looks = 0;
    for _ in 0..10_000 {
        link.offer(1_000_000);
        link.step();
    }
    assert!(link.looks <= 10_000 / 30, "{} looks", link.looks);
    let stuck = link.sent - link.acked;
    link.rate = rate;
    let fresh = link.sent;
    let mut ms = 0;
    while link.acked < fresh + 40_000.0 {
        link.offer(1_000_000);
        link.step();
        ms += 1;
    }
    assert!(ms <= 400, "a keyframe after {ms} ms, behind {stuck} bytes");
}

#[test]
fn little_is_left_unsent_for_a_slow_receiver() {
    let mut link = Link::new(32_000.0, 10);
    assert_eq!(link.pace.unsent_max(), Some(NOTSENT_LOWAT_MIN));
    link.saturate(2_000);
    assert_eq!(link.pace.unsent_max(), None);
    link.rate = 5e6;
    link.saturate(2_000);
    assert_eq!(link.pace.unsent_max(), Some(NOTSENT_LOWAT_MAX));
    assert_eq!(link.pace.unsent_max(), None);
}

/// A camera of 1.5 Mbit/s, 30 pictures a second, with a keyframe each 4 s, and a voice each 20 ms; then
/// the link becomes narrow with that keyframe. Gives the longest queue, and how long voices stood behind more
/// than `bar_ms`.
fn camera_when_it_narrows(delay_ms: u64, bar_ms: f64) -> (f64, u64) {
    let mut link = Link::new(5e6, delay_ms);
    let (mut waiting, mut longest, mut behind_ms) = (0, 0.0_f64, 0);
    for step in 0..16_000 {
        if step == 12_000 {
            link.rate = 32_000.0;
        }
        if step % 4_000 == 0 {
            waiting = 25_000;
        } else if step % 33 == 0 {
            // What waits longer makes way, as in the lane.
            waiting = (waiting + 6_000).min(60_000);
        }
        if step % 20 == 0 {
            link.send(180);
        }
        waiting = link.offer(waiting);
        link.step();
        if step >= 12_000 {
            longest = longest.max(link.queued_ms());
            behind_ms += u64::from(link.queued_ms() > bar_ms);
        }
    }
    (longest, behind_ms)
}

#[test]
fn a_link_that_narrows_under_a_keyframe_is_rid_of_it_soon() {
    // On a long path more is under way before anybody can know.
    for (delay_ms, longest_ms, for_ms) in
        [(5, 700.0, 900), (20, 800.0, 1_100), (50, 1_700.0, 2_500)]
    {
        let (longest, behind_ms) = camera_when_it_narrows(delay_ms, 200.0);
        assert!(
            longest <= longest_ms,
            "{delay_ms} ms: {longest} ms before a voice"
        );
        assert!(behind_ms <= for_ms, "{delay_ms} ms: for {behind_ms} ms");
    }
}

#[test]
fn a_keyframe_takes_a_round_trip_or_two_more_and_not_many() {
    for delay_ms in [5, 10, 50] {
        let mut link = Link::new(5e6, delay_ms);
        let mut slowest = 0;
        for keyframe in 0..4 {
            let (mut waiting, mut left_at) = (40_000, None);
            for step in 0..4_000 {
                if step % 33 == 32 {
                    waiting += 6_000;
                }
                waiting = link.offer(waiting);
                link.step();
                if waiting == 0 {
                    left_at.get_or_insert(step);
                }
            }
            // The first one meets a link of which nothing is known.
            if keyframe > 0 {
                slowest = slowest.max(left_at.unwrap_or(u64::MAX));
            }
        }
        assert!(
            slowest <= 33 + 6 * 2 * delay_ms,
            "{delay_ms} ms: {slowest} ms"
        );
    }
}

#[test]
fn what_is_late_holds_pictures_until_it_is_there() {
    let mut link = Link::new(5e6, 10);
    link.saturate(1_000);
    link.rest(1_500);
    link.offer(2_000);
    link.rate = 0.0;
    link.rest(150);
    assert!(link.offer(2_000) > 0, "it is late");
    link.rate = 5e6;
    link.rest(60);
    assert_eq!(link.offer(2_000), 0, "it is there");
}

#[test]
fn a_hole_is_no_narrow_link() {
    let mut pace = Pace::new(tokio::time::Instant::now().into_std());
    let start = pace.look_at();
    let ms = Duration::from_millis;
    let reading = |acked, outstanding, torn| Reading {
        acked,
        outstanding,
        rtt: ms(200),
        min_rtt: ms(200),
        torn,
        segments: Segments::default(),
    };
    pace.on_sent(start, 4_000);
    pace.on_reading(start, reading(0, 4_000, false), 0);
    let mut room = |at, acked, torn| {
        pace.on_reading(start + at, reading(acked, 4_000 - acked, torn), 0);
        pace.room(start + at)
    };
    assert!(
        room(ms(400), 0, true) > 0,
        "what is behind a hole waits on any link"
    );
    assert!(room(ms(450), 0, false) <= 0);
    assert!(room(ms(500), 0, true) <= 0, "it was narrow before");
    assert!(room(ms(600), 4_000, false) > 0);
}
