//! The hand-over from a room to the writer of one connection. Whoever pushes never waits; the
//! writer waits for [`Outbox::ready`]. The rules of what is dropped are in [`lanes`].

mod carry;
mod gate;
mod lanes;
mod leaving;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use pulse_proto::{
    ErrorCode, Frame, ParticipantId,
    control::{self, Constrained, TrackRef},
};
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use self::gate::header as test_header;
use self::{
    carry::Decision,
    lanes::{Bounds, Drops, Lanes},
};
pub(crate) use self::{
    lanes::{Class, Starving},
    leaving::Taken,
};
use crate::{
    limits::{PROBE_BYTES, PROBE_BYTES_MAX, WRITE_BATCH},
    metrics,
};

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client left.
    Left,
    /// The edge ends it.
    Error(ErrorCode),
}

#[derive(Debug, Default)]
struct Inner {
    lanes: Lanes,
    ending: Option<Ending>,
    /// Bytes in the lanes, and tracks that are paused, as they were last counted.
    held: usize,
    paused: usize,
    /// What the receiver was told of them, if it takes that.
    told: Option<Constrained>,
    /// Bytes that may wait before the writer is woken.
    patience: usize,
    /// Bytes that the writer left when it took last.
    left: usize,
}

impl Inner {
    /// Brings the gauges up to date.
    fn count_held(&mut self) {
        let held = self.lanes.bytes();
        if held != self.held {
            metrics::held(held as f64 - self.held as f64);
            self.held = held;
        }
        let paused = self.lanes.paused();
        if paused != self.paused {
            metrics::paused_tracks(paused as f64 - self.paused as f64);
            self.paused = paused;
        }
    }
}

impl Inner {
    /// Looks at what the link carries, and tells its receiver what has changed. Whether there is
    /// something new to send.
    fn review(&mut self, now: Instant) -> bool {
        if !self.lanes.review_due(now) {
            return false;
        }
        let decision = self.lanes.review(now);
        if let Some(decision) = decision {
            metrics::constrained(step(decision));
        }
        decision.is_some() | self.tell(now)
    }

    fn tell(&mut self, now: Instant) -> bool {
        let Some(told) = &mut self.told else {
            return false;
        };
        let constrained = self.lanes.constrained();
        if constrained == *told {
            return false;
        }
        let frame = control::encode(ParticipantId::ZERO, &constrained);
        *told = constrained;
        let mut drops = Drops::new();
        if self
            .lanes
            .push(now, Class::Control, &frame, &mut drops)
            .is_err()
        {
            self.ending.get_or_insert(Ending::Error(ErrorCode::TooSlow));
        }
        true
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        metrics::held(-(self.held as f64));
        metrics::paused_tracks(-(self.paused as f64));
    }
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    ready: Notify,
    overflowed: Notify,
}

impl Outbox {
    /// Empty. `tells`: its receiver takes CONSTRAINED.
    pub(crate) fn new(tells: bool) -> Self {
        let outbox = Self::default();
        outbox.lock().told = tells.then(Constrained::default);
        outbox
    }

    /// Empty, for a link with another edge.
    pub(crate) fn for_link() -> Self {
        let outbox = Self::default();
        outbox.lock().lanes = Lanes::new(Bounds::LINK);
        outbox
    }

    /// Queues a frame by the rules of its class. Too much control ends the connection.
    pub(crate) fn push(&self, now: Instant, class: Class, frame: &Frame) {
        let mut drops = Drops::new();
        let mut inner = self.lock();
        if inner.ending.is_some() {
            return;
        }
        let waited = inner.lanes.waits(class);
        let before = inner.lanes.bytes();
        let overflow = inner.lanes.push(now, class, frame, &mut drops).is_err();
        let reviewed = inner.review(now);
        inner.count_held();
        if overflow {
            inner.ending = Some(Ending::Error(ErrorCode::TooSlow));
            self.overflowed.notify_one();
        }
        let first = !waited && inner.lanes.waits(class);
        let enough = inner.lanes.bytes() > inner.patience;
        // Whoever is patient was not woken by the first.
        let wake = overflow || reviewed || (enough && (first || before <= inner.patience));
        drop(inner);
        count(drops);
        if wake {
            self.ready.notify_one();
        }
    }

    /// Ends the connection once what is queued as control has left. The first reason stands.
    pub(crate) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.ready.notify_one();
    }

    /// Forgets a track that stopped, or all tracks of somebody who left.
    pub(crate) fn forget(&self, now: Instant, publisher: ParticipantId, track: Option<u8>) {
        let mut inner = self.lock();
        inner.lanes.forget(publisher, track);
        let told = inner.tell(now);
        inner.count_held();
        drop(inner);
        if told {
            self.ready.notify_one();
        }
    }

    /// Its receiver has acknowledged so much.
    pub(crate) fn on_acked(&self, acked: u64) {
        self.lock().lanes.on_acked(acked);
    }

    /// What its receiver was told last, made long enough to show what the link carries, and the bytes a
    /// second that it should. `None` while nothing would come of it.
    pub(crate) fn probe(&self, now: Instant) -> Option<(Frame, u64)> {
        let inner = self.lock();
        let rate = inner.lanes.sought(now).filter(|_| inner.ending.is_none())?;
        let mut told = inner.told.clone()?;
        drop(inner);
        let frame = control::encode(ParticipantId::ZERO, &told);
        let missing = PROBE_BYTES.saturating_sub(frame.len() + Constrained::PADDING_FIELD);
        if missing == 0 {
            return (frame.len() <= PROBE_BYTES_MAX).then_some((frame, rate));
        }
        told.padding = " ".repeat(missing);
        Some((control::encode(ParticipantId::ZERO, &told), rate))
    }

    /// Bytes a second that a link does not carry; `None` if it carries all.
    pub(crate) fn missing(&self) -> Option<u64> {
        self.lock().lanes.missing()
    }

    /// A link carries so many bytes a second beside what is sent: what fits is sent again.
    pub(crate) fn on_rate(&self, now: Instant, room: u64) {
        let mut inner = self.lock();
        for _ in 0..inner.lanes.on_rate(now, room) {
            metrics::constrained("resume");
        }
        inner.count_held();
    }

    /// A probe was acknowledged in time: what is sought is tried.
    pub(crate) fn on_probe_in_time(&self, now: Instant) {
        let mut inner = self.lock();
        if let Some(decision) = inner.lanes.on_probe_in_time(now) {
            metrics::constrained(step(decision));
            inner.tell(now);
            inner.count_held();
        }
    }

    /// Moves what leaves next into `batch`, in which `begun` bytes are already; pictures while there
    /// is `room`. An ending is told once nothing else is left.
    pub(crate) fn take(
        &self,
        now: Instant,
        begun: usize,
        room: i64,
        batch: &mut Vec<Bytes>,
    ) -> (Taken, Option<Ending>) {
        let mut drops = Drops::new();
        let mut inner = self.lock();
        let ending = inner.ending;
        // What is said last waits for nothing.
        let room = if ending.is_some() { i64::MAX } else { room };
        let budget = WRITE_BATCH.saturating_sub(begun);
        let taken = inner.lanes.take(now, budget, room, batch, &mut drops);
        inner.count_held();
        inner.left = inner.held;
        drop(inner);
        count(drops);
        (taken, ending.filter(|_| batch.is_empty()))
    }

    /// Tracks of which nothing leaves for now.
    pub(crate) fn paused(&self) -> Vec<TrackRef> {
        let constrained = self.lock().lanes.constrained();
        constrained
            .tracks
            .into_iter()
            .filter(|one| one.paused)
            .map(|one| TrackRef {
                participant: one.participant,
                track: one.track,
            })
            .collect()
    }

    /// Bytes that wait.
    #[cfg(feature = "simulation")]
    pub(crate) fn held(&self) -> usize {
        self.lock().lanes.bytes()
    }

    /// Tracks of which the receiver can decode nothing; see [`Lanes::starving`].
    pub(crate) fn starving(&self, now: Instant) -> Vec<Starving> {
        let mut inner = self.lock();
        let paused = inner.lanes.paused();
        let starving = inner.lanes.starving(now);
        if inner.lanes.paused() > paused {
            metrics::constrained("pause");
            inner.tell(now);
            inner.count_held();
        }
        starving
    }

    /// From now on the writer comes by itself for what is not more than so many bytes.
    pub(crate) fn set_patience(&self, bytes: usize) {
        let mut inner = self.lock();
        let before = std::mem::replace(&mut inner.patience, bytes);
        // What has come since it took last woke nobody while there was patience for it.
        let more = inner.lanes.bytes() > inner.left.max(bytes);
        drop(inner);
        if more && before > 0 {
            self.ready.notify_one();
        }
    }

    /// Waits until there may be something to take.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Waits until more must be sent than may wait: the receiver does not keep up.
    pub(crate) async fn overflowed(&self) {
        self.overflowed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The lanes are consistent between statements; a panic elsewhere must not silence others.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn step(decision: Decision) -> &'static str {
    match decision {
        Decision::Pause(_) => "pause",
        Decision::Retry(_) => "resume",
        Decision::Reduce => "reduce",
        Decision::Restore => "restore",
    }
}

fn count(drops: Drops) {
    for (queue, cause, count) in drops {
        metrics::dropped(queue, cause.label(), count);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn voice(sequence: u32) -> Frame {
        let id = ParticipantId::from_random([1; 16]);
        test_header(sequence, 0, 0).encode(id, &[0; 100])
    }

    fn woken(outbox: &Outbox) -> bool {
        let ready = pin!(outbox.ready());
        ready.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn a_patient_writer_is_woken_once_for_what_is_more() {
        let (outbox, now) = (Outbox::for_link(), tokio::time::Instant::now().into_std());
        let push = |sequence| outbox.push(now, Class::Audio, &voice(sequence));
        push(0);
        assert!(woken(&outbox));
        outbox.take(now, 0, i64::MAX, &mut Vec::new());
        outbox.set_patience(2 * voice(0).len());
        push(1);
        push(2);
        assert!(!woken(&outbox));
        push(3);
        push(4);
        assert!(woken(&outbox) && !woken(&outbox));
        // What comes while the writer is at work is not forgotten when its patience ends.
        outbox.take(now, 0, i64::MAX, &mut Vec::new());
        push(5);
        assert!(!woken(&outbox));
        outbox.set_patience(0);
        assert!(woken(&outbox));
    }
}
