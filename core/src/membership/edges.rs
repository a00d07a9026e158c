//! The edges: who is registered, on which connection, and until when it counts as alive.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use pulse_proto::cluster::to_core::{CORE_VERSION, common_version};

use super::{
    EdgeCard, EdgeHello, EdgeId, EdgeInfo, Effect, FromCore, Heartbeat, Membership, Phase,
    RefusedCode, SessionId, rooms::Key,
};
use crate::{
    limits::{LEASE, LIST_INTERVAL},
    planted::{self, Bug},
};

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) card: EdgeCard,
    capacity: u32,
    participants: u32,
    draining: bool,
    /// Rooms that it holds, by its last heartbeat; none before the first.
    told_rooms: Option<u32>,
    pub(super) session: Option<SessionId>,
    /// None: it has run out, or there is no such thing (embedded).
    pub(super) lease_until: Option<Instant>,
    embedded: bool,
    /// The edges that it hears of.
    pub(super) links: BTreeSet<EdgeId>,
    /// The rooms in which it has rows.
    pub(super) rooms: BTreeSet<Key>,
    /// Those of them that it has not declared on the connection that it has now.
    unconfirmed: BTreeSet<Key>,
}

impl Edge {
    pub(super) fn info(&self) -> EdgeInfo {
        EdgeInfo {
            card: self.card.clone(),
            draining: self.draining,
            participants: self.participants,
            capacity: self.capacity,
        }
    }

    pub(super) fn is_leased(&self) -> bool {
        self.embedded || self.lease_until.is_some()
    }

    pub(super) fn has_declared(&self) -> bool {
        self.told_rooms
            .is_some_and(|told| self.rooms.len() >= told as usize)
    }

    /// Whether it has declared as many rooms as it holds on the connection that it has now.
    fn has_confirmed(&self) -> bool {
        let declared = self.rooms.len() - self.unconfirmed.len();
        self.told_rooms
            .is_some_and(|told| declared >= told as usize)
    }

    /// It has declared a room, or has no rows there any more.
    pub(super) fn confirm(&mut self, key: &Key, held: bool) {
        self.unconfirmed.remove(key);
        if held {
            self.rooms.insert(key.clone());
        } else {
            self.rooms.remove(key);
        }
    }
}

impl Membership {
    pub(super) fn on_hello(
        &mut self,
        now: Instant,
        session: SessionId,
        hello: EdgeHello,
        fx: &mut Vec<Effect>,
    ) {
        if let Some(code) = self.refuses(session, &hello) {
            return fx.push(Effect::End { session, code });
        }
        let id = hello.card.edge.clone();
        let (mut rooms, mut links) = (BTreeSet::new(), BTreeSet::new());
        let former = self.edges.get(&id).map(|edge| edge.card.incarnation);
        match former {
            None => {}
            Some(former) => {
                let same_run = former == hello.card.incarnation;
                self.end_session_of(&id, same_run, fx);
                if !same_run {
                    // What another run of it declared is void.
                    self.drop_rows(&id, fx);
                }
                if let Some(edge) = self.edges.remove(&id)
                    && same_run
                {
                    // Until it says which rooms and links it has now.
                    (rooms, links) = (edge.rooms, edge.links);
                }
            }
        }
        self.lift_term(hello.highest_term, fx);
        let embedded = self.settings.embedded;
        let edge = Edge {
            card: hello.card,
            capacity: hello.capacity,
            participants: 0,
            draining: false,
            told_rooms: None,
            session: Some(session),
            lease_until: (!embedded).then_some(now + LEASE),
            embedded,
            links,
            unconfirmed: rooms.clone(),
            rooms,
        };
        self.edges.insert(id.clone(), edge);
        self.sessions.insert(session, id);
        self.alone_since = None;
        self.list_changed = true;
        if self.phase == Phase::Collecting(None) {
            self.phase = Phase::Collecting(Some(now));
        }
        fx.push(self.welcome(session));
    }

    fn refuses(&self, session: SessionId, hello: &EdgeHello) -> Option<RefusedCode> {
        let spoken = (hello.version_min, hello.version_max);
        if common_version((1, CORE_VERSION), spoken).is_none() {
            return Some(RefusedCode::Version);
        }
        if hello.cluster != self.settings.cluster {
            return Some(RefusedCode::Cluster);
        }
        if self.sessions.contains_key(&session) {
            return Some(RefusedCode::Protocol);
        }
        if self.issued && hello.highest_term > self.stamp.term {
            return Some(RefusedCode::Superseded);
        }
        match self.edges.get(&hello.card.edge) {
            None => (!self.has_room_for_an_edge()).then_some(RefusedCode::Full),
            Some(edge) if !edge.is_leased() => None,
            Some(edge) if edge.card.region != hello.card.region => Some(RefusedCode::Taken),
            Some(edge) if edge.card.incarnation > hello.card.incarnation => {
                Some(RefusedCode::Stale)
            }
            Some(_) => None,
        }
    }

    /// A core that has said nothing yet begins above every term that was heard of: a clock that was set
    /// back must not make its edges refuse it.
    fn lift_term(&mut self, highest: u64, fx: &mut Vec<Effect>) {
        if self.issued || highest <= self.stamp.term {
            return;
        }
        self.stamp.term = highest.saturating_add(1);
        self.stamp.epoch = 0;
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        fx.extend(sessions.into_iter().map(|session| self.welcome(session)));
    }

    fn end_session_of(&mut self, id: &EdgeId, same_run: bool, fx: &mut Vec<Effect>) {
        let session = self.edges.get_mut(id).and_then(|edge| edge.session.take());
        if let Some(session) = session {
            self.sessions.remove(&session);
            let code = if same_run {
                RefusedCode::Expired
            } else {
                RefusedCode::Stale
            };
            fx.push(Effect::End { session, code });
        }
    }

    pub(super) fn on_heartbeat(
        &mut self,
        now: Instant,
        session: SessionId,
        heartbeat: Heartbeat,
        fx: &mut Vec<Effect>,
    ) {
        let Some(edge) = self.edge_of_mut(session) else {
            return;
        };
        if edge.lease_until.is_some() {
            edge.lease_until = Some(now + LEASE);
        }
        let links: BTreeSet<EdgeId> = heartbeat.links.into_iter().map(|link| link.edge).collect();
        let fewer_links = !edge.links.is_subset(&links);
        edge.links = links;
        edge.told_rooms = Some(heartbeat.rooms);
        let drains = edge.draining != heartbeat.draining;
        let other_load = edge.participants != heartbeat.participants;
        edge.draining = heartbeat.draining;
        edge.participants = heartbeat.participants;
        // It has declared all that it holds. What it held before it came again and has not declared, it holds
        // no more.
        let ended = if edge.has_confirmed() {
            std::mem::take(&mut edge.unconfirmed)
        } else {
            BTreeSet::new()
        };
        self.list_changed |= drains;
        if other_load && self.list_due.is_none() {
            self.list_due = Some(now + LIST_INTERVAL);
        }
        if let Some(id) = self.sessions.get(&session).cloned() {
            for key in &ended {
                self.drop_rows_in(key, &id, fx);
            }
        }
        fx.push(Effect::Send {
            to: session,
            message: FromCore::HeartbeatAck {
                seq: heartbeat.seq,
                stamp: self.stamp,
            },
        });
        if fewer_links || !ended.is_empty() {
            self.review(fx);
        }
    }

    pub(super) fn on_goodbye(&mut self, session: SessionId, fx: &mut Vec<Effect>) {
        let Some(id) = self.sessions.remove(&session) else {
            return;
        };
        self.drop_rows(&id, fx);
        self.edges.remove(&id);
        self.list_changed = true;
        // What it heard of others counts no more.
        self.review(fx);
    }

    pub(super) fn on_lost(&mut self, session: SessionId) {
        if let Some(id) = self.sessions.remove(&session)
            && let Some(edge) = self.edges.get_mut(&id)
        {
            edge.session = None;
        }
    }

    /// Its connection ends too: what is declared from then on would be on top of rows that may be gone.
    pub(super) fn lose_lease(&mut self, id: &EdgeId, fx: &mut Vec<Effect>) {
        self.end_session_of(id, true, fx);
        if let Some(edge) = self.edges.get_mut(id) {
            edge.lease_until = None;
            edge.links.clear();
        }
    }

    /// Removes what nobody vouches for: the rows of edges whose lease has run out, in the rooms where no
    /// other edge hears of them; and such edges, where nobody does.
    pub(super) fn review(&mut self, fx: &mut Vec<Effect>) {
        if self.phase != Phase::Issuing {
            return;
        }
        let silent: Vec<EdgeId> = self
            .edges
            .iter()
            .filter(|(_, edge)| !edge.is_leased())
            .map(|(id, _)| id.clone())
            .collect();
        for id in silent {
            let rooms: Vec<Key> = self
                .edges
                .get(&id)
                .map(|edge| edge.rooms.iter().cloned().collect())
                .unwrap_or_default();
            for key in rooms {
                let heard = |other| self.hears(other, &id) && !planted::is(Bug::ForgetsReachable);
                let vouched = self
                    .rooms
                    .get(&key)
                    .is_some_and(|room| room.holders().any(heard));
                if !vouched && !planted::is(Bug::KeepsDead) {
                    self.drop_rows_in(&key, &id, fx);
                }
            }
            let alone = self
                .edges
                .get(&id)
                .is_some_and(|edge| edge.rooms.is_empty())
                && !self.edges.keys().any(|other| self.hears(other, &id));
            if alone {
                self.edges.remove(&id);
                self.list_changed = true;
            }
        }
    }

    fn hears(&self, other: &EdgeId, of: &EdgeId) -> bool {
        other != of
            && self
                .edges
                .get(other)
                .is_some_and(|edge| edge.is_leased() && edge.links.contains(of))
    }

    pub(super) fn edge_of(&self, session: SessionId) -> Option<&Edge> {
        self.edges.get(self.sessions.get(&session)?)
    }

    fn edge_of_mut(&mut self, session: SessionId) -> Option<&mut Edge> {
        self.edges.get_mut(self.sessions.get(&session)?)
    }

    /// The connections of some edges.
    pub(super) fn sessions_of<'a>(
        edges: &'a BTreeMap<EdgeId, Edge>,
        ids: impl Iterator<Item = &'a EdgeId>,
    ) -> impl Iterator<Item = (&'a EdgeId, SessionId)> {
        ids.filter_map(|id| Some((id, edges.get(id)?.session?)))
    }
}
