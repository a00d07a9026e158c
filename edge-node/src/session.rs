//! One client connection, from its join to its close: what v1 and v2 have in common. It owns the
//! socket; a reader and a writer run side by side, and neither ever waits for another connection.

mod gate;
mod v1;
mod v2;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use pulse_proto::{
    DisplayName, ErrorCode, Frame, ParticipantId, RoomName,
    control::{self, Alternates, LeaveReason, Protocol},
    limits::{IDLE_TIMEOUT, JOIN_TIMEOUT},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::gate::Gate;
pub(crate) use self::v1::V1Request;
use self::writer::{close, write_loop};
use crate::{
    clock,
    directory::{Directory, Whereabouts},
    images::{ImageGrants, RoomImages},
    limits::{DISPLACE_TIMEOUT, DRAIN_PACE, DRAIN_SPREAD, DRAIN_TIMEOUT},
    metrics,
    outbox::{Class, Ending, Outbox},
    random,
    room::{Admitted, ConnectionId, Decodes, Input, JoinRequest, MemberRef, RoomHandle},
    rooms::Rooms,
    socket::Socket,
    unfinished::Unfinished,
};

/// What a connection needs of its edge.
#[derive(Clone, Debug)]
pub(crate) struct SessionContext {
    pub(crate) rooms: Rooms,
    pub(crate) images: Arc<ImageGrants>,
    pub(crate) connections: Arc<AtomicU64>,
    /// One permit for each open socket.
    pub(crate) slots: Arc<Semaphore>,
    /// Sockets that have not joined yet: the oldest makes way when all permits are taken.
    pub(crate) joining: Unfinished,
    pub(crate) tasks: TaskTracker,
    pub(crate) directory: Directory,
    /// Every client is told when the edge stops.
    pub(crate) stop: CancellationToken,
    /// How many have been sent elsewhere since.
    pub(crate) leaving: Arc<AtomicU64>,
}

/// What a client asked for by the path and subprotocol of its request.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    V1(V1Request),
    V2,
}

impl Ask {
    const fn protocol(&self) -> Protocol {
        match self {
            Self::V1(_) => Protocol::V1,
            Self::V2 => Protocol::V2,
        }
    }
}

const fn label(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V1 => "v1",
        Protocol::V2 => "v2",
    }
}

/// Serves one connection until it ends.
/// `kernel` is what tells how much of it the client has not taken yet.
pub(crate) async fn serve(
    socket: WebSocket,
    kernel: Option<Socket>,
    ask: Ask,
    context: SessionContext,
) {
    let protocol = ask.protocol();
    metrics::connections(label(protocol), 1.0);
    let (sink, stream) = socket.split();
    let reader = Reader { stream };
    let slot = place(&context).await;
    let make_way = CancellationToken::new();
    let ticket = context.joining.enter(&make_way);
    let joined = tokio::select! {
        joined = join(reader, ask, &context), if slot.is_some() => joined,
        () = std::future::ready(()), if slot.is_none() => Err(Some(ErrorCode::ServerFull)),
        () = make_way.cancelled() => Err(Some(ErrorCode::ServerFull)),
        () = context.stop.cancelled() => Err(Some(ErrorCode::ShuttingDown)),
    };
    drop(ticket);
    match joined {
        Ok(joined) => {
            metrics::joined(label(protocol), "admitted");
            run(sink, kernel, joined, protocol, &context).await;
        }
        Err(refusal) => {
            metrics::joined(label(protocol), refusal.map_or("gone", ErrorCode::name));
            if let Some(code) = refusal {
                metrics::error(code);
                close(sink, Ending::Error(code), protocol).await;
            }
        }
    }
    metrics::connections(label(protocol), -1.0);
}

/// A place for one more connection, if need be that of the one that has waited longest with its join.
async fn place(context: &SessionContext) -> Option<SemaphorePermit<'_>> {
    if let Ok(slot) = context.slots.try_acquire() {
        return Some(slot);
    }
    if !context.joining.displace_oldest() {
        return None;
    }
    let freed = timeout(DISPLACE_TIMEOUT, context.slots.acquire());
    freed.await.ok()?.ok()
}

/// A member's connection.
struct Joined {
    reader: Reader,
    client: Client,
    room: RoomHandle,
    outbox: Arc<Outbox>,
    from: MemberRef,
    uploads: Option<UploadGrant>,
    /// What it knows of the edges, where it is to be told of changes.
    told: Option<Whereabouts>,
}

/// What reads a client's frames.
enum Client {
    V1(v1::Client),
    V2(Box<v2::Client>),
}

/// A client's token for chat images, revoked when it is dropped.
struct UploadGrant {
    token: String,
    images: Arc<ImageGrants>,
}

impl Drop for UploadGrant {
    fn drop(&mut self) {
        self.images.revoke(&self.token);
    }
}

/// Reads the first message and brings the client into its room. `None`: the client went away.
async fn join(
    mut reader: Reader,
    ask: Ask,
    context: &SessionContext,
) -> Result<Joined, Option<ErrorCode>> {
    let first = timeout(JOIN_TIMEOUT, reader.next())
        .await
        .map_err(|_| ErrorCode::JoinTimeout)?;
    let first = match first {
        Received::Frame(bytes) => Frame::parse(bytes).map_err(|rejection| rejection.code)?,
        Received::Text => return Err(Some(ErrorCode::TextMessage)),
        Received::TooLarge => return Err(Some(ErrorCode::MessageTooLarge)),
        Received::Alive => return Err(Some(ErrorCode::JoinFirst)),
        Received::Closed(_) => return Err(None),
    };
    let (name, request, client, create, constrained, alternates) = match &ask {
        Ask::V1(ask) => {
            let request = v1::join_request(&first)?;
            let client = v1::Client::new(request.id);
            (
                ask.room.clone(),
                request,
                Client::V1(client),
                ask.has_key,
                false,
                false,
            )
        }
        Ask::V2 => {
            let asked = v2::join_request(&first)?;
            (
                asked.room,
                asked.request,
                Client::V2(Box::new(v2::Client::new(clock::now()))),
                true,
                asked.constrained,
                asked.alternates,
            )
        }
    };
    let connection = ConnectionId(context.connections.fetch_add(1, Ordering::Relaxed));
    let outbox = Arc::new(Outbox::new(constrained));
    let whereabouts = context.directory.whereabouts(connection.0);
    loop {
        let room = find(&context.rooms, &name, create)?;
        let request = JoinRequest {
            connection,
            whereabouts: whereabouts.clone(),
            ..request.clone()
        };
        let uploads = matches!(client, Client::V2(_))
            .then(|| grant(&context.images, &request.uploads, &room.images));
        let Ok(answer) = room.join(request, outbox.clone()).await else {
            continue;
        };
        let Admitted { slot, id } = answer?;
        let mut client = client;
        if let Client::V2(client) = &mut client {
            client.id = id;
        }
        let from = MemberRef { slot, connection };
        return Ok(Joined {
            reader,
            client,
            room,
            outbox,
            from,
            uploads,
            told: alternates.then_some(whereabouts),
        });
    }
}

fn find(rooms: &Rooms, name: &RoomName, create: bool) -> Result<RoomHandle, ErrorCode> {
    if create {
        Ok(rooms.get_or_create(name))
    } else {
        rooms.get(name).ok_or(ErrorCode::RoomNotFound)
    }
}

fn grant(images: &Arc<ImageGrants>, token: &str, room: &Arc<RoomImages>) -> UploadGrant {
    images.grant(clock::now(), token.to_owned(), room.clone());
    UploadGrant {
        token: token.to_owned(),
        images: images.clone(),
    }
}

/// Reads and writes until either ends, then tells the room.
async fn run(
    sink: SplitSink<WebSocket, Message>,
    kernel: Option<Socket>,
    joined: Joined,
    protocol: Protocol,
    context: &SessionContext,
) {
    let Joined {
        reader,
        client,
        room,
        outbox,
        from,
        uploads,
        told,
    } = joined;
    let _uploads = uploads;
    let mut gate = Gate::new(clock::now(), outbox.clone(), protocol);
    let write = write_loop(sink, kernel, &outbox, &room, from, protocol);
    let read = async {
        let frames = async {
            match client {
                Client::V1(client) => client.read_loop(reader, &room, from, &mut gate).await,
                Client::V2(client) => client.read_loop(reader, &room, from, &mut gate).await,
            }
        };
        let left = tokio::select! {
            left = frames => left,
            left = sent_away(context, protocol) => left,
            () = tell_of_edges(&context.directory, told, from.connection, &outbox) => return LeaveReason::Lost,
            // A room outlives its members, unless its task has failed.
            () = room.failed() => Left::error(ErrorCode::Internal),
        };
        // The writer says goodbye; it ends as soon as that is out, or cannot be.
        outbox.end(left.ending);
        left.reason
    };
    tokio::pin!(read);
    tokio::pin!(write);
    let reason = tokio::select! {
        reason = &mut read => {
            room.tell(Input::Gone { from, reason }).await;
            // Who takes nothing any more is not waited for: it has its time for what is on its way, and
            // for the goodbye.
            let _ = timeout(2 * DRAIN_TIMEOUT, write).await;
            return;
        }
        ended = &mut write => match ended {
            Some(Ending::Error(ErrorCode::Replaced | ErrorCode::ShuttingDown) | Ending::Left) => {
                LeaveReason::Left
            }
            Some(Ending::Error(_)) => LeaveReason::Removed,
            None => LeaveReason::Lost,
        },
    };
    room.tell(Input::Gone { from, reason }).await;
}

/// Waits until the edge stops and it is this client's turn to go.
async fn sent_away(context: &SessionContext, protocol: Protocol) -> Left {
    context.stop.cancelled().await;
    let somewhere = !context.directory.whereabouts(0).alternates.is_empty();
    if protocol == Protocol::V1 || !somewhere {
        return Left::error(ErrorCode::ShuttingDown);
    }
    let before = context.leaving.fetch_add(1, Ordering::Relaxed);
    let turn = u32::try_from(before).unwrap_or(u32::MAX);
    sleep(DRAIN_PACE.saturating_mul(turn).min(DRAIN_SPREAD)).await;
    Left {
        ending: Ending::Error(ErrorCode::ShuttingDown),
        // It comes back, at another edge.
        reason: LeaveReason::Lost,
    }
}

/// Tells a client that wants to know whenever it may go elsewhere than before. Never ends.
async fn tell_of_edges(
    directory: &Directory,
    told: Option<Whereabouts>,
    connection: ConnectionId,
    outbox: &Outbox,
) {
    let mut changes = directory.changes();
    if let Some(Whereabouts { mut alternates, .. }) = told {
        loop {
            let now = directory.whereabouts(connection.0).alternates;
            if now != alternates {
                alternates = now.clone();
                let message = Alternates { alternates: now };
                let frame = control::encode(ParticipantId::ZERO, &message);
                outbox.push(clock::now(), Class::Control, &frame);
            }
            if changes.changed().await.is_err() {
                break;
            }
        }
    }
    std::future::pending().await
}

/// How reading ended: what the writer still says, and what the room is told.
struct Left {
    ending: Ending,
    reason: LeaveReason,
}

impl Left {
    const fn error(code: ErrorCode) -> Self {
        // A connection that fell silent may come back; one that misbehaved may not.
        let reason = match code {
            ErrorCode::IdleTimeout => LeaveReason::Lost,
            _ => LeaveReason::Removed,
        };
        Self {
            ending: Ending::Error(code),
            reason,
        }
    }

    const fn closed(graceful: bool) -> Self {
        let reason = if graceful {
            LeaveReason::Left
        } else {
            LeaveReason::Lost
        };
        Self {
            ending: Ending::Left,
            reason,
        }
    }
}

/// What one read of a socket gives.
enum Received {
    Frame(Bytes),
    Text,
    TooLarge,
    /// A WebSocket ping or pong.
    Alive,
    /// The connection is over; whether the client said so.
    Closed(bool),
}

/// The reading half of a socket.
struct Reader {
    stream: SplitStream<WebSocket>,
}

impl Reader {
    async fn next(&mut self) -> Received {
        match self.stream.next().await {
            Some(Ok(Message::Binary(bytes))) => Received::Frame(bytes),
            Some(Ok(Message::Text(_))) => Received::Text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Received::Alive,
            Some(Ok(Message::Close(frame))) => {
                // A browser that closes without a code leaves as well: 1005 is never sent.
                let code = frame.map_or(1000, |frame| frame.code);
                Received::Closed(matches!(code, 1000 | 1001 | 1005))
            }
            Some(Err(error)) if too_large(&error) => Received::TooLarge,
            Some(Err(_)) | None => Received::Closed(false),
        }
    }

    async fn next_within_idle(&mut self) -> Result<Received, ErrorCode> {
        timeout(IDLE_TIMEOUT, self.next())
            .await
            .map_err(|_| ErrorCode::IdleTimeout)
    }
}

/// axum hides tungstenite's error type; its text for a message over the limit is stable.
fn too_large(error: &axum::Error) -> bool {
    error.to_string().starts_with("Space limit exceeded")
}

/// A v2 client's request, completed by the edge.
fn fresh(protocol: Protocol, id: ParticipantId, name: DisplayName) -> JoinRequest {
    JoinRequest {
        connection: ConnectionId(0),
        protocol,
        id,
        name,
        v1_bridge: protocol == Protocol::V1,
        demand: false,
        decodes: Decodes::NONE,
        resume: None,
        token: random::token(),
        uploads: random::token(),
        whereabouts: Whereabouts::default(),
    }
}
