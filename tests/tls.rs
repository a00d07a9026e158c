//! HTTPS where browsers ask for it: with a certificate made at start, or the operator's own, and a
//! sentence where neither can be used.

mod common;

use clap::Parser as _;
use common::World;
use edge_node::{Config, Edge};
use pulse_client::{Client, ClientError, JoinOptions, SocketOptions};

fn config(flags: &[&str]) -> Config {
    let start = [
        "edge-node",
        "--listen",
        "localhost:0",
        "--ops-addr",
        "127.0.0.1:0",
    ];
    Config::parse_from(start.iter().chain(flags))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_certificate_serves_and_is_not_trusted_by_itself() {
    let world = World::with(config(&["--tls-self-signed"])).await;
    assert!(world.edge.invitation().starts_with("https://localhost:"));
    let url = format!("wss://{}", world.edge.client_addr());
    let careful = Client::connect(&url, &JoinOptions::new("room", "Careful")).await;
    assert!(matches!(careful, Err(ClientError::Tls(_))), "{careful:?}");
    let socket = SocketOptions {
        insecure: true,
        ..Default::default()
    };
    let options = JoinOptions {
        socket,
        ..JoinOptions::new("room", "Trusting")
    };
    let mut trusting = Client::connect(&url, &options).await.unwrap();
    common::settle(&mut trusting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_get_a_sentence() {
    let nowhere = [
        "--tls-cert",
        "/nowhere/chain.pem",
        "--tls-key",
        "/nowhere/key.pem",
    ];
    let error = Edge::start(config(&nowhere)).await.unwrap_err().to_string();
    assert!(
        error.contains("/nowhere/chain.pem") && error.contains("--tls-cert"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_gets_a_sentence() {
    let world = World::start().await;
    let taken = world.edge.client_addr().to_string();
    let mut config = config(&[]);
    config.listen.host = "127.0.0.1".to_owned();
    config.listen.port = world.edge.client_addr().port();
    let error = Edge::start(config).await.unwrap_err().to_string();
    assert!(
        error.contains(&taken) && error.contains("--listen"),
        "{error}"
    );
}
