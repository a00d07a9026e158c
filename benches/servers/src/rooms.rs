//! The axum servers: a task a client, a broadcast channel a room, as anybody would write it. Whether a
//! message leaves by itself or with all that wait is the only difference between them.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::any,
    serve::ListenerExt,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use pulse_proto::SUBPROTOCOL;
use tokio::{
    net::TcpListener,
    sync::broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
};

use crate::{QUEUE_MESSAGES, Said, announce, read, tell_dropped};

/// The read buffer of one socket; axum's own choice of 128 KiB is no fair comparison with an edge.
const READ_BUFFER: usize = 8 * 1024;

/// How often it is told what was dropped.
const TELL: Duration = Duration::from_secs(1);

/// When messages leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Each by itself.
    Each,
    /// All that wait in one flush.
    Batch,
}

/// A message, and who sent it.
type Media = (usize, Bytes);

#[derive(Debug)]
struct Server {
    sending: Sending,
    rooms: Mutex<HashMap<String, broadcast::Sender<Media>>>,
    next: AtomicUsize,
    dropped: AtomicU64,
}

/// Serves on one thread until it fails.
///
/// # Errors
/// What the system says.
pub fn run(address: SocketAddr, sending: Sending) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind(address).await?;
            announce(listener.local_addr()?);
            let server = Arc::new(Server {
                sending,
                rooms: Mutex::default(),
                next: AtomicUsize::new(0),
                dropped: AtomicU64::new(0),
            });
            tokio::spawn(tell(Arc::clone(&server)));
            let app = Router::new().route("/v2", any(upgrade)).with_state(server);
            let listener = listener.tap_io(|stream| {
                // A socket that is gone already needs none.
                let _ = stream.set_nodelay(true);
            });
            axum::serve(listener, app).await
        })
}

async fn tell(server: Arc<Server>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(TELL).await;
        let dropped = server.dropped.load(Ordering::Relaxed);
        if dropped > told {
            told = dropped;
            tell_dropped(told);
        }
    }
}

async fn upgrade(State(server): State<Arc<Server>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(|socket| async move {
            // A client that goes without a goodbye is none of the others' business.
            let _ = Box::pin(client(socket, &server)).await;
        })
}

/// One client, from its join to its end.
async fn client(mut socket: WebSocket, server: &Server) -> Result<(), axum::Error> {
    let (room, welcome) = loop {
        match socket.recv().await {
            Some(Ok(Message::Binary(bytes))) => {
                if let Said::Join { room, welcome } = read(&bytes) {
                    break (room, welcome);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok(()),
        }
    };
    let own = server.next.fetch_add(1, Ordering::Relaxed);
    let room = server
        .rooms
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(room)
        .or_insert_with(|| broadcast::channel(QUEUE_MESSAGES).0)
        .clone();
    let mut media = room.subscribe();
    let mut wants = true;
    socket
        .send(Message::Binary(welcome.bytes().clone()))
        .await?;
    let (mut sink, mut stream) = socket.split();
    let dropped = |count| server.dropped.fetch_add(count, Ordering::Relaxed);
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Binary(bytes))) => match read(&bytes) {
                    // Nobody who listens is no error.
                    Said::Media => _ = room.send((own, bytes)),
                    Said::Wants(said) => wants = said,
                    Said::Answer(answer) => {
                        sink.send(Message::Binary(answer.bytes().clone())).await?;
                    }
                    Said::Leave => return sink.close().await,
                    Said::Join { .. } | Said::Nothing => {}
                },
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            received = media.recv(), if wants => match received {
                Ok((from, bytes)) if from != own => match server.sending {
                    Sending::Each => sink.send(Message::Binary(bytes)).await?,
                    Sending::Batch => {
                        sink.feed(Message::Binary(bytes)).await?;
                        loop {
                            match media.try_recv() {
                                Ok((from, bytes)) if from != own => {
                                    sink.feed(Message::Binary(bytes)).await?;
                                }
                                Ok(_) => {}
                                Err(TryRecvError::Lagged(count)) => _ = dropped(count),
                                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                            }
                        }
                        sink.flush().await?;
                    }
                },
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => _ = dropped(count),
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}
