//! What is known of the way to the edge: what is under way on it, what it carries, whether it queues; and
//! the bound that follows. Pure: time is an argument, counted from the participant's start. Everything
//! goes through one ordered stream, so what was sent before something that arrived has arrived.
//!
//! An acknowledgement is believed no further than what was sent: it can ask for less, and for no more than
//! the bound of a path without a queue.

use std::{collections::VecDeque, time::Duration};

use pulse_proto::{control::PublisherAck, media::newer};

use crate::limits::{
    UPLINK_BELIEVE_LOWER, UPLINK_CLEAR_MS, UPLINK_DELAY_LIMIT_MS, UPLINK_FLOOR_BYTES,
    UPLINK_FORGET_ROUND_TRIP, UPLINK_MAX_ACKS, UPLINK_MAX_MARKS, UPLINK_MAX_ROUND_TRIP,
    UPLINK_NARROW, UPLINK_RATE_WINDOW, UPLINK_SILENT, UPLINK_SLACK, UPLINK_START_BYTES,
};

/// Where the first chunk of a frame ends, in bytes sent.
#[derive(Debug)]
struct Mark {
    track: u8,
    sequence: u32,
    end: u64,
}

/// One connection's way to its edge.
#[derive(Debug)]
pub(crate) struct Uplink {
    /// Oldest first.
    marks: VecDeque<Mark>,
    sent_bytes: u64,
    arrived_bytes: u64,
    /// When something was under way after nothing had been.
    busy_since: Duration,
    /// When acknowledgements of the last rate window came, and what had arrived by then.
    acks: VecDeque<(Duration, u64)>,
    /// The shortest round trip of late, in s: one that a queue has made longer would let the queue grow.
    round_trip_s: f64,
    narrow_until: Duration,
    pressed: bool,
    bytes_per_s: f64,
    delay_ms: u64,
}

impl Default for Uplink {
    fn default() -> Self {
        Self {
            marks: VecDeque::new(),
            sent_bytes: 0,
            arrived_bytes: 0,
            busy_since: Duration::ZERO,
            acks: VecDeque::new(),
            round_trip_s: f64::INFINITY,
            narrow_until: Duration::ZERO,
            pressed: false,
            bytes_per_s: 0.0,
            delay_ms: 0,
        }
    }
}

impl Uplink {
    /// Bytes that left and of which nobody has said that they arrived.
    pub(crate) const fn unacked_bytes(&self) -> u64 {
        self.sent_bytes - self.arrived_bytes
    }

    /// What the path carries, as far as is known; 0 before it is.
    pub(crate) const fn bits_per_second(&self) -> f64 {
        self.bytes_per_s * 8.0
    }

    /// A chunk has left; `first` of its frame.
    pub(crate) fn sent(
        &mut self,
        now: Duration,
        track: u8,
        sequence: u32,
        bytes: usize,
        first: bool,
    ) {
        if self.unacked_bytes() == 0 {
            self.busy_since = now;
        }
        self.sent_bytes += bytes as u64;
        if first {
            if self.marks.len() == UPLINK_MAX_MARKS {
                self.marks.pop_front();
            }
            let end = self.sent_bytes;
            self.marks.push_back(Mark {
                track,
                sequence,
                end,
            });
        }
    }

    /// The edge has said what arrived; `round_trip` is the last one measured.
    pub(crate) fn acknowledged(
        &mut self,
        now: Duration,
        ack: &PublisherAck,
        round_trip: Option<Duration>,
    ) {
        self.arrived(ack);
        if let Some(round_trip) = round_trip {
            let measured_s = round_trip.as_secs_f64();
            self.round_trip_s = measured_s.min(self.round_trip_s * UPLINK_FORGET_ROUND_TRIP);
        }
        self.delay_ms = ack.delay_ms;
        let late = ack.delay_ms > UPLINK_DELAY_LIMIT_MS;
        if late {
            self.narrow_until = now + UPLINK_NARROW;
        }
        // Only a path that queues tells what it carries; another one tells the least.
        let queues = late || (self.pressed && ack.delay_ms > UPLINK_CLEAR_MS);
        self.measure(now, queues);
        self.pressed = false;
    }

    /// Both what the newest frames say and what the bytes say has arrived at least.
    fn arrived(&mut self, ack: &PublisherAck) {
        let is_acknowledged = |mark: &Mark| {
            let of_track = ack.acks.iter().filter(|each| each.track == mark.track);
            of_track
                .into_iter()
                .any(|each| !newer(mark.sequence, each.seq))
        };
        if let Some(newest) = self.marks.iter().rposition(is_acknowledged) {
            let gone = self.marks.drain(..=newest).next_back();
            let end = gone.map_or(0, |mark| mark.end);
            self.arrived_bytes = self.arrived_bytes.max(end);
        }
        let bytes = ack.bytes.min(self.sent_bytes);
        self.arrived_bytes = self.arrived_bytes.max(bytes);
        while self
            .marks
            .front()
            .is_some_and(|mark| mark.end <= self.arrived_bytes)
        {
            self.marks.pop_front();
        }
    }

    fn measure(&mut self, now: Duration, queues: bool) {
        self.acks.push_back((now, self.arrived_bytes));
        let is_older = |ack: Option<&(Duration, u64)>| {
            ack.is_some_and(|(at, _)| now.saturating_sub(*at) >= UPLINK_RATE_WINDOW)
        };
        while self.acks.len() > UPLINK_MAX_ACKS
            || (self.acks.len() > 2 && is_older(self.acks.get(1)))
        {
            self.acks.pop_front();
        }
        let Some((since, bytes)) = self.acks.front() else {
            return;
        };
        let span = now.saturating_sub(*since);
        if span >= UPLINK_RATE_WINDOW {
            let rate = (self.arrived_bytes - bytes) as f64 / span.as_secs_f64();
            let believed = self.bytes_per_s * if queues { UPLINK_BELIEVE_LOWER } else { 1.0 };
            self.bytes_per_s = rate.max(believed);
        }
    }

    /// Bytes that may be under way while there are pictures to send.
    pub(crate) fn bound_bytes(&self, now: Duration) -> u64 {
        let round_trip_s = self.round_trip_s.min(UPLINK_MAX_ROUND_TRIP.as_secs_f64());
        let carried = self.bytes_per_s * (round_trip_s + UPLINK_SLACK.as_secs_f64());
        let least = if now < self.narrow_until || self.is_silent(now) {
            UPLINK_FLOOR_BYTES
        } else {
            UPLINK_START_BYTES
        };
        least.max(carried as u64)
    }

    /// Whether another chunk of a picture may leave; to be asked while one waits.
    pub(crate) fn has_room(&mut self, now: Duration) -> bool {
        let room = self.unacked_bytes() < self.bound_bytes(now);
        self.pressed |= !room;
        room
    }

    /// How long the path takes for that much, as far as is known.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        if self.bytes_per_s > 0.0 {
            Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_s).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }

    /// Whether nothing is queued on the way.
    pub(crate) const fn is_clear(&self) -> bool {
        self.delay_ms <= UPLINK_CLEAR_MS
    }

    /// Whether what arrives at the edge has waited on the way, or nothing arrives.
    pub(crate) fn is_late(&self, now: Duration) -> bool {
        self.is_silent(now) || self.delay_ms > UPLINK_DELAY_LIMIT_MS
    }

    fn is_silent(&self, now: Duration) -> bool {
        // An edge that has never acknowledged anything may be one that does not.
        let Some((last, _)) = self.acks.back() else {
            return false;
        };
        let round_trip_s = self.round_trip_s.min(UPLINK_MAX_ROUND_TRIP.as_secs_f64());
        let since = now.saturating_sub(self.busy_since.max(*last));
        self.unacked_bytes() > 0 && since.as_secs_f64() > UPLINK_SILENT.as_secs_f64() + round_trip_s
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulse_proto::control::Ack;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ack(track: u8, seq: u32, bytes: u64, delay_ms: u64) -> PublisherAck {
        PublisherAck {
            acks: vec![Ack {
                track,
                layer: 0,
                seq,
            }],
            bytes,
            delay_ms,
        }
    }

    #[test]
    fn a_path_without_a_queue_holds_so_much_and_gets_room_with_what_is_acknowledged() {
        let mut uplink = Uplink::default();
        for sequence in 0..100 {
            uplink.sent(ms(0), 1, sequence, 1_000, true);
        }
        assert!(!uplink.has_room(ms(0)));
        uplink.acknowledged(ms(100), &ack(1, 60, 61_000, 0), Some(ms(10)));
        assert_eq!(uplink.unacked_bytes(), 39_000);
        assert_eq!(uplink.bound_bytes(ms(100)), UPLINK_START_BYTES);
        assert!(uplink.has_room(ms(100)));
    }

    #[test]
    fn an_acknowledged_frame_stands_for_what_was_sent_before_it_and_its_first_chunk() {
        let mut uplink = Uplink::default();
        uplink.sent(ms(0), 1, 7, 1_000, true);
        uplink.sent(ms(0), 0, 3, 200, true);
        uplink.sent(ms(0), 1, 8, 1_000, true);
        uplink.sent(ms(0), 1, 8, 1_000, false);
        uplink.acknowledged(ms(0), &ack(0, 3, 0, 0), None);
        assert_eq!(uplink.unacked_bytes(), 2_000);
        uplink.acknowledged(ms(100), &ack(1, 8, 0, 0), None);
        assert_eq!(uplink.unacked_bytes(), 1_000);
        // The last frame's other chunks have no successor that would stand for them.
        uplink.acknowledged(ms(200), &ack(1, 8, 3_200, 0), None);
        assert_eq!(uplink.unacked_bytes(), 0);
    }

    #[test]
    fn a_path_that_queues_holds_what_it_carries_in_a_round_trip_and_a_little_more() {
        let mut uplink = Uplink::default();
        for turn in 0..=20 {
            uplink.sent(ms(turn * 100), 1, turn as u32, 5_000, true);
            let delay_ms = if turn > 10 { 101 } else { 0 };
            let ack = ack(1, turn as u32, (turn + 1) * 5_000, delay_ms);
            uplink.acknowledged(ms(turn * 100), &ack, Some(ms(40)));
        }
        assert!((uplink.bits_per_second() - 400_000.0).abs() < 1_000.0);
        assert!(uplink.is_late(ms(2_000)) && !uplink.is_clear());
        let bound = uplink.bound_bytes(ms(2_000));
        assert!(bound.abs_diff(50 * 190) < 300, "{bound}");
        assert_eq!(uplink.time_for(5_000).as_millis(), 100);
    }

    #[test]
    fn silence_counts_from_when_something_was_under_way() {
        let mut uplink = Uplink::default();
        uplink.acknowledged(ms(0), &ack(1, 0, 0, 0), Some(ms(40)));
        uplink.sent(ms(5_000), 1, 1, 1_000, true);
        assert!(!uplink.is_late(ms(5_440)));
        assert!(uplink.is_late(ms(5_441)));
        assert_eq!(uplink.bound_bytes(ms(5_441)), UPLINK_FLOOR_BYTES);
        uplink.acknowledged(ms(5_500), &ack(1, 1, 1_000, 0), Some(ms(40)));
        assert!(!uplink.is_late(ms(60_000)));
    }

    proptest! {
        /// Whatever an edge says: bytes under way are never negative or more than were sent, and the
        /// bound is never more than that of an idle path or of what was really sent.
        #[test]
        fn lies_are_bounded(
            turns in prop::collection::vec(
                (0..500_u64, 0..3_usize, any::<u32>(), any::<u64>(), any::<u64>(), any::<u8>(), any::<u16>()),
                1..400,
            ),
        ) {
            let mut uplink = Uplink::default();
            let mut now = Duration::ZERO;
            let mut sent = 0;
            for (wait_ms, chunks, seq, bytes, delay_ms, track, round_trip_ms) in turns {
                now += ms(wait_ms);
                for chunk in 0..chunks {
                    uplink.sent(now, track % 3, seq >> 1, 1_000, chunk == 0);
                    sent += 1_000;
                }
                let before = uplink.unacked_bytes();
                prop_assert!(before <= sent);
                let round_trip = Some(ms(round_trip_ms.into()));
                uplink.acknowledged(now, &ack(track, seq, bytes, delay_ms), round_trip);
                prop_assert!(uplink.unacked_bytes() <= before);
                prop_assert!(uplink.bits_per_second().is_finite());
                prop_assert!(uplink.bits_per_second() <= sent as f64 * 8.0 / 0.4);
                let bound = uplink.bound_bytes(now);
                prop_assert!(bound >= UPLINK_FLOOR_BYTES);
                prop_assert!(bound <= UPLINK_START_BYTES.max(sent * 3));
                prop_assert!(uplink.marks.len() <= UPLINK_MAX_MARKS);
                prop_assert!(uplink.acks.len() <= UPLINK_MAX_ACKS);
                uplink.time_for(u64::MAX);
            }
        }
    }
}
