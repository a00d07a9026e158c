//! The rooms of this edge by name: created at the first join, gone with the last member. It holds
//! a lock only while it looks; it never awaits with it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use pulse_core::membership::{NumberedChat, RoomView};
use pulse_proto::RoomName;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::{
    backbone::peer::PeerLink,
    metrics,
    room::{Message, RoomContext, RoomHandle, RoomTask},
};

/// All rooms of this edge.
#[derive(Clone)]
pub(crate) struct Rooms {
    by_name: Arc<Mutex<HashMap<RoomName, RoomHandle>>>,
    context: RoomContext,
    tasks: TaskTracker,
}

impl Rooms {
    /// No rooms yet.
    pub(crate) fn new(context: RoomContext, tasks: TaskTracker) -> Self {
        Self {
            by_name: Arc::default(),
            context,
            tasks,
        }
    }

    /// The room, if somebody is in it.
    pub(crate) fn get(&self, name: &RoomName) -> Option<RoomHandle> {
        self.lock()
            .get(name)
            .filter(|room| !room.has_ended())
            .cloned()
    }

    /// The room, made now if there is none.
    pub(crate) fn get_or_create(&self, name: &RoomName) -> RoomHandle {
        let mut rooms = self.lock();
        if let Some(room) = rooms.get(name).filter(|room| !room.has_ended()) {
            return room.clone();
        }
        let (task, handle) = RoomTask::new(name.clone(), self.context.clone());
        rooms.insert(name.clone(), handle.clone());
        drop(rooms);
        let by_name = self.by_name.clone();
        self.tasks
            .spawn(task.run(move |name, inbox| close(&by_name, name, inbox)));
        handle
    }

    /// Passes what core says to the room it is about.
    pub(crate) fn on_view(&self, view: RoomView) {
        metrics::core_view();
        if let Some(room) = self.get(&view.room) {
            room.view(view);
        }
    }

    /// Tells every room of a new link.
    pub(crate) async fn link_up(&self, link: &Arc<PeerLink>) {
        for room in self.all() {
            room.link_up(link.clone()).await;
        }
    }

    /// Tells every room that a link is no more.
    pub(crate) async fn link_down(&self, link: &Arc<PeerLink>) {
        for room in self.all() {
            room.link_down(link.clone()).await;
        }
    }

    /// Core knows nothing of this edge: every room is declared again.
    pub(crate) async fn redeclare(&self) {
        for room in self.all() {
            room.redeclare().await;
        }
    }

    /// Passes a message that core has numbered to its room.
    pub(crate) async fn on_chat(&self, chat: NumberedChat) {
        if let Some(room) = self.get(&chat.post.room) {
            room.numbered(chat).await;
        }
    }

    /// Participants in all rooms.
    pub(crate) fn participants(&self) -> u32 {
        u32::try_from(self.context.participants.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// Rooms with somebody in them.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.lock().len()).unwrap_or(u32::MAX)
    }

    /// How much waits for rooms.
    #[cfg(feature = "simulation")]
    pub(crate) fn queues(&self) -> crate::simulation::Queues {
        let rooms = self.lock();
        let behind = rooms.values().map(RoomHandle::waiting);
        crate::simulation::Queues {
            room_inbox: behind.max().unwrap_or(0),
            rooms: rooms.len(),
            ..Default::default()
        }
    }

    /// All of them, by name.
    fn all(&self) -> Vec<RoomHandle> {
        let rooms = self.lock();
        let mut named: Vec<(&RoomName, &RoomHandle)> = rooms.iter().collect();
        named.sort_unstable_by(|(a, _), (b, _)| a.reveal().cmp(b.reveal()));
        named.into_iter().map(|(_, room)| room.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, RoomHandle>> {
        lock(&self.by_name)
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rooms({})", self.lock().len())
    }
}

/// Takes an empty room off the map, unless somebody has just asked to come in.
fn close(
    by_name: &Mutex<HashMap<RoomName, RoomHandle>>,
    name: &RoomName,
    inbox: &mpsc::Receiver<Message>,
) -> bool {
    let mut rooms = lock(by_name);
    // A join that is sent from here on finds its answer dropped, and asks for the room again.
    if !inbox.is_empty() {
        return false;
    }
    rooms.remove(name);
    true
}

fn lock(
    by_name: &Mutex<HashMap<RoomName, RoomHandle>>,
) -> MutexGuard<'_, HashMap<RoomName, RoomHandle>> {
    // Every statement leaves the map whole.
    by_name.lock().unwrap_or_else(PoisonError::into_inner)
}
