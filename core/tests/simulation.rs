//! A core and three edges on a network in memory that loses 3 % of all packets, in virtual time: the same
//! code as on a real one, with its real times.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails may say so by a panic"
)]
mod common;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use common::{
    Authority,
    cluster::{TestEdge, card, declaration},
    network::{Network, Virtual},
};
use pulse_core::{
    handle::CoreEvent,
    membership::{LiveLink, Rules, Settings},
    quic::{Credentials, Endpoint, EndpointConfig, Protocol, Transport},
    server::{Service, ServiceConfig},
};
use pulse_proto::cluster::EdgeId;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn at(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 7_000 + u16::from(number)))
}

fn endpoint(network: &Network, number: u8, credentials: Credentials) -> Endpoint {
    let config = EndpointConfig {
        credentials,
        accepts: (number == 0).then_some(Protocol::Core),
        transport: Transport::control(),
        rng_seed: Some([number; 32]),
    };
    Endpoint::over(network.socket(at(number)), Arc::new(Virtual), config).unwrap()
}

struct Cluster {
    network: Network,
    edges: Vec<TestEdge>,
    stop: CancellationToken,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Cluster {
    /// Three edges with a row each of one room, of which each hears of both others.
    async fn start(authority: &Authority, seed: u64) -> Self {
        let network = Network::new(seed);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let config = ServiceConfig {
            endpoint: endpoint(&network, 0, authority.core()),
            term: 1_000,
            settings: Settings {
                cluster: "pulse".to_owned(),
                rules: Rules::default(),
                embedded: false,
            },
            redirect: None,
        };
        Service::start(config, &tasks, stop.clone());
        let mut edges = Vec::new();
        for (number, name) in (1..).zip(NAMES) {
            let dialler = endpoint(&network, number, authority.edge(name));
            edges.push(TestEdge::start_over(dialler, card(name, 1), &[at(0)]));
        }
        let mut cluster = Self {
            network,
            edges,
            stop,
        };
        for (number, edge) in (1..).zip(&mut cluster.edges) {
            edge.up().await;
            edge.core
                .declare(declaration("room", 1, &[number]))
                .unwrap();
        }
        for number in 0..NAMES.len() {
            cluster.hears(number, &NAMES);
        }
        for edge in &mut cluster.edges {
            edge.sees(&[("a", 1), ("b", 1), ("c", 1)]).await;
        }
        cluster
    }

    /// From now on this edge hears of these, and of itself.
    fn hears(&self, number: usize, others: &[&str]) {
        self.edges[number].status.send_modify(|status| {
            status.rooms = 1;
            status.links = others
                .iter()
                .map(|name| LiveLink {
                    edge: EdgeId::parse(name).unwrap(),
                    rtt_us: 40_000,
                })
                .collect();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_dies_is_gone_within_four_seconds() {
    let authority = Authority::new();
    for seed in 0..10 {
        let mut cluster = Cluster::start(&authority, seed).await;
        let died = Instant::now();
        cluster.network.cut(at(1));
        // The others' links to it have been silent for two seconds then.
        sleep(Duration::from_secs(2)).await;
        cluster.hears(1, &["c"]);
        cluster.hears(2, &["b"]);
        for edge in &mut cluster.edges[1..] {
            edge.sees(&[("b", 1), ("c", 1)]).await;
        }
        let took = died.elapsed();
        assert!(took < Duration::from_secs(4), "seed {seed}: {took:?}");
        cluster.stop.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_loses_core_alone_stays_and_comes_back() {
    let authority = Authority::new();
    let mut cluster = Cluster::start(&authority, 1).await;
    cluster.network.cut(at(1));
    let a = &mut cluster.edges[0];
    a.until("core is gone", |event| {
        (event == CoreEvent::Down).then_some(())
    })
    .await;
    sleep(Duration::from_secs(30)).await;
    for edge in &mut cluster.edges[1..] {
        while let Ok(event) = edge.events.try_recv() {
            if let CoreEvent::View(view) = event {
                assert_eq!(view.edges.len(), 3);
            }
        }
    }
    cluster.network.mend(at(1));
    cluster.edges[0].up().await;
    cluster.edges[0]
        .core
        .declare(declaration("room", 2, &[1, 4]))
        .unwrap();
    for edge in &mut cluster.edges {
        edge.sees(&[("a", 2), ("b", 1), ("c", 1)]).await;
    }
    cluster.stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_core_that_is_cut_off_takes_nobody_away() {
    let authority = Authority::new();
    let mut cluster = Cluster::start(&authority, 2).await;
    cluster.network.cut(at(0));
    for edge in &mut cluster.edges {
        edge.until("core is gone", |event| {
            (event == CoreEvent::Down).then_some(())
        })
        .await;
    }
    sleep(Duration::from_secs(20)).await;
    cluster.network.mend(at(0));
    for (number, edge) in (1..).zip(&mut cluster.edges) {
        edge.up().await;
        edge.core
            .declare(declaration("room", 1, &[number]))
            .unwrap();
    }
    for edge in &mut cluster.edges {
        let view = edge
            .until("a view", |event| match event {
                CoreEvent::View(view) => Some(view),
                _ => None,
            })
            .await;
        assert_eq!(view.edges.len(), 3);
    }
    cluster.stop.cancel();
}

#[test]
fn a_seed_repeats_every_packet() {
    let authority = Authority::new();
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = Cluster::start(&authority, seed).await;
            cluster.network.cut(at(2));
            sleep(Duration::from_secs(5)).await;
            cluster.network.mend(at(2));
            sleep(Duration::from_secs(5)).await;
            cluster.network.trace()
        })
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
