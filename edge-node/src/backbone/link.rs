//! One connection with another edge, from its hello to its end: brings it to the rooms, runs its tasks, and
//! takes it away again.

use std::sync::Arc;

use pulse_core::quic::{Connection, ConnectionError, RecvStream, SendStream, StreamError};
use pulse_proto::{
    backbone::{AliasError, Aliases},
    cluster::{
        ClusterError, EdgeId, Incarnation,
        codec::{Decoder, MAX_CLUSTER_MESSAGE},
        link::{LINK_VERSION, LinkHello, LinkMessage},
    },
};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    links::Links, paused, peer::PeerLink, receive::Receiver, report, send::Sender, streams,
};
use crate::{
    clock,
    limits::{LINK_HEARD, LINK_HELLO_TIMEOUT, LINK_LIFE, LINK_READ},
    random,
    rooms::Rooms,
};

/// Why a link is no more, or did not come to be.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    #[error("this edge ended it")]
    Ended,
    #[error("the other edge closed it")]
    Closed,
    #[error("{0}")]
    Lost(ConnectionError),
    #[error("its control stream broke: {0}")]
    Stream(StreamError),
    #[error("the other edge said what cannot be read: {0}")]
    Message(ClusterError),
    #[error("{0}")]
    Alias(AliasError),
    #[error("the other edge said no hello in time")]
    Silent,
    #[error("the other edge began without a hello")]
    NoHello,
    #[error("the other edge is of the cluster {0}: --cluster-id must be the same everywhere")]
    OtherCluster(String),
    #[error(
        "the other edge speaks versions {0} to {1}, this one {LINK_VERSION}: upgrade the older"
    )]
    Version(u32, u32),
}

impl LinkEnd {
    /// The `cause` of its counter.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Closed => "closed",
            Self::Lost(_) => "lost",
            Self::Stream(_) => "stream",
            Self::Message(_) => "message",
            Self::Alias(_) => "alias",
            Self::Silent => "silent",
            Self::NoHello => "no_hello",
            Self::OtherCluster(_) => "cluster",
            Self::Version(..) => "version",
        }
    }
}

/// What every link needs.
#[derive(Clone, Debug)]
pub(crate) struct LinkContext {
    pub(crate) cluster: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) links: Links,
    pub(crate) rooms: Rooms,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Runs a link until it ends. `dialled`: this edge opened it.
pub(super) async fn run(context: LinkContext, edge: EdgeId, connection: Connection, dialled: bool) {
    let end = match timeout(LINK_HELLO_TIMEOUT, greet(&context, &connection, dialled)).await {
        Ok(Ok(greeted)) => serve(&context, &edge, &connection, greeted).await,
        Ok(Err(end)) => end,
        Err(_) => LinkEnd::Silent,
    };
    connection.close(0, end.label());
    report::ended(&edge, &end);
}

struct Greeted {
    write: SendStream,
    read: RecvStream,
    decoder: Decoder,
}

/// Both say hello on the stream that who dialled opens.
async fn greet(
    context: &LinkContext,
    connection: &Connection,
    dialled: bool,
) -> Result<Greeted, LinkEnd> {
    let hello = LinkMessage::Hello(LinkHello {
        version_min: LINK_VERSION,
        version_max: LINK_VERSION,
        cluster: context.cluster.clone(),
        incarnation: context.incarnation,
    });
    let (mut write, mut read) = if dialled {
        connection.open_bi().await.map_err(LinkEnd::Lost)?
    } else {
        connection.accept_bi().await.map_err(LinkEnd::Lost)?
    };
    write.write(hello.encode()).await.map_err(LinkEnd::Stream)?;
    let mut decoder = Decoder::new(MAX_CLUSTER_MESSAGE);
    let first = loop {
        if let Some(first) = decoder.next_message().map_err(LinkEnd::Message)? {
            break first;
        }
        let bytes = read.read(LINK_READ).await.map_err(LinkEnd::Stream)?;
        decoder.push(&bytes.ok_or(LinkEnd::Closed)?);
    };
    let Some(LinkMessage::Hello(theirs)) = LinkMessage::parse(&first).map_err(LinkEnd::Message)?
    else {
        return Err(LinkEnd::NoHello);
    };
    if theirs.cluster != context.cluster {
        return Err(LinkEnd::OtherCluster(theirs.cluster));
    }
    if theirs.version_min > LINK_VERSION || theirs.version_max < LINK_VERSION {
        return Err(LinkEnd::Version(theirs.version_min, theirs.version_max));
    }
    Ok(Greeted {
        write,
        read,
        decoder,
    })
}

async fn serve(
    context: &LinkContext,
    edge: &EdgeId,
    connection: &Connection,
    greeted: Greeted,
) -> LinkEnd {
    let over = context.stop.child_token();
    let (link, queues) = PeerLink::new(clock::now(), edge.clone(), over.clone());
    let link = Arc::new(link);
    let (heard_in, heard) = mpsc::channel(LINK_HEARD);
    let sender = Sender::new(
        link.clone(),
        connection.clone(),
        random::sequence(),
        first_aliases(context, edge),
        heard,
        context.rooms.clone(),
    );
    let receiver = Receiver::new(
        link.clone(),
        connection.clone(),
        greeted.read,
        greeted.decoder,
        context.rooms.clone(),
        heard_in,
    );
    context
        .tasks
        .spawn(send(sender, context.clone(), edge.clone()));
    context
        .tasks
        .spawn(speak(greeted.write, queues.control, over.clone()));
    context.tasks.spawn(streams::send(
        connection.clone(),
        queues.large,
        context.tasks.clone(),
        over.clone(),
    ));
    context.tasks.spawn(streams::receive(
        connection.clone(),
        edge.clone(),
        context.rooms.clone(),
        context.tasks.clone(),
        over.clone(),
    ));
    context
        .tasks
        .spawn(listen_for_life(connection.clone(), link.clone()));
    context
        .tasks
        .spawn(paused::tell(link.clone(), context.rooms.clone()));
    if let Some(before) = context.links.insert(link.clone()) {
        before.over().cancel();
    }
    report::up(1.0);
    tracing::info!(%edge, at = %connection.remote_addr(), "a link is up");
    context.rooms.link_up(&link).await;
    let end = receiver.run().await;
    over.cancel();
    report::up(-1.0);
    context.links.remove(&link);
    context.rooms.link_down(&link).await;
    end
}

/// No short names yet, for no number means anything to the other side of a new connection.
#[cfg(not(feature = "simulation"))]
fn first_aliases(_: &LinkContext, _: &EdgeId) -> Aliases {
    Aliases::default()
}

#[cfg(not(feature = "simulation"))]
async fn send(sender: Sender, _: LinkContext, _: EdgeId) {
    sender.run().await;
}

/// No short names yet; their numbers may be near the last.
#[cfg(feature = "simulation")]
fn first_aliases(context: &LinkContext, edge: &EdgeId) -> Aliases {
    let kept = context.links.take_aliases(edge);
    kept.unwrap_or_else(|| Aliases::after(random::first_alias()))
}

#[cfg(feature = "simulation")]
async fn send(sender: Sender, context: LinkContext, edge: EdgeId) {
    let aliases = sender.run().await;
    if pulse_core::planted::is(pulse_core::planted::Bug::AliasKept) {
        context.links.keep_aliases(edge, aliases);
    }
}

/// Notes whether anything comes from the other edge, if only that it is alive: core wants to know.
async fn listen_for_life(connection: Connection, link: Arc<PeerLink>) {
    let mut ticks = interval(LINK_LIFE);
    let mut received = 0;
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => {}
            () = link.over().cancelled() => return,
        }
        let stats = connection.stats();
        if stats.received_bytes != received {
            received = stats.received_bytes;
            link.on_heard(clock::now(), stats.rtt);
        }
    }
}

/// Writes what waits as control, in order.
async fn speak(
    mut stream: SendStream,
    mut messages: mpsc::Receiver<LinkMessage>,
    over: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = messages.recv() => message,
            () = over.cancelled() => None,
        };
        let Some(message) = message else { return };
        let written = tokio::select! {
            biased;
            written = stream.write(message.encode()) => written.is_ok(),
            () = over.cancelled() => false,
        };
        if !written {
            // The receiving half learns why.
            return over.cancel();
        }
    }
}
