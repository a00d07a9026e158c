//! An edge node: it terminates browsers near them and forwards frames between the members of a room.
//!
//! [`Edge::start`] is what `main` and the tests call. The way of a frame: [`listener`] accepts,
//! [`http`] upgrades, [`session`] parses and checks, [`room`] decides who gets it, [`outbox`] queues
//! it for each, and the session's writer sends it.

mod ack;
mod backbone;
mod budget;
pub mod certs;
mod clock;
mod cluster;
pub mod config;
mod directory;
mod http;
mod images;
mod limits;
mod listener;
mod metrics;
mod nearest;
mod open_files;
mod origins;
mod outbox;
mod pace;
mod probe;
mod random;
mod room;
mod rooms;
mod session;
#[cfg(feature = "simulation")]
pub mod simulation;
mod socket;
pub mod tls;
mod token;
mod unfinished;
mod web;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cluster::Cluster,
    directory::{Directory, PublicEdge},
    http::HttpContext,
    limits::{
        DRAIN_SPREAD, DRAIN_TIMEOUT, MAX_HTTP_CONNECTIONS, MAX_OPS_CONNECTIONS, METRICS_UPKEEP,
    },
    listener::Acceptor,
    origins::Origins,
    room::RoomContext,
    rooms::Rooms,
    session::SessionContext,
    unfinished::Unfinished,
};
pub use crate::{cluster::ClusterStartError, config::Config, socket::CongestionError};

/// An edge cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address is taken or not of this machine.
    #[error("cannot listen on {address}: {reason}. Choose another with {flag}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: io::Error,
        /// What to change.
        flag: &'static str,
    },
    /// The kernel has no such congestion control.
    #[error(transparent)]
    Congestion(#[from] CongestionError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterStartError),
}

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    clients: SocketAddr,
    ops: SocketAddr,
    tls: bool,
    directory: Directory,
    /// Clients' connections, and the rooms that they leave.
    sessions: TaskTracker,
    rooms: TaskTracker,
    tasks: TaskTracker,
    /// Clients are to go.
    drain: CancellationToken,
    /// Everything else is to end.
    stop: CancellationToken,
}

impl Edge {
    /// Starts everything; returns once clients can connect.
    ///
    /// # Errors
    /// [`StartError`], with what to do.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        open_files::raise_limit(config.max_connections);
        let tls = tls::acceptor(&config)?;
        let listeners = listen(&config).await?;
        let ops = bind(config.ops_addr, "--ops-addr").await?;
        let prometheus = recorder();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (sessions, in_rooms) = (TaskTracker::new(), TaskTracker::new());
        let drain = CancellationToken::new();
        let (clients_at, ops_at) = (local(listeners.first())?, local(Some(&ops))?);
        let tls_on = config.is_tls();
        let public_url = config.cluster.public_url.clone();
        let public_url = public_url.unwrap_or_else(|| origin(clients_at, tls_on));
        let directory = Directory::new(PublicEdge {
            id: config.cluster.edge_id.clone(),
            region: config.cluster.region.clone(),
            url: public_url.clone(),
            draining: false,
        });

        let cluster = Cluster::start(
            &config.cluster,
            public_url,
            config.max_connections,
            &tasks,
            &stop,
        )?;
        let context = RoomContext {
            edge: config.cluster.edge_id.clone(),
            core: cluster.core.clone(),
            links: cluster.links.clone(),
            max_participants: usize::from(config.max_participants),
            made: Arc::default(),
            participants: Arc::default(),
        };
        let rooms = Rooms::new(context, in_rooms.clone());
        cluster.run(
            rooms.clone(),
            directory.clone(),
            drain.clone(),
            &tasks,
            &stop,
        );

        let context = HttpContext {
            sessions: SessionContext {
                rooms: rooms.clone(),
                images: Arc::default(),
                connections: Arc::new(AtomicU64::new(1)),
                slots: Arc::new(Semaphore::new(config.max_connections)),
                joining: Unfinished::default(),
                directory: directory.clone(),
                tasks: sessions.clone(),
                stop: drain.clone(),
                leaving: Arc::default(),
            },
            origins: Origins {
                directory: directory.clone(),
                allowed: config.allow_origin.clone().into(),
            },
        };
        let acceptor = Acceptor {
            routes: http::client_routes(context),
            tls,
            slots: Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS)),
            unfinished: Unfinished::default(),
            tasks: tasks.clone(),
            stop: drain.clone(),
        };
        for listener in listeners {
            tasks.spawn(acceptor.clone().run(listener));
        }
        // What was counted in histograms is summed up even where nobody asks for it.
        let (counted, stopped) = (prometheus.clone(), stop.clone());
        tasks.spawn(async move {
            while timeout(METRICS_UPKEEP, stopped.cancelled()).await.is_err() {
                counted.run_upkeep();
            }
        });
        let operators = Acceptor {
            routes: http::ops_routes(prometheus),
            tls: None,
            slots: Arc::new(Semaphore::new(MAX_OPS_CONNECTIONS)),
            unfinished: Unfinished::default(),
            stop: stop.clone(),
            ..acceptor
        };
        tasks.spawn(operators.run(ops));
        tracing::info!(clients = %clients_at, ops = %ops_at, tls = tls_on, "ready");
        Ok(Self {
            clients: clients_at,
            ops: ops_at,
            tls: tls_on,
            directory,
            sessions,
            rooms: in_rooms,
            tasks,
            drain,
            stop,
        })
    }

    /// Where clients connect.
    pub const fn client_addr(&self) -> SocketAddr {
        self.clients
    }

    /// Where operators look.
    pub const fn ops_addr(&self) -> SocketAddr {
        self.ops
    }

    /// A page to open: a room of its own, whose name nobody guesses.
    pub fn invitation(&self) -> String {
        let origin = origin(self.clients, self.tls);
        format!("{origin}/#{}", random::room_name())
    }

    /// Stops accepting, sends every client to another edge where there is one, tells it why, and ends once
    /// they are gone. Nothing of it takes long.
    pub async fn shut_down(self) {
        tracing::info!("stopping");
        self.directory.drain();
        self.drain.cancel();
        ended(&self.sessions, DRAIN_SPREAD + DRAIN_TIMEOUT, "connections").await;
        // Whoever is on the way to another edge is known here until it is there.
        ended(&self.rooms, DRAIN_TIMEOUT, "rooms").await;
        self.stop.cancel();
        ended(&self.tasks, DRAIN_TIMEOUT, "tasks").await;
    }
}

async fn ended(tasks: &TaskTracker, within: Duration, what: &str) {
    tasks.close();
    if timeout(within, tasks.wait()).await.is_err() {
        tracing::info!(left = tasks.len(), "some {what} did not end in time");
    }
}

/// What browsers on this machine, or in its network, open.
fn origin(clients: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let host = match clients.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => "localhost".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("{scheme}://{host}:{}", clients.port())
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|reason| StartError::Listen {
            address,
            reason,
            flag,
        })
}

fn local(listener: Option<&TcpListener>) -> Result<SocketAddr, StartError> {
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    let flag = "--listen";
    listener
        .map_or_else(
            || Err(io::ErrorKind::AddrNotAvailable.into()),
            TcpListener::local_addr,
        )
        .map_err(|reason| StartError::Listen {
            address,
            reason,
            flag,
        })
}

/// The clients' listeners: both loopback addresses share one port, and a machine may lack IPv6.
async fn listen(config: &Config) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for mut address in config.listen.addresses() {
        if let Some(first) = listeners.first() {
            address.set_port(local(Some(first))?.port());
        }
        match bind(address, "--listen").await {
            Ok(listener) => {
                socket::choose_congestion(&listener, config.tcp_congestion.as_deref())?;
                listeners.push(listener);
            }
            Err(error) if listeners.is_empty() => return Err(error),
            Err(error) => tracing::info!(%error, "going on without it"),
        }
    }
    Ok(listeners)
}

/// The process has one recorder, however many edges a test starts in it.
fn recorder() -> PrometheusHandle {
    use std::sync::OnceLock;
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = metrics::recorder();
            let handle = recorder.handle();
            // Whoever embeds an edge may have a recorder of its own; that one counts then.
            if ::metrics::set_global_recorder(recorder).is_ok() {
                metrics::describe();
            }
            handle
        })
        .clone()
}
