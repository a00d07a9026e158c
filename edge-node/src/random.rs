//! The one place that draws randomness. What it returns is unguessable.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use pulse_proto::ParticipantId;

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness must not hand out tokens"
    )]
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// A token of 128 bits, in 22 characters fit for a header or a path.
pub(crate) fn token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<16>())
}

/// A room name of 96 bits, in 16 characters.
pub(crate) fn room_name() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes::<12>())
}

/// The first sequence number of a link.
pub(crate) fn sequence() -> u32 {
    u32::from_be_bytes(bytes())
}

/// Something from 0 to 1.
pub(crate) fn share() -> f64 {
    f64::from(u32::from_be_bytes(bytes())) / f64::from(u32::MAX)
}

/// A participant's id.
pub(crate) fn participant_id() -> ParticipantId {
    ParticipantId::from_random(bytes())
}
