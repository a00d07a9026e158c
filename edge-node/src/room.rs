//! The task that owns one room: it feeds [`State`] and carries out its effects. It never awaits
//! anything but its own inbox and timer; connections wait for it, never the other way round.

mod cache;
mod early;
mod share;
mod state;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use pulse_core::{
    handle::CoreHandle,
    membership::{ChatBody, ChatPost, Declaration, EdgeId, NumberedChat, RoomView},
};
use pulse_proto::{ErrorCode, FrameType, ParticipantId, RoomName};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};

pub(crate) use self::state::{
    ChatContent, ConnectionId, Decodes, Input, JoinRequest, MemberRef, PeerInput, Slot,
};
use self::state::{Effect, Posted, State};
use crate::{
    backbone::{links::Links, peer::PeerLink},
    clock,
    images::RoomImages,
    limits::{REDECLARE_INTERVAL, ROOM_BATCH, ROOM_INBOX},
    metrics,
    outbox::{Class, Outbox},
};

/// A connection has become a member.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) slot: Slot,
    pub(crate) id: ParticipantId,
}

/// A message to a room.
#[derive(Debug)]
pub(crate) enum Message {
    /// What happens to its state.
    Input(Input, Instant),
    /// Somebody asks to come in, and wants to know.
    Join {
        request: Box<JoinRequest>,
        outbox: Arc<Outbox>,
        answer: oneshot::Sender<Result<Admitted, ErrorCode>>,
    },
    /// What core says of the room, this edge's rows up to a version included.
    View(Box<RoomView>),
    /// Core knows nothing of this edge's rows.
    Redeclare,
    /// There is a link with another edge.
    LinkUp(Arc<PeerLink>),
    /// There is none any more.
    LinkDown(Arc<PeerLink>),
}

/// A way to a room.
#[derive(Clone, Debug)]
pub(crate) struct RoomHandle {
    inbox: mpsc::Sender<Message>,
    pub(crate) images: Arc<RoomImages>,
}

/// The room ended in the meantime; ask for it again.
#[derive(Debug)]
pub(crate) struct RoomEnded;

impl RoomHandle {
    /// Comes in.
    ///
    /// # Errors
    /// Outer: the room has ended. Inner: it refuses.
    pub(crate) async fn join(
        &self,
        request: JoinRequest,
        outbox: Arc<Outbox>,
    ) -> Result<Result<Admitted, ErrorCode>, RoomEnded> {
        let (answer, admitted) = oneshot::channel();
        let message = Message::Join {
            request: Box::new(request),
            outbox,
            answer,
        };
        self.inbox.send(message).await.map_err(|_| RoomEnded)?;
        admitted.await.map_err(|_| RoomEnded)
    }

    /// Messages that wait for it.
    #[cfg(feature = "simulation")]
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.max_capacity() - self.inbox.capacity()
    }

    /// Whether the room has ended, or its task has failed.
    pub(crate) fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until the room's task is no more.
    pub(crate) async fn failed(&self) {
        self.inbox.closed().await;
    }

    /// Tells the room of something that must not be lost; waits while the room is behind, which
    /// holds up this connection alone.
    pub(crate) async fn tell(&self, input: Input) {
        // A room that has ended has no member left who could miss it.
        let _ = self.inbox.send(Message::Input(input, clock::now())).await;
    }

    /// Gives the room a media frame, or drops it if the room is behind.
    pub(crate) fn offer(&self, input: Input) {
        if self
            .inbox
            .try_send(Message::Input(input, clock::now()))
            .is_err()
        {
            metrics::inbox_full();
        }
    }

    /// There is a link with another edge.
    pub(crate) async fn link_up(&self, link: Arc<PeerLink>) {
        // A room that has ended needs none.
        let _ = self.inbox.send(Message::LinkUp(link)).await;
    }

    /// There is none any more.
    pub(crate) async fn link_down(&self, link: Arc<PeerLink>) {
        let _ = self.inbox.send(Message::LinkDown(link)).await;
    }

    /// Core has numbered a message.
    pub(crate) async fn numbered(&self, chat: NumberedChat) {
        let image = match &chat.post.body {
            ChatBody::Image(image) => self.images.get(&image.reference),
            ChatBody::Text(_) => None,
        };
        self.tell(Input::Numbered { chat, image }).await;
    }

    /// Core is to be told again who is here.
    pub(crate) async fn redeclare(&self) {
        let _ = self.inbox.send(Message::Redeclare).await;
    }

    /// Passes on what core said; what finds the room behind is said again.
    pub(crate) fn view(&self, view: RoomView) {
        let _ = self.inbox.try_send(Message::View(Box::new(view)));
    }
}

/// What a room needs to know of its edge.
#[derive(Clone, Debug)]
pub(crate) struct RoomContext {
    pub(crate) edge: EdgeId,
    pub(crate) core: CoreHandle,
    pub(crate) links: Links,
    pub(crate) max_participants: usize,
    /// Rooms that this run of the edge has made.
    pub(crate) made: Arc<AtomicU64>,
    /// Participants in all of them.
    pub(crate) participants: Arc<AtomicU64>,
}

impl RoomContext {
    /// Where a new room begins to number what its members say, and what it declares: higher than all before of
    /// this run.
    fn first_number(&self) -> u64 {
        (self.made.fetch_add(1, Ordering::Relaxed) + 1) << 32
    }
}

/// Owns one room.
#[derive(Debug)]
pub(crate) struct RoomTask {
    name: RoomName,
    context: RoomContext,
    inbox: mpsc::Receiver<Message>,
    state: State,
    outboxes: Vec<Option<Arc<Outbox>>>,
    links: BTreeMap<EdgeId, Arc<PeerLink>>,
    joining: HashMap<ConnectionId, Joining>,
    /// This edge's rows: their version, and when core was told of them without an answer yet.
    declared: u64,
    declared_at: Option<Instant>,
    participants: usize,
}

#[derive(Debug)]
struct Joining {
    outbox: Arc<Outbox>,
    answer: oneshot::Sender<Result<Admitted, ErrorCode>>,
}

impl RoomTask {
    /// An empty room and the way to it. It ends when [`RoomTask::run`] returns.
    pub(crate) fn new(name: RoomName, context: RoomContext) -> (Self, RoomHandle) {
        let (sender, inbox) = mpsc::channel(ROOM_INBOX);
        let first = context.first_number();
        metrics::rooms(1.0);
        let handle = RoomHandle {
            inbox: sender,
            images: Arc::default(),
        };
        let task = Self {
            state: State::new(context.edge.clone(), context.max_participants, first),
            name,
            context,
            inbox,
            outboxes: Vec::new(),
            links: BTreeMap::new(),
            joining: HashMap::new(),
            // The end of the room before it under this name may not have come to core.
            declared: first,
            declared_at: None,
            participants: 0,
        };
        (task, handle)
    }

    /// Runs until the last member has left and `close` agrees. `close` is asked with nothing in the
    /// inbox, and makes sure that nobody finds the room any more.
    pub(crate) async fn run(mut self, close: impl Fn(&RoomName, &mpsc::Receiver<Message>) -> bool) {
        let mut messages = Vec::with_capacity(ROOM_BATCH);
        let mut effects = Vec::new();
        // Those that come from here on are told to this room too; twice does no harm.
        for link in self.context.links.all() {
            self.on_message(clock::now(), Message::LinkUp(link), &mut effects);
        }
        loop {
            let due = self.next_timeout();
            let timer = async {
                match due {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let timed_out = tokio::select! {
                biased;
                // A room that is always busy has its timeouts too.
                () = timer => true,
                _ = self.inbox.recv_many(&mut messages, ROOM_BATCH) => false,
            };
            let now = clock::now();
            if timed_out {
                self.state.handle(now, Input::Timeout, &mut effects);
                self.apply(now, &mut effects);
            }
            for message in messages.drain(..) {
                self.on_message(now, message, &mut effects);
                self.apply(now, &mut effects);
            }
            metrics::thinned(self.state.take_thinned());
            for (cause, count) in self.state.take_refused() {
                if count > 0 {
                    metrics::dropped("room", cause, count);
                }
            }
            if self
                .declared_at
                .is_some_and(|at| now >= at + REDECLARE_INTERVAL)
            {
                self.declare(now);
            }
            if self.state.is_empty() && close(&self.name, &self.inbox) {
                self.declare(now);
                return;
            }
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let redeclare = self.declared_at.map(|at| at + REDECLARE_INTERVAL);
        self.state.next_timeout().into_iter().chain(redeclare).min()
    }

    fn on_message(&mut self, now: Instant, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Input(input, arrived) => {
                if matches!(input, Input::Media { .. }) {
                    metrics::forwarded(now.saturating_duration_since(arrived).as_secs_f64());
                }
                self.state.handle(now, input, effects);
            }
            Message::Join {
                request,
                outbox,
                answer,
            } => {
                self.joining
                    .insert(request.connection, Joining { outbox, answer });
                self.state.handle(now, Input::Join(request), effects);
            }
            Message::View(view) => self.on_view(now, *view, effects),
            Message::Redeclare => self.declare(now),
            Message::LinkUp(link) => {
                let edge = link.edge().clone();
                let known = self.links.insert(edge.clone(), link.clone());
                if known.is_none_or(|known| !Arc::ptr_eq(&known, &link)) {
                    let heard = PeerInput::Up;
                    self.state.handle(now, Input::Peer { edge, heard }, effects);
                }
            }
            Message::LinkDown(link) => {
                let known = self.links.get(link.edge());
                if known.is_some_and(|known| Arc::ptr_eq(known, &link)) {
                    let edge = link.edge().clone();
                    self.links.remove(&edge);
                    let heard = PeerInput::Down;
                    self.state.handle(now, Input::Peer { edge, heard }, effects);
                }
            }
        }
    }

    fn on_view(&mut self, now: Instant, view: RoomView, effects: &mut Vec<Effect>) {
        if view.version >= self.declared {
            self.declared_at = None;
        }
        let others = view
            .edges
            .iter()
            .filter(|held| held.edge != self.context.edge);
        let edges = others
            .map(|held| {
                let rows = held.rows.iter().map(|row| row.participant);
                (held.edge.clone(), rows.collect())
            })
            .collect();
        let (stamp, chat_seq) = (view.stamp, view.chat_seq);
        let input = Input::View {
            stamp,
            chat_seq,
            edges,
        };
        self.state.handle(now, input, effects);
    }

    fn apply(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut changed = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { slot, class, frame } => {
                    if let Some(outbox) = self.outbox(slot) {
                        outbox.push(now, class, &frame);
                        match (class, frame.kind()) {
                            (Class::Control, FrameType::KeyframeRequest) => {
                                metrics::keyframe_request();
                            }
                            (Class::Control, FrameType::Demand) => metrics::demand(),
                            _ => {}
                        }
                    }
                }
                Effect::Admit {
                    connection,
                    slot,
                    id,
                } => {
                    let Some(Joining { outbox, answer }) = self.joining.remove(&connection) else {
                        continue;
                    };
                    if self.outboxes.len() <= slot.0 {
                        self.outboxes.resize(slot.0 + 1, None);
                    }
                    if let Some(place) = self.outboxes.get_mut(slot.0) {
                        *place = Some(outbox);
                    }
                    // Whoever asked may be gone by now; its connection says so itself.
                    let _ = answer.send(Ok(Admitted { slot, id }));
                }
                Effect::Refuse { connection, code } => {
                    if let Some(joining) = self.joining.remove(&connection) {
                        let _ = joining.answer.send(Err(code));
                    }
                }
                Effect::End { slot, ending } => {
                    if let Some(outbox) = self.outbox(slot) {
                        outbox.end(ending);
                    }
                }
                Effect::Detach { slot } => {
                    if let Some(place) = self.outboxes.get_mut(slot.0) {
                        *place = None;
                    }
                }
                Effect::Forget {
                    to: Some(slot),
                    publisher,
                    track,
                } => {
                    if let Some(outbox) = self.outbox(slot) {
                        outbox.forget(now, publisher, track);
                    }
                }
                Effect::Forget {
                    to: None,
                    publisher,
                    track,
                } => {
                    for outbox in self.outboxes.iter().flatten() {
                        outbox.forget(now, publisher, track);
                    }
                    for link in self.links.values() {
                        link.forget(now, publisher, track);
                    }
                }
                Effect::Post(posted) => self.post(*posted),
                Effect::ShowImage { edge, image } => {
                    if let Some(link) = self.links.get(&edge) {
                        link.show_image(&self.name, image);
                    }
                }
                Effect::Tell { edge, message } => {
                    if let Some(link) = self.links.get(&edge) {
                        link.tell(&self.name, message);
                    }
                }
                Effect::Forward { edge, class, frame } => {
                    if let Some(link) = self.links.get(&edge) {
                        link.forward(now, &self.name, class, &frame);
                    }
                }
                Effect::ForwardV1 { edge, frame } => {
                    if let Some(link) = self.links.get(&edge) {
                        link.forward_v1(&self.name, frame);
                    }
                }
                Effect::Declare => changed = true,
            }
        }
        if changed {
            self.declared += 1;
            self.declare(now);
            let participants = self.state.rows().count();
            self.count(participants);
        }
    }

    /// Brings the counts of participants up to date.
    fn count(&mut self, participants: usize) {
        metrics::participants(participants as f64 - self.participants as f64);
        let all = &self.context.participants;
        all.fetch_add(participants as u64, Ordering::Relaxed);
        all.fetch_sub(self.participants as u64, Ordering::Relaxed);
        self.participants = participants;
    }

    fn outbox(&self, slot: Slot) -> Option<&Arc<Outbox>> {
        self.outboxes.get(slot.0)?.as_ref()
    }

    fn post(&self, posted: Posted) {
        let body = match posted.content {
            ChatContent::Text(text) => ChatBody::Text(text),
            ChatContent::Image(image) => ChatBody::Image(image.describe()),
        };
        let chat = ChatPost {
            room: self.name.clone(),
            id: posted.id,
            from: posted.from,
            name: None,
            at_ms: posted.at_ms,
            nonce: posted.nonce,
            body,
        };
        // It is posted again until it comes back.
        if let Err(error) = self.context.core.post(chat) {
            tracing::debug!(%error, "core did not take a message");
        }
    }

    fn declare(&mut self, now: Instant) {
        let declaration = Declaration {
            room: self.name.clone(),
            version: self.declared,
            chat_seq: self.state.chat_seq(),
            rows: self.state.rows().collect(),
        };
        self.declared_at = Some(now);
        // Calls go on without core: whatever it misses now, the timer declares again.
        if let Err(error) = self.context.core.declare(declaration) {
            tracing::debug!(%error, "core did not take a declaration");
        }
    }
}

impl Drop for RoomTask {
    fn drop(&mut self) {
        metrics::rooms(-1.0);
        self.count(0);
    }
}
