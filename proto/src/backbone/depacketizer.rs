//! Takes datagrams apart: rebuilds the client's frames, learns short names, keeps what comes before its
//! name, and reports what has arrived. Never decides whether a frame is wanted, new or believable.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use super::{
    alias::{AliasError, Learnt, Meaning},
    arrivals::{ArrivalCounts, Arrivals},
    datagram::{Age, Alias, DatagramError, Header, Kind, Name, Records},
    feedback::{Feedback, Reporter},
    limits::{MAX_UNKNOWN, MAX_UNKNOWN_BYTES, UNKNOWN_HOLD},
};
use crate::{
    frame::{Frame, FrameType},
    id::{ParticipantId, RoomName},
    media::MediaHeader,
};

/// A frame from another edge. Its sender is [`Frame::sender`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The room.
    pub room: RoomName,
    /// The frame as its publisher sent it, byte by byte.
    pub frame: Frame,
    /// Its media header, which is sound.
    pub header: MediaHeader,
    /// Its age when it left the other edge, and what it was kept here.
    pub age: Age,
    /// How many edges have passed it on.
    pub hops: u8,
    /// The low bits of the epoch of the tree that it followed.
    pub epoch: u16,
}

/// What arrived on one link, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiveCounts {
    /// Datagrams of media.
    pub datagrams: ArrivalCounts,
    /// Frames that were handed on.
    pub frames: u64,
    /// Datagrams that could not be read, or not to their end.
    pub malformed: u64,
    /// Records that held no frame.
    pub bad_frames: u64,
    /// Frames that waited for their name.
    pub held: u64,
    /// Of these: it did not come in time.
    pub expired: u64,
    /// Of these: there were too many.
    pub overflowed: u64,
    /// Frames whose name stands for nobody any more.
    pub gone: u64,
}

/// A frame before its name.
#[derive(Debug)]
struct Held {
    alias: Alias,
    payload: Bytes,
    age: Age,
    hops: u8,
    epoch: u16,
    at: Instant,
}

/// Unpacks the datagrams of one link.
#[derive(Debug)]
pub struct Depacketizer {
    arrivals: Arrivals,
    reporter: Reporter,
    learnt: Learnt,
    held: VecDeque<Held>,
    held_bytes: usize,
    counts: ReceiveCounts,
}

impl Depacketizer {
    /// A connection begins.
    pub fn new(now: Instant) -> Self {
        Self {
            arrivals: Arrivals::default(),
            reporter: Reporter::new(now),
            learnt: Learnt::default(),
            held: VecDeque::new(),
            held_bytes: 0,
            counts: ReceiveCounts::default(),
        }
    }

    /// Reads a datagram: its frames are appended to `out`; a report is returned, for the
    /// [`Budget`](super::Budget) of the other direction.
    ///
    /// # Errors
    /// [`DatagramError`], which is counted. What stood before the fault has been handed on.
    pub fn on_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        out: &mut Vec<Arrived>,
    ) -> Result<Option<Feedback>, DatagramError> {
        self.expire(now);
        let read = self.read(now, datagram, out);
        if read.is_err() {
            self.counts.malformed += 1;
        }
        read
    }

    /// The other side has said what a name stands for. What waited for it is appended to `out`.
    ///
    /// # Errors
    /// [`AliasError::Reused`], after which the link must be closed, and [`AliasError::Full`].
    pub fn learn(
        &mut self,
        now: Instant,
        alias: Alias,
        room: &RoomName,
        participant: ParticipantId,
        out: &mut Vec<Arrived>,
    ) -> Result<(), AliasError> {
        self.expire(now);
        self.learnt.learn(alias, room, participant)?;
        for held in std::mem::take(&mut self.held) {
            if held.alias != alias {
                self.held.push_back(held);
                continue;
            }
            self.held_bytes = self.held_bytes.saturating_sub(held.payload.len());
            let arrival = Arrival {
                age: held.age.plus(now.saturating_duration_since(held.at)),
                hops: held.hops,
                epoch: held.epoch,
            };
            let rebuilt = arrival.rebuild(room, participant, &held.payload);
            hand_on(&mut self.counts, rebuilt, out);
        }
        Ok(())
    }

    /// A participant has left a room there: its name stands for nobody from now on.
    pub fn forget(&mut self, room: &RoomName, participant: ParticipantId) {
        self.learnt.forget(room, participant);
    }

    /// When [`Depacketizer::report`] is to be called next.
    pub const fn report_at(&self) -> Option<Instant> {
        self.reporter.due_at()
    }

    /// The report that is due now, as a datagram; it is to leave before media.
    pub fn report(&mut self, now: Instant) -> Option<Bytes> {
        self.reporter.report(now).map(|report| report.encode())
    }

    /// When [`Depacketizer::expire`] has something to do.
    pub fn expires_at(&self) -> Option<Instant> {
        self.held.front().map(|held| held.at + UNKNOWN_HOLD)
    }

    /// Frames that have waited too long for their name are dropped. Every other call does it as well.
    pub fn expire(&mut self, now: Instant) {
        while self.expires_at().is_some_and(|at| at <= now) {
            self.drop_oldest();
            self.counts.expired += 1;
        }
    }

    /// What arrived, ever.
    pub const fn counts(&self) -> ReceiveCounts {
        ReceiveCounts {
            datagrams: self.arrivals.counts(),
            ..self.counts
        }
    }

    fn read(
        &mut self,
        now: Instant,
        datagram: &[u8],
        out: &mut Vec<Arrived>,
    ) -> Result<Option<Feedback>, DatagramError> {
        let (header, body) = Header::parse(datagram)?;
        if header.kind == Kind::Feedback {
            return Feedback::parse(&header, body).map(Some);
        }
        if !self.arrivals.on_sequence(header.sequence) {
            return Ok(None);
        }
        self.reporter
            .on_arrival(now, header.sequence, datagram.len());
        for record in Records::new(body)? {
            let record = record?;
            let arrival = Arrival {
                age: record.age,
                hops: header.hops,
                epoch: header.epoch,
            };
            let rebuilt = match &record.name {
                Name::Long { participant, room } => {
                    arrival.rebuild(room, *participant, record.payload)
                }
                Name::Alias(alias) => match self.learnt.meaning(*alias) {
                    Meaning::Known(room, participant) => {
                        arrival.rebuild(room, participant, record.payload)
                    }
                    Meaning::Gone => {
                        self.counts.gone += 1;
                        continue;
                    }
                    Meaning::Unknown => {
                        self.hold(now, *alias, &arrival, record.payload);
                        continue;
                    }
                },
            };
            hand_on(&mut self.counts, rebuilt, out);
        }
        Ok(None)
    }

    fn hold(&mut self, now: Instant, alias: Alias, arrival: &Arrival, payload: &[u8]) {
        self.counts.held += 1;
        self.held_bytes += payload.len();
        self.held.push_back(Held {
            alias,
            // A copy: a slice would keep the whole datagram.
            payload: Bytes::copy_from_slice(payload),
            age: arrival.age,
            hops: arrival.hops,
            epoch: arrival.epoch,
            at: now,
        });
        while self.held.len() > MAX_UNKNOWN || self.held_bytes > MAX_UNKNOWN_BYTES {
            self.drop_oldest();
            self.counts.overflowed += 1;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(held) = self.held.pop_front() {
            self.held_bytes = self.held_bytes.saturating_sub(held.payload.len());
        }
    }
}

/// How a frame came.
struct Arrival {
    age: Age,
    hops: u8,
    epoch: u16,
}

impl Arrival {
    /// The frame as its publisher sent it, or nothing if no publisher can have.
    fn rebuild(
        &self,
        room: &RoomName,
        participant: ParticipantId,
        payload: &[u8],
    ) -> Option<Arrived> {
        let frame = Frame::new(participant, FrameType::Media, payload);
        let header = MediaHeader::parse(&frame).ok()?;
        Some(Arrived {
            room: room.clone(),
            frame,
            header,
            age: self.age,
            hops: self.hops,
            epoch: self.epoch,
        })
    }
}

fn hand_on(counts: &mut ReceiveCounts, rebuilt: Option<Arrived>, out: &mut Vec<Arrived>) {
    match rebuilt {
        Some(arrived) => {
            counts.frames += 1;
            out.push(arrived);
        }
        None => counts.bad_frames += 1,
    }
}

#[cfg(test)]
mod tests;
