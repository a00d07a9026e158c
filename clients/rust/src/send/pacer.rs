//! The chunks of pictures that wait for room on the uplink, so that sound never waits behind more than
//! that. Pure: time is an argument. What has waited too long is dropped whole; its source begins anew with
//! a keyframe.

use std::{collections::VecDeque, time::Duration};

use pulse_proto::Frame;

use crate::limits::{PACER_MAX_BYTES, PACER_MAX_WAIT};

/// A message of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) track: u8,
    pub(crate) sequence: u32,
    /// The first, and the last one of its frame.
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) frame: Frame,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// Oldest first, each with the time since when it waits.
    waiting: VecDeque<(Duration, Chunk)>,
    bytes: u64,
}

impl Pacer {
    /// Bytes that wait.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a frame of so many bytes may wait, too.
    pub(crate) const fn takes(&self, bytes: u64) -> bool {
        self.bytes.saturating_add(bytes) <= PACER_MAX_BYTES
    }

    /// A chunk waits from now on; [`Pacer::takes`] is asked for whole frames before.
    pub(crate) fn push(&mut self, now: Duration, chunk: Chunk) {
        self.bytes += chunk.frame.len() as u64;
        self.waiting.push_back((now, chunk));
    }

    /// The chunk that is next.
    pub(crate) fn take(&mut self) -> Option<Chunk> {
        let (_, chunk) = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(chunk.frame.len() as u64);
        Some(chunk)
    }

    /// Drops everything if the oldest has waited too long; returns the frames that are gone, the one
    /// that has left in part included.
    pub(crate) fn take_stale(&mut self, now: Duration) -> u64 {
        match self.waiting.front() {
            Some((since, _)) if now.saturating_sub(*since) > PACER_MAX_WAIT => self.clear(),
            _ => 0,
        }
    }

    /// Drops everything; returns as [`Pacer::take_stale`].
    pub(crate) fn clear(&mut self) -> u64 {
        self.bytes = 0;
        self.waiting
            .drain(..)
            .filter(|(_, chunk)| chunk.last)
            .count() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulse_proto::{FrameType, ParticipantId};

    use super::*;

    fn chunk(sequence: u32, first: bool, last: bool) -> Chunk {
        Chunk {
            track: 1,
            sequence,
            first,
            last,
            frame: Frame::new(ParticipantId::ZERO, FrameType::Media, &[0; 63]),
        }
    }

    #[test]
    fn what_waits_too_long_is_dropped_whole() {
        let mut pacer = Pacer::default();
        pacer.push(Duration::ZERO, chunk(0, true, false));
        pacer.push(Duration::ZERO, chunk(0, false, true));
        pacer.push(Duration::from_millis(900), chunk(1, true, true));
        assert_eq!(pacer.bytes(), 300);
        assert_eq!(pacer.take(), Some(chunk(0, true, false)));
        assert_eq!(pacer.take_stale(PACER_MAX_WAIT), 0);
        let later = PACER_MAX_WAIT + Duration::from_millis(1);
        assert_eq!(pacer.take_stale(later), 2);
        assert_eq!((pacer.bytes(), pacer.take()), (0, None));
    }

    proptest! {
        /// What comes out is what went in, in its order, and the sum of what waits is right.
        #[test]
        fn nothing_is_reordered(turns in prop::collection::vec((any::<bool>(), 0..400_u64), 1..200)) {
            let mut pacer = Pacer::default();
            let (mut now, mut pushed, mut expected, mut waiting) = (Duration::ZERO, 0, 0, 0_u64);
            for (push, wait_ms) in turns {
                now += Duration::from_millis(wait_ms);
                if push && pacer.takes(100) {
                    pacer.push(now, chunk(pushed, true, true));
                    pushed += 1;
                    waiting += 1;
                } else if let Some(chunk) = pacer.take() {
                    prop_assert_eq!(chunk.sequence, expected);
                    expected += 1;
                    waiting -= 1;
                }
                let stale = pacer.take_stale(now);
                prop_assert!(stale == 0 || stale == waiting);
                expected += stale as u32;
                waiting -= stale;
                prop_assert_eq!(pacer.bytes(), waiting * 100);
            }
        }
    }
}
