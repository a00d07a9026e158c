//! The chat of a room in its order. Core is the one who numbers it; what an edge posts again keeps its
//! number.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    ChatBody, ChatPost, EdgeId, Effect, FromCore, Incarnation, Membership, NumberedChat, Phase,
    SessionId,
    edges::Edge,
    rooms::{Key, Room},
};
use crate::limits::{CHAT_BYTES_KEPT, CHATS_KEPT, CHATS_WAITING};

/// The last chats of a room, for edges that lost some on the way.
#[derive(Debug, Default)]
pub(super) struct History {
    last: u64,
    kept: VecDeque<NumberedChat>,
    bytes: usize,
}

impl History {
    /// The number of the last chat.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// An edge has seen this number: another core gave it.
    pub(super) fn lift(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// What came after a number.
    pub(super) fn after(&self, seq: u64) -> impl Iterator<Item = &NumberedChat> {
        self.kept.iter().filter(move |chat| chat.seq > seq)
    }

    fn find(&self, edge: &EdgeId, incarnation: Incarnation, id: u64) -> Option<&NumberedChat> {
        self.kept.iter().find(|chat| {
            chat.post.id == id && chat.incarnation == incarnation && chat.edge == *edge
        })
    }

    fn add(&mut self, edge: EdgeId, incarnation: Incarnation, post: ChatPost) -> NumberedChat {
        self.last = self.last.saturating_add(1);
        let chat = NumberedChat {
            seq: self.last,
            edge,
            incarnation,
            post: Arc::new(post),
        };
        self.bytes += size(&chat);
        self.kept.push_back(chat.clone());
        while self.kept.len() > CHATS_KEPT || self.bytes > CHAT_BYTES_KEPT {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            self.bytes -= size(&oldest);
        }
        chat
    }
}

fn size(chat: &NumberedChat) -> usize {
    let body = match &chat.post.body {
        ChatBody::Text(text) => text.len(),
        ChatBody::Image(image) => image.reference.len() + image.mime.len(),
    };
    body + size_of::<ChatPost>()
}

/// The edges that hear each chat as it is numbered, and on which connection. One that has come again on another
/// declares the room first: it is told then what it has missed, which must not come behind what is said later.
fn listening<'a>(
    edges: &'a BTreeMap<EdgeId, Edge>,
    room: &'a Room,
) -> impl Iterator<Item = (&'a EdgeId, SessionId)> {
    room.declared_on().filter(|(id, session)| {
        edges
            .get(*id)
            .is_some_and(|edge| edge.session == Some(*session))
    })
}

/// Chats that came before core says anything.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<(EdgeId, Incarnation, ChatPost)>);

impl Waiting {
    pub(super) fn take(&mut self) -> Vec<(EdgeId, Incarnation, ChatPost)> {
        std::mem::take(&mut self.0)
    }

    fn push(&mut self, edge: EdgeId, incarnation: Incarnation, post: ChatPost) -> bool {
        let fits = self.0.len() < CHATS_WAITING;
        if fits {
            self.0.push((edge, incarnation, post));
        }
        fits
    }
}

impl Membership {
    pub(super) fn on_chat(&mut self, session: SessionId, post: ChatPost, fx: &mut Vec<Effect>) {
        let Some(edge) = self.edge_of(session) else {
            return;
        };
        let (id, incarnation) = (edge.card.edge.clone(), edge.card.incarnation);
        if self.phase == Phase::Issuing {
            self.number(&id, incarnation, post, fx);
        } else if !self.waiting.push(id, incarnation, post) {
            // Its edge posts it again until it hears of it.
            fx.push(Effect::Dropped("chats_waiting"));
        }
    }

    pub(super) fn number(
        &mut self,
        id: &EdgeId,
        incarnation: Incarnation,
        post: ChatPost,
        fx: &mut Vec<Effect>,
    ) {
        let key = Key::new(post.room.clone());
        let term = self.stamp.term;
        let Some(room) = self.rooms.get_mut(&key).filter(|room| room.is_held_by(id)) else {
            return fx.push(Effect::Dropped("chat_of_no_member"));
        };
        let said = |to, chat: &NumberedChat| Effect::Send {
            to,
            message: FromCore::Chat {
                term,
                chat: chat.clone(),
            },
        };
        if let Some(chat) = room.chat.find(id, incarnation, post.id) {
            // The answer was lost: whoever posted it hears it again.
            let poster = listening(&self.edges, room).find(|(edge, _)| *edge == id);
            return fx.extend(poster.map(|(_, session)| said(session, chat)));
        }
        let chat = room.chat.add(id.clone(), incarnation, post);
        fx.extend(listening(&self.edges, room).map(|(_, session)| said(session, &chat)));
    }
}
