//! The servers: whole edges and cores on a simulated network. Starts and stops them; never looks at members.

use std::{net::SocketAddr, sync::Arc};

use edge_node::simulation::{Parts, SimulatedEdge, link_transport};
use pulse_core::{
    membership::{Rules, Settings},
    quic::{Credentials, Endpoint, EndpointConfig, Protocol, Transport},
    server::{Service, ServiceConfig},
};
use pulse_proto::cluster::{EdgeId, Region};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authority::Authority,
    clock::Virtual,
    network::{NODES, Network},
    random::Random,
};

/// Places where a core may run.
pub(crate) const CORES: usize = 2;

const NAME: &str = "pulse";
/// The wall clock when a simulation begins.
const BEGAN_MS: u64 = 1_700_000_000_000;

/// The node of an edge.
pub(crate) const fn edge_node(edge: usize) -> usize {
    edge
}

/// The node of a core.
pub(crate) const fn core_node(core: usize) -> usize {
    NODES - CORES + core
}

fn at(node: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(node).unwrap()], port))
}

/// What the clock on the wall of a core shows when it begins: its term follows from that.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    Right,
    /// Less than when the one before it began.
    SetBack,
}

/// A core that runs.
pub(crate) struct RunningCore {
    pub(crate) service: Service,
    stop: CancellationToken,
}

/// An edge, running or not.
pub(crate) struct Edge {
    pub(crate) id: EdgeId,
    pub(crate) running: Option<SimulatedEdge>,
    /// When it began to run or stopped.
    pub(crate) since: Instant,
    credentials: Credentials,
}

/// All servers.
pub(crate) struct Cluster {
    pub(crate) network: Network,
    pub(crate) edges: Vec<Edge>,
    pub(crate) cores: [Option<RunningCore>; CORES],
    /// How far the wall clock of each node is ahead.
    pub(crate) ahead_ms: [i64; NODES],
    core_credentials: Credentials,
    highest_term: u64,
    random: Random,
    began: Instant,
}

impl Cluster {
    /// Nothing runs yet.
    pub(crate) fn new(seed: u64, edges: usize, authority: &Authority) -> Self {
        let began = Instant::now();
        let edges = ["a", "b", "c", "d"]
            .into_iter()
            .take(edges)
            .map(|name| Edge {
                id: EdgeId::parse(name).unwrap(),
                running: None,
                since: began,
                credentials: authority.credentials(&format!("spiffe://pulse/edge/eu/{name}")),
            });
        Self {
            network: Network::new(seed),
            edges: edges.collect(),
            cores: [None, None],
            ahead_ms: [0; NODES],
            core_credentials: authority.credentials("spiffe://pulse/core/one"),
            highest_term: 0,
            random: Random::new(seed ^ 0xc0e),
            began,
        }
    }

    /// What the clock on the wall of a node shows.
    pub(crate) fn wall_ms(&self, node: usize) -> u64 {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        (BEGAN_MS + passed).saturating_add_signed(self.ahead_ms[node])
    }

    /// Starts a core that knows nothing.
    pub(crate) fn start_core(&mut self, core: usize, clock: Clock) {
        self.note_terms();
        let node = core_node(core);
        let (credentials, accepts) = (self.core_credentials.clone(), Some(Protocol::Core));
        let endpoint = self.endpoint(at(node, 7000), credentials, accepts, Transport::control());
        let stop = CancellationToken::new();
        let term = match clock {
            Clock::Right => self.wall_ms(node).max(self.highest_term + 1),
            Clock::SetBack => self.highest_term.saturating_sub(60_000),
        };
        let config = ServiceConfig {
            endpoint,
            term,
            settings: Settings {
                cluster: NAME.to_owned(),
                rules: Rules::default(),
                embedded: false,
            },
            redirect: None,
        };
        let service = Service::start(config, &TaskTracker::new(), stop.clone());
        self.cores[core] = Some(RunningCore { service, stop });
    }

    fn note_terms(&mut self) {
        let running = self.cores.iter().flatten();
        let terms = running.map(|core| core.service.health().stamp.term);
        self.highest_term = terms.fold(self.highest_term, u64::max);
    }

    /// A core is no more; nobody is told.
    pub(crate) fn kill_core(&mut self, core: usize) {
        self.note_terms();
        if let Some(running) = self.cores[core].take() {
            self.network.kill(core_node(core));
            running.stop.cancel();
        }
    }

    /// A core stops, and says so.
    pub(crate) fn stop_core(&mut self, core: usize) {
        self.note_terms();
        if let Some(running) = self.cores[core].take() {
            running.stop.cancel();
        }
    }

    /// Starts an edge that knows nothing.
    pub(crate) fn start_edge(&mut self, edge: usize) {
        let node = edge_node(edge);
        let credentials = self.edges[edge].credentials.clone();
        let accepts = Some(Protocol::Edge);
        let links_at = at(node, 7001);
        let links = self.endpoint(links_at, credentials.clone(), accepts, link_transport());
        let to_core = self.endpoint(at(node, 7002), credentials, None, Transport::control());
        let parts = Parts {
            edge: self.edges[edge].id.clone(),
            region: Region::parse("eu").unwrap(),
            cluster: NAME.to_owned(),
            links,
            links_at,
            to_core,
            core: (0..CORES)
                .map(|core| at(core_node(core), 7000).to_string())
                .collect(),
            wall_ms: self.wall_ms(node),
        };
        self.edges[edge].running = Some(SimulatedEdge::start(parts));
        self.edges[edge].since = Instant::now();
    }

    /// An edge is no more; nobody is told.
    pub(crate) fn kill_edge(&mut self, edge: usize) {
        self.network.kill(edge_node(edge));
        self.stop_edge(edge);
    }

    /// An edge stops, and says so.
    pub(crate) fn stop_edge(&mut self, edge: usize) {
        self.edges[edge].running = None;
        self.edges[edge].since = Instant::now();
    }

    /// The edges that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &SimulatedEdge)> {
        let edges = self.edges.iter().enumerate();
        edges.filter_map(|(number, edge)| Some((number, edge.running.as_ref()?)))
    }

    /// The one core that runs and says something, if there is exactly one.
    pub(crate) fn core(&self) -> Option<&RunningCore> {
        let mut running = self.cores.iter().flatten();
        let core = running.next().filter(|_| running.next().is_none())?;
        core.service.health().issuing.then_some(core)
    }

    /// Whether all edges that run are linked with each other, and registered at the one core.
    pub(crate) fn is_whole(&self) -> bool {
        let Some(core) = self.core() else {
            return false;
        };
        let term = core.service.health().stamp.term;
        let ids: Vec<&EdgeId> = self
            .running()
            .map(|(edge, _)| &self.edges[edge].id)
            .collect();
        self.running().all(|(_, edge)| {
            let links = edge.links();
            edge.core() == (true, term) && links.len() + 1 == ids.len()
        })
    }

    /// Whether two edges are linked, as both see it.
    pub(crate) fn linked(&self, a: usize, b: usize) -> bool {
        let sees = |one: usize, other: usize| {
            let running = self.edges[one].running.as_ref();
            running.is_some_and(|edge| edge.links().contains(&self.edges[other].id))
        };
        sees(a, b) && sees(b, a)
    }

    fn endpoint(
        &mut self,
        at: SocketAddr,
        credentials: Credentials,
        accepts: Option<Protocol>,
        transport: Transport,
    ) -> Endpoint {
        let config = EndpointConfig {
            credentials,
            accepts,
            transport,
            rng_seed: Some(self.random.seed()),
        };
        Endpoint::over(self.network.socket(at), Arc::new(Virtual), config).unwrap()
    }
}
