//! One WebSocket and the task that owns it: whole messages in and out, bounded both ways. It knows
//! nothing of rooms; all it ever says by itself is the PING of a client that asked for it.

use std::{fmt, time::Duration};

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use pulse_proto::{
    ErrorCode, Frame, ParticipantId,
    control::{Ping, encode},
};
use serde_json::Number;
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use crate::{
    address::Address,
    error::ClientError,
    limits::{
        CLOSE_TIMEOUT, CONNECT_TIMEOUT, FLUSH_MESSAGES, INCOMING_MESSAGES, MAX_INCOMING_BYTES,
        MAX_WRITE_BUFFER_BYTES, OUTGOING_MESSAGES, PING_INTERVAL, READ_BUFFER_BYTES,
        WRITE_BUFFER_BYTES,
    },
    tls,
};

/// A close without a code (RFC 6455, 7.4.1).
const NO_STATUS: u16 = 1005;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How the socket is made.
#[derive(Clone, Debug, Default)]
pub struct SocketOptions {
    /// Accept any certificate.
    pub insecure: bool,
    /// The kernel's receive buffer (SO_RCVBUF), in bytes; its own choice if missing.
    pub receive_buffer_bytes: Option<u32>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The WebSocket close code; missing if the connection was lost.
    pub code: Option<u16>,
    /// What the other side, or the system, gave as reason.
    pub reason: String,
}

impl Closed {
    /// The error code that the edge closed with.
    pub fn error(&self) -> Option<ErrorCode> {
        self.code.and_then(ErrorCode::from_number)
    }

    pub(crate) fn lost(reason: impl fmt::Display) -> Self {
        Self {
            code: None,
            reason: reason.to_string(),
        }
    }

    /// As a close frame with this code says it, without its words.
    pub(crate) fn with_code(code: Option<u16>) -> Self {
        let known = code.and_then(ErrorCode::from_number);
        Self {
            code: code.or(Some(NO_STATUS)),
            reason: known.map_or("", ErrorCode::sentence).to_owned(),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} ({code})", self.reason),
            None => write!(f, "the connection was lost: {}", self.reason),
        }
    }
}

/// What comes out of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A binary message.
    Binary(Bytes),
    /// A text message.
    Text(String),
    /// The end; it comes again and again.
    Closed(Closed),
}

#[derive(Debug)]
enum Outgoing {
    Message(Message),
    KeepAlive(ParticipantId),
}

/// An open WebSocket. Dropping it cuts the connection without a close.
#[derive(Debug)]
pub struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    incoming: mpsc::Receiver<Incoming>,
    paused: watch::Sender<bool>,
    task: JoinHandle<()>,
    opened: Instant,
    closed: Option<Closed>,
}

impl Connection {
    /// Connects to a path of an edge, with a subprotocol or without one.
    ///
    /// # Errors
    /// What stands between here and an open WebSocket.
    pub async fn open(
        address: &Address,
        path: &str,
        subprotocol: Option<&'static str>,
        options: &SocketOptions,
    ) -> Result<Self, ClientError> {
        let socket = open_socket(address, path, subprotocol, options).await?;
        let (outgoing, to_write) = mpsc::channel(OUTGOING_MESSAGES);
        let (read, incoming) = mpsc::channel(INCOMING_MESSAGES);
        let (paused, is_paused) = watch::channel(false);
        let opened = Instant::now();
        let task = tokio::spawn(async move {
            let (sink, stream) = socket.split();
            tokio::select! {
                () = write(sink, to_write, opened) => {}
                () = self::read(stream, read, is_paused) => {}
            }
        });
        Ok(Self {
            outgoing,
            incoming,
            paused,
            task,
            opened,
            closed: None,
        })
    }

    /// The next message. Safe to drop before it is there.
    pub async fn next(&mut self) -> Incoming {
        if let Some(closed) = &self.closed {
            return Incoming::Closed(closed.clone());
        }
        let next = match self.incoming.recv().await {
            Some(next) => next,
            None => Incoming::Closed(Closed::lost("the connection's task has ended")),
        };
        if let Incoming::Closed(closed) = &next {
            self.closed = Some(closed.clone());
        }
        next
    }

    /// Sends any bytes as one binary message; waits while the queue is full.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send_bytes(&self, bytes: impl Into<Bytes>) -> Result<(), ClientError> {
        self.push(Message::Binary(bytes.into())).await
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send(&self, frame: &Frame) -> Result<(), ClientError> {
        self.send_bytes(frame.bytes().clone()).await
    }

    /// Sends a text message, which no Pulse client does.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send_text(&self, text: &str) -> Result<(), ClientError> {
        self.push(Message::text(text)).await
    }

    /// Sends a WebSocket close; the other side's answer comes out of [`Connection::next`].
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send_close(&self, code: u16, reason: &str) -> Result<(), ClientError> {
        self.push(Message::Close(Some(CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        })))
        .await
    }

    /// Closes with code 1000 and waits for the answer, or for 2 s.
    pub async fn close(mut self) -> Closed {
        // Reading goes on, or the answer would stay unread.
        self.resume_reading();
        let answer = async {
            // A connection that is over already has its end in the queue.
            let _ = self.send_close(1000, "").await;
            loop {
                if let Incoming::Closed(closed) = self.next().await {
                    return closed;
                }
            }
        };
        timeout(CLOSE_TIMEOUT, answer)
            .await
            .unwrap_or_else(|_| Closed::lost("no answer to the close"))
    }

    /// Sends a frame unless the queue is full; says whether it did.
    pub(crate) fn try_send(&self, frame: &Frame) -> bool {
        let message = Message::Binary(frame.bytes().clone());
        self.outgoing.try_send(Outgoing::Message(message)).is_ok()
    }

    /// Messages that can be sent right now without waiting.
    pub fn room(&self) -> usize {
        self.outgoing.capacity()
    }

    /// Stops reading, as a receiver whose network is too slow: the kernel's buffers fill up.
    pub fn pause_reading(&self) {
        self.paused.send_replace(true);
    }

    /// Reads on.
    pub fn resume_reading(&self) {
        self.paused.send_replace(false);
    }

    /// How long ago a PING with this `t` was sent.
    pub(crate) fn since_ping(&self, t: f64) -> Duration {
        let sent_at = Duration::try_from_secs_f64(t / 1e3).unwrap_or_default();
        self.opened.elapsed().saturating_sub(sent_at)
    }

    /// From now on sends a PING as this participant every 2 s, even while reading is paused.
    pub(crate) async fn keep_alive(&self, id: ParticipantId) -> Result<(), ClientError> {
        self.give(Outgoing::KeepAlive(id)).await
    }

    async fn push(&self, message: Message) -> Result<(), ClientError> {
        self.give(Outgoing::Message(message)).await
    }

    async fn give(&self, outgoing: Outgoing) -> Result<(), ClientError> {
        self.outgoing
            .send(outgoing)
            .await
            .map_err(|_| ClientError::Closed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connects as [`Connection::open`] does and gives the stream under the WebSocket away, for whoever
/// frames by himself. A server that speaks before it is spoken to would lose its first message.
pub(crate) async fn open_stream(
    address: &Address,
    path: &str,
    subprotocol: Option<&'static str>,
    options: &SocketOptions,
) -> Result<MaybeTlsStream<TcpStream>, ClientError> {
    let socket = open_socket(address, path, subprotocol, options).await?;
    Ok(socket.into_inner())
}

async fn open_socket(
    address: &Address,
    path: &str,
    subprotocol: Option<&'static str>,
    options: &SocketOptions,
) -> Result<Socket, ClientError> {
    let silent = |_| ClientError::Silent(address.authority());
    let stream = timeout(CONNECT_TIMEOUT, dial(address, options))
        .await
        .map_err(silent)??;
    let handshake = Box::pin(upgrade(stream, address, path, subprotocol, options));
    timeout(CONNECT_TIMEOUT, handshake).await.map_err(silent)?
}

async fn dial(address: &Address, options: &SocketOptions) -> Result<TcpStream, ClientError> {
    let unreachable = |source| ClientError::Unreachable {
        address: address.authority(),
        source,
    };
    let mut failure = std::io::Error::from(std::io::ErrorKind::NotFound);
    let found = lookup_host((address.host.as_str(), address.port))
        .await
        .map_err(unreachable)?;
    for peer in found {
        let attempt = async {
            let socket = if peer.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            // The window that the handshake announces depends on it: before connecting.
            if let Some(bytes) = options.receive_buffer_bytes {
                socket.set_recv_buffer_size(bytes)?;
            }
            socket.set_nodelay(true)?;
            socket.connect(peer).await
        };
        match attempt.await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(unreachable(failure))
}

async fn upgrade(
    stream: TcpStream,
    address: &Address,
    path: &str,
    subprotocol: Option<&'static str>,
    options: &SocketOptions,
) -> Result<Socket, ClientError> {
    let handshake = |error: tungstenite::Error| match error {
        tungstenite::Error::Tls(error) => ClientError::Tls(error.to_string()),
        // rustls' errors arrive inside of one of the system's.
        tungstenite::Error::Io(error) if address.tls => ClientError::Tls(error.to_string()),
        tungstenite::Error::Http(response) => {
            ClientError::Handshake(format!("HTTP status {}", response.status()))
        }
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::SecWebSocketSubProtocolError(_),
        ) => ClientError::Subprotocol,
        error => ClientError::Handshake(error.to_string()),
    };
    let mut request = address.url(path).into_client_request().map_err(handshake)?;
    if let Some(name) = subprotocol {
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(Some(MAX_INCOMING_BYTES))
        .max_frame_size(Some(MAX_INCOMING_BYTES));
    let connector = if options.insecure {
        Some(tls::accept_any()?)
    } else {
        None
    };
    let (socket, _) = client_async_tls_with_config(request, stream, Some(config), connector)
        .await
        .map_err(handshake)?;
    Ok(socket)
}

/// Writes until nobody can give anything more.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut outgoing: mpsc::Receiver<Outgoing>,
    opened: Instant,
) {
    let mut pings = interval_at(opened + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pinger = None;
    let mut batch = Vec::with_capacity(FLUSH_MESSAGES);
    loop {
        let mut messages = Vec::new();
        tokio::select! {
            taken = outgoing.recv_many(&mut batch, FLUSH_MESSAGES) => {
                if taken == 0 {
                    return;
                }
                for one in batch.drain(..) {
                    match one {
                        Outgoing::Message(message) => messages.push(message),
                        Outgoing::KeepAlive(id) => pinger = Some(id),
                    }
                }
            }
            _ = pings.tick() => {
                if let Some(id) = pinger {
                    messages.push(Message::Binary(ping(id, opened.elapsed())));
                }
            }
        }
        if flush(&mut sink, messages).await.is_err() {
            break;
        }
    }
    // The reader finds out why, and ends the task.
    outgoing.close();
    std::future::pending::<()>().await;
}

async fn flush(
    sink: &mut SplitSink<Socket, Message>,
    messages: Vec<Message>,
) -> Result<(), tungstenite::Error> {
    for message in messages {
        sink.feed(message).await?;
    }
    sink.flush().await
}

fn ping(id: ParticipantId, since_opened: Duration) -> Bytes {
    // Whole µs: as ms they fit JSON's numbers for centuries.
    let millis = since_opened.as_micros() as f64 / 1e3;
    let t = Number::from_f64(millis).unwrap_or_else(|| 0.into());
    encode(id, &Ping { t }).bytes().clone()
}

/// Reads until the end, never faster than its messages are taken.
async fn read(
    mut stream: SplitStream<Socket>,
    incoming: mpsc::Sender<Incoming>,
    mut paused: watch::Receiver<bool>,
) {
    loop {
        let Ok(place) = incoming.reserve().await else {
            return;
        };
        if paused.wait_for(|paused| !paused).await.is_err() {
            return;
        }
        let next = tokio::select! {
            next = stream.next() => next,
            // A read that waits already must not take what comes after the pause.
            _ = paused.wait_for(|paused| *paused) => continue,
        };
        let closed = match next {
            Some(Ok(Message::Binary(bytes))) => {
                place.send(Incoming::Binary(bytes));
                continue;
            }
            Some(Ok(Message::Text(text))) => {
                place.send(Incoming::Text(text.to_string()));
                continue;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(frame))) => {
                // Reading on writes the answer, and ends when the other side has it.
                let rest = async { while let Some(Ok(_)) = stream.next().await {} };
                let _ = timeout(CLOSE_TIMEOUT, rest).await;
                match frame {
                    Some(frame) => Closed {
                        code: Some(frame.code.into()),
                        reason: frame.reason.to_string(),
                    },
                    None => Closed {
                        code: Some(NO_STATUS),
                        reason: String::new(),
                    },
                }
            }
            Some(Err(error)) => Closed::lost(error),
            None => Closed::lost("end of stream"),
        };
        place.send(Incoming::Closed(closed));
        return;
    }
}
