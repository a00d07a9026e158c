//! A core on loopback, edges that keep to the handle, and edges that say what a test wants.

use std::{net::SocketAddr, time::Duration};

use clap::Parser as _;
use pulse_core::{
    Config, Core,
    handle::{CoreEvent, CoreHandle, EdgeSide, EdgeStatus, RemoteCore},
    membership::{Declaration, EdgeCard, EdgeHello, EdgeId, Incarnation, RoomView, Row},
    quic::{
        Connection, Credentials, Endpoint, EndpointConfig, Expected, Protocol, RecvStream,
        SendStream, Transport,
    },
};
use pulse_proto::{
    DisplayName, ParticipantId, RoomName,
    cluster::{
        Region,
        codec::{Decoder, MAX_CLUSTER_MESSAGE},
        to_core::{CORE_VERSION, FromCore, ToCore},
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Authority;

/// Nothing here takes so long unless it is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(done) => done,
        Err(_) => panic!("it did not happen: {what}"),
    }
}

/// A core on free ports, or these, with more flags.
pub(crate) async fn start_core(cluster: &Authority, listen: &str, flags: &[&str]) -> Core {
    let words = [
        "pulse-core",
        "--listen",
        listen,
        "--http-addr",
        "127.0.0.1:0",
        "--cluster-cert",
        "-",
        "--cluster-key",
        "-",
        "--cluster-ca",
        "-",
    ];
    let config = Config::try_parse_from(words.iter().chain(flags)).unwrap();
    // Another may be about to leave the address.
    within("a core starts", async {
        loop {
            match Core::start_as(cluster.core(), config.clone()).await {
                Ok(core) => return core,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

pub(crate) fn dialler(credentials: Credentials) -> Endpoint {
    let config = EndpointConfig {
        credentials,
        accepts: None,
        transport: Transport::control(),
        rng_seed: None,
    };
    Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), config).unwrap()
}

pub(crate) fn card(name: &str, incarnation: u64) -> EdgeCard {
    EdgeCard {
        edge: EdgeId::parse(name).unwrap(),
        incarnation: Incarnation(incarnation),
        region: Region::parse("eu").unwrap(),
        public_url: Some(format!("https://{name}.example.org")),
        backbone: None,
    }
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub(crate) fn declaration(name: &str, version: u64, rows: &[u8]) -> Declaration {
    Declaration {
        room: room(name),
        version,
        chat_seq: None,
        rows: rows
            .iter()
            .map(|number| Row {
                participant: ParticipantId::from_random([*number; 16]),
                name: DisplayName::parse("Ada").unwrap(),
                moves: 0,
            })
            .collect(),
    }
}

/// The edges of a view, and how many rows each has.
pub(crate) fn listed(view: &RoomView) -> Vec<(String, usize)> {
    let edges = view.edges.iter();
    edges
        .map(|held| (held.edge.to_string(), held.rows.len()))
        .collect()
}

/// An edge as its process would be.
pub(crate) struct TestEdge {
    pub(crate) core: CoreHandle,
    pub(crate) events: mpsc::Receiver<CoreEvent>,
    pub(crate) status: watch::Sender<EdgeStatus>,
    pub(crate) stop: CancellationToken,
}

impl TestEdge {
    pub(crate) fn start(cluster: &Authority, name: &str, cores: &[SocketAddr]) -> Self {
        Self::start_as(cluster.edge(name), card(name, 1), cores)
    }

    pub(crate) fn start_as(credentials: Credentials, card: EdgeCard, cores: &[SocketAddr]) -> Self {
        Self::start_over(dialler(credentials), card, cores)
    }

    pub(crate) fn start_over(endpoint: Endpoint, card: EdgeCard, cores: &[SocketAddr]) -> Self {
        let (status, watched) = watch::channel(EdgeStatus::default());
        let side = EdgeSide {
            card,
            cluster: "pulse".to_owned(),
            build: "test".to_owned(),
            capacity: 100,
            status: watched,
        };
        let remote = RemoteCore {
            endpoint,
            addrs: cores.iter().map(ToString::to_string).collect(),
            seed: 1,
        };
        let stop = CancellationToken::new();
        let (core, events) = CoreHandle::connect(remote, side, &TaskTracker::new(), stop.clone());
        Self {
            core,
            events,
            status,
            stop,
        }
    }

    /// The first event that is as asked for.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut asked: impl FnMut(CoreEvent) -> Option<T>,
    ) -> T {
        within(what, async {
            loop {
                let event = self.events.recv().await.unwrap();
                if let Some(found) = asked(event) {
                    return found;
                }
            }
        })
        .await
    }

    pub(crate) async fn up(&mut self) -> u64 {
        self.until("an edge is registered", |event| match event {
            CoreEvent::Up { stamp, .. } => Some(stamp.term),
            _ => None,
        })
        .await
    }

    /// Waits for a view with these edges and so many rows.
    pub(crate) async fn sees(&mut self, expected: &[(&str, usize)]) -> RoomView {
        let expected: Vec<(String, usize)> = expected
            .iter()
            .map(|(edge, rows)| ((*edge).to_owned(), *rows))
            .collect();
        self.until(&format!("{expected:?} is seen"), |event| match event {
            CoreEvent::View(view) if listed(&view) == expected => Some(view),
            _ => None,
        })
        .await
    }
}

/// An edge that says what a test wants.
pub(crate) struct RawEdge {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    recv: RecvStream,
    decoder: Decoder,
    /// Without it the connection would end.
    _endpoint: Endpoint,
}

impl RawEdge {
    pub(crate) async fn dial(credentials: Credentials, core: SocketAddr) -> Self {
        let endpoint = dialler(credentials);
        let connection = endpoint
            .connect(core, Protocol::Core, &Expected::AnyCore)
            .await
            .unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self {
            connection,
            send,
            recv,
            decoder: Decoder::new(MAX_CLUSTER_MESSAGE),
            _endpoint: endpoint,
        }
    }

    pub(crate) async fn say(&mut self, message: ToCore) {
        self.send.write(message.encode()).await.unwrap();
    }

    pub(crate) async fn hello(&mut self, card: EdgeCard, highest_term: u64) {
        let hello = EdgeHello {
            version_min: 1,
            version_max: CORE_VERSION,
            cluster: "pulse".to_owned(),
            card,
            build: "test".to_owned(),
            capacity: 100,
            highest_term,
        };
        self.say(ToCore::Hello(Box::new(hello))).await;
    }

    pub(crate) async fn hears(&mut self) -> FromCore {
        within("core says something", async {
            loop {
                if let Some(message) = self.decoder.next_message().unwrap() {
                    return FromCore::parse(&message).unwrap().unwrap();
                }
                let bytes = self.recv.read(64 * 1024).await.unwrap().unwrap();
                self.decoder.push(&bytes);
            }
        })
        .await
    }
}
