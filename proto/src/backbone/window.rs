//! Which chunks of one (participant, track, spatial layer) have come already, by whichever way. Asked before
//! a frame is passed on or delivered. Never orders anything.

use super::limits::{WINDOW_FRAMES, WINDOW_RESTART};
use crate::{limits::MAX_CHUNKS, media::newer};

/// Chunks that find place beside the sequence number: every voice and nearly every picture has fewer.
const NEAR_CHUNKS: u16 = 64;

/// The others, 64 to a word.
const FAR_WORDS: usize = (MAX_CHUNKS - NEAR_CHUNKS) as usize / 64;

/// The chunks of one frame.
#[derive(Clone, Debug, Default)]
struct Chunks {
    near: u64,
    far: Option<Box<[u64; FAR_WORDS]>>,
}

impl Chunks {
    /// Marks a chunk; whether it was marked before.
    fn mark(&mut self, chunk: u16) -> bool {
        let bit = 1 << (chunk % 64);
        let word = if chunk < NEAR_CHUNKS {
            Some(&mut self.near)
        } else {
            let far = self.far.get_or_insert_with(|| Box::new([0; FAR_WORDS]));
            far.get_mut(usize::from((chunk - NEAR_CHUNKS) / 64))
        };
        // A chunk that no frame can have is never new.
        let Some(word) = word else { return true };
        let marked = *word & bit != 0;
        *word |= bit;
        marked
    }
}

/// Remembers the last 64 codec frames.
#[derive(Clone, Debug, Default)]
pub struct Window {
    newest: Option<u32>,
    /// By sequence number modulo 64; filled as frames come.
    frames: Vec<Chunks>,
}

impl Window {
    /// Whether this chunk came before, or is too old to tell; notes it otherwise.
    pub fn seen(&mut self, sequence: u32, chunk: u16) -> bool {
        match self.newest {
            None => self.restart(sequence),
            Some(newest) if newer(sequence, newest) => self.advance(newest, sequence),
            Some(newest) => {
                let behind = newest.wrapping_sub(sequence);
                if behind > WINDOW_RESTART {
                    self.restart(sequence);
                } else if behind >= WINDOW_FRAMES {
                    return true;
                }
            }
        }
        let slot = (sequence % WINDOW_FRAMES) as usize;
        if self.frames.len() <= slot {
            self.frames.resize_with(slot + 1, Chunks::default);
        }
        self.frames
            .get_mut(slot)
            .is_none_or(|chunks| chunks.mark(chunk))
    }

    /// The publisher counts anew: what comes next is new.
    pub fn reset(&mut self) {
        self.newest = None;
    }

    fn restart(&mut self, sequence: u32) {
        self.frames.clear();
        self.newest = Some(sequence);
    }

    /// Empties the places of the frames between the newest so far and this one.
    fn advance(&mut self, newest: u32, sequence: u32) {
        let ahead = sequence.wrapping_sub(newest);
        if ahead >= WINDOW_FRAMES {
            self.frames.clear();
        } else {
            for step in 1..=ahead {
                let slot = (newest.wrapping_add(step) % WINDOW_FRAMES) as usize;
                if let Some(chunks) = self.frames.get_mut(slot) {
                    *chunks = Chunks::default();
                }
            }
        }
        self.newest = Some(sequence);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chunk_is_new_once() {
        let mut window = Window::default();
        for chunk in [0, 1, 63, 64, 127, 1_023] {
            assert!(!window.seen(u32::MAX, chunk), "{chunk}");
            assert!(window.seen(u32::MAX, chunk), "{chunk}");
        }
        assert!(!window.seen(0, 0));
        assert!(window.seen(u32::MAX, 1_023));
        // No frame has such a chunk.
        assert!(window.seen(0, 1_024) && window.seen(0, u16::MAX));
    }

    #[test]
    fn what_is_too_old_is_not_new_and_what_is_much_older_begins_anew() {
        let mut window = Window::default();
        assert!(!window.seen(10_000, 0));
        assert!(!window.seen(10_000 - 63, 0));
        assert!(window.seen(10_000 - 64, 0));
        assert!(window.seen(10_000 - 4_096, 0));
        assert!(!window.seen(10_000 - 4_097, 0));
        assert!(window.seen(10_000 - 4_097, 0));
        // A publisher that begins anew near its old numbers needs to be told of.
        assert!(!window.seen(10_000, 0));
        assert!(window.seen(9_000, 0));
        window.reset();
        assert!(!window.seen(9_000, 0));
    }

    proptest! {
        /// Against a set that forgets nothing: the same answer for all that is within the window.
        #[test]
        fn it_answers_as_a_set_does(
            first: u32,
            steps in prop::collection::vec((-80..80_i32, 0..3_u16), 1..400),
            far in prop::collection::vec(0..1_024_u16, 3),
        ) {
            let mut window = Window::default();
            let mut all = HashSet::new();
            let mut newest = first;
            prop_assert!(!window.seen(first, 0));
            all.insert((first, 0));
            for (step, chunk) in steps {
                let sequence = newest.wrapping_add_signed(step);
                let chunk = far[usize::from(chunk)];
                let before = newest.wrapping_sub(sequence);
                let old = (WINDOW_FRAMES..1 << 31).contains(&before);
                let expected = old || all.contains(&(sequence, chunk));
                prop_assert_eq!(window.seen(sequence, chunk), expected);
                if !old {
                    all.insert((sequence, chunk));
                }
                if newer(sequence, newest) {
                    newest = sequence;
                }
            }
        }
    }
}
