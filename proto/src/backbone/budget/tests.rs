//! The budget against a simulated bottleneck. Rates are those on the wire.

mod link;

use proptest::prelude::*;

use self::link::{Link, Path};
use super::*;
use crate::backbone::testing::{ms, start};

const MBIT: f64 = 1e6 / 8.0;

/// One sender of 0.5 Mbit/s of voices and 4.5 of video, at full rate.
fn five(path: Path, seed: u64) -> Link {
    let mut link = Link::new(path, seed);
    link.add(0.5, 4.5, 0);
    link.run(3_000);
    link.look();
    link
}

#[test]
fn a_link_that_is_cut_keeps_its_voices_and_comes_back() {
    for (seed, jitter_ms, released_mbit) in [(1, 0, 5.0), (2, 3, 5.25), (3, 3, 100.0)] {
        let mut link = five(
            Path {
                mbit: 20.0,
                jitter_ms,
                ..Path::CLEAN
            },
            seed,
        );
        link.path.mbit = 2.0;
        link.run(1_000);
        let mut queues_ms = link.queues_ms.clone();
        link.look();
        link.run(29_000);
        queues_ms.append(&mut link.queues_ms);
        link.path.mbit = released_mbit;
        // All the 30 s, and all but the first.
        link.look();
        link.run(4_000);
        link.look();
        link.run(1_000);
        assert!(link.left(0) > 0.97, "{} left after 4 s", link.left(0));
        let [.., first, rest, _, _] = link.flows[0].voices[..] else {
            panic!("too few looks")
        };
        let part = |(offered, arrived): (u64, u64)| arrived as f64 / offered as f64;
        let all = part((first.0 + rest.0, first.1 + rest.1));
        assert!(all >= 0.99, "{all} of the voices arrived");
        assert!(part(rest) >= 0.999, "{} after the first second", part(rest));
        queues_ms.sort_by(f64::total_cmp);
        let p95 = queues_ms[queues_ms.len() * 95 / 100];
        assert!(p95 <= 60.0, "a queue of {p95} ms");
    }
}

#[test]
fn a_link_that_is_cut_again_while_it_drains_keeps_its_voices() {
    let mut link = five(Path::CLEAN, 4);
    for mbit in [3.0, 1.6, 0.8] {
        link.path.mbit = mbit;
        link.run(400);
    }
    link.run(1_200);
    link.look();
    link.run(20_000);
    assert!(link.queue_quantile(0.95) <= 80.0);
    assert!(link.voices(0) >= 0.999);
}

#[test]
fn a_full_link_is_used() {
    let mut link = five(
        Path {
            mbit: 2.0,
            ..Path::CLEAN
        },
        1,
    );
    link.run(30_000);
    let used = link.flows[0].arrived / (30.0 * 2.0 * MBIT);
    assert!(used > 0.93, "{used} of the link");
    assert!(link.queue_quantile(0.95) <= 45.0);
    assert_eq!(link.voices(0), 1.0);
}

#[test]
fn loss_alone_limits_nothing() {
    for (loss, rtt_ms, jitter_ms) in [(0.03, 200, 0), (0.05, 30, 0), (0.03, 200, 5), (0.05, 30, 5)]
    {
        for seed in 1..4 {
            let path = Path {
                loss,
                rtt_ms,
                jitter_ms,
                ..Path::CLEAN
            };
            let mut link = Link::new(path, seed);
            link.add(0.5, 4.5, 0);
            link.run(30_000);
            assert!(link.left(0) > 0.97, "{loss} {rtt_ms}: {}", link.left(0));
            let budget = &link.flows[0].budget;
            assert_eq!(budget.state(), BudgetState::Clear);
            assert_eq!(budget.counts(), BudgetCounts::default());
            assert!((budget.loss() - loss).abs() < 0.05);
        }
    }
}

#[test]
fn jitter_limits_nothing() {
    for jitter_ms in [10, 20] {
        let mut link = five(
            Path {
                jitter_ms,
                ..Path::CLEAN
            },
            7,
        );
        link.run(30_000);
        assert!(link.left(0) > 0.97, "{jitter_ms}: {}", link.left(0));
        assert_eq!(link.voices(0), 1.0);
    }
}

#[test]
fn two_links_share_a_bottleneck() {
    for (late_ms, rtt_ms) in [(0, 30), (700, 30), (5_000, 150), (20_000, 30)] {
        let path = Path {
            mbit: 5.0,
            rtt_ms,
            jitter_ms: 1,
            ..Path::CLEAN
        };
        let mut link = Link::new(path, 3);
        link.add(0.3, 9.7, 0);
        link.add(0.3, 9.7, late_ms);
        link.run(late_ms + 10_000);
        link.look();
        link.run(40_000);
        let [a, b] = [0, 1].map(|flow| link.flows[flow].arrived / (40.0 * MBIT));
        assert!(a.max(b) <= 3.0 * a.min(b), "{late_ms}: {a} and {b} Mbit/s");
        assert!(a + b > 4.5, "{late_ms}: {a} and {b} Mbit/s");
        assert!(
            link.queue_quantile(0.95) <= 70.0,
            "{}",
            link.queue_quantile(0.95)
        );
        assert!(link.voices(0) > 0.999 && link.voices(1) > 0.999);
    }
}

#[test]
fn eight_links_share_a_bottleneck() {
    let path = Path {
        mbit: 5.0,
        jitter_ms: 4,
        ..Path::CLEAN
    };
    let mut link = Link::new(path, 3);
    for index in 0..8 {
        link.add(0.1, 4.9, index * 2_000);
    }
    link.run(25_000);
    link.look();
    link.run(30_000);
    let got = link.flows.iter().map(|flow| flow.arrived / (30.0 * MBIT));
    let got: Vec<f64> = got.collect();
    assert!(got.iter().all(|mbit| *mbit > 0.3), "{got:?}");
    assert!(link.queue_quantile(0.95) <= 80.0);
    for flow in 0..8 {
        assert!(link.voices(flow) > 0.999);
    }
}

#[test]
fn a_bottleneck_that_drops_at_once_is_found_by_its_loss() {
    let mut link = five(
        Path {
            mbit: 20.0,
            queue_ms: 10.0,
            ..Path::CLEAN
        },
        1,
    );
    link.path.mbit = 2.0;
    link.run(2_000);
    link.look();
    link.run(28_000);
    let flow = &link.flows[0];
    let lost = 1.0 - flow.arrived / flow.left;
    assert!(lost < 0.05, "{lost} lost");
    assert!(
        flow.arrived > 28.0 * 1.6 * MBIT,
        "{} Mbit/s",
        flow.arrived / 28.0 / MBIT
    );
    assert!(flow.budget.counts().losses > 0);
    link.path.mbit = 20.0;
    link.run(8_000);
    link.look();
    link.run(1_000);
    assert!(link.left(0) > 0.97, "{}", link.left(0));
}

#[test]
fn heavy_loss_that_less_does_not_lessen_is_borne() {
    let mut link = five(
        Path {
            loss: 0.3,
            ..Path::CLEAN
        },
        5,
    );
    link.run(30_000);
    assert!(link.left(0) > 0.9, "{}", link.left(0));
}

#[test]
fn a_longer_way_is_believed() {
    let mut link = five(Path::CLEAN, 1);
    link.path.rtt_ms += 80;
    link.run(11_000);
    assert_eq!(link.voices(0), 1.0);
    link.look();
    link.run(5_000);
    assert!(link.left(0) > 0.97, "{}", link.left(0));
    assert!(link.flows[0].budget.queue_delay() < ms(5));
}

#[test]
fn clocks_that_drift_or_are_set_limit_nothing() {
    for ppm in [-200.0, 200.0] {
        let mut link = five(Path::CLEAN, 1);
        link.flows[0].clock.speed = 1.0 + ppm * 1e-6;
        link.run(60_000);
        assert!(link.left(0) > 0.99, "{ppm}: {}", link.left(0));
        assert_eq!(link.flows[0].budget.counts(), BudgetCounts::default());
    }
    for offset_us in [-3_600_000_000, -30_000, 40_000, 500_000, 3_600_000_000] {
        let mut link = five(Path::CLEAN, 1);
        link.flows[0].clock.offset_us = offset_us;
        link.run(5_000);
        assert!(link.left(0) > 0.99, "{offset_us}: {}", link.left(0));
        // What is a queue is one still.
        link.path.mbit = 2.0;
        link.run(2_000);
        link.look();
        link.run(10_000);
        assert!(link.queue_quantile(0.95) <= 60.0, "{offset_us}");
        assert!(link.voices(0) > 0.999);
    }
}

#[test]
fn silence_lowers_the_rate_and_is_forgotten() {
    let mut link = five(Path::CLEAN, 1);
    let before = link.flows[0].budget.rate();
    link.deaf = true;
    link.run(3_000);
    let budget = &link.flows[0].budget;
    assert_eq!(budget.state(), BudgetState::Silent);
    assert_eq!(budget.rate(), RATE_FLOOR);
    assert_eq!(budget.counts().silences, 1);
    link.deaf = false;
    link.run(100);
    assert!(link.flows[0].budget.rate() >= before / 2.0);
    link.run(2_000);
    link.look();
    link.run(1_000);
    assert!(link.left(0) > 0.97, "{}", link.left(0));
}

#[test]
fn no_path_is_believed_to_carry_less_than_voices_need() {
    let mut link = five(
        Path {
            mbit: 0.1,
            ..Path::CLEAN
        },
        1,
    );
    for _ in 0..100 {
        link.run(100);
        assert!(link.flows[0].budget.rate() >= RATE_FLOOR);
    }
    assert!(link.flows[0].budget.rate() <= 2.0 * RATE_FLOOR);
}

#[test]
fn who_sends_little_is_not_believed_to_have_room_for_much() {
    let mut link = Link::new(Path::CLEAN, 1);
    link.add(0.5, 0.5, 0);
    link.run(60_000);
    assert_eq!(link.flows[0].budget.rate(), RATE_FIRST);
    // What was needed for a while is not believed for ever.
    link.flows[0].video_mbit = 20.0;
    link.run(10_000);
    assert!(link.flows[0].budget.rate() > 18.0 * MBIT);
    assert!(link.flows[0].budget.rate() < 42.0 * MBIT);
    link.flows[0].video_mbit = 0.5;
    link.run(15_000);
    assert_eq!(link.flows[0].budget.rate(), RATE_FIRST);
}

#[test]
fn reports_that_lie_are_bounded() {
    let lies: [fn(Feedback) -> Feedback; 8] = [
        |report| Feedback {
            datagrams: report.datagrams.wrapping_mul(3),
            bytes: u32::MAX - report.bytes,
            ..report
        },
        |report| Feedback {
            bytes: report.bytes.wrapping_mul(9),
            ..report
        },
        |report| Feedback {
            highest: report.highest.wrapping_add(1_000_000),
            ..report
        },
        |report| Feedback {
            number: 0u32.wrapping_sub(report.number),
            ..report
        },
        |report| Feedback {
            arrived_us: 0,
            ..report
        },
        |report| Feedback {
            arrived_us: report.arrived_us / 1_000,
            ..report
        },
        |report| Feedback {
            arrived_us: report.arrived_us.wrapping_mul(report.number),
            held_us: report.arrived_us as u16,
            ..report
        },
        |report| Feedback {
            datagrams: 0,
            bytes: 0,
            ..report
        },
    ];
    for (lie, number) in lies.into_iter().zip(0..) {
        let mut link = five(Path::CLEAN, 1);
        link.flows[0].lie = lie;
        for _ in 0..100 {
            link.run(100);
            let rate = link.flows[0].budget.rate();
            assert!(
                (RATE_FLOOR..=20.0 * MBIT).contains(&rate),
                "{number}: {rate}"
            );
        }
        link.flows[0].lie = |report| report;
        link.run(15_000);
        link.look();
        link.run(1_000);
        assert!(link.left(0) > 0.97, "{number}: {}", link.left(0));
    }
}

/// Each alone changes nothing and is counted; the truth behind it is believed.
#[test]
fn what_cannot_be_true_is_ignored() {
    let begin = start();
    let mut budget = Budget::new(begin);
    for sequence in 0..200 {
        budget.on_sent(begin + ms(u64::from(sequence)), sequence, 1_000);
    }
    let truth = |number, arrived: u32| Feedback {
        number,
        highest: arrived - 1,
        arrived_us: arrived * 1_000,
        held_us: 0,
        datagrams: arrived,
        bytes: arrived * 1_000,
    };
    budget.on_feedback(begin + ms(115), &truth(5, 100));
    let next = truth(6, 125);
    let lies = [
        ("from the past", Feedback { number: 5, ..next }),
        ("of what was told", truth(6, 99)),
        ("from the future", truth(6, 201)),
        (
            "more than left",
            Feedback {
                datagrams: 300,
                ..next
            },
        ),
        (
            "less than before",
            Feedback {
                datagrams: 99,
                ..next
            },
        ),
        (
            "too long",
            Feedback {
                bytes: 100_000 + 25 * MAX_DATAGRAM as u32 + 1,
                ..next
            },
        ),
        (
            "fewer bytes than before",
            Feedback {
                bytes: 99_000,
                ..next
            },
        ),
    ];
    for ((what, lie), ignored) in lies.into_iter().zip(1..) {
        let before = (budget.rate(), budget.rtt(), budget.queue_delay());
        budget.on_feedback(begin + ms(140), &lie);
        assert_eq!(budget.counts().ignored, ignored, "{what}");
        let after = (budget.rate(), budget.rtt(), budget.queue_delay());
        assert_eq!(after, before, "{what}");
    }
    budget.on_feedback(begin + ms(140), &next);
    assert_eq!(budget.counts().ignored, 7);
}

#[test]
fn what_leaves_is_paced() {
    let now = start();
    let mut budget = Budget::new(now);
    let mut sent = 0;
    while budget.room(now) > 0 {
        budget.on_sent(now, sent, MAX_DATAGRAM);
        sent += 1;
    }
    // 5 ms at 4 Mbit/s, begun with two datagrams.
    assert_eq!(sent, 2);
    let at = budget.room_at(now);
    assert!(at > now && at < now + ms(5));
    assert!(budget.room(at) > 0);
    budget.on_stream_bytes(at, 100_000_000);
    assert!(budget.room_at(at) <= at + DEBT + ms(6));
    assert_eq!(budget.room(now + ms(10_000)), 2_500);
}

proptest! {
    /// Whatever is reported, in whatever order with what leaves: nothing breaks, and the rate keeps its bounds.
    #[test]
    fn nothing_breaks_it(
        steps in prop::collection::vec(
            (0..50_u64, any::<bool>(), any::<u32>(), any::<[u32; 4]>(), any::<u16>(), any::<bool>()),
            1..200,
        ),
    ) {
        let mut now = start();
        let mut budget = Budget::new(now);
        let (mut sequence, mut number) = (u32::MAX - 20, 0_u32);
        for (gap_ms, send, near, [datagrams, bytes, arrived_us, highest], held_us, plausible) in steps {
            now += ms(gap_ms);
            budget.set_waiting(near & 1 == 0);
            budget.on_timeout(now);
            if send {
                for _ in 0..near % 20 {
                    budget.on_sent(now, sequence, 1_000);
                    sequence = sequence.wrapping_add(1);
                }
            }
            number = number.wrapping_add(1);
            let report = if plausible {
                Feedback {
                    number,
                    highest: sequence.wrapping_sub(1 + near % 30),
                    arrived_us: arrived_us % 10_000_000,
                    held_us,
                    datagrams: datagrams % 200,
                    bytes: bytes % 200_000,
                }
            } else {
                Feedback { number: near, highest, arrived_us, held_us, datagrams, bytes }
            };
            budget.on_feedback(now, &report);
            prop_assert!((RATE_FLOOR..=RATE_MAX).contains(&budget.rate()));
            prop_assert!(budget.room_at(now) <= now + DEBT + ms(100));
            prop_assert!((0.0..=1.0).contains(&budget.loss()));
        }
    }
}
