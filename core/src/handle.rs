//! What an edge holds of core, the same whether core runs in its process or elsewhere: a way to declare
//! rooms and to post chats, and a channel of what core says. No call waits for core, and core's silence
//! stops nothing: what is not confirmed is declared again.

mod embedded;
mod remote;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::counter;
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::remote::RemoteCore;
use crate::{
    limits::{CORE_EVENTS, CORE_INBOX},
    membership::{
        ChatPost, Declaration, EdgeCard, EdgeHello, EdgeInfo, Heartbeat, LiveLink, NumberedChat,
        RoomView, Rules, Stamp,
    },
};
use pulse_proto::cluster::to_core::{CORE_VERSION, FromCore};

/// Core did not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// It is behind.
    #[error("core is busy; say it again later")]
    Busy,
    /// There is no way to it now.
    #[error("core is not connected; say it again once it is")]
    Down,
    /// It has stopped.
    #[error("core has stopped; go on under the last rules")]
    Stopped,
}

/// What core says, or how it is with it. Each replaces the one of its kind before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreEvent {
    /// This edge is registered.
    Up {
        /// Core's term, and its last change.
        stamp: Stamp,
        /// How long core holds an edge that is silent for alive.
        lease: Duration,
    },
    /// Core is out of reach. Rooms go on under what it said last.
    Down,
    /// Every room is to be declared again. Follows each [`CoreEvent::Up`].
    Redeclare,
    /// All edges of the cluster.
    Edges(Arc<[EdgeInfo]>),
    /// What a room is now.
    View(RoomView),
    /// A chat with its number: of another edge, or one that was posted here. The same may come twice,
    /// and after a new core even under another number: its edge, run and id say that it is the same.
    Chat {
        /// The term that numbered it.
        term: u64,
        /// The chat.
        chat: NumberedChat,
    },
}

/// How an edge is, as it tells core with each heartbeat. A change is told at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeStatus {
    /// Participants there.
    pub participants: u32,
    /// Rooms there.
    pub rooms: u32,
    /// It stops soon.
    pub draining: bool,
    /// The edges that were heard of lately: no edge belongs here that was silent for 2 s.
    pub links: Vec<LiveLink>,
}

/// The edge that core is told of.
#[derive(Clone, Debug)]
pub struct EdgeSide {
    /// What everybody may know of it.
    pub card: EdgeCard,
    /// The cluster that it belongs to.
    pub cluster: String,
    /// Its version and build, for people.
    pub build: String,
    /// Participants that it has room for.
    pub capacity: u32,
    /// How it is.
    pub status: watch::Receiver<EdgeStatus>,
}

impl EdgeSide {
    fn hello(&self, highest_term: u64) -> EdgeHello {
        EdgeHello {
            version_min: 1,
            version_max: CORE_VERSION,
            cluster: self.cluster.clone(),
            card: self.card.clone(),
            build: self.build.clone(),
            capacity: self.capacity,
            highest_term,
        }
    }

    fn heartbeat(&mut self, seq: u64) -> Heartbeat {
        let status = self.status.borrow_and_update();
        Heartbeat {
            seq,
            participants: status.participants,
            rooms: status.rooms,
            draining: status.draining,
            links: status.links.clone(),
        }
    }
}

/// What an edge tells core.
#[derive(Debug)]
enum Message {
    Declare(Declaration),
    Post(ChatPost),
}

/// A way to core.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    inbox: mpsc::Sender<Message>,
    up: Arc<AtomicBool>,
    term: Arc<AtomicU64>,
}

impl CoreHandle {
    /// Starts core in this process, for one edge. `term` must be higher than that of every run before.
    pub fn embed(
        term: u64,
        rules: Rules,
        edge: EdgeSide,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<CoreEvent>) {
        let (handle, ends, events) = Self::new();
        handle.up.store(true, Ordering::Relaxed);
        handle.term.store(term, Ordering::Relaxed);
        tasks.spawn(embedded::run(term, rules, edge, ends, stop));
        (handle, events)
    }

    /// Keeps a connection to a core elsewhere, from now until `stop`.
    pub fn connect(
        remote: RemoteCore,
        edge: EdgeSide,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> (Self, mpsc::Receiver<CoreEvent>) {
        let (handle, ends, events) = Self::new();
        tasks.spawn(remote::run(remote, edge, ends, stop));
        (handle, events)
    }

    /// Declares this edge's rows of a room.
    ///
    /// # Errors
    /// [`CoreError`] if core cannot take it now; declare again later.
    pub fn declare(&self, declaration: Declaration) -> Result<(), CoreError> {
        self.send(Message::Declare(declaration))
    }

    /// Posts a chat, which comes back as [`CoreEvent::Chat`] once it has its number. Until then it is
    /// to be posted again, each second or so.
    ///
    /// # Errors
    /// [`CoreError`] if core cannot take it now; post it again later.
    pub fn post(&self, chat: ChatPost) -> Result<(), CoreError> {
        self.send(Message::Post(chat))
    }

    /// The term of the core that was believed last; 0 before any.
    pub fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// Whether this edge is registered now.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn new() -> (Self, Ends, mpsc::Receiver<CoreEvent>) {
        let (inbox, messages) = mpsc::channel(CORE_INBOX);
        let (events, received) = mpsc::channel(CORE_EVENTS);
        let up = Arc::new(AtomicBool::new(false));
        let term = Arc::new(AtomicU64::new(0));
        let ends = Ends {
            messages,
            events,
            up: up.clone(),
            term: term.clone(),
        };
        (Self { inbox, up, term }, ends, received)
    }

    fn send(&self, message: Message) -> Result<(), CoreError> {
        if !self.is_up() {
            return Err(CoreError::Down);
        }
        self.inbox.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => CoreError::Stopped,
        })
    }
}

/// The other ends of a handle's channels.
struct Ends {
    messages: mpsc::Receiver<Message>,
    events: mpsc::Sender<CoreEvent>,
    up: Arc<AtomicBool>,
    term: Arc<AtomicU64>,
}

impl Ends {
    /// Passes an event on. A view is dropped when the edge is behind: it comes again when the room
    /// declares again. For anything else this waits, which holds up this edge's way to core alone.
    ///
    /// Returns whether the edge is still there.
    async fn tell(&self, event: CoreEvent) -> bool {
        if matches!(event, CoreEvent::View(_)) {
            return match self.events.try_send(event) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    counter!("pulse_dropped_total", "queue" => "core_views", "cause" => "full")
                        .increment(1);
                    true
                }
            };
        }
        self.events.send(event).await.is_ok()
    }

    /// Passes on what core says of rooms and edges.
    async fn pass_on(&self, message: FromCore) -> bool {
        match message {
            FromCore::Welcome {
                stamp, lease_ms, ..
            } => {
                let lease = Duration::from_millis(lease_ms.into());
                self.tell(CoreEvent::Up { stamp, lease }).await
                    && self.tell(CoreEvent::Redeclare).await
            }
            FromCore::Edges { edges, .. } => self.tell(CoreEvent::Edges(edges)).await,
            FromCore::View(view) => self.tell(CoreEvent::View(view)).await,
            FromCore::Chat { term, chat } => self.tell(CoreEvent::Chat { term, chat }).await,
            // Of the connection alone.
            _ => true,
        }
    }
}
