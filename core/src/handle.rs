//! Core inside the process of one edge: the same [`Membership`] as the service runs, owned by a task,
//! reached through bounded channels. It never waits for an edge: a view that finds an edge's channel
//! full is dropped and counted, and comes again when the edge declares again.

use std::collections::HashMap;

use metrics::counter;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::membership::{Declaration, EdgeId, Effect, Incarnation, Input, Membership, RoomView};

/// Declarations that core may be behind; an edge that finds it full declares again later.
const INBOX: usize = 1_024;

/// Views that an edge may be behind.
const VIEWS: usize = 1_024;

/// Core did not take a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoreError {
    /// It is behind.
    #[error("core is busy; declare again later")]
    Busy,
    /// It has stopped.
    #[error("core has stopped; go on under the last rules")]
    Stopped,
}

enum Message {
    Connect {
        edge: EdgeId,
        incarnation: Incarnation,
        views: mpsc::Sender<RoomView>,
    },
    Input(Input),
}

/// A way to core.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    inbox: mpsc::Sender<Message>,
}

impl CoreHandle {
    /// Starts core in this process.
    pub fn embed(term: u64, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let (inbox, messages) = mpsc::channel(INBOX);
        tasks.spawn(run(Membership::new(term), messages, stop));
        Self { inbox }
    }

    /// Registers an edge; returns what core tells it from then on.
    ///
    /// # Errors
    /// [`CoreError`] if core cannot take it now.
    pub fn register(
        &self,
        edge: EdgeId,
        incarnation: Incarnation,
    ) -> Result<mpsc::Receiver<RoomView>, CoreError> {
        let (views, receiver) = mpsc::channel(VIEWS);
        self.send(Message::Connect {
            edge,
            incarnation,
            views,
        })?;
        Ok(receiver)
    }

    /// Declares an edge's rows of a room.
    ///
    /// # Errors
    /// [`CoreError`] if core cannot take it now; declare again later.
    pub fn declare(&self, declaration: Declaration) -> Result<(), CoreError> {
        self.send(Message::Input(Input::Declare(declaration)))
    }

    fn send(&self, message: Message) -> Result<(), CoreError> {
        self.inbox.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => CoreError::Stopped,
        })
    }
}

async fn run(
    mut membership: Membership,
    mut messages: mpsc::Receiver<Message>,
    stop: CancellationToken,
) {
    let mut edges: HashMap<EdgeId, mpsc::Sender<RoomView>> = HashMap::new();
    let mut effects = Vec::new();
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            () = stop.cancelled() => None,
        };
        let input = match message {
            None => return,
            Some(Message::Input(input)) => input,
            Some(Message::Connect {
                edge,
                incarnation,
                views,
            }) => {
                edges.insert(edge.clone(), views);
                Input::Register { edge, incarnation }
            }
        };
        membership.handle(input, &mut effects);
        for Effect::View { to, view } in effects.drain(..) {
            let told = edges
                .get(&to)
                .is_some_and(|views| views.try_send(view).is_ok());
            if !told {
                counter!("pulse_dropped_total", "queue" => "core_views", "cause" => "full")
                    .increment(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulse_proto::{DisplayName, ParticipantId, RoomName};

    use super::*;
    use crate::membership::Row;

    #[tokio::test]
    async fn an_edge_hears_of_its_own_rows() {
        let core = CoreHandle::embed(1, &TaskTracker::new(), CancellationToken::new());
        let edge = EdgeId::parse("here").unwrap();
        let mut views = core.register(edge.clone(), Incarnation(1)).unwrap();
        let row = Row {
            participant: ParticipantId::from_random([1; 16]),
            name: DisplayName::parse("Ada").unwrap(),
        };
        core.declare(Declaration {
            edge: edge.clone(),
            incarnation: Incarnation(1),
            room: RoomName::parse("room").unwrap(),
            version: 3,
            rows: vec![row.clone()],
        })
        .unwrap();
        let view = views.recv().await.unwrap();
        assert_eq!((view.version, view.rows), (3, vec![(edge, row)]));
    }
}
