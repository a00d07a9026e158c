//! Which frames of a clip can be decoded by whoever got what was sent of it, and how they are numbered.
//! What is left out uses no number, so that nobody takes it for a loss. Pure.

use pulse_proto::media::MediaHeader;

/// Frames that a `ref` can reach back, and one more.
const REACH: usize = 256;

/// One track.
#[derive(Debug)]
pub(crate) struct References {
    /// The number under which each of the source's last frames was sent, by its own number.
    sent: [Option<u32>; REACH],
    next: u32,
}

impl Default for References {
    fn default() -> Self {
        Self {
            sent: [None; REACH],
            next: 0,
        }
    }
}

impl References {
    /// The header under which this frame of the source would be sent, if what it needs was.
    pub(crate) fn resolve(&self, header: &MediaHeader) -> Option<MediaHeader> {
        let reference = if header.keyframe() {
            0
        } else {
            let needed = header.sequence.wrapping_sub(header.reference.into());
            let sent = self.sent.get(slot(needed)).copied().flatten()?;
            u8::try_from(self.next.wrapping_sub(sent)).ok()?
        };
        Some(MediaHeader {
            reference,
            sequence: self.next,
            ..*header
        })
    }

    /// Every frame of the source is noted, in order: whether it was sent.
    pub(crate) fn note(&mut self, source_sequence: u32, sent: bool) {
        if let Some(number) = self.sent.get_mut(slot(source_sequence)) {
            *number = sent.then_some(self.next);
        }
        self.next = self.next.wrapping_add(sent.into());
    }

    /// Nothing that was sent counts any more; numbers go on.
    pub(crate) const fn forget(&mut self) {
        self.sent = [None; REACH];
    }
}

const fn slot(sequence: u32) -> usize {
    sequence as usize % REACH
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{media::clip, source::Source};

    proptest! {
        /// Whatever is left out: what goes out is decodable and numbered without a gap.
        #[test]
        fn what_is_sent_is_decodable(wishes in prop::collection::vec(0..20_u8, 1..600)) {
            let mut source = Source::new(clip().unwrap(), 1, Duration::ZERO);
            let mut references = References::default();
            let mut decoded = HashSet::new();
            for wish in wishes {
                if wish == 0 {
                    source.request_keyframe();
                }
                if wish == 1 {
                    references.forget();
                }
                let due = source.take(source.due_at()).unwrap();
                let header = references.resolve(&due.header).filter(|_| wish > 3);
                references.note(due.header.sequence, header.is_some());
                let Some(header) = header else { continue };
                prop_assert_eq!(header.sequence as usize, decoded.len());
                prop_assert_eq!(header.keyframe(), due.header.keyframe());
                let needed = header.sequence.wrapping_sub(header.reference.into());
                prop_assert!(header.keyframe() || decoded.contains(&needed));
                decoded.insert(header.sequence);
            }
        }
    }
}
