//! The clear header of MEDIA, cutting a codec frame into chunks, and the check an edge makes of the
//! chunks a publisher sends. Nothing here reads codec bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    code::{ErrorCode, Rejection},
    frame::{Frame, FrameType},
    id::ParticipantId,
    limits::{
        FRAME_HEADER, MAX_CHUNK_PAYLOAD, MAX_CHUNKS, MAX_MEDIA_FRAME, MAX_SPATIAL_LAYERS,
        MAX_TEMPORAL_LAYERS, MAX_TRACKS, MEDIA_HEADER,
    },
};

const KEYFRAME: u8 = 1;
const DISCARDABLE: u8 = 1 << 1;
const LAST_CHUNK: u8 = 1 << 2;

/// The level of silence in RFC 6464, and of everything that is not audio.
pub const LEVEL_SILENT: u8 = 0x7f;

/// Whether sequence number `a` is newer than `b`, in 32-bit serial arithmetic (RFC 1982).
pub const fn newer(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 31
}

/// What an edge may know of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaHeader {
    /// The publisher's number for the track, 0..=15.
    pub track: u8,
    /// Version of the track config that the frame needs.
    pub config: u8,
    /// No later frame needs this one.
    pub discardable: bool,
    /// The last chunk of its codec frame.
    pub last: bool,
    /// Spatial layer, 0..=2.
    pub spatial: u8,
    /// Temporal layer, 0..=3.
    pub temporal: u8,
    /// Distance in sequence numbers to the newest frame this one needs; 0 for a keyframe.
    pub reference: u8,
    /// Audio level as in RFC 6464; [`LEVEL_SILENT`] on video.
    pub level: u8,
    /// Index of this chunk in its codec frame.
    pub chunk: u16,
    /// Number of the codec frame, per (track, spatial layer).
    pub sequence: u32,
    /// Capture time in µs on the participant's monotonic clock.
    pub captured_us: u64,
}

impl MediaHeader {
    /// Reads the header of a whole MEDIA message.
    ///
    /// # Errors
    /// [`ErrorCode::FrameTooLarge`] or [`ErrorCode::BadMediaHeader`].
    pub fn parse(frame: &Frame) -> Result<Self, Rejection> {
        if frame.len() > MAX_MEDIA_FRAME {
            return Err(ErrorCode::FrameTooLarge.into());
        }
        let bad = |detail| Rejection::new(ErrorCode::BadMediaHeader, detail);
        let Some((head, payload)) = frame.payload().split_first_chunk::<MEDIA_HEADER>() else {
            return Err(bad("shorter than its 20 bytes"));
        };
        let &[
            track,
            config,
            flags,
            layers,
            reference,
            level,
            c0,
            c1,
            s0,
            s1,
            s2,
            s3,
            time @ ..,
        ] = head;
        let header = Self {
            track,
            config,
            discardable: flags & DISCARDABLE != 0,
            last: flags & LAST_CHUNK != 0,
            spatial: layers >> 4,
            temporal: layers & 0x0f,
            reference,
            level,
            chunk: u16::from_be_bytes([c0, c1]),
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            captured_us: u64::from_be_bytes(time),
        };
        if flags & !(KEYFRAME | DISCARDABLE | LAST_CHUNK) != 0 {
            return Err(bad("an unknown flag is set"));
        }
        if (flags & KEYFRAME != 0) != (reference == 0) {
            return Err(bad("keyframe and ref disagree"));
        }
        if track >= MAX_TRACKS {
            return Err(bad("track is over 15"));
        }
        if header.spatial >= MAX_SPATIAL_LAYERS || header.temporal >= MAX_TEMPORAL_LAYERS {
            return Err(bad("layer out of range"));
        }
        if header.chunk >= MAX_CHUNKS {
            return Err(bad("chunk is over 1,023"));
        }
        if payload.is_empty() {
            return Err(bad("no payload"));
        }
        if !header.last && payload.len() != MAX_CHUNK_PAYLOAD {
            return Err(bad("a chunk before the last is not full"));
        }
        Ok(header)
    }

    /// Whether the frame needs no other.
    pub const fn keyframe(&self) -> bool {
        self.reference == 0
    }

    /// Builds the MEDIA message of this chunk.
    pub fn encode(&self, sender: ParticipantId, payload: &[u8]) -> Frame {
        let mut bytes = BytesMut::with_capacity(MEDIA_HEADER + payload.len());
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        bytes.put_u8(self.track);
        bytes.put_u8(self.config);
        bytes.put_u8(
            flag(self.keyframe(), KEYFRAME)
                | flag(self.discardable, DISCARDABLE)
                | flag(self.last, LAST_CHUNK),
        );
        bytes.put_u8(self.spatial << 4 | self.temporal & 0x0f);
        bytes.put_u8(self.reference);
        bytes.put_u8(self.level);
        bytes.put_u16(self.chunk);
        bytes.put_u32(self.sequence);
        bytes.put_u64(self.captured_us);
        bytes.put_slice(payload);
        Frame::new(sender, FrameType::Media, &bytes)
    }

    /// Whether `other` is a chunk of the same codec frame.
    pub fn same_frame(&self, other: &Self) -> bool {
        Self {
            chunk: other.chunk,
            last: other.last,
            ..*self
        } == *other
    }
}

/// The codec bytes of a whole MEDIA message, sharing its memory.
pub fn codec_bytes(frame: &Frame) -> Bytes {
    let bytes = frame.bytes();
    bytes.slice(bytes.len().min(FRAME_HEADER + MEDIA_HEADER)..)
}

/// Cuts a codec frame into MEDIA messages. `header.chunk` and `header.last` are set by this.
///
/// # Errors
/// [`ErrorCode::FrameTooLarge`] if it needs more than 1,024 chunks or is empty.
pub fn chunks(
    sender: ParticipantId,
    header: MediaHeader,
    codec_frame: &[u8],
) -> Result<impl Iterator<Item = Frame>, Rejection> {
    let count = codec_frame.len().div_ceil(MAX_CHUNK_PAYLOAD);
    if count == 0 || count > usize::from(MAX_CHUNKS) {
        return Err(Rejection::new(
            ErrorCode::FrameTooLarge,
            "a codec frame of 1 to 965,632 bytes",
        ));
    }
    Ok(codec_frame
        .chunks(MAX_CHUNK_PAYLOAD)
        .zip(0..)
        .map(move |(payload, chunk)| {
            let last = usize::from(chunk) + 1 == count;
            MediaHeader {
                chunk,
                last,
                ..header
            }
            .encode(sender, payload)
        }))
}

/// What an edge remembers of one (track, spatial layer) of a publisher to refuse chunks that
/// contradict each other. A publisher's transport keeps order, so chunks must come in order.
#[derive(Clone, Debug, Default)]
pub struct ChunkCheck {
    current: Option<MediaHeader>,
}

impl ChunkCheck {
    /// Accepts the next chunk.
    ///
    /// # Errors
    /// [`ErrorCode::BadChunk`] if it is out of order, or differs from the others of its frame.
    pub fn accept(&mut self, header: &MediaHeader) -> Result<(), Rejection> {
        let bad = |detail| Err(Rejection::new(ErrorCode::BadChunk, detail));
        match self.current {
            Some(current) if current.sequence == header.sequence => {
                if current.last {
                    return bad("behind the last chunk");
                }
                if !current.same_frame(header) {
                    return bad("differs from its frame's first chunk");
                }
                if header.chunk != current.chunk + 1 {
                    return bad("out of order");
                }
            }
            Some(current) if !newer(header.sequence, current.sequence) => {
                return bad("of an earlier frame");
            }
            _ if header.chunk != 0 => return bad("the first chunk is missing"),
            _ => {}
        }
        self.current = Some(*header);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> MediaHeader {
        MediaHeader {
            track: 1,
            config: 2,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 1,
            reference: 2,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence: 7,
            captured_us: 1_000_000,
        }
    }

    const ID: ParticipantId = ParticipantId::ZERO;

    #[test]
    fn newer_follows_the_wrap() {
        assert!(newer(0, u32::MAX));
        assert!(newer(5, 4));
        assert!(!newer(4, 4));
        assert!(!newer(u32::MAX, 0));
    }

    #[test]
    fn chunks_must_agree() {
        let mut check = ChunkCheck::default();
        let first = MediaHeader {
            last: false,
            ..header()
        };
        assert!(check.accept(&first).is_ok());
        let liar = MediaHeader {
            chunk: 1,
            captured_us: 1,
            ..first
        };
        assert_eq!(check.accept(&liar).unwrap_err().code, ErrorCode::BadChunk);
        let jump = MediaHeader { chunk: 2, ..first };
        assert_eq!(check.accept(&jump).unwrap_err().code, ErrorCode::BadChunk);
        let second = MediaHeader {
            chunk: 1,
            last: true,
            ..first
        };
        assert!(check.accept(&second).is_ok());
        let beyond = MediaHeader {
            chunk: 2,
            last: true,
            ..first
        };
        assert_eq!(check.accept(&beyond).unwrap_err().code, ErrorCode::BadChunk);
        let earlier = MediaHeader {
            sequence: 6,
            ..header()
        };
        assert_eq!(
            check.accept(&earlier).unwrap_err().code,
            ErrorCode::BadChunk
        );
        assert!(
            check
                .accept(&MediaHeader {
                    sequence: 9,
                    ..header()
                })
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn a_header_survives_the_wire(
            track in 0..16_u8, config: u8, discardable: bool, last: bool, spatial in 0..3_u8,
            temporal in 0..4_u8, reference: u8, level: u8, chunk in 0..1024_u16, sequence: u32,
            captured_us: u64, size in 1..=943_usize,
        ) {
            let size = if last { size } else { MAX_CHUNK_PAYLOAD };
            let header = MediaHeader {
                track, config, discardable, last, spatial, temporal, reference, level, chunk,
                sequence, captured_us,
            };
            let frame = header.encode(ID, &vec![9; size]);
            prop_assert_eq!(MediaHeader::parse(&frame).unwrap(), header);
            prop_assert_eq!(codec_bytes(&frame).len(), size);
        }

        #[test]
        fn parsing_never_panics(payload: Vec<u8>) {
            let _ = MediaHeader::parse(&Frame::new(ID, FrameType::Media, &payload));
        }

        #[test]
        fn chunking_passes_the_check(size in 1..20_000_usize) {
            let mut check = ChunkCheck::default();
            let frames: Vec<Frame> = chunks(ID, header(), &vec![3; size]).unwrap().collect();
            prop_assert_eq!(frames.len(), size.div_ceil(MAX_CHUNK_PAYLOAD));
            for frame in &frames {
                prop_assert!(frame.len() <= MAX_MEDIA_FRAME);
                check.accept(&MediaHeader::parse(frame).unwrap()).unwrap();
            }
        }
    }
}
