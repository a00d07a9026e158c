//! Any bytes as any control payload: the first byte says which. What is accepted keeps its meaning
//! when it is written again.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use pulse_proto::{
    ParticipantId,
    control::{
        Chat, ChatSend, Constrained, Control, Demand, ErrorMessage, Join, KeyframeRequest, Leave, Ping, Pong,
        PublisherAck, Roster, Subscribe, TrackConfig, TrackStop, Update, Welcome, encode,
    },
};
use serde::Serialize;

fn again<M: Control + Serialize + PartialEq + Debug>(payload: &[u8]) {
    if let Ok(message) = M::parse(payload) {
        let frame = encode(ParticipantId::ZERO, &message);
        // Escapes may make it longer than a control message may be.
        if frame.payload().len() <= payload.len() {
            assert_eq!(M::parse(frame.payload()), Ok(message));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((which, payload)) = data.split_first() else {
        return;
    };
    match which {
        16 => again::<Join>(payload),
        17 => again::<Welcome>(payload),
        18 => again::<Roster>(payload),
        19 => again::<TrackConfig>(payload),
        20 => again::<TrackStop>(payload),
        21 => again::<ChatSend>(payload),
        22 => again::<KeyframeRequest>(payload),
        23 => again::<PublisherAck>(payload),
        24 => again::<Ping>(payload),
        25 => again::<Pong>(payload),
        26 => again::<ErrorMessage>(payload),
        27 => again::<Subscribe>(payload),
        28 => again::<Leave>(payload),
        29 => again::<Chat>(payload),
        30 => again::<Demand>(payload),
        32 => again::<Constrained>(payload),
        31 => again::<Update>(payload),
        _ => {}
    }
});
