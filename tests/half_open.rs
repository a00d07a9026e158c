//! Whoever opens connections and says nothing keeps nobody out: the one that has been silent longest makes
//! way, and all of them are bounded, counted and ended in time.

mod common;

use std::time::Duration;

use common::{SOON, World, header, microphone, publish, sequences};
use edge_node::Config;
use pulse_client::{Address, Connection, SocketOptions};
use pulse_proto::SUBPROTOCOL;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};

/// Each end of a connection is in this process, and it may have 20,000 descriptors on small machines: fewer
/// where its limit is lower.
const MANY: usize = 10_000;

/// Beyond the bound, so that some have to make way wherever descriptors allow it.
const BOUND: usize = 2_048;

/// As many silent connections as descriptors allow, up to `MANY`.
async fn silent(world: &World) -> Vec<TcpStream> {
    let mut all = Vec::new();
    while all.len() < MANY {
        // Two descriptors each while the edge holds it; some are left for everybody else.
        match timeout(SOON, TcpStream::connect(world.edge.client_addr())).await {
            Ok(Ok(stream)) => all.push(stream),
            _ => break,
        }
        if all.len() % 256 == 0 && spare_descriptors().is_none() {
            break;
        }
    }
    all
}

/// Some descriptors that may be opened still, or `None`.
fn spare_descriptors() -> Option<Vec<TcpSocket>> {
    (0..512).map(|_| TcpSocket::new_v4().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_keep_nobody_out() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.announce(&microphone(2)).await.unwrap();

    let silent = silent(&world).await;
    // Where descriptors are few, the bound is not reached and nobody has to make way.
    println!("{} silent connections", silent.len());

    // An honest client gets in while all of them are there, again and again.
    for number in 0..5 {
        let began = Instant::now();
        let guest = world.join("room", &format!("Guest {number}")).await;
        println!("in after {:?}", began.elapsed());
        guest.leave().await;
    }
    let displaced = world
        .metric("pulse_http_refused_total{cause=\"displaced\"}")
        .await;
    assert!(
        displaced > 0.0 || silent.len() <= BOUND,
        "who made way is counted"
    );

    // The room goes on.
    for sequence in 0..10 {
        publish(&alice, header(2, sequence, 0), 120).await;
    }
    assert_eq!(sequences(&mut bob, alice.id(), 10).await.len(), 10);

    // None of them stays for ever.
    let mut last = silent.into_iter().next_back().expect("there are some");
    let ended = timeout(SOON * 2, last.read(&mut [0; 16])).await;
    assert!(ended.is_ok(), "it is ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_do_not_join_keep_nobody_out() {
    let world = World::with(Config {
        max_connections: 8,
        ..Config::on_free_ports()
    })
    .await;
    let address = Address::parse(&world.url()).unwrap();
    let mut mute = Vec::new();
    for _ in 0..20 {
        let options = SocketOptions::default();
        mute.push(
            Connection::open(&address, "/v2", Some(SUBPROTOCOL), &options)
                .await
                .unwrap(),
        );
    }
    let guest = world.join("room", "Guest").await;
    let full = world
        .metric("pulse_closed_total{error=\"server_full\"}")
        .await;
    assert!(full > 0.0, "who made way is told and counted");
    guest.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_by_the_byte_is_ended() {
    let world = World::start().await;
    let mut slow = TcpStream::connect(world.edge.client_addr()).await.unwrap();
    let began = Instant::now();
    let trickle = async {
        for byte in b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: "
            .iter()
            .chain(std::iter::repeat(&b'a'))
        {
            if slow.write_all(&[*byte]).await.is_err() {
                return;
            }
            // The edge answers 408 or closes: whichever comes first ends this.
            let mut answer = [0; 64];
            if let Ok(read) = timeout(Duration::from_millis(250), slow.read(&mut answer)).await
                && read.map_or(true, |bytes| bytes == 0)
            {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON * 2, trickle).await.expect("it is ended");
    println!("after {:?}", began.elapsed());
}
