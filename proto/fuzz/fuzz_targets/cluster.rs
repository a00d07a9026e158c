//! Any bytes as what servers tell each other: the first byte says who speaks. What is accepted keeps its meaning when it is
//! written again, and a stream is cut into messages within its limit.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pulse_proto::cluster::{
    codec::{Decoder, MAX_CLUSTER_MESSAGE},
    link::LinkMessage,
    to_core::{FromCore, ToCore},
};

const STREAM_LIMIT: usize = 256;

/// What was cut out of a stream that has one message.
fn body(travelling: &Bytes) -> Bytes {
    let mut decoder = Decoder::new(2 * MAX_CLUSTER_MESSAGE);
    decoder.push(travelling);
    decoder.next_message().ok().flatten().unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let Some((which, bytes)) = data.split_first() else {
        return;
    };
    match which {
        0 => {
            if let Ok(Some(message)) = LinkMessage::parse(bytes) {
                assert_eq!(LinkMessage::parse(&body(&message.encode())), Ok(Some(message)));
            }
        }
        1 => {
            if let Ok(Some(message)) = ToCore::parse(bytes) {
                assert_eq!(ToCore::parse(&body(&message.encode())), Ok(Some(message)));
            }
        }
        2 => {
            if let Ok(Some(message)) = FromCore::parse(bytes) {
                assert_eq!(FromCore::parse(&body(&message.encode())), Ok(Some(message)));
            }
        }
        _ => {
            let mut decoder = Decoder::new(STREAM_LIMIT);
            for piece in bytes.chunks(usize::from(*which)) {
                decoder.push(piece);
                while let Ok(Some(message)) = decoder.next_message() {
                    assert!(message.len() <= STREAM_LIMIT);
                }
            }
        }
    }
});
