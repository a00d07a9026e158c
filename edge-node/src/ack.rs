//! What a publisher is told of its media: PROTOCOL.md 4.7. Pure.

use std::time::Instant;

use pulse_proto::{
    control::{Ack, PublisherAck},
    limits::ACK_INTERVAL,
    media::{MediaHeader, newer},
};

use crate::limits::ACK_MARGIN;

/// What arrived on one connection.
#[derive(Debug)]
pub(crate) struct AckState {
    started: Instant,
    acks: Vec<Ack>,
    bytes: u64,
    /// Arrival minus capture of the fastest frame and of the newest, in µs; both clocks have
    /// origins of their own, so only differences mean something.
    fastest_us: Option<i128>,
    newest_us: i128,
    due: Option<Instant>,
}

impl AckState {
    /// Nothing yet.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            started: now,
            acks: Vec::new(),
            bytes: 0,
            fastest_us: None,
            newest_us: 0,
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
        self.newest_us = arrived - i128::from(header.captured_us);
        let fastest = self.fastest_us.get_or_insert(self.newest_us);
        *fastest = (*fastest).min(self.newest_us);
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
        let delay_us = self.newest_us - self.fastest_us.unwrap_or(self.newest_us);
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
    fn it_tells_the_newest_frame_and_its_delay() {
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
        assert_eq!((ack.acks[0].seq, ack.bytes, ack.delay_ms), (1, 200, 30));
        assert_eq!(acks.due(), None);
        acks.on_media(at(120), &frame(0), 100);
        assert_eq!(acks.take(at(300)).unwrap().acks[0].seq, 1);
    }
}
