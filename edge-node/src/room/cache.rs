//! What a late joiner of one video track gets: the chunks since its last keyframe, bounded in time
//! and bytes. Pure.

use std::{collections::VecDeque, time::Instant};

use pulse_proto::{Frame, media::MediaHeader};

use crate::limits::{CACHE_PLAY, MAX_CACHE_AGE, MAX_CACHE_BYTES};

#[derive(Debug)]
struct Cached {
    header: MediaHeader,
    frame: Frame,
    at: Instant,
}

/// The chunks of one track since its last keyframe.
#[derive(Debug, Default)]
pub(crate) struct TrackCache {
    chunks: VecDeque<Cached>,
    bytes: usize,
    /// Something behind the keyframe was left out: only the keyframe is of use.
    torn: bool,
}

/// What a late joiner is given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Replay<'a> {
    /// Chunks to send, in order.
    pub(crate) chunks: Vec<(MediaHeader, &'a Frame)>,
    /// Whether live frames go on from there; otherwise a keyframe is needed.
    pub(crate) live: bool,
}

impl TrackCache {
    /// Keeps a chunk. Only the base spatial layer is kept.
    pub(crate) fn push(&mut self, now: Instant, header: MediaHeader, frame: Frame) {
        if header.spatial != 0 {
            return;
        }
        if header.keyframe() && header.chunk == 0 {
            *self = Self::default();
        }
        let Some(first) = self.chunks.front() else {
            if header.keyframe() && header.chunk == 0 {
                self.keep(now, header, frame);
            }
            return;
        };
        let of_keyframe = first.header.sequence == header.sequence;
        let old = now.saturating_duration_since(first.at) > MAX_CACHE_AGE;
        if !of_keyframe && (self.torn || old || self.bytes + frame.len() > MAX_CACHE_BYTES) {
            self.tear();
            return;
        }
        self.keep(now, header, frame);
    }

    /// What somebody who joins now gets; nothing if there is no keyframe yet.
    pub(crate) fn replay(&self, now: Instant) -> Option<Replay<'_>> {
        let first = self.chunks.front()?;
        let live = !self.torn && now.saturating_duration_since(first.at) <= CACHE_PLAY;
        let keyframe = first.header.sequence;
        let chunks = self
            .chunks
            .iter()
            .filter(|cached| live || cached.header.sequence == keyframe)
            .map(|cached| (cached.header, &cached.frame))
            .collect();
        Some(Replay { chunks, live })
    }

    fn keep(&mut self, at: Instant, header: MediaHeader, frame: Frame) {
        self.bytes += frame.len();
        self.chunks.push_back(Cached { header, frame, at });
    }

    fn tear(&mut self) {
        if self.torn {
            return;
        }
        self.torn = true;
        let Some(keyframe) = self.chunks.front().map(|cached| cached.header.sequence) else {
            return;
        };
        self.chunks
            .retain(|cached| cached.header.sequence == keyframe);
        self.bytes = self.chunks.iter().map(|cached| cached.frame.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pulse_proto::{ParticipantId, media};

    use super::*;

    fn push(cache: &mut TrackCache, at: Instant, sequence: u32, reference: u8, bytes: usize) {
        let header = MediaHeader {
            track: 1,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference,
            level: media::LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: 0,
        };
        for frame in media::chunks(ParticipantId::ZERO, header, &vec![0; bytes]).unwrap() {
            cache.push(at, MediaHeader::parse(&frame).unwrap(), frame);
        }
    }

    fn sequences(cache: &TrackCache, at: Instant) -> (Vec<u32>, bool) {
        let replay = cache.replay(at).unwrap();
        let mut all: Vec<u32> = replay
            .chunks
            .iter()
            .map(|(header, _)| header.sequence)
            .collect();
        all.dedup();
        (all, replay.live)
    }

    #[test]
    fn a_short_span_is_played_and_a_long_one_shown_as_a_still() {
        let start = tokio::time::Instant::now().into_std();
        let at = |ms| start + Duration::from_millis(ms);
        let mut cache = TrackCache::default();
        push(&mut cache, at(0), 6, 1, 100);
        assert_eq!(
            cache.replay(at(0)),
            None,
            "a delta frame alone is of no use"
        );
        push(&mut cache, at(10), 7, 0, 3_000);
        push(&mut cache, at(40), 8, 1, 100);
        assert_eq!(sequences(&cache, at(500)), (vec![7, 8], true));
        assert_eq!(sequences(&cache, at(520)), (vec![7], false));
        push(&mut cache, at(600), 9, 0, 100);
        assert_eq!(sequences(&cache, at(600)), (vec![9], true));
    }

    #[test]
    fn memory_is_bounded_and_the_keyframe_stays_whole() {
        let start = tokio::time::Instant::now().into_std();
        let mut cache = TrackCache::default();
        push(&mut cache, start, 1, 0, 300_000);
        for sequence in 2..200 {
            push(&mut cache, start, sequence, 1, 50_000);
            assert!(cache.bytes <= MAX_CACHE_BYTES);
        }
        let (all, live) = sequences(&cache, start);
        assert_eq!((all, live), (vec![1], false));
        let bytes: usize = cache
            .replay(start)
            .unwrap()
            .chunks
            .iter()
            .map(|(_, frame)| frame.len())
            .sum();
        assert!(bytes > 300_000);
    }
}
