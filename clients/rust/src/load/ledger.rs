//! What one subscriber has received of one track, frame by frame: what came whole, twice, late, in
//! part or in vain. Pure. A track's frames are numbered from 0, so that what is missing at the
//! beginning is missed as well; no run is long enough for its numbers to wrap.

use super::stamp::Chunk;

/// Frames a `ref` can reach back, and one more: what is older is not told from a repetition.
const REACH: u32 = 256;

/// Codec frames that may be incomplete at once.
const MAX_PARTIALS: usize = 4;

/// Chunks of the largest codec frame, as bits.
const CHUNK_WORDS: usize = 1_024 / 64;

/// A bit for each of the last 256 frames.
#[derive(Clone, Copy, Debug, Default)]
struct Recent([u64; 4]);

impl Recent {
    const fn place(sequence: u32) -> (usize, u64) {
        let bit = sequence % REACH;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    fn has(&self, sequence: u32) -> bool {
        let (word, bit) = Self::place(sequence);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, sequence: u32, on: bool) {
        let (word, bit) = Self::place(sequence);
        if let Some(word) = self.0.get_mut(word) {
            *word = if on { *word | bit } else { *word & !bit };
        }
    }
}

#[derive(Debug)]
struct Partial {
    sequence: u32,
    seen: [u64; CHUNK_WORDS],
    count: u32,
    chunks: Option<u32>,
}

/// What a chunk made of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The frame is whole; a decoder could use it or could not.
    Whole {
        /// Whether what it needs was decoded.
        decodable: bool,
    },
    /// More chunks are missing.
    Partial,
    /// It was there already.
    Repeated,
}

/// One track at one subscriber.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// One more than the newest whole frame.
    next: u32,
    whole: u32,
    repeated: u32,
    reordered: u32,
    undecodable: u32,
    given_up: u32,
    seen: Recent,
    decoded: Recent,
    partials: Vec<Partial>,
}

/// Why frames are missing, as far as a receiver can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Later frames came, and nothing of these.
    pub(crate) dropped: u64,
    /// Some of their chunks came.
    pub(crate) incomplete: u64,
    /// The connection was over.
    pub(crate) closed: u64,
    /// The connection was open, and nothing that is newer came until the end.
    pub(crate) unfinished: u64,
}

/// The sums of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) whole: u64,
    pub(crate) repeated: u64,
    pub(crate) reordered: u64,
    pub(crate) undecodable: u64,
    pub(crate) missing: Missing,
}

impl Ledger {
    /// Takes a sound chunk.
    pub(crate) fn take(&mut self, chunk: &Chunk) -> Step {
        let sequence = chunk.sequence;
        let old = sequence < self.next;
        if old && (self.next - sequence > REACH || self.seen.has(sequence)) {
            self.repeated += 1;
            return Step::Repeated;
        }
        if chunk.chunk > 0 || !chunk.last {
            match self.part(chunk) {
                Step::Whole { .. } => {}
                step => return step,
            }
        }
        if old {
            self.reordered += 1;
        } else {
            let skipped = sequence - self.next;
            if skipped >= REACH {
                self.seen = Recent::default();
                self.decoded = Recent::default();
            } else {
                for missed in self.next..sequence {
                    self.seen.set(missed, false);
                    self.decoded.set(missed, false);
                }
            }
            self.next = sequence + 1;
        }
        self.whole += 1;
        self.seen.set(sequence, true);
        let reference = u32::from(chunk.reference);
        let decodable = reference == 0 || {
            let needed = sequence.checked_sub(reference);
            needed.is_some_and(|needed| self.next - needed <= REACH && self.decoded.has(needed))
        };
        self.decoded.set(sequence, decodable);
        self.undecodable += u32::from(!decodable);
        Step::Whole { decodable }
    }

    /// One of several chunks; whole once all are there.
    fn part(&mut self, chunk: &Chunk) -> Step {
        let found = self
            .partials
            .iter()
            .position(|p| p.sequence == chunk.sequence);
        let index = found.unwrap_or_else(|| {
            if self.partials.len() >= MAX_PARTIALS {
                self.partials.remove(0);
                self.given_up += 1;
            }
            self.partials.push(Partial {
                sequence: chunk.sequence,
                seen: [0; CHUNK_WORDS],
                count: 0,
                chunks: None,
            });
            self.partials.len() - 1
        });
        let Some(partial) = self.partials.get_mut(index) else {
            return Step::Partial;
        };
        let (word, bit) = (usize::from(chunk.chunk / 64), 1 << (chunk.chunk % 64));
        match partial.seen.get_mut(word) {
            Some(seen) if *seen & bit == 0 => *seen |= bit,
            _ => {
                self.repeated += 1;
                return Step::Repeated;
            }
        }
        partial.count += 1;
        if chunk.last {
            partial.chunks = Some(u32::from(chunk.chunk) + 1);
        }
        if partial.chunks == Some(partial.count) {
            self.partials.remove(index);
            Step::Whole { decodable: true }
        } else {
            Step::Partial
        }
    }

    /// The sums, given how many frames there were to receive and whether the connection lasted.
    pub(crate) fn account(&self, expected: u64, closed: bool) -> Account {
        let whole = u64::from(self.whole);
        let reached = u64::from(self.next);
        let gaps = reached.saturating_sub(whole);
        let behind = expected.saturating_sub(reached);
        let unfinished = |partial: &&Partial| u64::from(partial.sequence) >= reached;
        let newer = self.partials.iter().filter(unfinished).count() as u64;
        let older = self.partials.len() as u64 - newer;
        let incomplete = (u64::from(self.given_up) + older).min(gaps);
        let rest = behind.saturating_sub(newer);
        Account {
            whole,
            repeated: self.repeated.into(),
            reordered: self.reordered.into(),
            undecodable: self.undecodable.into(),
            missing: Missing {
                dropped: gaps - incomplete,
                incomplete: incomplete + newer.min(behind),
                closed: if closed { rest } else { 0 },
                unfinished: if closed { 0 } else { rest },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(sequence: u32, reference: u8, chunk: u16, last: bool) -> Chunk {
        Chunk {
            stream: 0,
            due_ns: 0,
            sequence,
            reference,
            chunk,
            last,
        }
    }

    fn single(sequence: u32, reference: u8) -> Chunk {
        chunk(sequence, reference, 0, true)
    }

    const SOUND: Step = Step::Whole { decodable: true };

    #[test]
    fn everything_received_is_no_loss() {
        let mut ledger = Ledger::default();
        for sequence in 0..1_000 {
            assert_eq!(ledger.take(&single(sequence, 0)), SOUND);
        }
        let account = ledger.account(1_000, false);
        assert_eq!(
            (account.whole, account.missing),
            (1_000, Missing::default())
        );
    }

    #[test]
    fn what_is_missing_has_its_cause() {
        let mut ledger = Ledger::default();
        // 0 and 1 never came; 4 came in part; 7 in part at the end, and 8 and 9 not at all.
        for sequence in [2, 3, 5, 6] {
            ledger.take(&single(sequence, 0));
            if sequence == 3 {
                assert_eq!(ledger.take(&chunk(4, 0, 0, false)), Step::Partial);
            }
        }
        ledger.take(&chunk(7, 0, 0, false));
        let missing = ledger.account(10, false).missing;
        assert_eq!(
            missing,
            Missing {
                dropped: 2,
                incomplete: 2,
                closed: 0,
                unfinished: 2
            }
        );
        let missing = ledger.account(10, true).missing;
        assert_eq!((missing.closed, missing.unfinished), (2, 0));
    }

    #[test]
    fn repetitions_and_reordering_are_told_apart() {
        let mut ledger = Ledger::default();
        for (sequence, step) in [(0, SOUND), (2, SOUND), (1, SOUND), (1, Step::Repeated)] {
            assert_eq!(ledger.take(&single(sequence, 0)), step);
        }
        ledger.take(&single(700, 0));
        assert_eq!(ledger.take(&single(0, 0)), Step::Repeated);
        // 600 has the remainder of an old one by 256.
        assert_eq!(ledger.take(&single(600, 0)), SOUND);
        let account = ledger.account(701, false);
        assert_eq!((account.reordered, account.repeated), (2, 2));
        assert_eq!(account.missing.dropped, 701 - 5);
    }

    #[test]
    fn a_frame_without_what_it_needs_is_not_decodable() {
        let mut ledger = Ledger::default();
        let lost = Step::Whole { decodable: false };
        for (sequence, reference, step) in [
            (0, 0, SOUND),
            (1, 1, SOUND),
            (3, 1, lost),
            (4, 1, lost),
            (5, 4, SOUND),
            (6, 0, SOUND),
            (262, 0, SOUND),
            (263, 1, SOUND),
            (519, 255, lost),
        ] {
            assert_eq!(
                ledger.take(&single(sequence, reference)),
                step,
                "{sequence}"
            );
        }
        assert_eq!(ledger.account(520, false).undecodable, 3);
    }

    #[test]
    fn a_frame_that_nobody_sent_first_needs_nothing_before_it() {
        let mut ledger = Ledger::default();
        let lost = Step::Whole { decodable: false };
        assert_eq!(ledger.take(&single(2, 4)), lost);
    }

    proptest! {
        /// Frames of 1 to 5 chunks, some left out, some twice, some swapped with a neighbour: the
        /// sums are those of a set.
        #[test]
        fn the_sums_are_those_of_a_set(
            frames in prop::collection::vec((1..=5_u16, 0..10_u8), 1..200), closed: bool,
        ) {
            let mut stream = Vec::new();
            let (mut whole, mut twice, mut part) = (0, 0, 0);
            for ((chunks, fate), sequence) in frames.iter().zip(0_u32..) {
                let all: Vec<Chunk> =
                    (0..*chunks).map(|n| chunk(sequence, 0, n, n + 1 == *chunks)).collect();
                match fate {
                    0 => {}
                    1 if *chunks > 1 => {
                        part += 1;
                        stream.extend(all.into_iter().skip(1));
                    }
                    2 => {
                        whole += 1;
                        twice += u64::from(*chunks);
                        stream.extend(all.iter().copied().chain(all.iter().copied()));
                    }
                    3 => {
                        whole += 1;
                        stream.extend(all.into_iter().rev());
                    }
                    _ => {
                        whole += 1;
                        stream.extend(all);
                    }
                }
            }
            let mut ledger = Ledger::default();
            let mut steps = 0;
            for chunk in &stream {
                steps += u64::from(matches!(ledger.take(chunk), Step::Whole { .. }));
            }
            let expected = frames.len() as u64;
            let account = ledger.account(expected, closed);
            prop_assert_eq!(account.whole, whole);
            prop_assert_eq!(steps, whole);
            prop_assert_eq!(account.repeated, twice);
            let missing = account.missing;
            prop_assert_eq!(missing.incomplete, part);
            let sum = missing.dropped + missing.incomplete + missing.closed + missing.unfinished;
            prop_assert_eq!(sum, expected - whole);
            prop_assert_eq!((account.reordered, account.undecodable), (0, 0));
        }
    }
}
