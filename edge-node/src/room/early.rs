//! Media of other edges that has overtaken what announces it: held for a moment, bounded, oldest dropped. Pure.

use std::{collections::VecDeque, time::Instant};

use pulse_proto::{Frame, ParticipantId, cluster::EdgeId, media::MediaHeader};

use crate::limits::{MAX_EARLY, MAX_EARLY_AGE};

/// A chunk whose track is not known yet.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) edge: EdgeId,
    pub(crate) header: MediaHeader,
    pub(crate) frame: Frame,
}

/// All that is held for one room.
#[derive(Debug, Default)]
pub(crate) struct Early {
    held: VecDeque<(Instant, Held)>,
    dropped: u64,
}

impl Early {
    /// Keeps a chunk for a moment.
    pub(crate) fn hold(&mut self, now: Instant, held: Held) {
        self.expire(now);
        if self.held.len() >= MAX_EARLY {
            self.held.pop_front();
            self.dropped += 1;
        }
        self.held.push_back((now, held));
    }

    /// What was held of somebody, in the order in which it came.
    pub(crate) fn release(&mut self, now: Instant, edge: &EdgeId, id: ParticipantId) -> Vec<Held> {
        self.expire(now);
        let mut released = Vec::new();
        for (at, held) in std::mem::take(&mut self.held) {
            if held.edge == *edge && held.frame.sender() == id {
                released.push(held);
            } else {
                self.held.push_back((at, held));
            }
        }
        released
    }

    /// Chunks that were dropped since the last time it was asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn expire(&mut self, now: Instant) {
        let late =
            |(at, _): &mut (Instant, Held)| now.saturating_duration_since(*at) > MAX_EARLY_AGE;
        while self.held.pop_front_if(late).is_some() {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulse_proto::FrameType;

    use super::*;
    use crate::outbox::test_header;

    fn held(edge: &str, sender: u8, sequence: u32) -> Held {
        let sender = ParticipantId::from_random([sender; 16]);
        Held {
            edge: EdgeId::parse(edge).unwrap(),
            header: test_header(sequence, 1, 0),
            frame: Frame::new(sender, FrameType::Media, &[]),
        }
    }

    #[test]
    fn what_was_early_comes_in_order_unless_it_is_late_or_too_much() {
        let edge = EdgeId::parse("a").unwrap();
        let start = tokio::time::Instant::now().into_std();
        let mut early = Early::default();
        early.hold(start, held("a", 1, 0));
        let later = start + MAX_EARLY_AGE + Duration::from_millis(1);
        for sequence in 1..=MAX_EARLY as u32 {
            early.hold(later, held("a", 1, sequence));
        }
        early.hold(later, held("b", 1, 9));
        early.hold(later, held("a", 2, 9));
        let id = ParticipantId::from_random([1; 16]);
        let sequences: Vec<u32> = early
            .release(later, &edge, id)
            .iter()
            .map(|held| held.header.sequence)
            .collect();
        assert_eq!(sequences, (3..=MAX_EARLY as u32).collect::<Vec<_>>());
        assert_eq!(early.take_dropped(), 3);
        assert!(early.release(later, &edge, id).is_empty());
    }
}
