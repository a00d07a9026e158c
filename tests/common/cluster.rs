//! A core and edges in one process, with certificates that last as long as the test.
#![allow(
    dead_code,
    reason = "every test file is its own crate and uses what it needs"
)]

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser as _;
use edge_node::{
    Config, Edge,
    certs::{self, CertsCommand},
    config::{Cli, Command},
};
use pulse_client::{Client, JoinOptions, V1Client};
use pulse_core::Core;

/// The edges, in the order of their names: the first dials the others.
pub const EDGES: [&str; 3] = ["fra/fra-1", "iad/iad-1", "sgp/sgp-1"];

/// A cluster.
pub struct Cluster {
    folder: PathBuf,
    pub core: Option<Core>,
    core_at: SocketAddr,
    pub edges: Vec<Edge>,
}

impl Cluster {
    /// Core and the first edges of [`EDGES`].
    pub async fn start(edges: usize) -> Self {
        let folder = std::env::temp_dir().join(format!(
            "pulse-cluster-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = std::fs::remove_dir_all(&folder);
        let dir = folder.to_str().expect("a path of text").to_owned();
        let mut words = vec!["edge-node", "certs", "init", &dir, "--core", "one"];
        words.extend(EDGES.iter().flat_map(|edge| ["--edge", edge]));
        make(&words);
        let core = start_core(&folder, ([127, 0, 0, 1], 0).into()).await;
        let mut cluster = Self {
            core_at: core.edge_addr(),
            core: Some(core),
            folder,
            edges: Vec::new(),
        };
        for edge in EDGES.iter().take(edges) {
            cluster.start_edge(edge).await;
        }
        cluster
    }

    /// One more edge.
    pub async fn start_edge(&mut self, edge: &str) {
        let (region, id) = edge.split_once('/').expect("REGION/ID");
        let file = |name: &str| self.folder.join(name).display().to_string();
        let words = [
            "edge-node".to_owned(),
            "--listen=localhost:0".to_owned(),
            "--ops-addr=127.0.0.1:0".to_owned(),
            "--backbone-addr=127.0.0.1:0".to_owned(),
            format!("--region={region}"),
            format!("--edge-id={id}"),
            format!("--core={}", self.core_at),
            format!("--cluster-cert={}", file(&format!("edge-{id}.pem"))),
            format!("--cluster-key={}", file(&format!("edge-{id}-key.pem"))),
            format!("--cluster-ca={}", file("ca.pem")),
        ];
        let config = Config::try_parse_from(words).expect("the flags are right");
        self.edges
            .push(Edge::start(config).await.expect("the edge starts"));
    }

    /// Core stops, and what it knew is gone.
    pub async fn stop_core(&mut self) {
        if let Some(core) = self.core.take() {
            core.shut_down().await;
        }
    }

    /// Core is back, empty.
    pub async fn restart_core(&mut self) {
        self.core = Some(start_core(&self.folder, self.core_at).await);
    }

    pub fn url(&self, edge: usize) -> String {
        format!("ws://{}", self.edges[edge].client_addr())
    }

    pub async fn join(&self, edge: usize, room: &str, name: &str) -> Client {
        self.join_as(edge, &JoinOptions::new(room, name)).await
    }

    pub async fn join_as(&self, edge: usize, options: &JoinOptions) -> Client {
        Client::connect(&self.url(edge), options)
            .await
            .expect("the edge admits")
    }

    pub async fn join_v1(&self, edge: usize, room: &str, name: &str) -> V1Client {
        V1Client::connect(&self.url(edge), room, Some("host"), name)
            .await
            .expect("the edge admits")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn make(words: &[&str]) {
    let cli = Cli::try_parse_from(words).expect("the flags are right");
    let Some(Command::Certs(command)) = cli.command else {
        panic!("certificates were asked for");
    };
    let _: &CertsCommand = &command;
    certs::make(&command).expect("certificates are made");
}

async fn start_core(folder: &std::path::Path, at: SocketAddr) -> Core {
    let file = |name: &str| folder.join(name).display().to_string();
    let words = [
        "pulse-core".to_owned(),
        format!("--listen={at}"),
        "--http-addr=127.0.0.1:0".to_owned(),
        format!("--cluster-cert={}", file("core-one.pem")),
        format!("--cluster-key={}", file("core-one-key.pem")),
        format!("--cluster-ca={}", file("ca.pem")),
    ];
    let config = pulse_core::Config::try_parse_from(words).expect("the flags are right");
    Core::start(config).await.expect("core starts")
}
