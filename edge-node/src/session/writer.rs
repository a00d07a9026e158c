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
    limits::{DRAIN_TIMEOUT, LINK_REPORT, V1_PING_INTERVAL, WRITE_TIMEOUT},
    metrics,
    outbox::{Ending, Outbox, Starving, Taken},
    pace::Pace,
    probe::{Answer, Probe},
    room::{Input, MemberRef, RoomHandle},
    socket::Socket,
};

/// Sends what the room queues, everything that may leave in one flush. Returns how the edge ended the
/// connection, or `None` if it broke.
pub(super) async fn write_loop(
    mut sink: SplitSink<WebSocket, Message>,
    kernel: Option<Socket>,
    outbox: &Outbox,
    room: &RoomHandle,
    from: MemberRef,
    protocol: Protocol,
) -> Option<Ending> {
    let mut batch = Vec::new();
    let mut ping_at = protocol_ping(protocol);
    let mut pacer = Pacer {
        kernel,
        pace: Pace::new(clock::now()),
        probe: Probe::default(),
        told_at: None,
    };
    loop {
        let (taken, ending) = pacer.take(outbox, &mut batch);
        let mut probing = None;
        // Who has no room for a picture now is not given one, nor is one made for it.
        if pacer.room(clock::now()) > 0 {
            for Starving { track, keyframe } in outbox.starving(clock::now()) {
                room.offer(Input::Starved {
                    from,
                    track,
                    keyframe,
                });
            }
        }
        if let Some(ending) = ending {
            close(sink, ending, protocol).await;
            return Some(ending);
        }
        if batch.is_empty() {
            let look_at = taken.held.then(|| pacer.pace.look_at());
            let probe_at = pacer.probe_at(taken.paused);
            tokio::select! {
                () = outbox.ready() => {}
                () = due(look_at) => {}
                () = due(probe_at) => probing = pacer.probe(outbox),
                () = due(ping_at) => {
                    ping_at = protocol_ping(protocol);
                    timeout(WRITE_TIMEOUT, sink.send(Message::Ping(Bytes::new()))).await.ok()?.ok()?;
                }
            }
            let Some(probe) = &probing else { continue };
            batch.push(probe.frame.clone());
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
        if let Some(probe) = probing {
            pacer.on_probe_sent(&probe);
        }
    }
}

/// A probe on its way to the kernel.
struct Probing {
    frame: Bytes,
    /// Bytes a second that it is to show.
    rate: u64,
    at: Instant,
}

/// Takes from an outbox what its receiver's kernel should be given now.
struct Pacer {
    /// `None` where it tells nothing: nothing is held back then.
    kernel: Option<Socket>,
    pace: Pace,
    probe: Probe,
    /// When operators were last told what it measures.
    told_at: Option<Instant>,
}

impl Pacer {
    /// Bytes of pictures that may leave.
    fn room(&self, now: Instant) -> i64 {
        if self.kernel.is_some() {
            self.pace.room(now)
        } else {
            i64::MAX
        }
    }

    /// Fills the batch. The kernel is asked once, and only when something would be held back by what
    /// is known of it. Returns what was taken last, and how the connection ends.
    fn take(&mut self, outbox: &Outbox, batch: &mut Vec<Bytes>) -> (Taken, Option<Ending>) {
        let now = clock::now();
        let (taken, ending) = outbox.take(now, 0, self.room(now), batch);
        self.pace.on_sent(now, taken.bytes as u64);
        metrics::leaving(taken.ages);
        if !taken.held || now < self.pace.look_at() {
            return (taken, ending);
        }
        let Some(kernel) = &self.kernel else {
            let held = false;
            return (Taken { held, ..taken }, ending);
        };
        let Some(reading) = kernel.read_kernel() else {
            self.kernel = None;
            return self.take(outbox, batch);
        };
        outbox.on_acked(reading.acked);
        self.pace.on_reading(now, reading, taken.bytes as u64);
        let told = self
            .told_at
            .is_some_and(|at| now.saturating_duration_since(at) < LINK_REPORT);
        if !told {
            self.told_at = Some(now);
            metrics::link(self.pace.rate(), self.pace.rtt());
        }
        if let Some(bytes) = self.pace.unsent_max() {
            kernel.set_unsent_max(bytes);
        }
        let (more, ending) = outbox.take(now, taken.bytes, self.room(now), batch);
        self.pace.on_sent(now, more.bytes as u64);
        metrics::leaving(more.ages);
        (more, ending)
    }

    /// When the link is to be probed, or the answer to a probe is due.
    fn probe_at(&mut self, paused: bool) -> Option<Instant> {
        self.probe
            .next(clock::now(), paused && self.kernel.is_some())
    }

    /// Takes an answer, or gives a probe that is to leave now. Nothing else waits: voices come first.
    fn probe(&mut self, outbox: &Outbox) -> Option<Probing> {
        let reading = self.kernel.as_ref()?.read_kernel()?;
        let at = clock::now();
        outbox.on_acked(reading.acked);
        self.pace.on_reading(at, reading, 0);
        if let Some(answer) = self.probe.on_look(at, reading.acked) {
            metrics::probed(answer.label());
            if answer == Answer::InTime {
                outbox.on_probe_in_time(at);
            }
            return None;
        }
        let probe = outbox.probe(at).filter(|_| self.pace.room(at) > 0);
        let Some((frame, rate)) = probe else {
            self.probe.postpone(at);
            return None;
        };
        let frame = frame.bytes().clone();
        Some(Probing { frame, rate, at })
    }

    fn on_probe_sent(&mut self, probe: &Probing) {
        self.pace.on_sent(probe.at, probe.frame.len() as u64);
        if let Some(reading) = self.kernel.as_ref().and_then(Socket::read_kernel) {
            self.probe
                .on_sent(probe.at, probe.frame.len(), probe.rate, reading);
        }
    }
}

/// v1 clients send nothing while nobody speaks: WebSocket pings keep them.
fn protocol_ping(protocol: Protocol) -> Option<Instant> {
    (protocol == Protocol::V1).then(|| clock::now() + V1_PING_INTERVAL)
}

async fn due(at: Option<Instant>) {
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
