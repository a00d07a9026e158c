//! What a receiver tells a sender about its datagrams: the last one, when it came, and how much ever did.
//! Every report stands for itself, so that a lost one costs nothing. Never judges what it counts.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    datagram::{DatagramError, Header, Kind},
    limits::{DATAGRAM_HEADER, FEEDBACK_INTERVAL, FEEDBACK_LEN},
};
use crate::media::newer;

/// A report, as its reader finds it. All counts wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// Counts the reports of this connection.
    pub number: u32,
    /// The newest link sequence of media that has arrived.
    pub highest: u32,
    /// When that one came, in µs of the receiver's clock.
    pub arrived_us: u32,
    /// How long ago that was when the report left, in µs; 65,535 stands for all that is longer.
    pub held_us: u16,
    /// Media datagrams that have arrived, ever.
    pub datagrams: u32,
    /// Their bytes, headers of the link included.
    pub bytes: u32,
}

impl Feedback {
    /// The whole datagram.
    pub fn encode(&self) -> Bytes {
        let header = Header {
            kind: Kind::Feedback,
            hops: 0,
            epoch: 0,
            sequence: self.number,
        };
        let mut datagram = BytesMut::with_capacity(DATAGRAM_HEADER + FEEDBACK_LEN);
        datagram.put_slice(&header.encode());
        datagram.put_u32(self.highest);
        datagram.put_u32(self.arrived_us);
        datagram.put_u16(self.held_us);
        datagram.put_u32(self.datagrams);
        datagram.put_u32(self.bytes);
        datagram.freeze()
    }

    /// Reads what follows the header of a report.
    ///
    /// # Errors
    /// [`DatagramError::Feedback`] if it is not as long as reports are.
    pub fn parse(header: &Header, body: &[u8]) -> Result<Self, DatagramError> {
        let wrong = DatagramError::Feedback(body.len());
        let body: &[u8; FEEDBACK_LEN] = body.try_into().map_err(|_| wrong)?;
        let &[
            h0,
            h1,
            h2,
            h3,
            a0,
            a1,
            a2,
            a3,
            l0,
            l1,
            d0,
            d1,
            d2,
            d3,
            bytes @ ..,
        ] = body;
        Ok(Self {
            number: header.sequence,
            highest: u32::from_be_bytes([h0, h1, h2, h3]),
            arrived_us: u32::from_be_bytes([a0, a1, a2, a3]),
            held_us: u16::from_be_bytes([l0, l1]),
            datagrams: u32::from_be_bytes([d0, d1, d2, d3]),
            bytes: u32::from_be_bytes(bytes),
        })
    }
}

/// Counts what arrives, and says when to report it.
#[derive(Debug)]
pub struct Reporter {
    /// Where the µs of the reports begin.
    origin: Instant,
    number: u32,
    newest: Option<(u32, Instant)>,
    datagrams: u32,
    bytes: u32,
    /// Something has arrived since the last report.
    due_at: Option<Instant>,
    reported_at: Option<Instant>,
}

impl Reporter {
    /// Nothing has arrived yet.
    pub const fn new(now: Instant) -> Self {
        Self {
            origin: now,
            number: 0,
            newest: None,
            datagrams: 0,
            bytes: 0,
            due_at: None,
            reported_at: None,
        }
    }

    /// A media datagram has come.
    pub fn on_arrival(&mut self, now: Instant, sequence: u32, bytes: usize) {
        self.datagrams = self.datagrams.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes as u32);
        if self
            .newest
            .is_none_or(|(newest, _)| newer(sequence, newest))
        {
            self.newest = Some((sequence, now));
        }
        let reported_at = self.reported_at;
        self.due_at.get_or_insert_with(|| {
            reported_at.map_or(now, |reported_at| now.max(reported_at + FEEDBACK_INTERVAL))
        });
    }

    /// When the next report is to leave; none while nothing new has arrived.
    pub const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// The report, if one is due.
    pub fn report(&mut self, now: Instant) -> Option<Feedback> {
        let (highest, arrived_at) = self.newest?;
        if self.due_at? > now {
            return None;
        }
        self.due_at = None;
        self.reported_at = Some(now);
        self.number = self.number.wrapping_add(1);
        let micros = |since: Duration| since.as_micros();
        let held_us = micros(now.saturating_duration_since(arrived_at));
        Some(Feedback {
            number: self.number,
            highest,
            arrived_us: micros(arrived_at.saturating_duration_since(self.origin)) as u32,
            held_us: u16::try_from(held_us).unwrap_or(u16::MAX),
            datagrams: self.datagrams,
            bytes: self.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backbone::testing::{ms, start};

    #[test]
    fn reports_come_at_once_and_then_each_25_ms_while_anything_arrives() {
        let now = start();
        let mut reporter = Reporter::new(now);
        assert_eq!(reporter.report(now + ms(100)), None);
        let first = now + ms(100);
        reporter.on_arrival(first, u32::MAX, 1_000);
        assert_eq!(reporter.due_at(), Some(first));
        let report = reporter.report(first).unwrap();
        assert_eq!(
            (report.highest, report.arrived_us, report.held_us),
            (u32::MAX, 100_000, 0)
        );
        reporter.on_arrival(first + ms(5), 1, 500);
        reporter.on_arrival(first + ms(8), 0, 500);
        assert_eq!(reporter.due_at(), Some(first + ms(25)));
        assert_eq!(reporter.report(first + ms(24)), None);
        let report = reporter.report(first + ms(25)).unwrap();
        assert_eq!(report.number, 2);
        // 0 came later, but 1 is the newest, over the wrap.
        assert_eq!((report.highest, report.arrived_us), (1, 105_000));
        assert_eq!(report.held_us, 20_000);
        assert_eq!((report.datagrams, report.bytes), (3, 2_000));
        assert_eq!(reporter.due_at(), None);
        assert_eq!(reporter.report(first + ms(1_000)), None);
    }

    #[test]
    fn what_was_held_for_long_says_so() {
        let now = start();
        let mut reporter = Reporter::new(now);
        reporter.on_arrival(now, 0, 1);
        assert_eq!(reporter.report(now + ms(66)).unwrap().held_us, u16::MAX);
    }

    proptest! {
        #[test]
        fn a_report_survives_the_wire(
            number: u32, highest: u32, arrived_us: u32, held_us: u16, datagrams: u32, bytes: u32,
        ) {
            let report = Feedback { number, highest, arrived_us, held_us, datagrams, bytes };
            let datagram = report.encode();
            let (header, body) = Header::parse(&datagram).unwrap();
            prop_assert_eq!(header.kind, Kind::Feedback);
            prop_assert_eq!(Feedback::parse(&header, body), Ok(report));
        }
    }
}
