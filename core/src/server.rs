//! Core for a cluster: the task that owns [`Membership`], and one task for each edge that dials. An edge
//! is never waited for; whoever reads too slowly is ended and comes again.

mod session;

use std::{collections::BTreeMap, sync::Arc};

use metrics::{counter, gauge};
use pulse_proto::{
    RoomName,
    cluster::to_core::{EdgeInfo, RefusedCode},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep_until,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock,
    limits::{OWNER_INBOX, STREAM_BATCH},
    membership::{Effect, Input, Membership, SessionId, Settings, Stamp},
    outbox::Outbox,
    quic::Endpoint,
};

/// What a core is made of.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Where edges dial; it accepts [`crate::quic::Protocol::Core`].
    pub endpoint: Endpoint,
    /// Higher than that of every core before.
    pub term: u64,
    /// What an operator decides.
    pub settings: Settings,
    /// Sends every edge on to the core at this HOST:PORT.
    pub redirect: Option<String>,
}

/// How a core is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it says anything yet.
    pub issuing: bool,
    /// Its term and its last change.
    pub stamp: Stamp,
    /// Edges that it knows.
    pub edges: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
}

/// A room as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSummary {
    /// Its name, a secret.
    pub room: RoomName,
    /// Edges that hold it.
    pub edges: usize,
    /// Participants, over all of them.
    pub participants: usize,
}

/// A message to the owner of the membership.
enum Message {
    Opened {
        session: SessionId,
        outbox: Arc<Outbox>,
    },
    Input(Input),
    Closed(SessionId),
    Edges(oneshot::Sender<Vec<EdgeInfo>>),
    Rooms(oneshot::Sender<Vec<RoomSummary>>),
}

/// A way to a core of this process.
#[derive(Clone, Debug)]
pub struct Service {
    inbox: mpsc::Sender<Message>,
    health: watch::Receiver<Health>,
}

impl Service {
    /// Starts accepting, until `stop`.
    pub fn start(config: ServiceConfig, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (inbox, messages) = mpsc::channel(OWNER_INBOX);
        let (told, health) = watch::channel(Health::default());
        let owner = Owner {
            membership: Membership::new(config.term, config.settings.clone()),
            outboxes: BTreeMap::new(),
            told,
        };
        tasks.spawn(owner.run(messages, stop.clone()));
        tasks.spawn(session::accept(config, inbox.clone(), tasks.clone(), stop));
        Self { inbox, health }
    }

    /// How it is.
    pub fn health(&self) -> Health {
        *self.health.borrow()
    }

    /// The same, and every change of it.
    pub fn watch(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The edges that it knows; none once it has stopped.
    pub async fn edges(&self) -> Vec<EdgeInfo> {
        let (answer, answered) = oneshot::channel();
        let _ = self.inbox.send(Message::Edges(answer)).await;
        answered.await.unwrap_or_default()
    }

    /// The rooms with somebody in them; none once it has stopped.
    pub async fn rooms(&self) -> Vec<RoomSummary> {
        let (answer, answered) = oneshot::channel();
        let _ = self.inbox.send(Message::Rooms(answer)).await;
        answered.await.unwrap_or_default()
    }
}

struct Owner {
    membership: Membership,
    outboxes: BTreeMap<SessionId, Arc<Outbox>>,
    told: watch::Sender<Health>,
}

impl Owner {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(STREAM_BATCH);
        let mut effects = Vec::new();
        loop {
            let due = self.membership.next_timeout();
            let timer = async {
                match due {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            // Time is up only for those whose messages have all been read.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                count = messages.recv_many(&mut batch, STREAM_BATCH) => {
                    if count == 0 {
                        break;
                    }
                }
                () = timer => {
                    self.membership.handle(clock::now(), Input::Timeout, &mut effects);
                }
            }
            for message in batch.drain(..) {
                self.on_message(message, &mut effects);
            }
            self.apply(&mut effects);
            self.tell_health();
        }
        for outbox in self.outboxes.values() {
            outbox.end(RefusedCode::Stopping);
        }
    }

    fn on_message(&mut self, message: Message, effects: &mut Vec<Effect>) {
        let now = clock::now();
        match message {
            Message::Opened { session, outbox } => {
                self.outboxes.insert(session, outbox);
            }
            Message::Input(input) => self.membership.handle(now, input, effects),
            Message::Closed(session) => {
                self.outboxes.remove(&session);
                self.membership
                    .handle(now, Input::Lost { session }, effects);
            }
            // Whoever asked may be gone.
            Message::Edges(answer) => {
                let _ = answer.send(self.membership.edges());
            }
            Message::Rooms(answer) => {
                let rooms = self.membership.rooms();
                let summaries = rooms.map(|(room, edges, participants)| RoomSummary {
                    room: room.clone(),
                    edges,
                    participants,
                });
                let _ = answer.send(summaries.collect());
            }
        }
    }

    fn apply(&self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { to, message } => {
                    if let Some(outbox) = self.outboxes.get(&to) {
                        outbox.push(message);
                    }
                }
                Effect::End { session, code } => {
                    if let Some(outbox) = self.outboxes.get(&session) {
                        outbox.end(code);
                    }
                }
                Effect::Dropped(cause) => {
                    counter!("pulse_core_dropped_total", "cause" => cause).increment(1);
                }
            }
        }
    }

    fn tell_health(&self) {
        let health = Health {
            issuing: self.membership.is_issuing(),
            stamp: self.membership.stamp(),
            edges: self.membership.edge_count(),
            rooms: self.membership.rooms().len(),
        };
        gauge!("pulse_core_edges").set(health.edges as f64);
        gauge!("pulse_core_rooms").set(health.rooms as f64);
        gauge!("pulse_core_issuing").set(if health.issuing { 1.0 } else { 0.0 });
        self.told.send_if_modified(|told| {
            let changed = *told != health;
            *told = health;
            changed
        });
    }
}
