//! Chat. Core numbers what is said, so that everybody sees it in one order; until it has, the message waits here
//! and is posted again, and its sender sees it as not sent yet.

use std::{collections::VecDeque, time::Instant};

use pulse_core::membership::{ChatBody, Incarnation, NumberedChat};
use pulse_proto::{
    Frame, ParticipantId,
    cluster::EdgeId,
    control::{self, Chat},
};

use super::{ChatContent, Effect, Member, MemberRef, Slot, State};
use crate::{
    images::StoredImage,
    limits::{CHATS_KNOWN, CHATS_WAITING, REDECLARE_INTERVAL},
    outbox::Class,
};

/// A message that core has not numbered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) id: u64,
    pub(crate) from: ParticipantId,
    pub(crate) at_ms: u64,
    pub(crate) nonce: String,
    pub(crate) content: ChatContent,
    /// As a v1 member sent it.
    original: Option<Frame>,
    slot: Slot,
}

/// What a member says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) at_ms: u64,
    pub(super) nonce: String,
    pub(super) content: ChatContent,
    pub(super) original: Option<Frame>,
}

/// What a room knows of its chat.
#[derive(Debug)]
pub(super) struct Chats {
    next_id: u64,
    waiting: VecDeque<Posted>,
    post_at: Option<Instant>,
    /// The last ones that came from core: it may say one twice.
    known: VecDeque<(EdgeId, Incarnation, u64)>,
    /// The highest number that is known.
    seq: Option<u64>,
}

impl Chats {
    /// `first_id` is higher than any that this run of the edge used for the room.
    pub(super) const fn new(first_id: u64) -> Self {
        Self {
            next_id: first_id,
            waiting: VecDeque::new(),
            post_at: None,
            known: VecDeque::new(),
            seq: None,
        }
    }

    pub(super) const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Core has said how far the chat was when this edge came to the room.
    pub(super) fn begin_at(&mut self, seq: u64) {
        self.seq.get_or_insert(seq);
    }

    pub(super) const fn post_at(&self) -> Option<Instant> {
        self.post_at
    }

    fn is_new(&mut self, edge: &EdgeId, incarnation: Incarnation, id: u64) -> bool {
        let key = (edge.clone(), incarnation, id);
        if self.known.contains(&key) {
            return false;
        }
        if self.known.len() >= CHATS_KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(key);
        true
    }
}

impl State {
    pub(super) fn on_chat(
        &mut self,
        now: Instant,
        from: MemberRef,
        said: Said,
        fx: &mut Vec<Effect>,
    ) {
        let Said {
            at_ms,
            nonce,
            content,
            original,
        } = said;
        let Some(sender) = self.member(from).map(|member| member.id) else {
            return;
        };
        if self.chats.waiting.len() >= CHATS_WAITING {
            // Its sender sees it as not sent, and may say it again.
            self.chats_refused += 1;
            return;
        }
        if let ChatContent::Image(image) = &content {
            self.peers.show_image(image, fx);
        }
        let posted = Posted {
            id: self.chats.next_id,
            from: sender,
            at_ms,
            nonce,
            content,
            original,
            slot: from.slot,
        };
        self.chats.next_id += 1;
        self.chats.waiting.push_back(posted.clone());
        self.chats.post_at.get_or_insert(now + REDECLARE_INTERVAL);
        fx.push(Effect::Post(Box::new(posted)));
    }

    /// What waits for its number is posted again.
    pub(super) fn post_due_chats(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        if self.chats.post_at.is_none_or(|at| now < at) {
            return;
        }
        self.chats.post_at = (!self.chats.waiting.is_empty()).then(|| now + REDECLARE_INTERVAL);
        let waiting = self.chats.waiting.iter().cloned();
        fx.extend(waiting.map(|posted| Effect::Post(Box::new(posted))));
    }

    /// Core has numbered a message; `image` is what it refers to, if that is here.
    pub(super) fn on_numbered(
        &mut self,
        chat: &NumberedChat,
        image: Option<StoredImage>,
        fx: &mut Vec<Effect>,
    ) {
        self.chats.seq = self.chats.seq.max(Some(chat.seq));
        let own = chat.edge == self.edge;
        let waiting = self.chats.waiting.iter();
        let at = waiting
            .map(|posted| posted.id)
            .position(|id| own && id == chat.post.id);
        let posted = at.and_then(|at| self.chats.waiting.remove(at));
        if self.chats.waiting.is_empty() {
            self.chats.post_at = None;
        }
        if !self
            .chats
            .is_new(&chat.edge, chat.incarnation, chat.post.id)
        {
            return;
        }
        let (text, reference) = match &chat.post.body {
            ChatBody::Text(text) => (Some(text.clone()), None),
            ChatBody::Image(reference) => (None, Some(reference.clone())),
        };
        let told = Chat {
            nonce: chat.post.nonce.clone(),
            seq: chat.seq,
            at: chat.post.at_ms,
            text,
            image: reference,
        };
        let frame = control::encode(chat.post.from, &told);
        self.to_all(None, |member| !member.is_v1(), Class::Control, &frame, fx);
        let content = match (&chat.post.body, image) {
            (ChatBody::Text(text), _) => ChatContent::Text(text.clone()),
            (ChatBody::Image(_), Some(image)) => ChatContent::Image(image),
            // A v1 member cannot fetch what is not here.
            (ChatBody::Image(_), None) => return,
        };
        let (sender, original) = match posted {
            Some(posted) => (self.sender_slot(&posted), posted.original),
            None => (None, None),
        };
        self.chat_to_v1(
            sender,
            chat.post.from,
            chat.post.at_ms,
            &content,
            original,
            fx,
        );
    }

    /// Where who said it still is.
    fn sender_slot(&self, posted: &Posted) -> Option<Slot> {
        self.at(posted.slot)
            .is_some_and(|member: &Member| member.id == posted.from)
            .then_some(posted.slot)
    }
}
