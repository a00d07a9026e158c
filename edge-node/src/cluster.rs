//! This edge's part in a cluster: it gives core what core asks for and passes what core says to whom it is for,
//! rooms, links and the list of edges. The same whether core is in this process or elsewhere. Never decides
//! who is in a room.

use std::{io, net::SocketAddr, time::Duration};

use pulse_core::{
    handle::{CoreEvent, CoreHandle, EdgeSide, EdgeStatus, RemoteCore},
    membership::{EdgeCard, EdgeInfo, Incarnation, LiveLink, Rules},
    quic::{
        BindError, CredentialFiles, Credentials, CredentialsError, Endpoint, EndpointConfig,
        PeerIdentity, Protocol, Transport,
    },
};
use pulse_proto::cluster::{EdgeId, Region};
use tokio::{
    sync::{mpsc, watch},
    time::interval,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    backbone::{
        LinkContext,
        links::Links,
        mesh::{self, Addresses},
    },
    clock,
    config::ClusterConfig,
    directory::{Directory, PublicEdge},
    limits::{LINK_HEARD_OF, LINK_STREAMS, STATUS_INTERVAL},
    random,
    rooms::Rooms,
};

/// This edge cannot be part of a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterStartError {
    /// The certificate.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The address, once it is taken.
    #[error("the address of the backbone cannot be told: {0}")]
    Address(io::Error),
    /// Other edges could not find this one.
    #[error(
        "--backbone-addr {0} is every address of this machine: say which one others dial, with --backbone-public"
    )]
    Unspecified(SocketAddr),
    /// The flags and the certificate name different edges.
    #[error(
        "the certificate is for {certificate}, and the flags are for edge {edge} in {region}: \
         change --edge-id and --region, or make another with `edge-node certs add`"
    )]
    Identity {
        /// Who the certificate is for.
        certificate: PeerIdentity,
        /// What --edge-id says.
        edge: EdgeId,
        /// What --region says.
        region: String,
    },
}

/// What others know of an edge.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) edge: EdgeId,
    pub(crate) region: Region,
    pub(crate) cluster: String,
    pub(crate) public_url: String,
    pub(crate) max_connections: usize,
}

/// The way to other servers, for an edge that has any.
#[derive(Debug)]
pub(crate) struct Backbone {
    /// For other edges.
    pub(crate) endpoint: Endpoint,
    pub(crate) at: SocketAddr,
    /// For core: the links' end must not be the end of what is still said to it.
    pub(crate) to_core: Endpoint,
    pub(crate) core: Vec<String>,
}

/// What an edge has to do with others, before it has rooms.
#[derive(Debug)]
pub(crate) struct Cluster {
    own: EdgeId,
    name: String,
    incarnation: Incarnation,
    backbone: Option<Backbone>,
    events: mpsc::Receiver<CoreEvent>,
    status: watch::Sender<EdgeStatus>,
    pub(crate) core: CoreHandle,
    pub(crate) links: Links,
}

impl Cluster {
    /// Finds core: the one that was named, or one in this process.
    ///
    /// # Errors
    /// [`ClusterStartError`], with what to do.
    pub(crate) fn start(
        config: &ClusterConfig,
        public_url: String,
        max_connections: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, ClusterStartError> {
        let backbone = backbone(config, tasks, stop)?;
        let began_ms = clock::wall_ms();
        let edge = Known {
            edge: config.edge_id.clone(),
            region: config.region.clone(),
            cluster: config.cluster_id.clone(),
            public_url,
            max_connections,
        };
        Ok(Self::over(edge, backbone, began_ms, tasks, stop))
    }

    /// The same with a way to others that somebody has made, and the wall time when it began.
    pub(crate) fn over(
        edge: Known,
        backbone: Option<Backbone>,
        began_ms: u64,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let incarnation = Incarnation(began_ms);
        let (status, watched) = watch::channel(EdgeStatus::default());
        let side = EdgeSide {
            card: EdgeCard {
                edge: edge.edge.clone(),
                incarnation,
                region: edge.region,
                public_url: Some(edge.public_url),
                backbone: backbone.as_ref().map(|backbone| backbone.at),
            },
            cluster: edge.cluster.clone(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            capacity: u32::try_from(edge.max_connections).unwrap_or(u32::MAX),
            status: watched,
        };
        let (core, events) = match &backbone {
            Some(backbone) => {
                let remote = RemoteCore {
                    endpoint: backbone.to_core.clone(),
                    addrs: backbone.core.clone(),
                    seed: random::sequence().into(),
                };
                CoreHandle::connect(remote, side, tasks, stop.clone())
            }
            None => CoreHandle::embed(incarnation.0, Rules::default(), side, tasks, stop.clone()),
        };
        Self {
            own: edge.edge,
            name: edge.cluster,
            incarnation,
            backbone,
            events,
            status,
            core,
            links: Links::default(),
        }
    }

    /// Links this edge with others, and listens to core from now on.
    pub(crate) fn run(
        self,
        rooms: Rooms,
        directory: Directory,
        drain: CancellationToken,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let (addresses, watched) = watch::channel(Addresses::new());
        if let Some(backbone) = self.backbone {
            let context = LinkContext {
                cluster: self.name,
                incarnation: self.incarnation,
                links: self.links.clone(),
                rooms: rooms.clone(),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(mesh::run(
                self.own.clone(),
                backbone.endpoint,
                watched,
                context,
            ));
        }
        tasks.spawn(report(
            self.status,
            rooms.clone(),
            self.links,
            drain,
            stop.clone(),
        ));
        tasks.spawn(listen(self.own, self.events, rooms, directory, addresses));
    }
}

/// Takes the backbone's address, if there is a core elsewhere.
fn backbone(
    config: &ClusterConfig,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Option<Backbone>, ClusterStartError> {
    let (Some(cert), Some(key), Some(ca)) = (
        config.cluster_cert.clone(),
        config.cluster_key.clone(),
        config.cluster_ca.clone(),
    ) else {
        return Ok(None);
    };
    if config.core.is_empty() {
        return Ok(None);
    }
    let credentials = Credentials::load(&CredentialFiles { cert, key, ca })?;
    let named = PeerIdentity::Edge {
        region: config.region.clone(),
        id: config.edge_id.clone(),
    };
    if credentials.identity() != named {
        return Err(ClusterStartError::Identity {
            certificate: credentials.identity(),
            edge: config.edge_id.clone(),
            region: config.region.to_string(),
        });
    }
    let watched = credentials.clone();
    let stopped = stop.clone();
    tasks.spawn(async move { watched.keep_fresh(stopped).await });
    let to_core = Endpoint::bind(
        SocketAddr::new(config.backbone_addr.ip(), 0),
        EndpointConfig {
            credentials: credentials.clone(),
            accepts: None,
            transport: Transport::control(),
            rng_seed: None,
        },
    )?;
    let endpoint = Endpoint::bind(
        config.backbone_addr,
        EndpointConfig {
            credentials,
            accepts: Some(Protocol::Edge),
            transport: Transport::media(LINK_STREAMS),
            rng_seed: None,
        },
    )?;
    let bound = endpoint.local_addr().map_err(ClusterStartError::Address)?;
    let at = config.backbone_public.unwrap_or(bound);
    if at.ip().is_unspecified() {
        return Err(ClusterStartError::Unspecified(at));
    }
    Ok(Some(Backbone {
        endpoint,
        at,
        to_core,
        core: config.core.clone(),
    }))
}

/// Passes on what core says.
async fn listen(
    own: EdgeId,
    mut events: mpsc::Receiver<CoreEvent>,
    rooms: Rooms,
    directory: Directory,
    addresses: watch::Sender<Addresses>,
) {
    while let Some(event) = events.recv().await {
        match event {
            CoreEvent::Up { stamp, .. } => tracing::info!(term = stamp.term, "core is there"),
            CoreEvent::Down => {
                tracing::warn!("core is out of reach: rooms go on as they are, new ones wait");
            }
            CoreEvent::Redeclare => rooms.redeclare().await,
            CoreEvent::Edges(edges) => {
                directory.replace(edges.iter().filter_map(public).collect());
                addresses.send_replace(reachable(&own, &edges));
            }
            CoreEvent::View(view) => rooms.on_view(view),
            CoreEvent::Chat { chat, .. } => rooms.on_chat(chat).await,
        }
    }
}

fn public(edge: &EdgeInfo) -> Option<PublicEdge> {
    Some(PublicEdge {
        id: edge.card.edge.clone(),
        region: edge.card.region.clone(),
        url: edge.card.public_url.clone()?,
        draining: edge.draining,
    })
}

fn reachable(own: &EdgeId, edges: &[EdgeInfo]) -> Addresses {
    let others = edges.iter().filter(|edge| edge.card.edge != *own);
    others
        .filter_map(|edge| Some((edge.card.edge.clone(), edge.card.backbone?)))
        .collect()
}

/// Keeps what core is told of this edge up to date.
async fn report(
    status: watch::Sender<EdgeStatus>,
    rooms: Rooms,
    links: Links,
    drain: CancellationToken,
    stop: CancellationToken,
) {
    let mut ticks = interval(STATUS_INTERVAL);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = clock::now();
        let heard = links.all().into_iter().filter_map(|link| {
            let (at, rtt) = link.heard();
            let lately = now.saturating_duration_since(at) < LINK_HEARD_OF;
            lately.then(|| LiveLink {
                edge: link.edge().clone(),
                rtt_us: micros(rtt),
            })
        });
        let next = EdgeStatus {
            participants: rooms.participants(),
            rooms: rooms.len(),
            draining: drain.is_cancelled(),
            links: heard.collect(),
        };
        status.send_if_modified(|told| {
            let changed = *told != next;
            *told = next;
            changed
        });
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
