//! What every chunk of a load test carries: which track it is of, when it was due, and a checksum of
//! the whole message, the sender's id and the media header included. Pure, and in place: a receiver
//! copies nothing to verify it.

use pulse_proto::{
    FrameType, ParticipantId,
    id::ID_LEN,
    limits::{FRAME_HEADER, MEDIA_HEADER},
    media::MediaHeader,
};

/// What stands before everything else in a chunk's payload.
const MAGIC: [u8; 4] = *b"PLod";

/// Magic (4), due time in ns (8), stream (4) at the payload's beginning; checksum (4) at its end.
pub(crate) const STAMP: usize = 20;

const PAYLOAD: usize = FRAME_HEADER + MEDIA_HEADER;

const LAST_CHUNK: u8 = 1 << 2;

/// A chunk whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The track, counted over all rooms.
    pub(crate) stream: u32,
    /// When its codec frame was due, in ns of the run's clock.
    pub(crate) due_ns: u64,
    /// The codec frame's number.
    pub(crate) sequence: u32,
    /// Distance to the frame that it needs; 0 for none.
    pub(crate) reference: u8,
    /// Its place in the codec frame.
    pub(crate) chunk: u16,
    /// Whether it is the last one.
    pub(crate) last: bool,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it was sent.
    Sound(Chunk),
    /// Media that is not as any load test sent it.
    Corrupt,
    /// No media.
    Control(FrameType),
    /// No frame of this wire.
    Unreadable,
}

/// Builds the message of one chunk, `payload` bytes of it the codec's.
pub(crate) fn write(
    sender: ParticipantId,
    header: &MediaHeader,
    stream: u32,
    due_ns: u64,
    payload: usize,
) -> Vec<u8> {
    let mut filler = vec![0; payload.max(STAMP)];
    // Bytes that differ from message to message, so that a shifted one does not look sound.
    for (index, byte) in filler.iter_mut().enumerate() {
        *byte = (index as u32 ^ header.sequence) as u8;
    }
    let stamp = MAGIC
        .into_iter()
        .chain(due_ns.to_be_bytes())
        .chain(stream.to_be_bytes());
    for (place, byte) in filler.iter_mut().zip(stamp) {
        *place = byte;
    }
    let mut message = header.encode(sender, &filler).bytes().to_vec();
    message.truncate(message.len() - 4);
    let sum = crc32fast::hash(&message);
    message.extend_from_slice(&sum.to_be_bytes());
    message
}

/// Reads and verifies a message.
pub(crate) fn verify(message: &[u8]) -> Verdict {
    let Some(&kind) = message.get(ID_LEN) else {
        return Verdict::Unreadable;
    };
    match FrameType::from_number(kind) {
        Some(FrameType::Media) => chunk(message).map_or(Verdict::Corrupt, Verdict::Sound),
        Some(kind) => Verdict::Control(kind),
        None => Verdict::Unreadable,
    }
}

fn chunk(message: &[u8]) -> Option<Chunk> {
    let (body, sum) = message.split_last_chunk::<4>()?;
    let head = body.get(FRAME_HEADER..PAYLOAD)?.first_chunk::<12>()?;
    let (magic, rest) = body.get(PAYLOAD..)?.split_first_chunk::<4>()?;
    let (due_ns, rest) = rest.split_first_chunk::<8>()?;
    let stream = rest.first_chunk::<4>()?;
    if *magic != MAGIC || crc32fast::hash(body) != u32::from_be_bytes(*sum) {
        return None;
    }
    let [_, _, flags, _, reference, _, c0, c1, sequence @ ..] = *head;
    Some(Chunk {
        stream: u32::from_be_bytes(*stream),
        due_ns: u64::from_be_bytes(*due_ns),
        sequence: u32::from_be_bytes(sequence),
        reference,
        chunk: u16::from_be_bytes([c0, c1]),
        last: flags & LAST_CHUNK != 0,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulse_proto::{
        Frame,
        limits::{MAX_CHUNK_PAYLOAD, MAX_MEDIA_FRAME},
        media::LEVEL_SILENT,
    };

    use super::*;

    fn header(sequence: u32, reference: u8, chunk: u16, last: bool) -> MediaHeader {
        MediaHeader {
            track: 1,
            config: 0,
            discardable: false,
            last,
            spatial: 0,
            temporal: 0,
            reference,
            level: LEVEL_SILENT,
            chunk,
            sequence,
            captured_us: 7,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_media_and_verifies(
            random: [u8; 16], sequence: u32, reference: u8, chunk in 0..1_024_u16, last: bool,
            stream: u32, due_ns: u64, payload in STAMP..=MAX_CHUNK_PAYLOAD,
        ) {
            let id = ParticipantId::from_random(random);
            let payload = if last { payload } else { MAX_CHUNK_PAYLOAD };
            let header = header(sequence, reference, chunk, last);
            let message = write(id, &header, stream, due_ns, payload);
            prop_assert!(message.len() <= MAX_MEDIA_FRAME);
            let frame = Frame::parse(message.clone().into()).unwrap();
            prop_assert_eq!(frame.sender(), id);
            prop_assert_eq!(MediaHeader::parse(&frame).unwrap(), header);
            prop_assert_eq!(
                verify(&message),
                Verdict::Sound(Chunk { stream, due_ns, sequence, reference, chunk, last })
            );
        }

        #[test]
        fn one_wrong_bit_is_found(sequence: u32, bytes in STAMP..=300_usize, bit: prop::sample::Index) {
            let mut message = write(ParticipantId::ZERO, &header(sequence, 0, 0, true), 3, 9, bytes);
            let bit = bit.index(message.len() * 8);
            message[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(verify(&message), Verdict::Sound(_)));
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes: Vec<u8>, cut in 0..200_usize) {
            prop_assert!(!matches!(verify(&bytes), Verdict::Sound(_)));
            let whole = write(ParticipantId::ZERO, &header(1, 0, 0, true), 3, 9, 143);
            prop_assert!(!matches!(verify(&whole[..cut.min(199)]), Verdict::Sound(_)));
        }
    }
}
