//! What the link sequence tells a receiver: what was lost, came late, twice or out of order. Never holds a
//! datagram back.

use super::limits::MAX_GAP;
use crate::media::newer;

/// Datagrams of one direction, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrivalCounts {
    /// Have come.
    pub arrived: u64,
    /// Are missing. One that comes out of order stops counting here.
    pub lost: u64,
    /// Came behind a newer one.
    pub reordered: u64,
    /// Came so late that they stay counted as lost.
    pub late: u64,
    /// Came again and were dropped.
    pub duplicates: u64,
    /// Jumps of the sequence that no loss explains.
    pub jumps: u64,
}

/// Follows the link sequence.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    newest: Option<u32>,
    /// Bit n: the datagram n before the newest has come.
    recent: u64,
    counts: ArrivalCounts,
}

impl Arrivals {
    /// Notes a datagram; whether it is to be read.
    pub(super) fn on_sequence(&mut self, sequence: u32) -> bool {
        let Some(newest) = self.newest else {
            self.begin(sequence);
            return true;
        };
        if newer(sequence, newest) {
            self.advance(sequence, sequence.wrapping_sub(newest));
            return true;
        }
        let behind = newest.wrapping_sub(sequence);
        if behind > MAX_GAP {
            self.counts.jumps += 1;
            self.begin(sequence);
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(behind) else {
            self.counts.arrived += 1;
            self.counts.late += 1;
            return true;
        };
        if self.recent & bit != 0 {
            self.counts.duplicates += 1;
            return false;
        }
        self.recent |= bit;
        self.counts.arrived += 1;
        self.counts.reordered += 1;
        // It may be from before the first one, which nobody missed.
        self.counts.lost = self.counts.lost.saturating_sub(1);
        true
    }

    pub(super) const fn counts(&self) -> ArrivalCounts {
        self.counts
    }

    const fn begin(&mut self, sequence: u32) {
        self.newest = Some(sequence);
        self.recent = 1;
        self.counts.arrived += 1;
    }

    fn advance(&mut self, sequence: u32, ahead: u32) {
        if ahead > MAX_GAP {
            self.counts.jumps += 1;
            self.begin(sequence);
            return;
        }
        self.recent = self.recent.checked_shl(ahead).unwrap_or(0) | 1;
        self.newest = Some(sequence);
        self.counts.arrived += 1;
        self.counts.lost += u64::from(ahead - 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(sequences: &[u32]) -> ArrivalCounts {
        let mut arrivals = Arrivals::default();
        for sequence in sequences {
            arrivals.on_sequence(*sequence);
        }
        arrivals.counts()
    }

    #[test]
    fn gaps_are_losses_until_they_are_filled() {
        let whole = ArrivalCounts {
            arrived: 4,
            ..ArrivalCounts::default()
        };
        assert_eq!(counts(&[u32::MAX - 1, u32::MAX, 0, 1]), whole);
        assert_eq!(counts(&[u32::MAX - 1, 1]).lost, 2);
        let filled = counts(&[u32::MAX - 1, 1, u32::MAX, 0, 0]);
        assert_eq!((filled.lost, filled.reordered), (0, 2));
        assert_eq!((filled.arrived, filled.duplicates), (4, 1));
        let late = counts(&[10, 100, 36, 37]);
        assert_eq!((late.lost, late.late, late.reordered), (88, 1, 1));
        assert_eq!(counts(&[10, 9]).lost, 0);
    }

    #[test]
    fn a_jump_is_no_loss() {
        for to in [MAX_GAP + 1, 1 << 31, u32::MAX - MAX_GAP] {
            let counts = counts(&[0, to]);
            assert_eq!((counts.jumps, counts.lost, counts.arrived), (1, 0, 2));
        }
        assert_eq!(counts(&[0, MAX_GAP]).lost, u64::from(MAX_GAP) - 1);
    }

    proptest! {
        /// Shuffled by little, with losses: what is counted is what happened.
        #[test]
        fn counts_are_exact(first: u32, fates in prop::collection::vec((any::<bool>(), 0..30_u32), 2..300)) {
            let mut sent: Vec<(u32, u32)> = (0_u32..).zip(&fates)
                .filter(|(_, (arrives, _))| *arrives)
                .map(|(index, (_, delay))| (index + delay, index))
                .collect();
            prop_assume!(!sent.is_empty());
            sent.sort_unstable();
            // The first that arrives is the first that was sent: nothing before it can be missed.
            let first_arrived = sent[0].1;
            sent.retain(|(_, index)| *index >= first_arrived);
            let mut arrivals = Arrivals::default();
            for (_, index) in &sent {
                prop_assert!(arrivals.on_sequence(first.wrapping_add(*index)));
            }
            let newest = sent.iter().map(|(_, index)| *index).max().unwrap();
            let counts = arrivals.counts();
            prop_assert_eq!(counts.arrived, sent.len() as u64);
            prop_assert_eq!(counts.lost, u64::from(newest - first_arrived) + 1 - counts.arrived);
            prop_assert_eq!((counts.late, counts.duplicates, counts.jumps), (0, 0, 0));
        }
    }
}
