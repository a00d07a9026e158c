//! A whole edge for simulations: rooms, links and the way to core as they ship, over endpoints that somebody
//! else made. Members come in here as a session would bring them in; there is no HTTP and no WebSocket.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use pulse_core::quic::{Endpoint, Transport};
use pulse_proto::{
    DisplayName, ErrorCode, Frame, ParticipantId, RoomName,
    cluster::{EdgeId, Region},
    control::{KeyframeRequest, LeaveReason, Protocol, Subscribe, TrackConfig, TrackStop, Update},
    media::MediaHeader,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backbone::links::Links,
    clock,
    cluster::{Backbone, Cluster, Known},
    directory::{Directory, PublicEdge},
    limits::{LINK_CONTROL, LINK_STREAMS, ROOM_INBOX},
    outbox::{Ending, Outbox},
    random,
    room::{
        Admitted, ChatContent, ConnectionId, Decodes, Input, JoinRequest, MemberRef, RoomContext,
        RoomHandle,
    },
    rooms::Rooms,
};

/// From now on all randomness of this thread's edges follows from this.
pub fn seed(seed: u64) {
    random::seeded::begin(seed);
}

/// The transport that an endpoint for links needs.
pub const fn link_transport() -> Transport {
    Transport::media(LINK_STREAMS)
}

/// What an edge is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Its name.
    pub edge: EdgeId,
    /// Where it stands.
    pub region: Region,
    /// The cluster that it belongs to.
    pub cluster: String,
    /// For links; it accepts [`pulse_core::quic::Protocol::Edge`].
    pub links: Endpoint,
    /// Where others dial it.
    pub links_at: SocketAddr,
    /// What dials core.
    pub to_core: Endpoint,
    /// Where core may be.
    pub core: Vec<String>,
    /// The wall time there, in ms since 1970.
    pub wall_ms: u64,
}

/// How much waits at an edge, and how much may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Inputs of the room that is furthest behind.
    pub room_inbox: usize,
    /// Messages of the link on which most wait.
    pub link_control: usize,
    /// Bytes of media of the link on which most wait.
    pub link_media: usize,
    /// Participants that the link which remembers most remembers the room of.
    pub link_names: usize,
    /// Rooms.
    pub rooms: usize,
}

impl Queues {
    /// What may wait as inputs of a room.
    pub const ROOM_INBOX_MAX: usize = ROOM_INBOX;
    /// What may wait as messages of a link.
    pub const LINK_CONTROL_MAX: usize = LINK_CONTROL;
}

/// A running edge.
#[derive(Debug)]
pub struct SimulatedEdge {
    rooms: Rooms,
    links: Links,
    core: pulse_core::handle::CoreHandle,
    connections: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl SimulatedEdge {
    /// Starts everything.
    pub fn start(parts: Parts) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let public_url = format!("https://{}.example.org", parts.edge.as_str());
        let directory = Directory::new(PublicEdge {
            id: parts.edge.clone(),
            region: parts.region.clone(),
            url: public_url.clone(),
            draining: false,
        });
        let known = Known {
            edge: parts.edge.clone(),
            region: parts.region,
            cluster: parts.cluster,
            public_url,
            max_connections: 1_000,
        };
        let backbone = Backbone {
            endpoint: parts.links,
            at: parts.links_at,
            to_core: parts.to_core,
            core: parts.core,
        };
        let cluster = Cluster::over(known, Some(backbone), parts.wall_ms, &tasks, &stop);
        let (core, links) = (cluster.core.clone(), cluster.links.clone());
        let context = RoomContext {
            edge: parts.edge,
            core: core.clone(),
            links: links.clone(),
            max_participants: 100,
            made: Arc::default(),
            participants: Arc::default(),
        };
        let rooms = Rooms::new(context, tasks.clone());
        let drain = CancellationToken::new();
        cluster.run(rooms.clone(), directory, drain, &tasks, &stop);
        Self {
            rooms,
            links,
            core,
            connections: Arc::new(AtomicU64::new(1)),
            stop,
        }
    }

    /// Stops it. Whether others hear of that is the network's affair.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// The edges that it has a link with.
    pub fn links(&self) -> Vec<EdgeId> {
        let links = self.links.all();
        links.iter().map(|link| link.edge().clone()).collect()
    }

    /// Whether it is registered at a core, and the term of the one that it believed last.
    pub fn core(&self) -> (bool, u64) {
        (self.core.is_up(), self.core.term())
    }

    /// How much waits.
    pub fn queues(&self) -> Queues {
        let mut queues = self.rooms.queues();
        for link in self.links.all() {
            let (control, media, names) = link.queues();
            queues.link_control = queues.link_control.max(control);
            queues.link_media = queues.link_media.max(media);
            queues.link_names = queues.link_names.max(names);
        }
        queues
    }

    /// Somebody comes in, or comes back by the token of an earlier welcome.
    ///
    /// # Errors
    /// What a client would be told.
    pub async fn join(
        &self,
        room: &RoomName,
        name: &DisplayName,
        resume: Option<String>,
    ) -> Result<SimulatedMember, ErrorCode> {
        let connection = ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed));
        let outbox = Arc::new(Outbox::new(false));
        let request = JoinRequest {
            connection,
            protocol: Protocol::V2,
            id: random::participant_id(),
            name: name.clone(),
            v1_bridge: false,
            demand: false,
            decodes: Decodes::NONE,
            resume,
            token: random::token(),
            uploads: random::token(),
            whereabouts: crate::directory::Whereabouts::default(),
        };
        loop {
            let handle = self.rooms.get_or_create(room);
            let Ok(answer) = handle.join(request.clone(), outbox.clone()).await else {
                continue;
            };
            let Admitted { slot, id } = answer?;
            return Ok(SimulatedMember {
                id,
                from: MemberRef { slot, connection },
                room: handle,
                outbox,
            });
        }
    }
}

impl Drop for SimulatedEdge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A member's connection, as the session that serves it would hold it.
#[derive(Debug)]
pub struct SimulatedMember {
    id: ParticipantId,
    from: MemberRef,
    room: RoomHandle,
    outbox: Arc<Outbox>,
}

impl SimulatedMember {
    /// Who it is.
    pub const fn id(&self) -> ParticipantId {
        self.id
    }

    /// Everything that waits for it leaves. Says whether its connection ends, and why.
    pub fn take(&self, frames: &mut Vec<Bytes>) -> Option<Option<ErrorCode>> {
        let now = clock::now();
        let mut batch = Vec::new();
        loop {
            let (_, ending) = self.outbox.take(now, 0, i64::MAX, &mut batch);
            if batch.is_empty() {
                return ending.map(|ending| match ending {
                    Ending::Left => None,
                    Ending::Error(code) => Some(code),
                });
            }
            frames.append(&mut batch);
        }
    }

    /// Has missing pictures asked for, as a writer does that has room for them.
    pub fn seek_pictures(&self) {
        for starving in self.outbox.starving(clock::now()) {
            self.room.offer(Input::Starved {
                from: self.from,
                track: starving.track,
                keyframe: starving.keyframe,
            });
        }
    }

    /// Announces a track.
    pub async fn announce(&self, config: TrackConfig) {
        let frame = pulse_proto::control::encode(self.id, &config);
        let (from, config) = (self.from, Box::new(config));
        self.room
            .tell(Input::Track {
                from,
                config,
                frame,
            })
            .await;
    }

    /// Stops a track.
    pub async fn stop(&self, track: u8) {
        let (from, stop) = (self.from, TrackStop { track });
        let frame = pulse_proto::control::encode(self.id, &stop);
        self.room
            .tell(Input::TrackStop { from, track, frame })
            .await;
    }

    /// Sends a chunk.
    pub fn publish(&self, header: MediaHeader, frame: Frame) {
        let from = self.from;
        self.room.offer(Input::Media {
            from,
            header,
            frame,
        });
    }

    /// Says something.
    pub async fn chat(&self, at_ms: u64, nonce: String, text: String) {
        self.room
            .tell(Input::Chat {
                from: self.from,
                at_ms,
                nonce,
                content: ChatContent::Text(text),
                original: None,
            })
            .await;
    }

    /// Says something of itself.
    pub async fn update(&self, at_ms: u64, update: Update) {
        let from = self.from;
        self.room
            .tell(Input::Update {
                from,
                at_ms,
                update,
            })
            .await;
    }

    /// Says what it wants to receive.
    pub async fn subscribe(&self, wants: Subscribe) {
        let from = self.from;
        self.room.tell(Input::Subscribe { from, wants }).await;
    }

    /// Asks for a keyframe.
    pub async fn want_keyframe(&self, request: KeyframeRequest) {
        let from = self.from;
        self.room.tell(Input::Keyframe { from, request }).await;
    }

    /// Its connection is no more.
    pub async fn gone(&self, reason: LeaveReason) {
        let from = self.from;
        self.room.tell(Input::Gone { from, reason }).await;
    }
}
