//! An edge's connection to a core elsewhere: it registers, says that it is alive, and comes again for as
//! long as it takes. It believes no core that began before one it has heard of.

use std::{
    net::SocketAddr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use metrics::{counter, gauge};
use pulse_proto::cluster::{
    ClusterError,
    codec::{Decoder, MAX_CLUSTER_MESSAGE},
    to_core::{FromCore, RefusedCode, ToCore},
};
use tokio::{
    net::lookup_host,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{CoreEvent, EdgeSide, Ends, Message};
use crate::{
    clock,
    limits::{
        BACKOFF_FIRST, BACKOFF_LAST, BACKOFF_REFUSED, CONNECT_TIMEOUT, HEARTBEAT, READ_CHUNK,
        STREAM_BATCH, WRITE_TIMEOUT,
    },
    planted::{self, Bug},
    quic::{
        Connection, ConnectionError, Endpoint, Expected, Protocol, RecvStream, SendStream,
        StreamError,
    },
};

/// A core elsewhere.
#[derive(Clone, Debug)]
pub struct RemoteCore {
    /// What dials: of this edge's certificate.
    pub endpoint: Endpoint,
    /// Where it is, HOST:PORT; several are tried in turn.
    pub addrs: Vec<String>,
    /// Spreads the tries of many edges; any number.
    pub seed: u64,
}

/// Why there is no connection to core.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("there is no address for {0}: check --core")]
    Address(String),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Message(#[from] ClusterError),
    #[error("core closed the stream")]
    Ended,
    #[error("core did not answer in time")]
    Silent,
    #[error("core refuses this edge: {sentence}")]
    Refused { code: RefusedCode, sentence: String },
    #[error("core says to ask {0}")]
    Redirected(String),
    #[error("this core began at {found}, and a later one at {known}: it is not believed")]
    LowerTerm { found: u64, known: u64 },
    #[error("the edge has stopped")]
    Stopped,
}

pub(super) async fn run(
    remote: RemoteCore,
    mut edge: EdgeSide,
    mut ends: Ends,
    stop: CancellationToken,
) {
    let mut tries = Tries::new(&remote);
    let mut highest_term = 0;
    loop {
        let address = tries.address();
        let ended = {
            let session = Session {
                edge: &mut edge,
                ends: &mut ends,
                highest_term: &mut highest_term,
                stop: &stop,
            };
            session.run(&remote.endpoint, &address).await
        };
        let was_up = ends.up.swap(false, Ordering::Relaxed);
        gauge!("pulse_core_connected").set(0.0);
        if was_up && !ends.tell(CoreEvent::Down).await {
            return;
        }
        let Err(error) = ended else { return };
        if stop.is_cancelled() {
            return;
        }
        counter!("pulse_core_disconnects_total").increment(1);
        match &error {
            LinkError::Stopped => return,
            LinkError::Redirected(_) => tracing::info!(%error, "asking another core"),
            error => tracing::warn!(core = %address, %error, "no core"),
        }
        let pause = tries.failed(&error, was_up);
        tokio::select! {
            biased;
            () = sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        // What was said to a core that is gone is said anew to the next.
        while ends.messages.try_recv().is_ok() {}
    }
}

/// Which core is tried next, and when.
struct Tries {
    addrs: Vec<String>,
    at: usize,
    redirect: Option<String>,
    redirects: u32,
    pause: Duration,
    random: u64,
}

impl Tries {
    /// Cores that send an edge round in a circle are left after so many.
    const MAX_REDIRECTS: u32 = 4;

    fn new(remote: &RemoteCore) -> Self {
        Self {
            addrs: remote.addrs.clone(),
            at: 0,
            redirect: None,
            redirects: 0,
            pause: BACKOFF_FIRST,
            random: remote.seed | 1,
        }
    }

    fn address(&mut self) -> String {
        if let Some(address) = self.redirect.take() {
            return address;
        }
        let count = self.addrs.len().max(1);
        self.addrs.get(self.at % count).cloned().unwrap_or_default()
    }

    /// How long to wait before the next try. Below a lease at most, so that a new core hears of every
    /// edge while it collects.
    fn failed(&mut self, error: &LinkError, was_up: bool) -> Duration {
        if was_up {
            self.pause = BACKOFF_FIRST;
            self.redirects = 0;
        }
        if let LinkError::Redirected(address) = error
            && self.redirects < Self::MAX_REDIRECTS
        {
            self.redirects += 1;
            self.redirect = Some(address.clone());
            return Duration::ZERO;
        }
        self.redirects = 0;
        self.at = self.at.wrapping_add(1);
        let hopeless = match error {
            LinkError::Refused { code, .. } => matches!(
                code,
                RefusedCode::Version
                    | RefusedCode::Cluster
                    | RefusedCode::Identity
                    | RefusedCode::Stale
                    | RefusedCode::Taken
            ),
            LinkError::Connection(
                ConnectionError::OwnCertificate(_) | ConnectionError::PeerCertificate(_),
            ) => true,
            _ => false,
        };
        let pause = if hopeless {
            BACKOFF_REFUSED
        } else {
            self.pause
        };
        self.pause = (self.pause * 2).min(BACKOFF_LAST);
        // Between half of it and all of it.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        pause / 2 + pause.mul_f64((self.random % 1_000) as f64 / 2_000.0)
    }
}

/// One connection, from dialling to its end.
struct Session<'a> {
    edge: &'a mut EdgeSide,
    ends: &'a mut Ends,
    highest_term: &'a mut u64,
    stop: &'a CancellationToken,
}

impl Session<'_> {
    /// Runs until the connection ends; `Ok` if this edge stops.
    async fn run(mut self, endpoint: &Endpoint, address: &str) -> Result<(), LinkError> {
        let dialled = timeout(CONNECT_TIMEOUT, self.dial(endpoint, address));
        let connection = tokio::select! {
            biased;
            dialled = dialled => dialled.map_err(|_| LinkError::Silent)??,
            () = self.stop.cancelled() => return Err(LinkError::Stopped),
        };
        let (mut send, recv) = connection.open_bi().await?;
        let mut heard = Heard {
            recv,
            decoder: Decoder::new(MAX_CLUSTER_MESSAGE),
        };
        let hello = ToCore::Hello(Box::new(self.edge.hello(self.heard_of())));
        write(&mut send, &mut [hello.encode()]).await?;
        let welcomed = tokio::select! {
            biased;
            welcomed = timeout(CONNECT_TIMEOUT, heard.next()) => welcomed,
            () = self.stop.cancelled() => return Err(LinkError::Stopped),
        };
        let lease = match welcomed {
            Ok(first) => self.on_first(first?).await?,
            Err(_) => return Err(LinkError::Silent),
        };
        let talked = self.talk(&mut send, &mut heard, lease).await;
        if talked.is_ok() {
            // Rows are void from now on; core closes once it has read that.
            let _ = write(&mut send, &mut [ToCore::Goodbye.encode()]).await;
            send.finish();
            let _ = timeout(HEARTBEAT, connection.closed()).await;
        }
        connection.close(0, "this edge leaves");
        talked
    }

    async fn dial(&self, endpoint: &Endpoint, address: &str) -> Result<Connection, LinkError> {
        let resolved: Vec<SocketAddr> = match address.parse() {
            Ok(address) => vec![address],
            Err(_) => lookup_host(address)
                .await
                .map(Iterator::collect)
                .unwrap_or_default(),
        };
        let mut failed = LinkError::Address(address.to_owned());
        for address in resolved {
            match endpoint
                .connect(address, Protocol::Core, &Expected::AnyCore)
                .await
            {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    /// The first answer: a welcome, or why not. Returns the lease.
    async fn on_first(&mut self, first: FromCore) -> Result<Duration, LinkError> {
        let FromCore::Welcome {
            stamp, lease_ms, ..
        } = &first
        else {
            self.refusal(first)?;
            return Err(LinkError::Ended);
        };
        self.believe(stamp.term)?;
        let lease = Duration::from_millis((*lease_ms).into());
        tracing::info!(term = stamp.term, "registered at core");
        self.ends.up.store(true, Ordering::Relaxed);
        gauge!("pulse_core_connected").set(1.0);
        if self.ends.pass_on(first).await {
            Ok(lease)
        } else {
            Err(LinkError::Stopped)
        }
    }

    fn refusal(&self, message: FromCore) -> Result<FromCore, LinkError> {
        match message {
            FromCore::Refused { code, sentence } => Err(LinkError::Refused { code, sentence }),
            FromCore::Redirect { addr } => Err(LinkError::Redirected(addr)),
            message => Ok(message),
        }
    }

    /// The highest term that was heard of.
    fn heard_of(&self) -> u64 {
        if planted::is(Bug::StaleTerm) {
            return 0;
        }
        *self.highest_term
    }

    fn believe(&mut self, term: u64) -> Result<(), LinkError> {
        let known = self.heard_of();
        if term < known {
            return Err(LinkError::LowerTerm { found: term, known });
        }
        *self.highest_term = term;
        self.ends.term.store(term, Ordering::Relaxed);
        Ok(())
    }

    async fn talk(
        &mut self,
        send: &mut SendStream,
        heard: &mut Heard,
        lease: Duration,
    ) -> Result<(), LinkError> {
        let (mut beats, mut watching) = (0, true);
        let mut beat_at = clock::now();
        let mut last_heard = clock::now();
        let mut messages = Vec::with_capacity(STREAM_BATCH);
        let mut batch = Vec::with_capacity(STREAM_BATCH);
        loop {
            let due: Instant = beat_at.min(last_heard + lease);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                message = heard.next() => {
                    last_heard = clock::now();
                    let message = self.refusal(message?)?;
                    if let Some(term) = term_of(&message) {
                        self.believe(term)?;
                    }
                    if !self.ends.pass_on(message).await {
                        return Err(LinkError::Stopped);
                    }
                }
                count = self.ends.messages.recv_many(&mut messages, STREAM_BATCH) => {
                    if count == 0 {
                        return Ok(());
                    }
                    batch.extend(messages.drain(..).map(|message| match message {
                        Message::Declare(declaration) => ToCore::Declare(declaration).encode(),
                        Message::Post(chat) => ToCore::Chat(chat).encode(),
                    }));
                }
                changed = self.edge.status.changed(), if watching => {
                    watching = changed.is_ok();
                    beat_at = clock::now();
                }
                () = sleep_until(due.into()) => {}
            }
            let now = clock::now();
            if now >= last_heard + lease {
                return Err(LinkError::Silent);
            }
            if now >= beat_at {
                beats += 1;
                beat_at = now + HEARTBEAT;
                batch.push(ToCore::Heartbeat(self.edge.heartbeat(beats)).encode());
            }
            if !batch.is_empty() {
                write(send, &mut batch).await?;
                batch.clear();
            }
        }
    }
}

const fn term_of(message: &FromCore) -> Option<u64> {
    match message {
        FromCore::Welcome { stamp, .. }
        | FromCore::Edges { stamp, .. }
        | FromCore::HeartbeatAck { stamp, .. } => Some(stamp.term),
        FromCore::View(view) => Some(view.stamp.term),
        FromCore::Chat { term, .. } => Some(*term),
        _ => None,
    }
}

async fn write(send: &mut SendStream, batch: &mut [Bytes]) -> Result<(), LinkError> {
    match timeout(WRITE_TIMEOUT, send.write_all(batch)).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(LinkError::Silent),
    }
}

/// What core says, message by message.
struct Heard {
    recv: RecvStream,
    decoder: Decoder,
}

impl Heard {
    /// The next message that is known here. Nothing is lost when this is given up.
    async fn next(&mut self) -> Result<FromCore, LinkError> {
        loop {
            while let Some(message) = self.decoder.next_message()? {
                if let Some(message) = FromCore::parse(&message)? {
                    return Ok(message);
                }
            }
            let Some(bytes) = self.recv.read(READ_CHUNK).await? else {
                return Err(LinkError::Ended);
            };
            self.decoder.push(&bytes);
        }
    }
}
