//! Who is linked with whom: every edge with every other, the one with the smaller name dials. Keeps dialling
//! while core lists the other; takes only who is of the cluster and is expected to dial.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use pulse_core::quic::{Endpoint, Expected, PeerIdentity, Protocol};
use pulse_proto::cluster::EdgeId;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    link::{self, LinkContext},
    report,
};
use crate::{
    limits::{LINK_RETRY_MAX, LINK_RETRY_MIN},
    random,
};

/// Where the other edges are, as core says.
pub(crate) type Addresses = BTreeMap<EdgeId, SocketAddr>;

/// Keeps this edge linked until it stops.
pub(crate) async fn run(
    own: EdgeId,
    endpoint: Endpoint,
    mut addresses: watch::Receiver<Addresses>,
    context: LinkContext,
) {
    let (accepting, accepted) = (endpoint.clone(), context.clone());
    context
        .tasks
        .spawn(accept(own.clone(), accepting, accepted));
    let mut dialling: BTreeMap<EdgeId, (SocketAddr, CancellationToken)> = BTreeMap::new();
    loop {
        let wanted = addresses.borrow_and_update().clone();
        dialling.retain(|edge, (at, stop)| {
            let stays = wanted.get(edge) == Some(at);
            if !stays {
                stop.cancel();
            }
            stays
        });
        for (edge, at) in wanted.into_iter().filter(|(edge, _)| *edge > own) {
            dialling.entry(edge.clone()).or_insert_with(|| {
                let stop = context.stop.child_token();
                let of_this = LinkContext {
                    stop: stop.clone(),
                    ..context.clone()
                };
                context
                    .tasks
                    .spawn(keep(edge, at, endpoint.clone(), of_this));
                (at, stop)
            });
        }
        let changed = tokio::select! {
            biased;
            changed = addresses.changed() => changed.is_ok(),
            () = context.stop.cancelled() => false,
        };
        if !changed {
            break;
        }
    }
    context.stop.cancelled().await;
    endpoint.close(0, "stopping");
}

/// Dials one edge again and again, until told to stop.
async fn keep(edge: EdgeId, at: SocketAddr, endpoint: Endpoint, context: LinkContext) {
    let mut pause = LINK_RETRY_MIN;
    while !context.stop.is_cancelled() {
        let expected = Expected::Edge(edge.clone());
        let dialled = tokio::select! {
            biased;
            dialled = endpoint.connect(at, Protocol::Edge, &expected) => dialled,
            () = context.stop.cancelled() => return,
        };
        match dialled {
            Ok(connection) => {
                pause = LINK_RETRY_MIN;
                link::run(context.clone(), edge.clone(), connection, true).await;
            }
            Err(error) => {
                report::refused("dial", 1);
                // Once, and not each time that it fails again.
                if pause == LINK_RETRY_MIN {
                    tracing::warn!(%edge, %at, %error, "cannot reach an edge");
                }
                pause = (pause * 2).min(LINK_RETRY_MAX);
            }
        }
        tokio::select! {
            biased;
            () = sleep(jittered(pause)) => {}
            () = context.stop.cancelled() => {}
        }
    }
}

/// Half to all of it, so that edges that were cut off together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * random::share())
}

async fn accept(own: EdgeId, endpoint: Endpoint, context: LinkContext) {
    loop {
        let handshake = tokio::select! {
            biased;
            handshake = endpoint.accept() => handshake,
            () = context.stop.cancelled() => None,
        };
        let Some(handshake) = handshake else { return };
        let (own, context) = (own.clone(), context.clone());
        context.tasks.clone().spawn(async move {
            let from = handshake.remote_addr();
            let connection = match handshake.finish().await {
                Ok(connection) => connection,
                Err(error) => {
                    report::refused("handshake", 1);
                    return tracing::warn!(%from, %error, "a link was refused");
                }
            };
            match connection.identity().clone() {
                PeerIdentity::Edge { id, .. } if id < own => {
                    link::run(context, id, connection, false).await;
                }
                other => {
                    report::refused("identity", 1);
                    tracing::warn!(%from, %other, "a link was refused: it is not for it to dial");
                    connection.close(0, "not for you to dial");
                }
            }
        });
    }
}
