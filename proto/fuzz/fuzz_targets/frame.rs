//! Any bytes as a message. What parses must be the bytes it was parsed from.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pulse_proto::{
    Frame, FrameType,
    limits::{FRAME_HEADER, MAX_MEDIA_FRAME, MEDIA_HEADER},
    media::{ChunkCheck, MediaHeader, codec_bytes},
};

fuzz_target!(|data: &[u8]| {
    let Ok(frame) = Frame::parse(Bytes::copy_from_slice(data)) else {
        return;
    };
    assert_eq!(frame.bytes(), data);
    let built = Frame::new(frame.sender(), frame.kind(), frame.payload());
    assert_eq!(built, frame);
    if frame.kind() != FrameType::Media {
        return;
    }
    let Ok(header) = MediaHeader::parse(&frame) else {
        return;
    };
    assert!(frame.len() <= MAX_MEDIA_FRAME);
    let codec = codec_bytes(&frame);
    assert_eq!(codec.len(), frame.len() - FRAME_HEADER - MEDIA_HEADER);
    assert_eq!(header.encode(frame.sender(), &codec), frame);
    let mut check = ChunkCheck::default();
    assert_eq!(check.accept(&header).is_ok(), header.chunk == 0);
});
