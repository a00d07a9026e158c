//! One client connection, from its join to its close: what v1 and v2 have in common. It owns the
//! socket; a reader and a writer run side by side, and neither ever waits for another connection.

mod v1;
mod v2;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use pulse_proto::{
    ErrorCode, Frame, ParticipantId, RoomName,
    control::{self, ErrorMessage, LeaveReason, Protocol},
    limits::{ERROR_BURST, IDLE_TIMEOUT, JOIN_TIMEOUT},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use self::v1::V1Request;
use crate::{
    budget::Budget,
    clock,
    images::{ImageGrants, RoomImages},
    limits::{
        CONTROL_BURST, CONTROL_PER_SECOND, MEDIA_BYTES_BURST, MEDIA_BYTES_PER_SECOND, WRITE_TIMEOUT,
    },
    metrics,
    outbox::{Class, Ending, Outbox},
    random,
    room::{Admitted, ConnectionId, From, Input, JoinRequest, RoomHandle},
    rooms::Rooms,
};

/// What a connection needs of its edge.
#[derive(Clone, Debug)]
pub(crate) struct SessionContext {
    pub(crate) rooms: Rooms,
    pub(crate) images: Arc<ImageGrants>,
    pub(crate) connections: Arc<AtomicU64>,
    /// Every client is told when the edge stops.
    pub(crate) stop: CancellationToken,
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
pub(crate) async fn serve(socket: WebSocket, ask: Ask, context: SessionContext) {
    let protocol = ask.protocol();
    metrics::connections(label(protocol), 1.0);
    let (sink, stream) = socket.split();
    let reader = Reader { stream };
    let joined = tokio::select! {
        joined = join(reader, ask, &context) => joined,
        () = context.stop.cancelled() => Err(Some(ErrorCode::ShuttingDown)),
    };
    match joined {
        Ok(joined) => {
            metrics::joined(label(protocol), "admitted");
            run(sink, joined, protocol, &context.stop).await;
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

/// A member's connection.
struct Joined {
    reader: Reader,
    client: Client,
    room: RoomHandle,
    outbox: Arc<Outbox>,
    from: From,
    uploads: Option<UploadGrant>,
}

/// What reads a client's frames.
enum Client {
    V1(v1::Client),
    V2(v2::Client),
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
    let (name, request, client, create) = match &ask {
        Ask::V1(ask) => {
            let request = v1::join_request(&first)?;
            let client = v1::Client::new(request.id);
            (ask.room.clone(), request, Client::V1(client), ask.has_key)
        }
        Ask::V2 => {
            let (room, request) = v2::join_request(&first)?;
            (
                room,
                request,
                Client::V2(v2::Client::new(clock::now())),
                true,
            )
        }
    };
    let connection = ConnectionId(context.connections.fetch_add(1, Ordering::Relaxed));
    let outbox = Arc::new(Outbox::default());
    loop {
        let room = find(&context.rooms, &name, create)?;
        let request = JoinRequest {
            connection,
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
        let from = From { slot, connection };
        return Ok(Joined {
            reader,
            client,
            room,
            outbox,
            from,
            uploads,
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
    joined: Joined,
    protocol: Protocol,
    stop: &CancellationToken,
) {
    let Joined {
        reader,
        client,
        room,
        outbox,
        from,
        uploads,
    } = joined;
    let _uploads = uploads;
    let mut gate = Gate::new(clock::now(), outbox.clone(), protocol);
    let write = write_loop(sink, &outbox, &room, from, protocol);
    let read = async {
        let frames = async {
            match client {
                Client::V1(client) => client.read_loop(reader, &room, from, &mut gate).await,
                Client::V2(client) => client.read_loop(reader, &room, from, &mut gate).await,
            }
        };
        let left = tokio::select! {
            left = frames => left,
            () = stop.cancelled() => Left::error(ErrorCode::ShuttingDown),
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
            write.await;
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

/// What a client may still send: errors, control and media have a budget each.
struct Gate {
    outbox: Arc<Outbox>,
    protocol: Protocol,
    errors: Budget,
    control: Budget,
    media: Budget,
}

impl Gate {
    fn new(now: Instant, outbox: Arc<Outbox>, protocol: Protocol) -> Self {
        Self {
            outbox,
            protocol,
            errors: Budget::new(now, f64::from(ERROR_BURST), 1.0),
            control: Budget::new(now, CONTROL_BURST, CONTROL_PER_SECOND),
            media: Budget::new(now, MEDIA_BYTES_BURST, MEDIA_BYTES_PER_SECOND),
        }
    }

    fn allows_control(&mut self, now: Instant) -> Result<(), ErrorCode> {
        if self.control.take(now, 1.0) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    fn allows_media(&mut self, now: Instant, bytes: usize) -> Result<(), ErrorCode> {
        if self.media.take(now, bytes as f64) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    /// Counts what was refused and tells the client, unless it has used up its errors.
    fn refuse(&mut self, now: Instant, code: ErrorCode) -> Result<(), Left> {
        metrics::error(code);
        if code.ends() {
            return Err(Left::error(code));
        }
        if !self.errors.take(now, 1.0) {
            // What comes too fast is dropped, and that is enough: it was well-formed.
            if code == ErrorCode::RateLimited {
                return Ok(());
            }
            return Err(Left::error(ErrorCode::TooManyErrors));
        }
        if self.protocol == Protocol::V2 {
            let message = ErrorMessage::new(code, false);
            let frame = control::encode(ParticipantId::ZERO, &message);
            self.outbox.push(now, Class::Control, &frame);
        }
        Ok(())
    }
}

/// Sends what the room queues, everything that waits in one flush. Returns how the edge ended the
/// connection, or `None` if it broke.
async fn write_loop(
    mut sink: SplitSink<WebSocket, Message>,
    outbox: &Outbox,
    room: &RoomHandle,
    from: From,
    protocol: Protocol,
) -> Option<Ending> {
    let mut batch = Vec::new();
    let mut ping_at = protocol_ping(protocol);
    loop {
        if let Some(ending) = outbox.take(clock::now(), &mut batch) {
            close(sink, ending, protocol).await;
            return Some(ending);
        }
        if batch.is_empty() {
            tokio::select! {
                () = outbox.ready() => {}
                () = ping_due(ping_at) => {
                    ping_at = protocol_ping(protocol);
                    timeout(WRITE_TIMEOUT, sink.send(Message::Ping(Bytes::new()))).await.ok()?.ok()?;
                }
            }
            continue;
        }
        let bytes: usize = batch.iter().map(Bytes::len).sum();
        metrics::sent(batch.len(), bytes);
        let flush = async {
            for message in batch.drain(..) {
                sink.feed(Message::Binary(message)).await?;
            }
            sink.flush().await
        };
        tokio::select! {
            flushed = timeout(WRITE_TIMEOUT, flush) => flushed.ok()?.ok()?,
            () = outbox.overflowed() => {
                // Its socket takes nothing, so it cannot be told.
                metrics::closed(ErrorCode::TooSlow);
                return Some(Ending::Error(ErrorCode::TooSlow));
            }
        }
        for track in outbox.starved(clock::now()) {
            room.offer(Input::Starved { from, track });
        }
    }
}

/// v1 clients send nothing while nobody speaks: WebSocket pings keep them.
fn protocol_ping(protocol: Protocol) -> Option<Instant> {
    (protocol == Protocol::V1).then(|| clock::now() + crate::limits::V1_PING_INTERVAL)
}

async fn ping_due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Says why, and closes.
async fn close(mut sink: SplitSink<WebSocket, Message>, ending: Ending, protocol: Protocol) {
    let (code, reason) = match ending {
        Ending::Left => (1000, ""),
        Ending::Error(code) => {
            metrics::closed(code);
            (code.number(), code.sentence())
        }
    };
    let goodbye = async {
        if let (Ending::Error(code), Protocol::V2) = (ending, protocol) {
            let message = control::encode(ParticipantId::ZERO, &ErrorMessage::new(code, true));
            sink.feed(Message::Binary(message.bytes().clone())).await?;
        }
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        sink.send(Message::Close(Some(frame))).await?;
        sink.close().await
    };
    // The client may be gone already.
    let _ = timeout(crate::limits::DRAIN_TIMEOUT, goodbye).await;
}

/// A v2 client's request, completed by the edge.
fn fresh(protocol: Protocol, id: ParticipantId, name: pulse_proto::DisplayName) -> JoinRequest {
    JoinRequest {
        connection: ConnectionId(0),
        protocol,
        id,
        name,
        v1_bridge: protocol == Protocol::V1,
        resume: None,
        token: random::token(),
        uploads: random::token(),
    }
}
