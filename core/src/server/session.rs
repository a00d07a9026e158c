//! One edge on its connection: what it says goes to the owner, what the owner wants told goes back.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use metrics::{counter, gauge};
use pulse_proto::cluster::{
    ClusterError,
    codec::Decoder,
    to_core::{EdgeHello, FromCore, MAX_TO_CORE, RefusedCode, ToCore},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Message, ServiceConfig};
use crate::{
    limits::{CLOSE_TIMEOUT, CONNECT_TIMEOUT, READ_CHUNK, WRITE_TIMEOUT},
    membership::{Input, SessionId},
    outbox::{Next, Outbox},
    quic::{Connection, ConnectionError, PeerIdentity, RecvStream, SendStream, StreamError},
};

/// Accepts until told to stop; then waits until every edge has been told.
pub(super) async fn accept(
    config: ServiceConfig,
    owner: mpsc::Sender<Message>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let ServiceConfig {
        endpoint, redirect, ..
    } = config;
    let sessions = Arc::new(AtomicU64::new(1));
    loop {
        let handshake = tokio::select! {
            biased;
            handshake = endpoint.accept() => handshake,
            () = stop.cancelled() => None,
        };
        let Some(handshake) = handshake else { break };
        let (owner, redirect, sessions) = (owner.clone(), redirect.clone(), sessions.clone());
        tasks.spawn(async move {
            let from = handshake.remote_addr();
            match handshake.finish().await {
                Ok(connection) => {
                    let session = SessionId(sessions.fetch_add(1, Ordering::Relaxed));
                    serve(connection, session, redirect, owner).await;
                }
                Err(error) => {
                    counter!("pulse_core_refused_total", "cause" => "handshake").increment(1);
                    tracing::info!(%from, %error, "a handshake failed");
                }
            }
        });
    }
    // Whoever is connected is told first; the address is free once they are.
    let _ = timeout(CLOSE_TIMEOUT * 2, owner.closed()).await;
    let _ = timeout(CLOSE_TIMEOUT, endpoint.idle()).await;
    endpoint.close(RefusedCode::Stopping.number(), "core stops");
    endpoint.idle().await;
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Message(#[from] ClusterError),
    #[error("it finished without a goodbye")]
    Ended,
    #[error("it said nothing in time")]
    Silent,
    #[error("it read nothing in time")]
    Slow,
    #[error("it spoke before it introduced itself, or did so twice")]
    OutOfTurn,
    #[error("its certificate is that of {0}")]
    Identity(PeerIdentity),
    #[error("it was refused: {0:?}")]
    Refused(RefusedCode),
    #[error("core has stopped")]
    Stopped,
}

async fn serve(
    connection: Connection,
    session: SessionId,
    redirect: Option<String>,
    owner: mpsc::Sender<Message>,
) {
    gauge!("pulse_core_connections").increment(1.0);
    let identity = connection.identity().clone();
    let ended = talk(&connection, session, redirect, &owner).await;
    // An owner that has stopped knows of nobody any more.
    let _ = owner.send(Message::Closed(session)).await;
    match ended {
        Ok(()) => {
            connection.close(0, "goodbye");
            tracing::info!(%identity, "an edge has left");
        }
        Err(error) => {
            let code = refused_code(&error);
            connection.close(code.number(), sentence(code));
            tracing::warn!(%identity, %error, "an edge's connection ended");
        }
    }
    gauge!("pulse_core_connections").decrement(1.0);
}

async fn talk(
    connection: &Connection,
    session: SessionId,
    redirect: Option<String>,
    owner: &mpsc::Sender<Message>,
) -> Result<(), SessionError> {
    let opened = timeout(CONNECT_TIMEOUT, async {
        let (send, recv) = connection.accept_bi().await?;
        let mut heard = Heard {
            recv,
            decoder: Decoder::new(MAX_TO_CORE),
        };
        let first = heard.next().await?;
        Ok::<_, SessionError>((send, heard, first))
    });
    let (mut send, mut heard, first) = opened.await.map_err(|_| SessionError::Silent)??;
    let Some(ToCore::Hello(hello)) = first else {
        return Err(SessionError::OutOfTurn);
    };
    if !is_of(&hello, connection.identity()) {
        refuse(&mut send, RefusedCode::Identity, connection).await;
        return Err(SessionError::Identity(connection.identity().clone()));
    }
    if let Some(addr) = redirect {
        let message = FromCore::Redirect { addr };
        let _ = timeout(WRITE_TIMEOUT, send.write(message.encode())).await;
        send.finish();
        let _ = timeout(CLOSE_TIMEOUT, connection.closed()).await;
        return Ok(());
    }
    let outbox = Arc::new(Outbox::default());
    let opened = Message::Opened {
        session,
        outbox: outbox.clone(),
    };
    let hello = Message::Input(Input::Hello { session, hello });
    for message in [opened, hello] {
        owner
            .send(message)
            .await
            .map_err(|_| SessionError::Stopped)?;
    }
    tokio::select! {
        biased;
        heard = listen(&mut heard, session, owner) => heard,
        code = tell(&mut send, &outbox) => {
            let code = code?;
            refuse(&mut send, code, connection).await;
            Err(SessionError::Refused(code))
        }
    }
}

/// Nobody is believed to be another than its certificate names.
fn is_of(hello: &EdgeHello, identity: &PeerIdentity) -> bool {
    match identity {
        PeerIdentity::Edge { region, id } => *region == hello.card.region && *id == hello.card.edge,
        PeerIdentity::Core { .. } => false,
    }
}

/// Reads until the edge says goodbye.
async fn listen(
    heard: &mut Heard,
    session: SessionId,
    owner: &mpsc::Sender<Message>,
) -> Result<(), SessionError> {
    loop {
        let input = match heard.next().await? {
            // A stream also ends with a process that has failed: that is no goodbye.
            None => return Err(SessionError::Ended),
            Some(ToCore::Goodbye) => {
                let goodbye = Message::Input(Input::Goodbye { session });
                let _ = owner.send(goodbye).await;
                return Ok(());
            }
            Some(ToCore::Heartbeat(heartbeat)) => Input::Heartbeat { session, heartbeat },
            Some(ToCore::Declare(declaration)) => Input::Declare {
                session,
                declaration,
            },
            Some(ToCore::Chat(post)) => Input::Chat { session, post },
            Some(_) => return Err(SessionError::OutOfTurn),
        };
        owner
            .send(Message::Input(input))
            .await
            .map_err(|_| SessionError::Stopped)?;
    }
}

/// Writes until the connection is to end.
async fn tell(send: &mut SendStream, outbox: &Outbox) -> Result<RefusedCode, SessionError> {
    loop {
        match outbox.next().await {
            Next::Write(mut batch) => {
                timeout(WRITE_TIMEOUT, send.write_all(&mut batch))
                    .await
                    .map_err(|_| SessionError::Slow)??;
            }
            Next::End(code) => return Ok(code),
        }
    }
}

/// Says why, and gives the edge a moment to read it.
async fn refuse(send: &mut SendStream, code: RefusedCode, connection: &Connection) {
    let refused = FromCore::Refused {
        code,
        sentence: sentence(code).to_owned(),
    };
    let cause = format!("{code:?}").to_lowercase();
    counter!("pulse_core_refused_total", "cause" => cause).increment(1);
    let said = async {
        let _ = send.write(refused.encode()).await;
        send.finish();
        connection.closed().await
    };
    let _ = timeout(CLOSE_TIMEOUT, said).await;
}

const fn refused_code(error: &SessionError) -> RefusedCode {
    match error {
        SessionError::Refused(code) => *code,
        SessionError::Identity(_) => RefusedCode::Identity,
        SessionError::Slow => RefusedCode::Slow,
        SessionError::Stopped => RefusedCode::Stopping,
        SessionError::Connection(_)
        | SessionError::Stream(_)
        | SessionError::Message(_)
        | SessionError::Ended
        | SessionError::Silent
        | SessionError::OutOfTurn => RefusedCode::Protocol,
    }
}

const fn sentence(code: RefusedCode) -> &'static str {
    match code {
        RefusedCode::Version => "no version is spoken by both: upgrade the older of edge and core",
        RefusedCode::Cluster => "this is another cluster: compare --cluster-id on both",
        RefusedCode::Identity => {
            "the certificate names another server: compare it with --edge-id and --region"
        }
        RefusedCode::Stale => {
            "a later run of an edge of this name is registered: give each edge its own --edge-id"
        }
        RefusedCode::Taken => {
            "an edge of this name is registered in another region: give each edge its own --edge-id"
        }
        RefusedCode::Full => "there are as many edges as a cluster may have",
        RefusedCode::Superseded => "a later core has begun: ask that one",
        RefusedCode::Protocol => "what was said could not be understood: compare versions",
        RefusedCode::Slow => "what was told was not read in time: come again",
        RefusedCode::Expired => "the lease has run out: come again",
        RefusedCode::Stopping => "this core stops: come again, or ask another",
        _ => "not taken",
    }
}

/// What an edge says, message by message.
struct Heard {
    recv: RecvStream,
    decoder: Decoder,
}

impl Heard {
    /// The next message that is known here; none once the edge has finished.
    async fn next(&mut self) -> Result<Option<ToCore>, SessionError> {
        loop {
            while let Some(message) = self.decoder.next_message()? {
                if let Some(message) = ToCore::parse(&message)? {
                    return Ok(Some(message));
                }
            }
            let Some(bytes) = self.recv.read(READ_CHUNK).await? else {
                return Ok(None);
            };
            self.decoder.push(&bytes);
        }
    }
}
