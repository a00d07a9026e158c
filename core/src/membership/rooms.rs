//! The rooms: what each edge declared of them, and what all edges of a room are told.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use pulse_proto::{RoomName, cluster::to_core::MAX_ROOM_ROWS};

use super::{
    Declaration, EdgeId, EdgeRows, Effect, FromCore, Incarnation, Membership, Phase, RoomView, Row,
    SessionId, chats::History,
};
use crate::limits::MAX_ROOMS;

/// A room's name, in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(RoomName);

impl Key {
    pub(super) const fn new(name: RoomName) -> Self {
        Self(name)
    }

    pub(super) const fn name(&self) -> &RoomName {
        &self.0
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.reveal().cmp(other.0.reveal())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
struct Held {
    incarnation: Incarnation,
    session: SessionId,
    version: u64,
    rows: Vec<Row>,
    /// It came on a new connection, and is to be told the chat after this number.
    missed: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Room {
    held: BTreeMap<EdgeId, Held>,
    pub(super) chat: History,
    /// What all edges are told, made at the first of them.
    told: Option<Arc<[EdgeRows]>>,
}

impl Room {
    pub(super) fn holders(&self) -> impl Iterator<Item = &EdgeId> {
        self.held.keys()
    }

    /// The edges that hold it, and the connections on which they have said so.
    pub(super) fn declared_on(&self) -> impl Iterator<Item = (&EdgeId, SessionId)> {
        self.held.iter().map(|(edge, held)| (edge, held.session))
    }

    pub(super) fn is_held_by(&self, edge: &EdgeId) -> bool {
        self.held.contains_key(edge)
    }

    pub(super) fn edges(&self) -> usize {
        self.held.len()
    }

    pub(super) fn participants(&self) -> usize {
        self.held.values().map(|held| held.rows.len()).sum()
    }

    fn participants_beside(&self, edge: &EdgeId) -> usize {
        let others = self.held.iter().filter(|(id, _)| *id != edge);
        others.map(|(_, held)| held.rows.len()).sum()
    }

    fn view(&mut self) -> Arc<[EdgeRows]> {
        let held = &self.held;
        self.told
            .get_or_insert_with(|| {
                held.iter()
                    .map(|(edge, held)| EdgeRows {
                        edge: edge.clone(),
                        incarnation: held.incarnation,
                        rows: held.rows.clone(),
                    })
                    .collect()
            })
            .clone()
    }
}

impl Membership {
    pub(super) fn on_declare(
        &mut self,
        session: SessionId,
        declaration: Declaration,
        fx: &mut Vec<Effect>,
    ) {
        let Declaration {
            room,
            version,
            chat_seq,
            rows,
        } = declaration;
        let Some(edge) = self.edge_of(session) else {
            return;
        };
        let (id, incarnation) = (edge.card.edge.clone(), edge.card.incarnation);
        let key = Key::new(room);
        let known = self.rooms.get_mut(&key);
        let others = known
            .as_ref()
            .map_or(0, |room| room.participants_beside(&id));
        let held = known.and_then(|room| room.held.get_mut(&id));
        let mut missed = chat_seq;
        let was_held = held.is_some();
        if let Some(held) = held {
            if held.session == session {
                missed = held.missed;
            }
            if held.version >= version {
                if let Some(edge) = self.edges.get_mut(&id) {
                    edge.confirm(&key, true);
                }
                // Declared again because the answer was lost: say it again, change nothing else.
                (held.session, held.missed) = (session, missed);
                self.tell_missed(&key, fx);
                return self.tell(&key, &id, session, version, fx);
            }
        }
        if rows.is_empty() {
            self.drop_rows_in(&key, &id, fx);
            if was_held {
                // Perhaps it was the last that heard of another.
                self.review(fx);
            }
            return self.tell(&key, &id, session, version, fx);
        }
        if !self.rooms.contains_key(&key) && self.rooms.len() >= MAX_ROOMS {
            return fx.push(Effect::Dropped("rooms"));
        }
        if others + rows.len() > MAX_ROOM_ROWS {
            return fx.push(Effect::Dropped("rows"));
        }
        let room = self.rooms.entry(key.clone()).or_default();
        room.chat.lift(chat_seq.unwrap_or(0));
        room.held.insert(
            id.clone(),
            Held {
                incarnation,
                session,
                version,
                rows,
                missed,
            },
        );
        if let Some(edge) = self.edges.get_mut(&id) {
            edge.confirm(&key, true);
        }
        self.tell_missed(&key, fx);
        self.changed(&key, fx);
    }

    /// Tells edges that have come to a room again what was said there in between.
    pub(super) fn tell_missed(&mut self, key: &Key, fx: &mut Vec<Effect>) {
        let term = self.stamp.term;
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if self.phase != Phase::Issuing {
            return;
        }
        for (id, held) in &mut room.held {
            let session = self.edges.get(id).and_then(|edge| edge.session);
            if let (Some(seen), Some(to)) = (held.missed.take(), session) {
                fx.extend(room.chat.after(seen).map(|chat| Effect::Send {
                    to,
                    message: FromCore::Chat {
                        term,
                        chat: chat.clone(),
                    },
                }));
            }
        }
    }

    /// All rows of an edge are void.
    pub(super) fn drop_rows(&mut self, id: &EdgeId, fx: &mut Vec<Effect>) {
        let rooms: Vec<Key> = self
            .edges
            .get(id)
            .map(|edge| edge.rooms.iter().cloned().collect())
            .unwrap_or_default();
        for key in rooms {
            self.drop_rows_in(&key, id, fx);
        }
    }

    /// The rows of an edge in one room are void.
    pub(super) fn drop_rows_in(&mut self, key: &Key, id: &EdgeId, fx: &mut Vec<Effect>) {
        if let Some(edge) = self.edges.get_mut(id) {
            edge.confirm(key, false);
        }
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if room.held.remove(id).is_none() {
            return;
        }
        if room.held.is_empty() {
            self.rooms.remove(key);
        }
        self.changed(key, fx);
    }

    /// Tells the edges of a room what it is now.
    pub(super) fn changed(&mut self, key: &Key, fx: &mut Vec<Effect>) {
        self.stamp.epoch += 1;
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.told = None;
        if self.phase != Phase::Issuing {
            return;
        }
        self.issued = true;
        let edges = room.view();
        let (stamp, rules, chat_seq) = (self.stamp, self.settings.rules, room.chat.last());
        for (id, session) in Self::sessions_of(&self.edges, room.held.keys()) {
            let version = room.held.get(id).map_or(0, |held| held.version);
            fx.push(Effect::Send {
                to: session,
                message: FromCore::View(RoomView {
                    stamp,
                    room: key.name().clone(),
                    version,
                    chat_seq,
                    edges: edges.clone(),
                    rules,
                }),
            });
        }
    }

    /// Tells one edge, which has declared this version.
    fn tell(
        &mut self,
        key: &Key,
        id: &EdgeId,
        session: SessionId,
        version: u64,
        fx: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Issuing {
            return;
        }
        let room = self.rooms.get_mut(key);
        // An edge without members there need not know who else is.
        let (edges, chat_seq) = match room {
            Some(room) if room.is_held_by(id) => (room.view(), room.chat.last()),
            _ => (Arc::default(), 0),
        };
        fx.push(Effect::Send {
            to: session,
            message: FromCore::View(RoomView {
                stamp: self.stamp,
                room: key.name().clone(),
                version,
                chat_seq,
                edges,
                rules: self.settings.rules,
            }),
        });
    }
}
