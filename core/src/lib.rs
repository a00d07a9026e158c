//! Room membership: which edges hold a room and who is in it. The decisions are in [`membership`]; the
//! service around them is [`server`], and [`handle`] is what an edge holds of core, in its own process or
//! elsewhere. [`quic`] is how servers of a cluster reach each other, edges included. No media ever passes
//! through core.
//!
//! [`Core::start`] is what `main` and the tests call.

mod clock;
pub mod config;
pub mod handle;
mod http;
mod limits;
pub mod membership;
mod outbox;
pub mod planted;
pub mod quic;
pub mod server;
mod token;

use std::{io, net::SocketAddr};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::{config::Config, token::TokenError};
use crate::{
    http::HttpContext,
    limits::STOP_TIMEOUT,
    membership::{Rules, Settings},
    quic::{
        BindError, Credentials, CredentialsError, Endpoint, EndpointConfig, PeerIdentity, Protocol,
        Transport,
    },
    server::{Service, ServiceConfig},
    token::OperatorToken,
};

/// Core cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its certificate.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Its certificate is an edge's.
    #[error(
        "--cluster-cert is that of {0}, not of a core: \
         make one with `edge-node certs add DIR --core NAME`"
    )]
    NoCore(PeerIdentity),
    /// Where edges dial.
    #[error("--listen: {0}")]
    Bind(#[from] BindError),
    /// Where operators look.
    #[error("cannot listen on {address}: {reason}. Choose another with --http-addr")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: io::Error,
    },
    /// The operators' token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// A running core.
#[derive(Debug)]
pub struct Core {
    edges: SocketAddr,
    http: SocketAddr,
    service: Service,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Core {
    /// Starts everything; returns once edges can dial.
    ///
    /// # Errors
    /// [`StartError`], with what to do.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let credentials = Credentials::load(&config.credentials())?;
        Self::start_as(credentials, config).await
    }

    /// The same with a certificate that somebody else read.
    ///
    /// # Errors
    /// [`StartError`], with what to do.
    pub async fn start_as(credentials: Credentials, config: Config) -> Result<Self, StartError> {
        let identity = credentials.identity();
        if !matches!(identity, PeerIdentity::Core { .. }) {
            return Err(StartError::NoCore(identity));
        }
        let token = OperatorToken::load(config.operator_token_file.as_deref())?;
        let address = config.http_addr;
        let unheard = |reason| StartError::Http { address, reason };
        let listener = TcpListener::bind(address).await.map_err(unheard)?;
        let http = listener.local_addr().map_err(unheard)?;
        let endpoint = Endpoint::bind(
            config.listen,
            EndpointConfig {
                credentials: credentials.clone(),
                accepts: Some(Protocol::Core),
                transport: Transport::control(),
                rng_seed: None,
            },
        )?;
        let edges = endpoint.local_addr().map_err(|reason| BindError::Address {
            address: config.listen,
            reason,
        })?;
        let prometheus = recorder();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let settings = Settings {
            cluster: config.cluster_id,
            rules: Rules {
                max_participants: config.max_participants,
            },
            embedded: false,
        };
        let service = Service::start(
            ServiceConfig {
                endpoint,
                term: clock::wall_ms(),
                settings,
                redirect: config.redirect,
            },
            &tasks,
            stop.clone(),
        );
        tasks.spawn(credentials.keep_fresh(stop.clone()));
        let context = HttpContext {
            service: service.clone(),
            prometheus,
            token,
        };
        tasks.spawn(http::run(listener, context, tasks.clone(), stop.clone()));
        tracing::info!(%identity, %edges, %http, "ready");
        Ok(Self {
            edges,
            http,
            service,
            tasks,
            stop,
        })
    }

    /// Where edges dial, over UDP.
    pub const fn edge_addr(&self) -> SocketAddr {
        self.edges
    }

    /// Where operators look, and pages ask for an edge.
    pub const fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// What it knows.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Tells every edge, and waits until they have heard it, but not for long.
    pub async fn shut_down(self) {
        tracing::info!("stopping");
        self.stop.cancel();
        self.tasks.close();
        if timeout(STOP_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::info!("some connections did not end in time");
        }
    }
}

/// The process has one recorder, however many cores a test starts in it.
fn recorder() -> PrometheusHandle {
    use std::sync::OnceLock;
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Whoever embeds a core may have a recorder of its own; that one counts then.
            if ::metrics::set_global_recorder(recorder).is_ok() {
                http::describe();
            }
            handle
        })
        .clone()
}
