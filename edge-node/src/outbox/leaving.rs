//! A batch on its way to one receiver while it is filled: its budget, the room for pictures, and how long
//! its messages have waited. Which lane is next is not decided here.

use std::time::{Duration, Instant};

use bytes::Bytes;

/// What was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Bytes of it.
    pub(crate) bytes: usize,
    /// Something waits for the receiver to acknowledge more.
    pub(crate) held: bool,
    /// A track is paused: probing makes sense.
    pub(crate) paused: bool,
    /// It is, or layers are left out.
    pub(crate) constrained: bool,
    /// How long the oldest of it has waited: control, audio, video, v1.
    pub(crate) ages: [Option<Duration>; 4],
}

/// A batch that is being filled.
pub(super) struct Leaving<'a> {
    pub(super) batch: &'a mut Vec<Bytes>,
    pub(super) left: usize,
    pub(super) room: i64,
    pub(super) taken: Taken,
    pub(super) now: Instant,
}

/// Where the age of a class stands in [`Taken::ages`].
pub(super) const CONTROL: usize = 0;
pub(super) const AUDIO: usize = 1;
pub(super) const VIDEO: usize = 2;
pub(super) const V1: usize = 3;

impl Leaving<'_> {
    /// Whether a message is within the batch's budget.
    pub(super) fn fits(&self, bytes: &Bytes) -> bool {
        self.batch.is_empty() || bytes.len() <= self.left
    }

    /// Whether it is, and the receiver's bound, with so much beside it, is not yet met.
    pub(super) fn may(&self, bytes: &Bytes, beside: i64) -> bool {
        self.room > -beside && self.fits(bytes)
    }

    pub(super) fn add(&mut self, class: usize, bytes: Bytes, since: Instant) {
        let age = self.now.saturating_duration_since(since);
        if let Some(oldest) = self.taken.ages.get_mut(class) {
            *oldest = (*oldest).max(Some(age));
        }
        self.left = self.left.saturating_sub(bytes.len());
        self.room = self.room.saturating_sub_unsigned(bytes.len() as u64);
        self.taken.bytes += bytes.len();
        self.batch.push(bytes);
    }
}
