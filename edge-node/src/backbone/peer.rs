//! One link with another edge, as rooms see it: media that may be dropped, messages that may not, and v1's
//! large frames. Whoever gives it something never waits; what carries it away is the link's own tasks.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use pulse_proto::{
    Frame, ParticipantId, RoomName,
    cluster::{
        EdgeId,
        link::{LinkMessage, RoomMessage},
    },
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    images::StoredImage,
    limits::{LINK_CONTROL, LINK_LARGE},
    metrics,
    outbox::{Class, Outbox},
};

/// What is too large for datagrams, of a room.
#[derive(Debug)]
pub(crate) struct Large {
    pub(crate) room: RoomName,
    pub(crate) what: LargeKind,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum LargeKind {
    /// A frame of a v1 type.
    V1(Frame),
    /// A chat image.
    Image(StoredImage),
}

/// What the link's tasks take from.
#[derive(Debug)]
pub(crate) struct PeerQueues {
    pub(crate) control: mpsc::Receiver<LinkMessage>,
    pub(crate) large: mpsc::Receiver<Large>,
}

/// A link.
pub(crate) struct PeerLink {
    edge: EdgeId,
    media: Outbox,
    /// In which room somebody is whose media waits.
    rooms: Mutex<HashMap<ParticipantId, RoomName>>,
    control: mpsc::Sender<LinkMessage>,
    large: mpsc::Sender<Large>,
    /// Who has gone, as the other side was told: their short names are to be closed.
    gone: Mutex<Vec<(RoomName, ParticipantId)>>,
    /// When something last came from the other edge, and the round trip then.
    heard: Mutex<(Instant, Duration)>,
    /// The other edge stops soon.
    draining: AtomicBool,
    /// Cancelled when the link is to end.
    over: CancellationToken,
}

impl PeerLink {
    /// A link, and what its tasks take from.
    pub(crate) fn new(now: Instant, edge: EdgeId, over: CancellationToken) -> (Self, PeerQueues) {
        let (control_in, control) = mpsc::channel(LINK_CONTROL);
        let (large_in, large) = mpsc::channel(LINK_LARGE);
        let link = Self {
            edge,
            media: Outbox::for_link(),
            rooms: Mutex::default(),
            control: control_in,
            large: large_in,
            gone: Mutex::default(),
            heard: Mutex::new((now, Duration::ZERO)),
            draining: AtomicBool::new(false),
            over,
        };
        (link, PeerQueues { control, large })
    }

    /// The edge at the other end.
    pub(crate) const fn edge(&self) -> &EdgeId {
        &self.edge
    }

    /// Queues a chunk, or drops by the rule of its class.
    pub(crate) fn forward(&self, now: Instant, room: &RoomName, class: Class, frame: &Frame) {
        self.rooms()
            .entry(frame.sender())
            .or_insert_with(|| room.clone());
        self.media.push(now, class, frame);
    }

    /// Queues a frame of a v1 type, or drops it.
    pub(crate) fn forward_v1(&self, room: &RoomName, frame: Frame) {
        self.send_large(room, LargeKind::V1(frame), "link_v1");
    }

    /// Queues a chat image, or drops it.
    pub(crate) fn show_image(&self, room: &RoomName, image: StoredImage) {
        self.send_large(room, LargeKind::Image(image), "link_image");
    }

    fn send_large(&self, room: &RoomName, what: LargeKind, queue: &'static str) {
        let room = room.clone();
        if self.large.try_send(Large { room, what }).is_err() {
            metrics::dropped(queue, "full", 1);
        }
    }

    /// Something has come from the other edge.
    pub(crate) fn on_heard(&self, now: Instant, rtt: Duration) {
        *lock(&self.heard) = (now, rtt);
    }

    /// When something last did, and the round trip then.
    pub(crate) fn heard(&self) -> (Instant, Duration) {
        *lock(&self.heard)
    }

    /// Says something of a room. A link on which too much waits ends; the next one begins anew.
    pub(crate) fn tell(&self, room: &RoomName, message: RoomMessage) {
        if let RoomMessage::Gone(gone) = &message {
            self.close_name(room, gone.id);
        }
        self.say(LinkMessage::Room {
            room: room.clone(),
            message,
        });
    }

    /// The other side forgets the short name of who has gone, so this one must give another to whoever comes
    /// again under the same id.
    fn close_name(&self, room: &RoomName, participant: ParticipantId) {
        let mut gone = lock(&self.gone);
        gone.push((room.clone(), participant));
        // The sending half takes them each second at least.
        if gone.len() > LINK_CONTROL {
            metrics::dropped("link_gone", "full", 1);
            self.over.cancel();
        }
    }

    /// Who has gone since the last time it was asked.
    pub(crate) fn take_gone(&self) -> Vec<(RoomName, ParticipantId)> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Says something.
    pub(crate) fn say(&self, message: LinkMessage) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.control.try_send(message) {
            metrics::dropped("link_control", "full", 1);
            self.over.cancel();
        }
    }

    /// Somebody's track, or all of somebody who is gone, is of no use any more.
    pub(crate) fn forget(&self, now: Instant, publisher: ParticipantId, track: Option<u8>) {
        if track.is_none() {
            self.rooms().remove(&publisher);
        }
        self.media.forget(now, publisher, track);
    }

    /// What waits of media.
    pub(crate) const fn media(&self) -> &Outbox {
        &self.media
    }

    /// The room of somebody whose media waits.
    pub(crate) fn room_of(&self, participant: ParticipantId) -> Option<RoomName> {
        self.rooms().get(&participant).cloned()
    }

    /// The other edge has said that it stops soon.
    pub(crate) fn set_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Messages and bytes of media that wait, and participants whose room is known.
    #[cfg(feature = "simulation")]
    pub(crate) fn queues(&self) -> (usize, usize, usize) {
        let control = self.control.max_capacity() - self.control.capacity();
        (control, self.media.held(), self.rooms().len())
    }

    /// Ends when the link is to end.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<ParticipantId, RoomName>> {
        lock(&self.rooms)
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every statement leaves what it guards whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for PeerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerLink({})", self.edge)
    }
}
