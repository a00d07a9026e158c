//! The one place that draws randomness. What it returns is unguessable, but in a
//! simulation, where it follows from a seed.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use pulse_proto::ParticipantId;

fn bytes<const N: usize>() -> [u8; N] {
    #[cfg(feature = "simulation")]
    if let Some(bytes) = seeded::bytes() {
        return bytes;
    }
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
    #[cfg(feature = "simulation")]
    if let Some(number) = seeded::near_the_end() {
        return number;
    }
    u32::from_be_bytes(bytes())
}

/// Some of it comes twice, as it will once there are two ways between edges.
#[cfg(feature = "simulation")]
pub(crate) fn repeat_some(batch: &mut Vec<bytes::Bytes>) {
    if let Some(last) = batch.last().filter(|_| share() < 0.02) {
        let again = last.clone();
        batch.push(again);
    }
}

/// The number before the first short name of a link.
#[cfg(feature = "simulation")]
pub(crate) fn first_alias() -> u32 {
    // Every other link runs out of them.
    let spent = share() < 0.5;
    seeded::near_the_end().filter(|_| spent).unwrap_or(0)
}

/// Something from 0 to 1.
pub(crate) fn share() -> f64 {
    f64::from(u32::from_be_bytes(bytes())) / f64::from(u32::MAX)
}

/// A participant's id.
pub(crate) fn participant_id() -> ParticipantId {
    ParticipantId::from_random(bytes())
}

/// What a simulation draws, from its seed.
#[cfg(feature = "simulation")]
pub(crate) mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on everything that this thread draws follows from this.
    pub(crate) fn begin(seed: u64) {
        STATE.set(Some(seed));
    }

    /// SplitMix64.
    fn next() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(Some(state));
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ mixed >> 31)
    }

    pub(super) fn bytes<const N: usize>() -> Option<[u8; N]> {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            for (to, from) in part.iter_mut().zip(next()?.to_be_bytes()) {
                *to = from;
            }
        }
        Some(bytes)
    }

    /// A counter that begins here wraps soon.
    pub(super) fn near_the_end() -> Option<u32> {
        let left = u32::try_from(next()? % 500).ok()?;
        Some(u32::MAX - left)
    }
}
