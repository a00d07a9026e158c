//! One link with another edge, as rooms see it: media that may be dropped, messages that may not, and v1's
//! large frames. Whoever gives it something never waits; what carries it away is the link's own tasks.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
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
    limits::{LINK_CONTROL, LINK_V1},
    metrics,
    outbox::{Class, Outbox},
};

/// A v1 frame on its way.
#[derive(Debug)]
pub(crate) struct V1Frame {
    pub(crate) room: RoomName,
    pub(crate) frame: Frame,
}

/// What the link's tasks take from.
#[derive(Debug)]
pub(crate) struct PeerQueues {
    pub(crate) control: mpsc::Receiver<LinkMessage>,
    pub(crate) v1: mpsc::Receiver<V1Frame>,
}

/// A link.
pub(crate) struct PeerLink {
    edge: EdgeId,
    media: Outbox,
    /// In which room somebody is whose media waits.
    rooms: Mutex<HashMap<ParticipantId, RoomName>>,
    control: mpsc::Sender<LinkMessage>,
    v1: mpsc::Sender<V1Frame>,
    /// The other edge stops soon.
    draining: AtomicBool,
    /// Cancelled when the link is to end.
    over: CancellationToken,
}

impl PeerLink {
    /// A link, and what its tasks take from.
    pub(crate) fn new(edge: EdgeId, over: CancellationToken) -> (Self, PeerQueues) {
        let (control_in, control) = mpsc::channel(LINK_CONTROL);
        let (v1_in, v1) = mpsc::channel(LINK_V1);
        let link = Self {
            edge,
            media: Outbox::for_link(),
            rooms: Mutex::default(),
            control: control_in,
            v1: v1_in,
            draining: AtomicBool::new(false),
            over,
        };
        (link, PeerQueues { control, v1 })
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
        let room = room.clone();
        if self.v1.try_send(V1Frame { room, frame }).is_err() {
            metrics::dropped("link_v1", "full", 1);
        }
    }

    /// Says something of a room. A link on which too much waits ends; the next one begins anew.
    pub(crate) fn tell(&self, room: &RoomName, message: RoomMessage) {
        self.say(LinkMessage::Room {
            room: room.clone(),
            message,
        });
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

    /// Ends when the link is to end.
    pub(crate) const fn over(&self) -> &CancellationToken {
        &self.over
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<ParticipantId, RoomName>> {
        // Every statement leaves the map whole.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PeerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerLink({})", self.edge)
    }
}
