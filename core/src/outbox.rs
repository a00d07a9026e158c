//! What waits to be told to one edge. Views of a room replace each other, so an edge that is slow for a
//! while is told less, not later; what cannot be replaced is bounded, and ends the connection when it
//! overflows. Nobody ever waits here for an edge.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use pulse_proto::{
    RoomName,
    cluster::to_core::{FromCore, RefusedCode, RoomView},
};
use tokio::sync::Notify;

use crate::limits::{OUTBOX_MESSAGES, STREAM_BATCH};

/// The queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What must all arrive, in order.
    queue: VecDeque<FromCore>,
    /// The last of each of these.
    edges: Option<FromCore>,
    ack: Option<FromCore>,
    /// The rooms of `views` in the order in which they were first changed.
    rooms: VecDeque<RoomName>,
    views: HashMap<RoomName, RoomView>,
    ending: Option<RefusedCode>,
}

/// What is to be done next with a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Write these.
    Write(Vec<Bytes>),
    /// Say why, and end it.
    End(RefusedCode),
}

impl Outbox {
    /// Takes a message, or ends the connection if too many wait.
    pub(crate) fn push(&self, message: FromCore) {
        let mut state = self.lock();
        match message {
            FromCore::View(view) => {
                let room = view.room.clone();
                if state.views.insert(room.clone(), view).is_none() {
                    state.rooms.push_back(room);
                }
            }
            FromCore::Edges { .. } => state.edges = Some(message),
            FromCore::HeartbeatAck { .. } => state.ack = Some(message),
            message if state.queue.len() < OUTBOX_MESSAGES => state.queue.push_back(message),
            _ => {
                state.ending.get_or_insert(RefusedCode::Slow);
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Ends the connection; what waits is not sent any more.
    pub(crate) fn end(&self, code: RefusedCode) {
        self.lock().ending.get_or_insert(code);
        self.wake.notify_one();
    }

    /// Waits for something to do. Nothing is lost when this is given up.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.lock().take() {
                return next;
            }
            self.wake.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every statement leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> Option<Next> {
        if let Some(code) = self.ending {
            return Some(Next::End(code));
        }
        let mut batch = Vec::new();
        while batch.len() < STREAM_BATCH {
            let Some(message) = self.pop() else { break };
            batch.push(message.encode());
        }
        (!batch.is_empty()).then_some(Next::Write(batch))
    }

    fn pop(&mut self) -> Option<FromCore> {
        let first = self.queue.pop_front();
        let first = first.or_else(|| self.ack.take());
        let first = first.or_else(|| self.edges.take());
        if first.is_some() {
            return first;
        }
        let room = self.rooms.pop_front()?;
        self.views.remove(&room).map(FromCore::View)
    }
}

#[cfg(test)]
mod tests {
    use pulse_proto::cluster::{Stamp, to_core::Rules};

    use super::*;

    fn view(room: &str, epoch: u64) -> FromCore {
        FromCore::View(RoomView {
            stamp: Stamp { term: 1, epoch },
            room: RoomName::parse(room).unwrap(),
            version: epoch,
            chat_seq: 0,
            edges: [].into(),
            rules: Rules::default(),
        })
    }

    fn redirect(number: usize) -> FromCore {
        FromCore::Redirect {
            addr: number.to_string(),
        }
    }

    #[tokio::test]
    async fn only_the_last_view_of_a_room_is_told() {
        let outbox = Outbox::default();
        outbox.push(view("a", 1));
        outbox.push(view("b", 2));
        outbox.push(view("a", 3));
        let told = [view("a", 3), view("b", 2)].map(|message| message.encode());
        assert_eq!(outbox.next().await, Next::Write(told.into()));
        outbox.push(view("a", 4));
        assert_eq!(
            outbox.next().await,
            Next::Write(vec![view("a", 4).encode()])
        );
    }

    #[tokio::test]
    async fn what_cannot_be_replaced_ends_the_connection_when_it_overflows() {
        let outbox = Outbox::default();
        for number in 0..OUTBOX_MESSAGES {
            outbox.push(redirect(number));
        }
        for epoch in 0..10_000 {
            outbox.push(view("a", epoch));
        }
        assert!(matches!(outbox.next().await, Next::Write(_)));
        for number in 0..=STREAM_BATCH {
            outbox.push(redirect(number));
        }
        assert_eq!(outbox.next().await, Next::End(RefusedCode::Slow));
    }
}
