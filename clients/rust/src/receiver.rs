//! What arrives of others' media, counted per participant, track and spatial layer as a decoder
//! would see it. It decodes nothing; it follows sequence numbers and `ref`.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use pulse_proto::{
    Frame, ParticipantId,
    control::KeyframeRequest,
    media::{MediaHeader, newer},
    reassembly::Reassembler,
};

use crate::limits::{KEYFRAME_REQUEST_INTERVAL, MAX_DELAY_US, MAX_STREAMS};

/// Frames a `ref` can reach back, and one more.
const REACH: usize = 256;

/// One layer of one track of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// Whose.
    pub participant: ParticipantId,
    /// The track's number.
    pub track: u8,
    /// Its spatial layer.
    pub layer: u8,
}

/// What a stream has brought.
#[derive(Clone, Debug)]
pub struct StreamStats {
    /// Whole codec frames.
    pub frames: u64,
    /// Codec frames missing between others. What is missing between the first two is not counted:
    /// a late joiner's first frame may be a still.
    pub lost: u64,
    /// Whole frames that need one which was not decoded.
    pub undecodable: u64,
    /// Keyframes among the whole frames.
    pub keyframes: u64,
    /// Bytes of messages, headers included.
    pub bytes: u64,
    /// Chunks that did not fit their frames.
    pub bad_chunks: u64,
    /// µs that whole frames came later than their participant's fastest one, against capture time.
    pub delay_us: Histogram<u64>,
}

#[derive(Debug)]
struct Stream {
    stats: StreamStats,
    reassembler: Reassembler,
    newest: Option<u32>,
    /// The newest decoded sequence number of each remainder by 256.
    decoded: Vec<Option<u32>>,
    asked_at: Option<Duration>,
}

/// Everything that arrives.
#[derive(Debug, Default)]
pub struct Receiver {
    streams: BTreeMap<StreamKey, Stream>,
    fastest_us: BTreeMap<ParticipantId, i64>,
    ignored: u64,
}

impl Receiver {
    /// Takes a chunk that arrived at `now`; returns the keyframe request to send, if the frame it
    /// completes cannot be decoded.
    pub fn media(
        &mut self,
        now: Duration,
        sender: ParticipantId,
        header: &MediaHeader,
        frame: &Frame,
    ) -> Option<KeyframeRequest> {
        let key = StreamKey {
            participant: sender,
            track: header.track,
            layer: header.spatial,
        };
        if !self.streams.contains_key(&key) {
            if self.streams.len() >= MAX_STREAMS {
                self.ignored += 1;
                return None;
            }
            self.streams.insert(key, Stream::new()?);
        }
        let stream = self.streams.get_mut(&key)?;
        stream.stats.bytes += frame.len() as u64;
        match stream.reassembler.push(header, frame) {
            Ok(None) => return None,
            Ok(Some(_)) => {}
            Err(_) => {
                stream.stats.bad_chunks += 1;
                return None;
            }
        }
        let transit_us = micros(now).wrapping_sub_unsigned(header.captured_us);
        let fastest_us = self.fastest_us.entry(sender).or_insert(transit_us);
        *fastest_us = transit_us.min(*fastest_us);
        let delay_us = transit_us.saturating_sub(*fastest_us).unsigned_abs();
        stream.stats.delay_us.saturating_record(delay_us);
        if stream.whole(header) || stream.asked_lately(now) {
            return None;
        }
        stream.asked_at = Some(now);
        Some(KeyframeRequest {
            participant: sender,
            track: header.track,
            layer: header.spatial,
        })
    }

    /// All streams there ever were.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, &StreamStats)> {
        self.streams
            .iter()
            .map(|(key, stream)| (key, &stream.stats))
    }

    /// One stream.
    pub fn stream(&self, key: &StreamKey) -> Option<&StreamStats> {
        self.streams.get(key).map(|stream| &stream.stats)
    }

    /// Chunks of streams beyond those it keeps state of.
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }
}

impl Stream {
    fn new() -> Option<Self> {
        Some(Self {
            stats: StreamStats {
                frames: 0,
                lost: 0,
                undecodable: 0,
                keyframes: 0,
                bytes: 0,
                bad_chunks: 0,
                // Two digits suffice; the bounds are valid, so this is never None.
                delay_us: Histogram::new_with_bounds(1, MAX_DELAY_US, 2).ok()?,
            },
            reassembler: Reassembler::default(),
            newest: None,
            decoded: vec![None; REACH],
            asked_at: None,
        })
    }

    /// Counts a whole frame; returns whether it can be decoded.
    fn whole(&mut self, header: &MediaHeader) -> bool {
        let sequence = header.sequence;
        // The reassembler lets nothing older pass.
        if let Some(newest) = self.newest
            && newer(sequence, newest)
            && self.stats.frames > 1
        {
            self.stats.lost += u64::from(sequence.wrapping_sub(newest) - 1);
        }
        self.newest = Some(sequence);
        self.stats.frames += 1;
        self.stats.keyframes += u64::from(header.keyframe());
        let needed = sequence.wrapping_sub(header.reference.into());
        let decodable = header.keyframe() || self.decoded.get(slot(needed)) == Some(&Some(needed));
        if decodable {
            if let Some(decoded) = self.decoded.get_mut(slot(sequence)) {
                *decoded = Some(sequence);
            }
        } else {
            self.stats.undecodable += 1;
        }
        decodable
    }

    fn asked_lately(&self, now: Duration) -> bool {
        self.asked_at
            .is_some_and(|at| now.saturating_sub(at) < KEYFRAME_REQUEST_INTERVAL)
    }
}

const fn slot(sequence: u32) -> usize {
    sequence as usize % REACH
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use pulse_proto::media::{LEVEL_SILENT, chunks};

    use super::*;

    const ID: ParticipantId = ParticipantId::ZERO;

    const KEY: StreamKey = StreamKey {
        participant: ID,
        track: 1,
        layer: 0,
    };

    fn header(sequence: u32, reference: u8) -> MediaHeader {
        MediaHeader {
            track: 1,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: u64::from(sequence) * 1_000,
        }
    }

    fn give(
        receiver: &mut Receiver,
        now_ms: u64,
        sequence: u32,
        reference: u8,
    ) -> Option<KeyframeRequest> {
        let header = header(sequence, reference);
        let frame = header.encode(ID, b"x");
        receiver.media(Duration::from_millis(now_ms), ID, &header, &frame)
    }

    #[test]
    fn loss_and_what_it_breaks_are_counted() {
        let mut receiver = Receiver::default();
        assert_eq!(give(&mut receiver, 0, 10, 0), None);
        assert_eq!(give(&mut receiver, 1, 11, 1), None);
        // 12 is lost; 13 needs it, and 14 needs 13.
        assert!(give(&mut receiver, 3, 13, 1).is_some());
        assert_eq!(give(&mut receiver, 4, 14, 1), None, "asked a moment ago");
        assert!(give(&mut receiver, 2_003, 15, 1).is_some());
        assert_eq!(give(&mut receiver, 2_004, 16, 0), None);
        assert_eq!(give(&mut receiver, 2_005, 18, 2), None);
        let stats = receiver.stream(&KEY).unwrap();
        assert_eq!((stats.frames, stats.lost, stats.undecodable), (7, 2, 3));
        assert_eq!(stats.keyframes, 2);
    }

    #[test]
    fn a_still_before_the_live_frames_is_no_loss() {
        let mut receiver = Receiver::default();
        give(&mut receiver, 0, 0, 0);
        assert!(give(&mut receiver, 1, 40, 4).is_some());
        give(&mut receiver, 2, 41, 0);
        let stats = receiver.stream(&KEY).unwrap();
        assert_eq!((stats.lost, stats.undecodable), (0, 1));
    }

    #[test]
    fn an_old_number_of_the_same_remainder_is_not_taken_for_decoded() {
        let mut receiver = Receiver::default();
        give(&mut receiver, 0, 0, 0);
        assert!(give(&mut receiver, 1, 257, 1).is_some());
    }

    #[test]
    fn delay_is_against_the_fastest_frame_of_the_participant() {
        let mut receiver = Receiver::default();
        // Captured at 0, 1 and 2 ms.
        give(&mut receiver, 500, 0, 0);
        give(&mut receiver, 501, 1, 1);
        give(&mut receiver, 532, 2, 1);
        let delay = &receiver.stream(&KEY).unwrap().delay_us;
        assert_eq!(delay.value_at_quantile(0.5), 0);
        assert!((29_500..30_500).contains(&delay.max()), "{}", delay.max());
    }

    #[test]
    fn chunks_become_frames_before_they_count() {
        let mut receiver = Receiver::default();
        for frame in chunks(ID, header(1, 0), &[0; 2_000]).unwrap() {
            assert_eq!(receiver.stream(&KEY).map_or(0, |stats| stats.frames), 0);
            let header = MediaHeader::parse(&frame).unwrap();
            receiver.media(Duration::ZERO, ID, &header, &frame);
        }
        let stats = receiver.stream(&KEY).unwrap();
        assert_eq!((stats.frames, stats.bytes), (1, 2_000 + 3 * 57));
    }

    #[test]
    fn state_is_bounded() {
        let mut receiver = Receiver::default();
        for number in 0..=MAX_STREAMS as u128 {
            let id = ParticipantId::from_random(number.to_be_bytes());
            let frame = header(1, 0).encode(id, b"x");
            receiver.media(Duration::ZERO, id, &header(1, 0), &frame);
        }
        assert_eq!(receiver.streams().count(), MAX_STREAMS);
        assert_eq!(receiver.ignored(), 1);
    }
}
