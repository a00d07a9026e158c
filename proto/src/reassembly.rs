//! Putting the chunks of codec frames together again, as receivers do. Chunks may come in any
//! order, twice, or not at all; memory stays bounded whatever they claim.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use crate::{
    code::{ErrorCode, Rejection},
    frame::Frame,
    limits::MAX_CHUNK_PAYLOAD,
    media::{MediaHeader, codec_bytes, newer},
};

/// Codec frames of one layer that may be incomplete at once. A transport that reorders does so by a
/// frame or two; what is older is lost.
const MAX_PARTIAL_FRAMES: usize = 4;

/// Bytes that all incomplete frames of one layer may hold: two of the largest frames.
const MAX_PARTIAL_BYTES: usize = 2 * 1_024 * MAX_CHUNK_PAYLOAD;

/// A codec frame, whole again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecFrame {
    /// The header of its last chunk.
    pub header: MediaHeader,
    /// The codec's bytes.
    pub payload: Bytes,
}

#[derive(Debug)]
struct Partial {
    header: MediaHeader,
    chunks: BTreeMap<u16, Bytes>,
    last: Option<u16>,
}

/// Puts together the chunks of one (track, spatial layer).
#[derive(Debug, Default)]
pub struct Reassembler {
    partial: Vec<Partial>,
    newest_whole: Option<u32>,
    bytes: usize,
    given_up: u64,
}

impl Reassembler {
    /// Takes a chunk; returns the codec frame it completes.
    ///
    /// # Errors
    /// [`ErrorCode::BadChunk`] for one that contradicts or repeats another.
    pub fn push(
        &mut self,
        header: &MediaHeader,
        frame: &Frame,
    ) -> Result<Option<CodecFrame>, Rejection> {
        let bad = |detail| Err(Rejection::new(ErrorCode::BadChunk, detail));
        if self
            .newest_whole
            .is_some_and(|whole| !newer(header.sequence, whole))
        {
            return bad("its frame is whole or given up already");
        }
        if header.chunk == 0 && header.last {
            self.finish(header.sequence);
            return Ok(Some(CodecFrame {
                header: *header,
                payload: codec_bytes(frame),
            }));
        }
        let index = match self
            .partial
            .iter()
            .position(|p| p.header.sequence == header.sequence)
        {
            Some(index) => index,
            None => {
                self.partial.push(Partial {
                    header: *header,
                    chunks: BTreeMap::new(),
                    last: None,
                });
                self.partial.len() - 1
            }
        };
        let Some(partial) = self.partial.get_mut(index) else {
            return Ok(None);
        };
        if !partial.header.same_frame(header) {
            return bad("differs from its frame's other chunks");
        }
        if partial
            .last
            .is_some_and(|last| header.chunk > last || header.last)
            || (header.last
                && partial
                    .chunks
                    .keys()
                    .next_back()
                    .is_some_and(|c| *c > header.chunk))
        {
            return bad("behind the last chunk");
        }
        if partial.chunks.contains_key(&header.chunk) {
            return bad("came twice");
        }
        let payload = codec_bytes(frame);
        self.bytes += payload.len();
        partial.chunks.insert(header.chunk, payload);
        if header.last {
            partial.last = Some(header.chunk);
        }
        let whole = partial
            .last
            .is_some_and(|last| partial.chunks.len() == usize::from(last) + 1);
        if !whole {
            self.bound();
            return Ok(None);
        }
        let partial = self.partial.swap_remove(index);
        let mut payload = BytesMut::new();
        for chunk in partial.chunks.values() {
            payload.extend_from_slice(chunk);
        }
        self.bytes -= payload.len();
        self.finish(header.sequence);
        let header = MediaHeader {
            last: true,
            ..*header
        };
        Ok(Some(CodecFrame {
            header,
            payload: payload.freeze(),
        }))
    }

    /// Codec frames that never became whole.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Everything older than a whole frame is given up: its time has passed.
    fn finish(&mut self, sequence: u32) {
        self.newest_whole = Some(sequence);
        self.drop_where(|partial| newer(sequence, partial.header.sequence));
    }

    fn bound(&mut self) {
        while self.partial.len() > MAX_PARTIAL_FRAMES || self.bytes > MAX_PARTIAL_BYTES {
            let oldest = self
                .partial
                .iter()
                .map(|partial| partial.header.sequence)
                .reduce(|a, b| if newer(a, b) { b } else { a });
            let Some(oldest) = oldest else { return };
            self.drop_where(|partial| partial.header.sequence == oldest);
        }
    }

    fn drop_where(&mut self, drop: impl Fn(&Partial) -> bool) {
        let (given_up, bytes) = (&mut self.given_up, &mut self.bytes);
        self.partial.retain(|partial| {
            if drop(partial) {
                *given_up += 1;
                *bytes -= partial.chunks.values().map(Bytes::len).sum::<usize>();
                return false;
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        id::ParticipantId,
        media::{LEVEL_SILENT, chunks},
    };

    fn header(sequence: u32) -> MediaHeader {
        MediaHeader {
            track: 0,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference: 1,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: 5,
        }
    }

    fn cut(sequence: u32, payload: &[u8]) -> Vec<(MediaHeader, Frame)> {
        chunks(ParticipantId::ZERO, header(sequence), payload)
            .unwrap()
            .map(|frame| (MediaHeader::parse(&frame).unwrap(), frame))
            .collect()
    }

    #[test]
    fn frames_that_never_complete_are_bounded() {
        let mut whole = Reassembler::default();
        for sequence in 0..1_000 {
            let (header, frame) = cut(sequence, &[1; 2_000]).remove(0);
            assert_eq!(whole.push(&header, &frame).unwrap(), None);
            assert!(whole.partial.len() <= MAX_PARTIAL_FRAMES);
        }
        assert_eq!(whole.given_up(), 996);
        assert_eq!(whole.bytes, MAX_PARTIAL_FRAMES * MAX_CHUNK_PAYLOAD);
    }

    #[test]
    fn a_chunk_of_the_past_is_refused() {
        let mut whole = Reassembler::default();
        for (header, frame) in cut(10, &[1; 10]) {
            assert!(whole.push(&header, &frame).unwrap().is_some());
        }
        let (header, frame) = cut(9, &[1; 10]).remove(0);
        assert_eq!(
            whole.push(&header, &frame).unwrap_err().code,
            ErrorCode::BadChunk
        );
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_bytes(
            payload in proptest::collection::vec(any::<u8>(), 1..9_000), start: u32, seed: u64,
        ) {
            let mut chunks = cut(start, &payload);
            let mut state = seed | 1;
            for index in (1..chunks.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                chunks.swap(index, (state >> 33) as usize % (index + 1));
            }
            let mut reassembler = Reassembler::default();
            let mut whole = None;
            for (header, frame) in &chunks {
                prop_assert!(whole.is_none());
                whole = reassembler.push(header, frame).unwrap();
            }
            prop_assert_eq!(whole.unwrap().payload, payload);
            prop_assert_eq!(reassembler.bytes, 0);
        }
    }
}
