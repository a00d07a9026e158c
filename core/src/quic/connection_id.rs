//! Connection ids: as short as they can be, for every packet carries one. They need not be secret, for
//! packets are sealed and no connection moves; they must differ, also from those of the last run.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use quinn::{ConnectionId, ConnectionIdGenerator};

use crate::limits::CONNECTION_ID;

/// Odd, so that the ids of 2^40 connections differ; large, so that they look nothing alike.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
pub(super) struct ConnectionIds(u64);

impl ConnectionIds {
    /// Begins somewhere, or where the seed says.
    pub(super) fn new(seed: Option<[u8; 32]>) -> Self {
        let first = seed.and_then(|seed| seed.first_chunk().copied());
        Self(first.map_or_else(|| RandomState::new().hash_one(STEP), u64::from_le_bytes))
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.0 = self.0.wrapping_add(STEP);
        let [a, b, c, d, e, ..] = self.0.to_le_bytes();
        let id: [u8; CONNECTION_ID] = [a, b, c, d, e];
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_a_seed_repeats_them() {
        let some = |seed| {
            let mut ids = ConnectionIds::new(seed);
            (0..10_000).map(move |_| ids.generate_cid().to_vec())
        };
        assert_eq!(some(None).collect::<HashSet<_>>().len(), 10_000);
        assert!(some(Some([7; 32])).eq(some(Some([7; 32]))));
        assert!(!some(Some([7; 32])).eq(some(Some([8; 32]))));
    }
}
