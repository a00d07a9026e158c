//! One direction of a link, without a network: what comes out, when, and what is counted.

use std::time::Duration;

use proptest::prelude::*;

use super::{Counters, Link, Packet, TooLong};
use crate::{Flap, Loss, Shape, limits::MAX_FLIGHT_BYTES};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A packet that carries its number.
fn packet(number: u32, bytes: usize) -> Packet {
    let mut packet = vec![0; bytes.max(4)];
    packet[..4].copy_from_slice(&number.to_be_bytes());
    packet
}

fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(packet[..4].try_into().unwrap())
}

/// What comes out, with the time, up to then.
fn drain(link: &mut Link, until: Duration) -> Vec<(Duration, u32)> {
    let mut all = Vec::new();
    while let Some(at) = link.next_timeout().filter(|at| *at <= until) {
        let mut out = Vec::new();
        link.poll(at, &mut out);
        all.extend(out.iter().map(|packet| (at, number(packet))));
    }
    all
}

/// So many packets, one each `gap`, all the way out.
fn send(link: &mut Link, count: u32, gap: Duration, bytes: usize) -> Vec<(Duration, u32)> {
    let mut all = Vec::new();
    for n in 0..count {
        let now = gap * n;
        all.extend(drain(link, now));
        link.handle(now, packet(n, bytes)).unwrap();
    }
    all.extend(drain(link, Duration::MAX));
    all
}

fn is_balanced(counters: &Counters) -> bool {
    let dropped = counters.dropped_queue
        + counters.dropped_loss
        + counters.dropped_away
        + counters.dropped_mtu
        + counters.dropped_flight;
    counters.offered + counters.duplicated == counters.delivered + dropped + counters.held
}

#[test]
fn without_a_setting_everything_passes_at_once() {
    let mut link = Link::new(Shape::default(), 1, 1);
    let out = send(&mut link, 10, ms(1), 100);
    let expected: Vec<_> = (0..10).map(|n| (ms(1) * n, n)).collect();
    assert_eq!(out, expected);
}

#[test]
fn a_delay_is_kept_to_the_nanosecond() {
    let shape = Shape {
        delay: Duration::from_nanos(1_234_567),
        ..Shape::default()
    };
    let mut link = Link::new(shape, 1, 1);
    link.handle(ms(5), packet(0, 100)).unwrap();
    let due = ms(5) + Duration::from_nanos(1_234_567);
    assert_eq!(link.next_timeout(), Some(due));
    let mut out = Vec::new();
    link.poll(due - Duration::from_nanos(1), &mut out);
    assert!(out.is_empty());
    link.poll(due, &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn a_rate_spaces_packets_and_a_full_queue_drops_the_newest() {
    let shape = Shape {
        rate_bps: Some(8_000),
        queue_bytes: Some(300),
        ..Shape::default()
    };
    let mut link = Link::new(shape, 1, 1);
    for n in 0..5 {
        link.handle(ms(0), packet(n, 100)).unwrap();
    }
    assert_eq!(link.counters().dropped_queue, 2);
    let out = drain(&mut link, Duration::MAX);
    assert_eq!(out, vec![(ms(100), 0), (ms(200), 1), (ms(300), 2)]);
}

#[test]
fn an_empty_queue_takes_a_packet_longer_than_itself() {
    let shape = Shape {
        rate_bps: Some(8_000),
        queue_bytes: Some(10),
        ..Shape::default()
    };
    let mut link = Link::new(shape, 1, 1);
    link.handle(ms(0), packet(0, 100)).unwrap();
    link.handle(ms(0), packet(1, 100)).unwrap();
    assert_eq!(drain(&mut link, Duration::MAX), vec![(ms(100), 0)]);
}

#[test]
fn a_new_rate_counts_for_what_waits() {
    let rate = |rate_bps| Shape {
        rate_bps,
        ..Shape::default()
    };
    let mut link = Link::new(rate(Some(8_000)), 1, 1);
    link.handle(ms(0), packet(0, 100)).unwrap();
    link.handle(ms(0), packet(1, 100)).unwrap();
    // Half of the first is sent; the other half takes a tenth now.
    link.set_shape(ms(50), rate(Some(80_000)));
    assert_eq!(
        drain(&mut link, ms(60)),
        vec![(ms(55), 0)],
        "the rest of the first at the new rate"
    );
    link.set_shape(ms(60), rate(None));
    assert_eq!(drain(&mut link, ms(60)), vec![(ms(60), 1)]);
}

#[test]
fn a_shorter_delay_lets_nothing_overtake() {
    let delay = |delay| Shape {
        delay,
        ..Shape::default()
    };
    let mut link = Link::new(delay(ms(100)), 1, 1);
    link.handle(ms(0), packet(0, 100)).unwrap();
    link.set_shape(ms(1), delay(ms(10)));
    link.handle(ms(2), packet(1, 100)).unwrap();
    link.handle(ms(200), packet(2, 100)).unwrap();
    let out = drain(&mut link, Duration::MAX);
    assert_eq!(out, vec![(ms(100), 0), (ms(100), 1), (ms(210), 2)]);
}

#[test]
fn a_blackhole_drops_all_and_returns_by_itself() {
    let mut link = Link::new(Shape::default(), 1, 1);
    link.set_away_until(ms(0), ms(20));
    let out = send(&mut link, 30, ms(1), 100);
    let numbers: Vec<u32> = out.iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers, (20..30).collect::<Vec<_>>());
    assert_eq!(link.counters().dropped_away, 20);
    link.set_away_until(ms(40), Duration::MAX);
    link.handle(ms(1_000_000), packet(0, 100)).unwrap();
    link.set_away_until(ms(1_000_001), Duration::ZERO);
    link.handle(ms(1_000_002), packet(1, 100)).unwrap();
    assert_eq!(drain(&mut link, Duration::MAX).len(), 1);
}

#[test]
fn a_schedule_goes_away_and_comes_back() {
    let shape = Shape {
        flap: Some(Flap {
            up: ms(10),
            down: ms(5),
        }),
        ..Shape::default()
    };
    let mut link = Link::new(Shape::default(), 1, 1);
    link.set_shape(ms(100), shape);
    for n in 100..130 {
        link.handle(ms(u64::from(n)), packet(n, 100)).unwrap();
    }
    let numbers: Vec<u32> = drain(&mut link, Duration::MAX)
        .iter()
        .map(|(_, n)| *n)
        .collect();
    let expected: Vec<u32> = (100..110).chain(115..125).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_is_too_long_is_dropped_and_given_back_to_be_told() {
    let mut shape = Shape {
        mtu: 1_280,
        ..Shape::default()
    };
    let mut link = Link::new(shape.clone(), 1, 1);
    link.handle(ms(0), packet(0, 1_280)).unwrap();
    let refused = TooLong {
        packet: packet(1, 1_281),
        mtu: 1_280,
    };
    assert_eq!(link.handle(ms(0), packet(1, 1_281)), Err(refused));
    shape.mtu_told = false;
    link.set_shape(ms(1), shape);
    link.handle(ms(1), packet(2, 1_281)).unwrap();
    assert_eq!(drain(&mut link, Duration::MAX).len(), 1);
    assert_eq!(link.counters().dropped_mtu, 2);
}

#[test]
fn what_flies_is_bounded() {
    let shape = Shape {
        delay: Duration::from_secs(3_600),
        ..Shape::default()
    };
    let mut link = Link::new(shape, 1, 1);
    let fits = MAX_FLIGHT_BYTES / 1_500;
    for _ in 0..fits + 3 {
        link.handle(ms(0), vec![0; 1_500]).unwrap();
    }
    assert_eq!(link.counters().held, fits as u64);
    assert_eq!(link.counters().dropped_flight, 3);
}

#[test]
fn overtaken_packets_come_late_and_second_copies_with_the_first() {
    let shape = Shape {
        delay: ms(10),
        reorder: 0.1,
        reorder_by: ms(5),
        duplicate: 0.1,
        ..Shape::default()
    };
    let mut link = Link::new(shape, 1, 1);
    let out = send(&mut link, 1_000, ms(1), 100);
    let counters = link.counters();
    assert!((70..130).contains(&counters.reordered), "{counters:?}");
    assert!((70..130).contains(&counters.duplicated), "{counters:?}");
    assert_eq!(out.len() as u64, 1_000 + counters.duplicated);
    let late = out.iter().filter(|(at, n)| *at == ms(1) * *n + ms(15));
    let on_time = out.iter().filter(|(at, n)| *at == ms(1) * *n + ms(10));
    assert_eq!(late.count() + on_time.count(), out.len());
    assert!(!out.is_sorted_by_key(|(_, n)| *n));
}

#[test]
fn bursts_lose_their_share_in_runs_of_their_length() {
    let shape = Shape {
        loss: Loss::bursts(0.05, 4.0),
        ..Shape::default()
    };
    let mut link = Link::new(shape, 7, 7);
    let out = send(&mut link, 100_000, ms(1), 100);
    let lost = link.counters().dropped_loss as f64;
    assert!((0.045..0.055).contains(&(lost / 1e5)), "{lost}");
    let runs = out.windows(2).filter(|pair| pair[1].1 - pair[0].1 > 1);
    let length = lost / runs.count() as f64;
    assert!((3.7..4.3).contains(&length), "{length}");
}

#[test]
fn a_setting_leaves_the_other_settings_decisions_as_they_were() {
    let plain = Shape {
        loss: Loss::Uniform(0.1),
        ..Shape::default()
    };
    let busy = Shape {
        jitter: ms(20),
        duplicate: 0.1,
        ..plain.clone()
    };
    let survivors = |shape| {
        let mut link = Link::new(shape, 3, 3);
        let mut numbers: Vec<u32> = send(&mut link, 1_000, ms(1), 100)
            .iter()
            .map(|(_, n)| *n)
            .collect();
        numbers.dedup();
        numbers
    };
    assert_eq!(survivors(plain), survivors(busy));
}

#[test]
fn two_streams_of_one_seed_differ() {
    let shape = Shape {
        loss: Loss::Uniform(0.5),
        ..Shape::default()
    };
    let out = |stream| send(&mut Link::new(shape.clone(), 1, stream), 100, ms(1), 100);
    assert_eq!(out(1), out(1));
    assert_ne!(out(1), out(2));
}

prop_compose! {
    fn shapes()(
        (delay_us, jitter_us) in (0..100_000_u64, 0..50_000_u64),
        loss in prop_oneof![
            (0.0..0.5).prop_map(Loss::Uniform),
            ((0.0..0.3), (1.0..8.0)).prop_map(|(share, length)| Loss::bursts(share, length)),
        ],
        duplicate in 0.0..0.2,
        rate_bps in prop::option::of(50_000..50_000_000_u64),
        queue_bytes in prop::option::of(2_000..100_000_usize),
        mtu in 576..=1_500_usize,
    ) -> Shape {
        Shape {
            delay: Duration::from_micros(delay_us),
            jitter: Duration::from_micros(jitter_us),
            loss,
            duplicate,
            rate_bps,
            queue_bytes,
            mtu,
            mtu_told: false,
            ..Shape::default()
        }
    }
}

/// Gaps in µs and lengths.
fn traffic() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0..5_000_u64, 20..=1_500_usize), 1..300)
}

fn play(link: &mut Link, traffic: &[(u64, usize)]) -> Vec<(Duration, u32)> {
    let (mut now, mut all) = (Duration::ZERO, Vec::new());
    for (n, (gap_us, bytes)) in traffic.iter().enumerate() {
        now += Duration::from_micros(*gap_us);
        all.extend(drain(link, now));
        link.handle(now, packet(n as u32, *bytes)).unwrap();
        assert!(is_balanced(&link.counters()));
        if link.shape.rate_bps.is_some() {
            assert!(link.queue.len() < 2 || link.queued_bytes <= link.shape.queue_bytes());
        }
    }
    all.extend(drain(link, Duration::MAX));
    all
}

proptest! {
    #[test]
    fn order_time_and_counts_hold(shape in shapes(), traffic in traffic()) {
        let mut link = Link::new(shape.clone(), 5, 9);
        let out = play(&mut link, &traffic);
        prop_assert!(out.is_sorted(), "by time, and numbers among equals");
        prop_assert!(out.is_sorted_by_key(|(_, n)| *n), "order is kept");
        let mut sent = Duration::ZERO;
        let sent: Vec<Duration> = traffic.iter().map(|(gap_us, _)| {
            sent += Duration::from_micros(*gap_us);
            sent
        }).collect();
        for (at, n) in &out {
            prop_assert!(*at >= sent[*n as usize] + shape.delay);
        }
        let counters = link.counters();
        prop_assert!(is_balanced(&counters));
        prop_assert_eq!(counters.held, 0);
        prop_assert_eq!(counters.delivered, out.len() as u64);
    }

    #[test]
    fn a_seed_replays_exactly(shape in shapes(), traffic in traffic(), seed: u64, stream: u64) {
        let mut first = Link::new(shape.clone(), seed, stream);
        let mut second = Link::new(shape, seed, stream);
        prop_assert_eq!(play(&mut first, &traffic), play(&mut second, &traffic));
        prop_assert_eq!(first.counters(), second.counters());
    }

    /// However late the driver looks, the same comes out.
    #[test]
    fn nothing_depends_on_when_it_is_polled(shape in shapes(), traffic in traffic()) {
        let mut punctual = Link::new(shape.clone(), 5, 9);
        let expected = play(&mut punctual, &traffic);
        let mut late = Link::new(shape, 5, 9);
        let mut now = Duration::ZERO;
        for (n, (gap_us, bytes)) in traffic.iter().enumerate() {
            now += Duration::from_micros(*gap_us);
            late.handle(now, packet(n as u32, *bytes)).unwrap();
        }
        let mut out = Vec::new();
        late.poll(Duration::MAX, &mut out);
        let numbers: Vec<u32> = out.iter().map(number).collect();
        let expected: Vec<u32> = expected.iter().map(|(_, n)| *n).collect();
        prop_assert_eq!(numbers, expected);
    }

    #[test]
    fn a_rate_is_never_exceeded(rate_bps in 50_000..5_000_000_u64, traffic in traffic()) {
        let shape = Shape { rate_bps: Some(rate_bps), ..Shape::default() };
        let mut link = Link::new(shape, 5, 9);
        let out = play(&mut link, &traffic);
        for window in [2, 10, 50] {
            for part in out.windows(window) {
                // The first was sent before the window begins.
                let bytes: usize = part[1..].iter().map(|(_, n)| traffic[*n as usize].1.max(4)).sum();
                let took = part[window - 1].0 - part[0].0;
                let least = bytes as f64 * 8.0 / rate_bps as f64;
                prop_assert!(took.as_secs_f64() >= least - 1e-6);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn uniform_loss_keeps_its_share(share in 0.0..0.3_f64, seed: u64) {
        let shape = Shape { loss: Loss::Uniform(share), ..Shape::default() };
        let mut link = Link::new(shape, seed, 1);
        send(&mut link, 10_000, ms(1), 40);
        let lost = link.counters().dropped_loss as f64 / 10_000.0;
        // Six standard deviations: one false alarm in 10^9.
        let deviation = (share * (1.0 - share) / 10_000.0).sqrt();
        prop_assert!((lost - share).abs() <= 6.0 * deviation + 1e-3, "{} of {}", lost, share);
    }
}
