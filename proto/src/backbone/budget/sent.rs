//! When datagrams left and how much did by then, until they are reported. Never judges.

use std::{collections::VecDeque, time::Instant};

use crate::backbone::limits::MAX_UNREPORTED;

/// A datagram that left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) at: Instant,
    /// Datagrams up to this one, ever.
    pub(super) datagrams: u64,
    /// Their bytes on the wire.
    pub(super) bytes: u64,
}

/// Departures by link sequence, without gaps.
#[derive(Debug)]
pub(super) struct Sent {
    first: u32,
    departures: VecDeque<Departure>,
    datagrams: u64,
    bytes: u64,
}

impl Sent {
    pub(super) const fn new() -> Self {
        Self {
            first: 0,
            departures: VecDeque::new(),
            datagrams: 0,
            bytes: 0,
        }
    }

    /// Notes a departure. A sequence that does not follow the last one forgets all before it.
    pub(super) fn push(&mut self, at: Instant, sequence: u32, bytes: u64) {
        let next = self.first.wrapping_add(self.departures.len() as u32);
        if sequence != next {
            self.departures.clear();
        }
        if self.departures.len() >= MAX_UNREPORTED {
            self.departures.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.departures.is_empty() {
            self.first = sequence;
        }
        self.datagrams += 1;
        self.bytes += bytes;
        self.departures.push_back(Departure {
            at,
            datagrams: self.datagrams,
            bytes: self.bytes,
        });
    }

    /// What is remembered of a datagram.
    pub(super) fn get(&self, sequence: u32) -> Option<Departure> {
        let index = sequence.wrapping_sub(self.first) as usize;
        self.departures.get(index).copied()
    }

    /// Forgets all before this one, which must be there.
    pub(super) fn forget_before(&mut self, sequence: u32) {
        let count = (sequence.wrapping_sub(self.first) as usize).min(self.departures.len());
        self.departures.drain(..count);
        self.first = self.first.wrapping_add(count as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::testing::{ms, start};

    #[test]
    fn departures_are_found_over_the_wrap_until_they_are_forgotten() {
        let (mut sent, now) = (Sent::new(), start());
        for (step, sequence) in [u32::MAX - 1, u32::MAX, 0, 1].into_iter().enumerate() {
            sent.push(now + ms(step as u64), sequence, 100);
        }
        let found = sent.get(0).unwrap();
        assert_eq!((found.at, found.datagrams), (now + ms(2), 3));
        assert_eq!(found.bytes, 300);
        assert_eq!((sent.get(2), sent.get(u32::MAX - 2)), (None, None));
        sent.forget_before(0);
        assert_eq!(sent.get(u32::MAX), None);
        assert_eq!(sent.get(1).unwrap().datagrams, 4);
        // A gap: what was before it cannot be told from what never left.
        sent.push(now, 9, 100);
        assert_eq!(sent.get(1), None);
        assert_eq!(sent.get(9).unwrap().datagrams, 5);
    }

    #[test]
    fn it_is_bounded() {
        let (mut sent, now) = (Sent::new(), start());
        for sequence in 0..=MAX_UNREPORTED as u32 {
            sent.push(now, sequence, 1);
        }
        assert_eq!(sent.departures.len(), MAX_UNREPORTED);
        assert_eq!(sent.get(0), None);
        assert!(sent.get(1).is_some());
    }
}
