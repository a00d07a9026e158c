//! Core inside the process of its one edge: the same [`Membership`] as the service runs.

use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::{EdgeSide, Ends, Message};
use crate::{
    clock,
    membership::{Effect, Input, Membership, Rules, SessionId, Settings},
};

/// The one there is.
const SESSION: SessionId = SessionId(1);

pub(super) async fn run(
    term: u64,
    rules: Rules,
    mut edge: EdgeSide,
    mut ends: Ends,
    stop: CancellationToken,
) {
    let settings = Settings {
        cluster: edge.cluster.clone(),
        rules,
        embedded: true,
    };
    let mut membership = Membership::new(term, settings);
    let mut effects = Vec::new();
    let (mut beats, mut watching) = (0, true);
    let hello = Box::new(edge.hello(0));
    let session = SESSION;
    membership.handle(clock::now(), Input::Hello { session, hello }, &mut effects);
    loop {
        for effect in effects.drain(..) {
            if let Effect::Send { message, .. } = effect
                && !ends.pass_on(message).await
            {
                return;
            }
        }
        let due = membership.next_timeout();
        let timer = async {
            match due {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            message = ends.messages.recv() => match message {
                Some(Message::Declare(declaration)) => Input::Declare { session, declaration },
                Some(Message::Post(post)) => Input::Chat { session, post },
                None => return,
            },
            changed = edge.status.changed(), if watching => {
                watching = changed.is_ok();
                beats += 1;
                let heartbeat = edge.heartbeat(beats);
                Input::Heartbeat { session, heartbeat }
            }
            () = timer => Input::Timeout,
        };
        membership.handle(clock::now(), input, &mut effects);
    }
}
