//! Which frames of one layer a receiver can decode, told from `sequence` and `ref` alone. Pure: it
//! never looks at a clock or at codec bytes.

use pulse_proto::media::{MediaHeader, newer};

/// Sequence numbers remembered: `ref` reaches back 255 at most.
const WINDOW: u32 = 256;

/// What became of the frames of one (publisher, track, spatial layer) on their way to one receiver.
#[derive(Debug, Default)]
pub(crate) struct DependencyGate {
    /// The newest sequence number seen, admitted or not.
    newest: Option<u32>,
    /// One bit for each of the last 256: whole, or still coming and admitted.
    admitted: [u64; 4],
    /// What has come of the last frames that were admitted, by sequence number modulo their count.
    begun: [Begun; BEGUN],
    /// A frame of the base layer is missing, and no keyframe came since.
    starved: bool,
}

/// Frames of which chunks may still come: over a link they overtake each other a little.
const BEGUN: usize = 4;

/// The chunks of one frame.
#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    sequence: u32,
    /// One bit for each of the first 64.
    near: u64,
    /// The last of those behind, which come in order.
    far: u16,
}

impl Begun {
    /// Notes a chunk; whether it is new.
    const fn mark(&mut self, chunk: u16) -> bool {
        if chunk >= 64 {
            let new = chunk > self.far;
            if new {
                self.far = chunk;
            }
            return new;
        }
        let bit = 1 << chunk;
        let new = self.near & bit == 0;
        self.near |= bit;
        new
    }
}

/// What to do with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The receiver can decode its frame.
    Admit,
    /// It needs a frame that the receiver does not have.
    Undecodable,
    /// The receiver has had its frame, or its frame was dropped.
    Past,
}

impl DependencyGate {
    /// Judges a chunk. Chunks of one frame come in order.
    pub(crate) fn judge(&mut self, header: &MediaHeader) -> Verdict {
        let sequence = header.sequence;
        if header.chunk != 0 {
            return if self.has(sequence) && self.is_new(sequence, header.chunk) {
                Verdict::Admit
            } else {
                Verdict::Past
            };
        }
        match self.newest {
            Some(newest) if !newer(sequence, newest) => return Verdict::Past,
            newest => self.advance(newest, sequence),
        }
        if header.keyframe() {
            self.starved = false;
            self.begin(sequence);
            return Verdict::Admit;
        }
        if self.has(sequence.wrapping_sub(u32::from(header.reference))) {
            self.begin(sequence);
            return Verdict::Admit;
        }
        self.starved |= header.temporal == 0;
        Verdict::Undecodable
    }

    /// A frame that was admitted will not arrive after all.
    pub(crate) fn forget(&mut self, header: &MediaHeader) {
        self.set(header.sequence, false);
        self.starved |= header.temporal == 0;
    }

    /// The newest frame is a keyframe: what was dropped before it is of no use to anybody.
    pub(crate) const fn fed(&mut self) {
        self.starved = false;
    }

    /// Nothing of what was admitted will be of use; what was seen is not sent twice all the same.
    pub(crate) const fn cut(&mut self) {
        self.admitted = [0; 4];
        self.starved = true;
    }

    /// Whether only a keyframe helps.
    pub(crate) const fn starved(&self) -> bool {
        self.starved
    }

    /// The first chunk of a frame is admitted.
    fn begin(&mut self, sequence: u32) {
        self.set(sequence, true);
        if let Some(begun) = self.begun_mut(sequence) {
            *begun = Begun {
                sequence,
                near: 1,
                far: 0,
            };
        }
    }

    /// Whether a later chunk of an admitted frame has not come before. A replay of what is cached gives them
    /// again.
    fn is_new(&mut self, sequence: u32, chunk: u16) -> bool {
        self.begun_mut(sequence)
            .filter(|begun| begun.sequence == sequence)
            .is_some_and(|begun| begun.mark(chunk))
    }

    fn begun_mut(&mut self, sequence: u32) -> Option<&mut Begun> {
        self.begun.get_mut(sequence as usize % BEGUN)
    }

    fn advance(&mut self, newest: Option<u32>, sequence: u32) {
        let steps = newest.map_or(WINDOW, |newest| sequence.wrapping_sub(newest).min(WINDOW));
        if steps == WINDOW {
            self.admitted = [0; 4];
        } else {
            for step in 0..steps {
                self.set(sequence.wrapping_sub(step), false);
            }
        }
        self.newest = Some(sequence);
    }

    fn set(&mut self, sequence: u32, value: bool) {
        let bit = sequence % WINDOW;
        if let Some(word) = self.admitted.get_mut((bit / 64) as usize) {
            let mask = 1 << (bit % 64);
            *word = if value { *word | mask } else { *word & !mask };
        }
    }

    fn has(&self, sequence: u32) -> bool {
        let Some(newest) = self.newest else {
            return false;
        };
        if newer(sequence, newest) || newest.wrapping_sub(sequence) >= WINDOW {
            return false;
        }
        let bit = sequence % WINDOW;
        self.admitted
            .get((bit / 64) as usize)
            .is_some_and(|word| word & (1 << (bit % 64)) != 0)
    }
}

#[cfg(test)]
pub(crate) fn header(sequence: u32, reference: u8, temporal: u8) -> MediaHeader {
    MediaHeader {
        track: 1,
        config: 0,
        discardable: temporal == 2,
        last: true,
        spatial: 0,
        temporal,
        reference,
        level: pulse_proto::media::LEVEL_SILENT,
        chunk: 0,
        sequence,
        captured_us: u64::from(sequence) * 33_333,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn losing_an_upper_layer_harms_nobody() {
        let mut gate = DependencyGate::default();
        assert_eq!(gate.judge(&header(0, 0, 0)), Verdict::Admit);
        let upper = header(1, 1, 2);
        assert_eq!(gate.judge(&upper), Verdict::Admit);
        gate.forget(&upper);
        assert_eq!(gate.judge(&header(2, 2, 1)), Verdict::Admit);
        assert_eq!(gate.judge(&header(3, 1, 2)), Verdict::Admit);
        assert!(!gate.starved());
    }

    fn chunk(sequence: u32, chunk: u16) -> MediaHeader {
        MediaHeader {
            chunk,
            last: chunk == 3,
            ..header(sequence, 0, 0)
        }
    }

    #[test]
    fn what_a_cache_plays_again_is_not_sent_twice() {
        let mut gate = DependencyGate::default();
        let mut judge = |sequence, at| gate.judge(&chunk(sequence, at));
        assert_eq!([judge(0, 0), judge(0, 1)], [Verdict::Admit; 2]);
        // In the middle of it: the rest is on its way all the same.
        assert_eq!([judge(0, 0), judge(0, 1)], [Verdict::Past; 2]);
        assert_eq!([judge(0, 2), judge(0, 3)], [Verdict::Admit; 2]);
        assert_eq!([0, 1, 2, 3].map(|at| judge(0, at)), [Verdict::Past; 4]);
        assert_eq!(judge(1, 0), Verdict::Admit);
        assert_eq!([0, 1, 2, 3].map(|at| judge(0, at)), [Verdict::Past; 4]);
        assert_eq!([judge(1, 1), judge(1, 2)], [Verdict::Admit; 2]);
    }

    #[test]
    fn losing_the_base_layer_waits_for_a_keyframe() {
        let mut gate = DependencyGate::default();
        assert_eq!(gate.judge(&header(0, 0, 0)), Verdict::Admit);
        assert_eq!(gate.judge(&header(4, 4, 0)), Verdict::Admit);
        gate.forget(&header(4, 4, 0));
        assert!(gate.starved());
        assert_eq!(gate.judge(&header(8, 4, 0)), Verdict::Undecodable);
        assert_eq!(gate.judge(&header(9, 1, 2)), Verdict::Undecodable);
        assert_eq!(gate.judge(&header(10, 0, 0)), Verdict::Admit);
        assert!(!gate.starved());
        assert_eq!(gate.judge(&header(10, 0, 0)), Verdict::Past);
    }

    #[test]
    fn a_chunk_that_is_replayed_is_sent_once() {
        let mut gate = DependencyGate::default();
        let chunk = |chunk| MediaHeader {
            chunk,
            ..header(5, 0, 0)
        };
        assert_eq!(gate.judge(&chunk(0)), Verdict::Admit);
        // Over a link they overtake each other.
        for first in [2, 1, 63, 64, 300] {
            assert_eq!(gate.judge(&chunk(first)), Verdict::Admit, "{first}");
        }
        for again in [0, 1, 2, 63, 64, 300] {
            assert_eq!(gate.judge(&chunk(again)), Verdict::Past, "{again}");
        }
        assert_eq!(gate.judge(&chunk(3)), Verdict::Admit);
        // What is behind the replay goes on, also when another frame has begun meanwhile.
        assert_eq!(gate.judge(&header(6, 1, 0)), Verdict::Admit);
        assert_eq!(gate.judge(&chunk(4)), Verdict::Admit);
        assert_eq!(gate.judge(&chunk(1)), Verdict::Past);
    }

    proptest! {
        /// Whatever is lost and forgotten, every admitted frame's chain is admitted.
        #[test]
        fn admitted_frames_decode(
            start: u32, frames in proptest::collection::vec((0..6_u8, 1..300_u32, any::<bool>()), 1..200),
        ) {
            let mut gate = DependencyGate::default();
            let mut whole = HashSet::new();
            let mut sequence = start;
            for (reference, step, drop) in frames {
                sequence = sequence.wrapping_add(if step < 290 { 1 } else { step });
                let header = header(sequence, reference, 0);
                if gate.judge(&header) == Verdict::Admit {
                    let needed = sequence.wrapping_sub(u32::from(reference));
                    prop_assert!(reference == 0 || whole.contains(&needed));
                    whole.insert(sequence);
                    if drop {
                        gate.forget(&header);
                        whole.remove(&sequence);
                    }
                }
            }
        }
    }
}
