//! Chunks in any order, doubled, missing and contradicting each other. Each five bytes of input are
//! one chunk of few frames, so that they meet often. What comes out whole must be exactly what one
//! set of chunks held, and each frame comes out once.

#![no_main]

use std::collections::{BTreeMap, HashSet};

use libfuzzer_sys::fuzz_target;
use pulse_proto::{
    ParticipantId,
    limits::MAX_CHUNK_PAYLOAD,
    media::{ChunkCheck, MediaHeader, newer},
    reassembly::Reassembler,
};

fuzz_target!(|data: &[u8]| {
    let mut reassembler = Reassembler::default();
    let mut check = ChunkCheck::default();
    // (sequence, chunk) to every content that was accepted or refused for it.
    let mut given: BTreeMap<(u32, u16), HashSet<Vec<u8>>> = BTreeMap::new();
    let mut newest_whole: Option<u32> = None;
    for step in data.chunks_exact(5) {
        let &[sequence, chunk, flags, size, fill] = step else {
            return;
        };
        let last = flags & 1 != 0;
        let header = MediaHeader {
            track: 0,
            config: 0,
            discardable: flags & 2 != 0,
            last,
            spatial: 0,
            temporal: 0,
            reference: flags >> 6,
            level: 0,
            chunk: u16::from(chunk % 8),
            // Around the wrap.
            sequence: u32::from(sequence).wrapping_sub(100),
            captured_us: u64::from(flags >> 4 & 1),
        };
        let length = if last {
            usize::from(size).max(1)
        } else {
            MAX_CHUNK_PAYLOAD
        };
        let payload = vec![fill; length];
        let frame = header.encode(ParticipantId::ZERO, &payload);
        let parsed = MediaHeader::parse(&frame).expect("it was built by the rules");
        assert_eq!(parsed, header);
        let _ = check.accept(&parsed);
        given
            .entry((header.sequence, header.chunk))
            .or_default()
            .insert(payload);
        let Ok(Some(whole)) = reassembler.push(&parsed, &frame) else {
            continue;
        };
        let sequence = whole.header.sequence;
        assert!(newest_whole.is_none_or(|newest| newer(sequence, newest)));
        newest_whole = Some(sequence);
        assert!(whole.header.last);
        let mut chunks = whole.payload.chunks(MAX_CHUNK_PAYLOAD).zip(0_u16..);
        assert!(chunks.all(|(bytes, chunk)| {
            given
                .get(&(sequence, chunk))
                .is_some_and(|contents| contents.contains(bytes))
        }));
    }
});
