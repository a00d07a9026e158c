//! What the tests of this folder share. Never part of the crate.

use std::time::{Duration, Instant};

use crate::{
    frame::Frame,
    id::ParticipantId,
    limits::MAX_CHUNK_PAYLOAD,
    media::{LEVEL_SILENT, MediaHeader},
};

/// Some instant: all others of a test are counted from it.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant has no other beginning, and no test depends on which one it is"
)]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn participant(number: u8) -> ParticipantId {
    ParticipantId::from_random([number; 16])
}

/// A MEDIA frame with so many codec bytes; the sequence number tells it from others.
pub(crate) fn media(sender: ParticipantId, sequence: u32, codec_bytes: usize) -> Frame {
    let header = MediaHeader {
        track: 0,
        config: 0,
        discardable: false,
        last: true,
        spatial: 0,
        temporal: 0,
        reference: 0,
        level: LEVEL_SILENT,
        chunk: 0,
        sequence,
        captured_us: 0,
    };
    header.encode(sender, &vec![7; codec_bytes.clamp(1, MAX_CHUNK_PAYLOAD)])
}
