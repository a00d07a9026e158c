//! The sending half of a connection: everything that waits leaves in one flush, and an end is told
//! before the socket closes. It never decides what is sent; the outbox does.

use std::time::Instant;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{SinkExt as _, stream::SplitSink};
use pulse_proto::{
    ErrorCode, ParticipantId,
    control::{self, ErrorMessage, Protocol},
};
use tokio::time::{sleep_until, timeout};

use crate::{
    clock,
    limits::{DRAIN_TIMEOUT, V1_PING_INTERVAL, WRITE_TIMEOUT},
    metrics,
    outbox::{Ending, Outbox},
    room::{Input, MemberRef, RoomHandle},
};

/// Sends what the room queues, everything that waits in one flush. Returns how the edge ended the
/// connection, or `None` if it broke.
pub(super) async fn write_loop(
    mut sink: SplitSink<WebSocket, Message>,
    outbox: &Outbox,
    room: &RoomHandle,
    from: MemberRef,
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
    (protocol == Protocol::V1).then(|| clock::now() + V1_PING_INTERVAL)
}

async fn ping_due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Says why, and closes.
pub(super) async fn close(
    mut sink: SplitSink<WebSocket, Message>,
    ending: Ending,
    protocol: Protocol,
) {
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
    let _ = timeout(DRAIN_TIMEOUT, goodbye).await;
}
