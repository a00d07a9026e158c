//! Ways through a world, without a network.

use std::{net::Ipv4Addr, time::Duration};

use super::{HostId, Packet, RegionId, Router};
use crate::{Side, packet::addresses};

const ADDRESSES: [Ipv4Addr; 3] = [
    Ipv4Addr::new(10, 77, 0, 1),
    Ipv4Addr::new(10, 77, 0, 2),
    Ipv4Addr::new(10, 77, 0, 3),
];

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two hosts in one region, the third in another, 100 ms there and 200 ms back.
fn router() -> Router {
    let mut router = Router::new(1);
    let (here, there) = (RegionId(0), RegionId(1));
    let spec = |text: &str| text.parse().unwrap();
    router.add_host(
        "ada",
        ADDRESSES[0],
        here,
        &spec("up.delay=1ms,down.delay=2ms"),
    );
    router.add_host(
        "bea",
        ADDRESSES[1],
        here,
        &spec("up.delay=10ms,down.delay=20ms"),
    );
    router.add_host(
        "cy",
        ADDRESSES[2],
        there,
        &spec("up.delay=3ms,down.delay=4ms"),
    );
    let path = spec("up.delay=100ms,down.delay=200ms");
    router.add_path(("here", here), ("there", there), &path);
    router
}

fn packet(from: usize, to: Ipv4Addr, bytes: usize) -> Packet {
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
    packet.extend_from_slice(&ADDRESSES[from].octets());
    packet.extend_from_slice(&to.octets());
    packet.resize(bytes, 0);
    packet
}

fn arrivals(router: &mut Router) -> Vec<(Duration, HostId, Packet)> {
    let mut all = Vec::new();
    while let Some(at) = router.next_timeout() {
        let mut out = Vec::new();
        router.advance(at, &mut out);
        all.extend(out.into_iter().map(|(host, packet)| (at, host, packet)));
    }
    all
}

#[test]
fn a_packet_goes_up_along_the_path_and_down() {
    for (from, to, delay) in [
        (0, 1, 21),
        (1, 0, 12),
        (0, 2, 105),
        (2, 0, 205),
        (1, 2, 114),
    ] {
        let mut router = router();
        let sent = packet(from, ADDRESSES[to], 100);
        router.handle(ms(7), HostId(from), sent.clone());
        let arrived = arrivals(&mut router);
        assert_eq!(arrived, vec![(ms(7 + delay), HostId(to), sent)]);
    }
}

#[test]
fn one_late_look_gives_the_same_order_as_many() {
    let mut router = router();
    router.handle(ms(0), HostId(2), packet(2, ADDRESSES[0], 100));
    router.handle(ms(1), HostId(1), packet(1, ADDRESSES[0], 101));
    let mut out = Vec::new();
    router.advance(Duration::from_secs(10), &mut out);
    let lengths: Vec<usize> = out.iter().map(|(_, packet)| packet.len()).collect();
    assert_eq!(lengths, vec![101, 100]);
    assert_eq!(router.next_timeout(), None);
}

#[test]
fn what_goes_to_nobody_is_counted() {
    let mut router = router();
    router.handle(
        ms(0),
        HostId(0),
        packet(0, Ipv4Addr::new(224, 0, 0, 251), 100),
    );
    router.handle(ms(0), HostId(0), vec![0x60; 60]);
    router.handle(ms(0), HostId(0), Vec::new());
    assert_eq!(router.unroutable(), 3);
    assert!(arrivals(&mut router).is_empty());
}

#[test]
fn the_sender_of_a_long_packet_hears_from_where_it_did_not_fit() {
    let mut router = router();
    let there = router.path(RegionId(0), RegionId(1)).unwrap();
    let mut shape = router.shape(there).unwrap().clone();
    shape.mtu = 1_280;
    router.set_shape(ms(0), there, shape);
    router.handle(ms(0), HostId(0), packet(0, ADDRESSES[2], 1_300));
    let arrived = arrivals(&mut router);
    // Up takes 1 ms, the answer comes down in 2.
    assert_eq!(arrived.len(), 1);
    let (at, host, answer) = &arrived[0];
    assert_eq!((*at, *host), (ms(3), HostId(0)));
    assert_eq!(addresses(answer).unwrap().1, ADDRESSES[0]);
}

#[test]
fn a_host_more_changes_nothing_for_the_others() {
    let survivors = |with_another: bool| {
        let mut router = Router::new(9);
        let region = RegionId(0);
        let spec = "loss=30%".parse().unwrap();
        let hosts = if with_another { 3 } else { 2 };
        // The one more comes first, so every place moves; names stay.
        let order = [2, 0, 1];
        for place in &order[3 - hosts..] {
            router.add_host(&format!("host {place}"), ADDRESSES[*place], region, &spec);
        }
        let first = HostId(hosts - 2);
        for n in 0..100 {
            router.handle(ms(n), first, packet(0, ADDRESSES[1], 100 + n as usize));
        }
        let arrived = arrivals(&mut router);
        arrived
            .into_iter()
            .map(|(.., packet)| packet.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(survivors(false), survivors(true));
    assert!(survivors(false).len() < 100);
}

#[test]
fn a_blackhole_on_one_side_leaves_the_other() {
    let mut router = router();
    let up = router.access(HostId(0), Side::Up).unwrap();
    router.set_away_until(ms(0), up, Duration::MAX);
    router.handle(ms(0), HostId(0), packet(0, ADDRESSES[1], 100));
    router.handle(ms(0), HostId(1), packet(1, ADDRESSES[0], 100));
    let arrived = arrivals(&mut router);
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].1, HostId(0));
}
