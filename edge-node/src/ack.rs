//! What a publisher is told of its media: PROTOCOL.md 4.7. Pure.

use std::time::Instant;

use pulse_proto::{
    control::{Ack, PublisherAck},
    limits::{ACK_BYTES, ACK_INTERVAL},
    media::{MediaHeader, newer},
};

use crate::limits::{ACK_BASE_PERIOD, ACK_MARGIN};

/// What arrived on one connection.
#[derive(Debug)]
pub(crate) struct AckState {
    started: Instant,
    acks: Vec<Ack>,
    bytes: u64,
    unacknowledged: u64,
    fastest: Option<Fastest>,
    /// Transit of the fastest frame since the last acknowledgement: a queue on the way delays that one
    /// too, a large frame that the publisher sends bit by bit does not.
    least_us: Option<i128>,
    due: Option<Instant>,
}

/// Transit (arrival minus capture, in µs) of the fastest frame of this period and of the one before. Both
/// clocks have origins of their own, so only differences mean something, and as they drift, only for a while.
#[derive(Debug)]
struct Fastest {
    since: Instant,
    us: i128,
    before_us: i128,
}

impl Fastest {
    fn observe(&mut self, now: Instant, transit_us: i128) {
        if now.saturating_duration_since(self.since) >= ACK_BASE_PERIOD {
            self.since = now;
            self.before_us = self.us;
            self.us = transit_us;
        }
        self.us = self.us.min(transit_us);
    }
}

impl AckState {
    /// Nothing yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            started: now,
            acks: Vec::new(),
            bytes: 0,
            unacknowledged: 0,
            fastest: None,
            least_us: None,
            due: None,
        }
    }

    /// A chunk arrived.
    pub(crate) fn on_media(&mut self, now: Instant, header: &MediaHeader, bytes: usize) {
        self.bytes += bytes as u64;
        let seen = self
            .acks
            .iter_mut()
            .find(|ack| (ack.track, ack.layer) == (header.track, header.spatial));
        match seen {
            Some(ack) if newer(header.sequence, ack.seq) => ack.seq = header.sequence,
            Some(_) => {}
            None => self.acks.push(Ack {
                track: header.track,
                layer: header.spatial,
                seq: header.sequence,
            }),
        }
        let arrived = now.saturating_duration_since(self.started).as_micros() as i128;
        let transit_us = arrived - i128::from(header.captured_us);
        self.least_us = Some(
            self.least_us
                .map_or(transit_us, |least| least.min(transit_us)),
        );
        match &mut self.fastest {
            Some(fastest) => fastest.observe(now, transit_us),
            None => {
                self.fastest = Some(Fastest {
                    since: now,
                    us: transit_us,
                    before_us: transit_us,
                });
            }
        }
        self.unacknowledged += bytes as u64;
        // A fast publisher waits for room, not for a timer.
        if self.unacknowledged >= ACK_BYTES {
            self.due = Some(now);
        }
        self.due.get_or_insert(now + ACK_INTERVAL - ACK_MARGIN);
    }

    /// When the next acknowledgement is due.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The acknowledgement, if one is due.
    pub(crate) fn take(&mut self, now: Instant) -> Option<PublisherAck> {
        if now < self.due? {
            return None;
        }
        self.due = None;
        self.unacknowledged = 0;
        let delay_us = match (self.least_us.take(), &self.fastest) {
            (Some(least), Some(fastest)) => least - fastest.us.min(fastest.before_us),
            _ => 0,
        };
        Some(PublisherAck {
            acks: self.acks.clone(),
            bytes: self.bytes,
            delay_ms: u64::try_from(delay_us / 1_000).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbox::test_header;

    #[test]
    fn it_tells_the_newest_frame_and_all_bytes() {
        let start = tokio::time::Instant::now().into_std();
        let at = |ms| start + Duration::from_millis(ms);
        let mut acks = AckState::new(start);
        assert_eq!(acks.take(at(500)), None);
        let frame = |sequence| MediaHeader {
            captured_us: 7_000_000 + u64::from(sequence) * 20_000,
            ..test_header(sequence, 0, 0)
        };
        acks.on_media(at(10), &frame(0), 100);
        acks.on_media(at(60), &frame(1), 100);
        assert_eq!(acks.take(at(60)), None);
        let ack = acks.take(at(110)).unwrap();
        assert_eq!((ack.acks[0].seq, ack.bytes, ack.delay_ms), (1, 200, 0));
        assert_eq!(acks.due(), None);
        acks.on_media(at(120), &frame(0), 100);
        assert_eq!(acks.take(at(300)).unwrap().acks[0].seq, 1);
    }

    #[test]
    fn much_at_once_is_acknowledged_at_once() {
        let start = tokio::time::Instant::now().into_std();
        let mut acks = AckState::new(start);
        for sequence in 0..32 {
            acks.on_media(start, &test_header(sequence, 0, 0), 1_000);
            assert_eq!(acks.take(start), None);
        }
        acks.on_media(start, &test_header(32, 0, 0), 1_000);
        assert_eq!(acks.take(start).unwrap().acks[0].seq, 32);
        assert_eq!(acks.due(), None);
    }

    #[test]
    fn one_slow_frame_is_no_queue() {
        let start = tokio::time::Instant::now().into_std();
        let at = |ms| start + Duration::from_millis(ms);
        let mut acks = AckState::new(start);
        let captured_ms = |ms: u64| MediaHeader {
            captured_us: ms * 1_000,
            ..test_header(0, 0, 0)
        };
        acks.on_media(at(10), &captured_ms(0), 100);
        acks.on_media(at(95), &captured_ms(20), 100);
        assert_eq!(acks.take(at(200)).unwrap().delay_ms, 0);
        acks.on_media(at(260), &captured_ms(200), 100);
        acks.on_media(at(280), &captured_ms(210), 100);
        assert_eq!(acks.take(at(400)).unwrap().delay_ms, 50);
    }

    #[test]
    fn clocks_that_drift_apart_are_no_queue() {
        let start = tokio::time::Instant::now().into_std();
        let mut acks = AckState::new(start);
        // An hour in which the publisher's clock loses 200 µs a second.
        for second in 0..3_600_u64 {
            let now = start + Duration::from_secs(second);
            let header = MediaHeader {
                captured_us: second * 999_800,
                ..test_header(0, 0, 0)
            };
            acks.on_media(now, &header, 100);
            let delay_ms = acks
                .take(now + Duration::from_millis(500))
                .unwrap()
                .delay_ms;
            assert!(delay_ms <= 24, "{delay_ms} ms after {second} s");
        }
    }
}
