//! Who is in which room, over all edges. Pure: it never reads a clock or a socket. Every row has one
//! writer, the edge that holds the participant's connection, and an edge declares all its rows of a
//! room at once under a version; so declaring again changes nothing, and what was lost on the way is
//! declared again. Everything said here carries (term, epoch), which only grow.
//!
//! An edge is here while it says so: by heartbeats, each of which is a lease. When its lease has run out its
//! rows stay in the rooms of those edges that still hear of it, for then it has lost core alone.
//!
//! A core that knows nothing yet says nothing: it collects what edges declare until they have done so, or
//! one lease has passed. The same when it has heard of no edge at all for a lease, for then it was alone.

mod chats;
mod edges;
mod rooms;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub use pulse_proto::cluster::{
    EdgeId, Incarnation, Stamp,
    to_core::{
        ChatBody, ChatPost, Declaration, EdgeCard, EdgeHello, EdgeInfo, EdgeRows, FromCore,
        Heartbeat, LiveLink, NumberedChat, RefusedCode, RoomView, Row, Rules,
    },
};
use pulse_proto::{RoomName, cluster::to_core::MAX_EDGES};

use self::{
    chats::Waiting,
    edges::Edge,
    rooms::{Key, Room},
};
use crate::limits::{COLLECT_MIN, FORGET, HEARTBEAT, LEASE, STALL};

/// One connection of an edge, or the one inside its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the cluster.
    pub cluster: String,
    /// What holds in every room.
    pub rules: Rules,
    /// Its one edge is in its own process: it neither gets lost nor declares to another.
    pub embedded: bool,
}

/// What happens to core.
#[derive(Clone, Debug)]
pub enum Input {
    /// An edge introduces itself. Whoever passes this on has made sure that it is the one it names.
    Hello {
        /// Its connection.
        session: SessionId,
        /// What it says.
        hello: Box<EdgeHello>,
    },
    /// An edge is alive.
    Heartbeat {
        /// Its connection.
        session: SessionId,
        /// What it says.
        heartbeat: Heartbeat,
    },
    /// An edge says who is in a room there.
    Declare {
        /// Its connection.
        session: SessionId,
        /// What it says.
        declaration: Declaration,
    },
    /// A chat is to be numbered.
    Chat {
        /// The connection of its sender's edge.
        session: SessionId,
        /// The chat.
        post: ChatPost,
    },
    /// An edge is gone for good.
    Goodbye {
        /// Its connection.
        session: SessionId,
    },
    /// A connection is no more; the edge may come again.
    Lost {
        /// Which.
        session: SessionId,
    },
    /// [`Membership::next_timeout`] has come. To be given only when nothing else waits.
    Timeout,
}

/// What core wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell an edge.
    Send {
        /// On which connection.
        to: SessionId,
        /// What.
        message: FromCore,
    },
    /// Tell an edge why its connection ends, and end it.
    End {
        /// Which.
        session: SessionId,
        /// Why.
        code: RefusedCode,
    },
    /// Something was not taken; it is to be counted.
    Dropped(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is said yet. Since when there is an edge.
    Collecting(Option<Instant>),
    Issuing,
}

/// The membership of all rooms.
#[derive(Debug)]
pub struct Membership {
    settings: Settings,
    stamp: Stamp,
    phase: Phase,
    /// Whether anything was ever said under this term.
    issued: bool,
    edges: BTreeMap<EdgeId, Edge>,
    sessions: BTreeMap<SessionId, EdgeId>,
    rooms: BTreeMap<Key, Room>,
    waiting: Waiting,
    /// The list of edges is to be told at once, or at some time.
    list_changed: bool,
    list_due: Option<Instant>,
    /// Since when no edge has a lease, though there were some.
    alone_since: Option<Instant>,
}

impl Membership {
    /// Nobody anywhere. `term` must be higher than that of every core before.
    pub fn new(term: u64, settings: Settings) -> Self {
        let phase = if settings.embedded {
            Phase::Issuing
        } else {
            Phase::Collecting(None)
        };
        Self {
            settings,
            stamp: Stamp { term, epoch: 0 },
            phase,
            issued: false,
            edges: BTreeMap::new(),
            sessions: BTreeMap::new(),
            rooms: BTreeMap::new(),
            waiting: Waiting::default(),
            list_changed: false,
            list_due: None,
            alone_since: None,
        }
    }

    /// Takes an input and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input, fx: &mut Vec<Effect>) {
        match input {
            Input::Hello { session, hello } => self.on_hello(now, session, *hello, fx),
            Input::Heartbeat { session, heartbeat } => {
                self.on_heartbeat(now, session, heartbeat, fx);
            }
            Input::Declare {
                session,
                declaration,
            } => self.on_declare(session, declaration, fx),
            Input::Chat { session, post } => self.on_chat(session, post, fx),
            Input::Goodbye { session } => self.on_goodbye(session, fx),
            Input::Lost { session } => self.on_lost(session),
            Input::Timeout => self.on_timeout(now, fx),
        }
        self.begin_to_issue(now, fx);
        self.tell_list(now, fx);
    }

    /// When [`Input::Timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        let leases = self.edges.values().filter_map(|edge| edge.lease_until);
        let collecting = match self.phase {
            Phase::Collecting(Some(since)) => Some(since + LEASE),
            Phase::Collecting(None) | Phase::Issuing => None,
        };
        // What was collected may be whole before the lease has passed.
        let early = match self.phase {
            Phase::Collecting(Some(since)) if self.is_whole() => Some(since + COLLECT_MIN),
            Phase::Collecting(_) | Phase::Issuing => None,
        };
        let list = self.list_due.filter(|_| self.phase == Phase::Issuing);
        leases
            .chain(collecting)
            .chain(early)
            .chain(list)
            .chain(self.alone_since.map(|since| since + FORGET))
            .min()
    }

    /// Whether it says anything yet.
    pub fn is_issuing(&self) -> bool {
        self.phase == Phase::Issuing
    }

    /// Its term and its last change.
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The edges that it knows.
    pub fn edges(&self) -> Vec<EdgeInfo> {
        self.edges.values().map(Edge::info).collect()
    }

    /// How many edges it knows.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The rooms with somebody in them: their edges and participants.
    pub fn rooms(&self) -> impl ExactSizeIterator<Item = (&RoomName, usize, usize)> {
        self.rooms
            .iter()
            .map(|(key, room)| (key.name(), room.edges(), room.participants()))
    }

    fn on_timeout(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        let late = self.next_timeout().is_some_and(|due| now > due + STALL);
        if late {
            // This process stood still: nobody could renew a lease.
            for edge in self.edges.values_mut() {
                edge.lease_until = edge.lease_until.map(|_| now + LEASE);
            }
        }
        let out: Vec<EdgeId> = self
            .edges
            .iter()
            .filter(|(_, edge)| edge.lease_until.is_some_and(|until| until <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &out {
            self.lose_lease(id, fx);
        }
        if !out.is_empty() && !self.edges.values().any(Edge::is_leased) {
            // No edge was heard for a lease: it is more likely that this core was cut off than that
            // all of them died. Nothing is forgotten, and nothing said, until they are back.
            self.alone_since = Some(now);
            self.phase = Phase::Collecting(None);
        }
        if self.alone_since.is_some_and(|since| since + FORGET <= now) {
            self.alone_since = None;
            self.edges.clear();
            self.rooms.clear();
        }
        self.review(fx);
    }

    /// Ends the collecting, if it is time.
    fn begin_to_issue(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        let Phase::Collecting(Some(since)) = self.phase else {
            return;
        };
        let over = now >= since + LEASE || (now >= since + COLLECT_MIN && self.is_whole());
        if !over {
            return;
        }
        self.phase = Phase::Issuing;
        self.issued = true;
        self.list_changed = true;
        self.review(fx);
        for key in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.tell_missed(&key, fx);
            self.changed(&key, fx);
        }
        for (edge, incarnation, post) in self.waiting.take() {
            self.number(&edge, incarnation, post, fx);
        }
    }

    /// Whether every edge that is known, or heard of by one that is, has declared all its rooms.
    fn is_whole(&self) -> bool {
        let mut leased = self.edges.values().filter(|edge| edge.is_leased());
        let known = |id: &EdgeId| self.edges.get(id).is_some_and(Edge::is_leased);
        leased.all(|edge| edge.has_declared() && edge.links.iter().all(known))
            && self.edges.values().all(Edge::is_leased)
    }

    fn tell_list(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        let due = self.list_changed || self.list_due.is_some_and(|due| due <= now);
        if !due || self.phase != Phase::Issuing {
            return;
        }
        self.list_changed = false;
        self.list_due = None;
        self.stamp.epoch += 1;
        let edges: std::sync::Arc<[EdgeInfo]> = self.edges().into();
        for session in self.sessions.keys() {
            fx.push(Effect::Send {
                to: *session,
                message: FromCore::Edges {
                    stamp: self.stamp,
                    edges: edges.clone(),
                },
            });
        }
    }

    fn welcome(&self, to: SessionId) -> Effect {
        Effect::Send {
            to,
            message: FromCore::Welcome {
                cluster: self.settings.cluster.clone(),
                stamp: self.stamp,
                lease_ms: ms(LEASE),
                heartbeat_ms: ms(HEARTBEAT),
            },
        }
    }

    fn has_room_for_an_edge(&self) -> bool {
        self.edges.len() < MAX_EDGES
    }
}

fn ms(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
