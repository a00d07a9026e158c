//! Puts frames into datagrams: several where they come close together, none later than 2 ms. Owns the link
//! sequence. Never decides what may leave, and drops nothing that it has taken.
//!
//! A driver pushes all frames it has, then calls [`Packetizer::flush`], and again at
//! [`Packetizer::due_at`]. A frame that comes when nothing has left for 10 ms is due at once: it leaves with
//! that flush, together with what came in the same moment.
//!
//! A driver that is woken for its frames asks for [`Packetizer::patience`]: at 20,000 frames a second a wake for
//! each, and a call of the kernel for each datagram, cost several times what the frames do.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{
    datagram::{Age, Header, Kind, Label, put_record},
    limits::{
        DATAGRAM_HEADER, FULL_ENOUGH, GATHER, GATHER_BYTES, IDLE, MAX_DATAGRAM, MAX_HOLD, MAX_HOPS,
        MAX_OPEN, PACKING_BUFFER,
    },
};
use crate::{
    frame::{Frame, FrameType},
    limits::MAX_MEDIA_FRAME,
};

/// A frame cannot travel in datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Only MEDIA does.
    #[error("only media travels in datagrams: the rest has streams")]
    NotMedia,
    /// It is empty, or longer than a media frame may be, or than this path takes.
    #[error("a media frame of {0} bytes does not fit the datagrams of this link")]
    Size(usize),
    /// It has gone as far as a frame may go.
    #[error("a frame that was passed on {0} times goes no further")]
    Hops(u8),
}

/// A frame that is to leave.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// From [`Aliases::label`](super::Aliases::label).
    pub label: Label<'a>,
    /// The MEDIA frame.
    pub frame: &'a Frame,
    /// Its age by now.
    pub age: Age,
    /// When it came to be sent; others of its datagram may have come later.
    pub since: Instant,
    /// How often it was passed on, this time included; 0 if its publisher is here.
    pub hops: u8,
    /// The low bits of the tree's epoch.
    pub epoch: u16,
}

/// What is to leave at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its link sequence, for [`Budget::on_sent`](super::Budget::on_sent).
    pub sequence: u32,
    /// It.
    pub bytes: Bytes,
}

/// What was packed, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackingCounts {
    /// Frames that were taken.
    pub frames: u64,
    /// Datagrams that have left.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A datagram that is being filled. Its buffer stays when it is empty.
#[derive(Debug)]
struct Open {
    buffer: BytesMut,
    hops: u8,
    epoch: u16,
    due_at: Instant,
}

/// Packs the frames of one link.
#[derive(Debug)]
pub struct Packetizer {
    max_datagram: usize,
    hold: Duration,
    sequence: u32,
    open: Vec<Open>,
    left_at: Option<Instant>,
    last: Option<Bytes>,
    counts: PackingCounts,
}

impl Packetizer {
    /// A link whose datagrams may be so long, 1,162 bytes at most, and whose first one has this sequence.
    pub const fn new(max_datagram: usize, first_sequence: u32) -> Self {
        Self {
            max_datagram: if max_datagram < MAX_DATAGRAM {
                max_datagram
            } else {
                MAX_DATAGRAM
            },
            hold: MAX_HOLD,
            sequence: first_sequence,
            open: Vec::new(),
            left_at: None,
            last: None,
            counts: PackingCounts {
                frames: 0,
                datagrams: 0,
                bytes: 0,
            },
        }
    }

    /// The same, but nothing waits for company: what packing is compared with.
    #[must_use]
    pub fn unheld(self) -> Self {
        Self {
            hold: Duration::ZERO,
            ..self
        }
    }

    /// Takes a frame. Datagrams that are full by it are appended to `out`.
    ///
    /// # Errors
    /// [`PushError`]; the frame is not taken then.
    pub fn push(
        &mut self,
        now: Instant,
        outgoing: Outgoing<'_>,
        out: &mut Vec<Datagram>,
    ) -> Result<(), PushError> {
        let Outgoing { frame, hops, .. } = outgoing;
        let payload = frame.payload();
        let record = outgoing.label.record_len(payload.len());
        if frame.kind() != FrameType::Media {
            return Err(PushError::NotMedia);
        }
        if hops > MAX_HOPS {
            return Err(PushError::Hops(hops));
        }
        if payload.is_empty()
            || frame.len() > MAX_MEDIA_FRAME
            || DATAGRAM_HEADER + record > self.max_datagram
        {
            return Err(PushError::Size(frame.len()));
        }
        self.counts.frames += 1;
        let index = self.slot(now, hops, outgoing.epoch, out);
        let max_datagram = self.max_datagram;
        let fits = |open: &Open| open.buffer.len() + record <= max_datagram;
        if !self.open.get(index).is_some_and(fits) {
            self.leave(now, index, out);
        }
        let idle = self.left_at.is_none_or(|left_at| now >= left_at + IDLE);
        let due_at = if idle {
            now
        } else {
            now.max(outgoing.since + self.hold)
        };
        let Some(open) = self.open.get_mut(index) else {
            return Ok(());
        };
        if open.buffer.is_empty() {
            open.due_at = due_at;
            open.hops = hops;
            open.epoch = outgoing.epoch;
            if open.buffer.capacity() < self.max_datagram {
                open.buffer.reserve(PACKING_BUFFER);
            }
            // The header is written when it leaves: only then its sequence is known.
            open.buffer.resize(DATAGRAM_HEADER, 0);
        }
        put_record(
            &mut open.buffer,
            outgoing.label,
            frame.sender(),
            outgoing.age,
            payload,
        );
        if open.buffer.len() + FULL_ENOUGH > self.max_datagram {
            self.leave(now, index, out);
        }
        Ok(())
    }

    /// When the next datagram has to leave although it is not full.
    pub fn due_at(&self) -> Option<Instant> {
        let filled = self.open.iter().filter(|open| !open.buffer.is_empty());
        filled.map(|open| open.due_at).min()
    }

    /// Bytes of frames that may wait with whoever has them until [`Packetizer::looks_at`]: pushed now, they would
    /// wait here. 0 if the next one may have to leave at once.
    pub fn patience(&self, now: Instant) -> usize {
        if self.hold.is_zero() {
            return 0;
        }
        if self.gathers_until().is_some_and(|until| now < until) {
            return GATHER_BYTES;
        }
        let filled = self.open.iter().filter(|open| !open.buffer.is_empty());
        let room = filled.map(|open| self.max_datagram.saturating_sub(open.buffer.len()));
        room.min().unwrap_or(0).saturating_sub(FULL_ENOUGH)
    }

    /// When whoever is patient is to push what waits and to flush.
    pub fn looks_at(&self, now: Instant) -> Option<Instant> {
        let gathered = self.gathers_until().filter(|until| now < *until);
        gathered.into_iter().chain(self.due_at()).min()
    }

    fn gathers_until(&self) -> Option<Instant> {
        let left_at = self.left_at.filter(|_| !self.hold.is_zero())?;
        Some(left_at + GATHER)
    }

    /// What is due leaves.
    pub fn flush(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        for index in 0..self.open.len() {
            let due = |open: &Open| !open.buffer.is_empty() && open.due_at <= now;
            if self.open.get(index).is_some_and(due) {
                self.leave(now, index, out);
            }
        }
    }

    /// What left last, once more under a number of its own: for who wants to know whether the path carries more.
    pub fn again(&mut self) -> Option<Datagram> {
        let mut bytes = BytesMut::from(self.last.as_ref()?.as_ref());
        let (header, _) = Header::parse(&bytes).ok()?;
        let sequence = self.sequence;
        if let Some(head) = bytes.first_chunk_mut::<DATAGRAM_HEADER>() {
            *head = Header { sequence, ..header }.encode();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.counts.datagrams += 1;
        self.counts.bytes += bytes.len() as u64;
        let bytes = bytes.freeze();
        Some(Datagram { sequence, bytes })
    }

    /// What was packed, ever.
    pub const fn counts(&self) -> PackingCounts {
        self.counts
    }

    /// The place of the datagram for these hops and this epoch: the one that is open, an empty one, or that of
    /// the one that is due first, which leaves.
    fn slot(&mut self, now: Instant, hops: u8, epoch: u16, out: &mut Vec<Datagram>) -> usize {
        let filled = |open: &Open| !open.buffer.is_empty();
        let same = |open: &Open| filled(open) && open.hops == hops && open.epoch == epoch;
        if let Some(index) = self.open.iter().position(same) {
            return index;
        }
        if let Some(index) = self.open.iter().position(|open| !filled(open)) {
            return index;
        }
        if self.open.len() < MAX_OPEN {
            self.open.push(Open {
                buffer: BytesMut::new(),
                hops,
                epoch,
                due_at: now,
            });
            return self.open.len() - 1;
        }
        let places = self.open.iter().zip(0..);
        let first = places.min_by_key(|(open, _)| open.due_at);
        let index = first.map_or(0, |(_, index)| index);
        self.leave(now, index, out);
        index
    }

    fn leave(&mut self, now: Instant, index: usize, out: &mut Vec<Datagram>) {
        let Some(open) = self.open.get_mut(index) else {
            return;
        };
        if open.buffer.is_empty() {
            return;
        }
        let header = Header {
            kind: Kind::Media,
            hops: open.hops,
            epoch: open.epoch,
            sequence: self.sequence,
        };
        let mut bytes = open.buffer.split();
        if let Some(head) = bytes.first_chunk_mut::<DATAGRAM_HEADER>() {
            *head = header.encode();
        }
        self.counts.datagrams += 1;
        self.counts.bytes += bytes.len() as u64;
        let bytes = bytes.freeze();
        self.last = Some(bytes.clone());
        out.push(Datagram {
            sequence: self.sequence,
            bytes,
        });
        self.sequence = self.sequence.wrapping_add(1);
        self.left_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
