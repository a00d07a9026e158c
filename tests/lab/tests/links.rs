//! What the kernel's own TCP sees of a link. Bounds are on the side that a busy machine cannot cross:
//! nothing is faster than its link.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, in its helpers too"
)]

mod common;

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use common::{connect, echo, exchange, on, start};
use pulse_lab::{Side, World};

#[expect(clippy::disallowed_methods, reason = "drives real sockets")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn connecting_and_echoing_take_the_round_trip() {
    let builder = World::builder()
        .seed(1)
        .host_in("here", "edge", "lan")
        .host_in("there", "ada", "delay=10ms")
        .path("here", "there", "delay=30ms");
    let Some(world) = start("connecting_and_echoing_take_the_round_trip", builder) else {
        return;
    };
    // Twice 10 + 30 + 0.1 ms.
    let round_trip = Duration::from_micros(80_200);
    let (address, done) = echo(world.host("edge").unwrap());
    let ada = world.host("ada").unwrap();
    let begin = now();
    let mut stream = connect(ada, address);
    assert!(begin.elapsed() >= round_trip);
    for _ in 0..5 {
        let begin = now();
        exchange(&mut stream, b"hello");
        assert!(begin.elapsed() >= round_trip);
    }
    world.set("ada", None, "delay=200ms").unwrap();
    let begin = now();
    exchange(&mut stream, b"hello");
    assert!(begin.elapsed() >= Duration::from_micros(460_200));
    drop(stream);
    assert_eq!(done.join().unwrap().unwrap().unwrap(), 30);
    let stats = world.stats().unwrap();
    assert!(stats.links["here to there"].counters.delivered > 0);
    assert!(stats.links["ada up"].shape.contains("delay=200ms"));
}

#[test]
fn a_transfer_takes_what_the_rate_gives() {
    const BYTES: usize = 256 * 1024;
    let builder = World::builder()
        .host("edge", "lan")
        .host("ada", "lan,down.rate=2mbit");
    let Some(world) = start("a_transfer_takes_what_the_rate_gives", builder) else {
        return;
    };
    let (address, done) = echo(world.host("edge").unwrap());
    let mut stream = connect(world.host("ada").unwrap(), address);
    let mut sender = stream.try_clone().unwrap();
    let begin = now();
    let sending = std::thread::spawn(move || sender.write_all(&vec![7; BYTES]).unwrap());
    let mut back = vec![0; BYTES];
    stream.read_exact(&mut back).unwrap();
    let least = Duration::from_secs_f64(BYTES as f64 * 8.0 / 2e6);
    assert!(begin.elapsed() >= least, "{:?}", begin.elapsed());
    sending.join().unwrap();
    drop(stream);
    done.join().unwrap().unwrap().unwrap();
}

#[test]
fn a_blackhole_holds_a_connection_up_and_lets_it_go_on() {
    let builder = World::builder().host("edge", "lan").host("ada", "lan");
    let Some(world) = start(
        "a_blackhole_holds_a_connection_up_and_lets_it_go_on",
        builder,
    ) else {
        return;
    };
    let (address, done) = echo(world.host("edge").unwrap());
    let mut stream = connect(world.host("ada").unwrap(), address);
    exchange(&mut stream, b"before");
    world.blackhole("ada", Some(Side::Up), None).unwrap();
    stream.write_all(b"within").unwrap();
    let timeout = Duration::from_millis(500);
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut back = [0; 6];
    assert!(stream.read(&mut back).is_err(), "nothing comes through");
    assert!(world.stats().unwrap().links["ada up"].counters.dropped_away > 0);
    world.restore("ada", None).unwrap();
    stream.set_read_timeout(Some(common::LIMIT)).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"within");
    // And one that ends by itself.
    let time = Duration::from_millis(300);
    world.blackhole("ada", None, Some(time)).unwrap();
    let begin = now();
    exchange(&mut stream, b"again");
    assert!(begin.elapsed() >= time);
    drop(stream);
    done.join().unwrap().unwrap().unwrap();
}

#[test]
fn tcp_learns_the_path_mtu_from_the_lab() {
    let builder = World::builder()
        .host_in("here", "edge", "lan")
        .host_in("there", "ada", "lan")
        .path("here", "there", "mtu=1000");
    let Some(world) = start("tcp_learns_the_path_mtu_from_the_lab", builder) else {
        return;
    };
    let (address, done) = echo(world.host("edge").unwrap());
    let mut stream = connect(world.host("ada").unwrap(), address);
    exchange(&mut stream, &[7; 20_000]);
    drop(stream);
    done.join().unwrap().unwrap().unwrap();
    let links = world.stats().unwrap().links;
    for name in ["here to there", "there to here"] {
        let counters = links[name].counters;
        assert!(counters.dropped_mtu > 0, "{name} has told nobody");
        assert!(counters.delivered_bytes > 20_000);
    }
}

#[test]
fn a_lossy_link_loses_and_tcp_gets_it_there() {
    let builder = World::builder()
        .seed(3)
        .host("edge", "lan")
        .host("ada", "delay=1ms,loss=5%");
    let Some(world) = start("a_lossy_link_loses_and_tcp_gets_it_there", builder) else {
        return;
    };
    let (address, done) = echo(world.host("edge").unwrap());
    let mut stream = connect(world.host("ada").unwrap(), address);
    for _ in 0..50 {
        exchange(&mut stream, &[7; 4_000]);
    }
    drop(stream);
    assert_eq!(done.join().unwrap().unwrap().unwrap(), 200_000);
    let links = world.stats().unwrap().links;
    let lost = links["ada up"].counters.dropped_loss + links["ada down"].counters.dropped_loss;
    assert!(lost > 0);
    assert_eq!(links["edge up"].counters.dropped_loss, 0);
}

#[test]
fn a_place_that_is_not_there_is_refused() {
    let builder = World::builder().host("edge", "lan").host("ada", "lan");
    let Some(world) = start("a_place_that_is_not_there_is_refused", builder) else {
        return;
    };
    for place in ["bea", "edge:ada", ":", ""] {
        let said = world.set(place, None, "lan").unwrap_err().to_string();
        assert!(said.contains("There is no"), "{said}");
    }
    assert!(world.set("ada", None, "lann").is_err());
    // Loopback is up too.
    on(world.host("ada").unwrap(), || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    });
}
