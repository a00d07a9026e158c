//! When probes leave, what they cost a narrow link, and which answers count.

use proptest::prelude::*;

use super::*;
use crate::pace::Segments;

/// 256 kbit/s, in bytes a second.
const NARROW: f64 = 32_000.0;
/// TLS, TCP and IP about a probe.
const AROUND: usize = 60;
const PATH: Duration = Duration::from_millis(40);
/// 1.5 Mbit/s.
const SOUGHT: u64 = 187_500;

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn reading(acked: u64, outstanding: u64) -> Reading {
    Reading {
        acked,
        outstanding,
        rtt: PATH,
        min_rtt: PATH,
        torn: false,
        segments: Segments::default(),
    }
}

/// A probe that a link of so many bytes a second has acknowledged, looked at `late` after it was due.
fn answer(carries: u64, sought: u64, late: Duration) -> Option<Answer> {
    let now = start();
    let mut probe = Probe::default();
    probe.next(now, true);
    let bytes = PROBE_BYTES as u64;
    probe.on_sent(now, PROBE_BYTES, sought, reading(5_000, bytes));
    let look_at = probe.next(now, true).unwrap() + late;
    let acked_at = now + PATH + Duration::from_secs_f64(bytes as f64 / carries as f64);
    let acked = if look_at >= acked_at { bytes } else { 0 };
    probe.on_look(look_at, 5_000 + acked)
}

#[test]
fn only_a_link_that_carries_what_is_sought_answers_in_time() {
    assert_eq!(answer(6_250_000, SOUGHT, ms(0)), Some(Answer::InTime));
    assert_eq!(answer(SOUGHT, SOUGHT, ms(1)), Some(Answer::InTime));
    assert_eq!(answer(32_000, SOUGHT, ms(0)), Some(Answer::Late));
    // A track that needs hardly more than there is.
    assert_eq!(answer(32_000, 40_000, ms(0)), Some(Answer::Late));
    assert_eq!(answer(50_000, 40_000, ms(0)), Some(Answer::InTime));
}

#[test]
fn who_looks_too_late_cannot_tell() {
    assert_eq!(answer(32_000, SOUGHT, ms(50)), Some(Answer::Unknown));
    assert_eq!(answer(10_000, SOUGHT, ms(50)), Some(Answer::Late));
}

#[test]
fn an_answer_is_taken_once_and_the_next_probe_waits() {
    let now = start();
    let mut probe = Probe::default();
    assert_eq!(probe.next(now, false), None);
    assert_eq!(probe.next(now, true), Some(now + PROBE_INTERVAL));
    assert_eq!(probe.on_look(now, 0), None, "nothing was sent");
    probe.on_sent(now, PROBE_BYTES, SOUGHT, reading(0, 1_000));
    assert_eq!(probe.next(now, true), Some(now + PATH + PROBE_SLACK));
    assert!(probe.on_look(now + ms(55), 0).is_some());
    assert_eq!(probe.on_look(now + ms(55), 1_000), None);
    assert_eq!(probe.next(now, true), Some(now + PROBE_INTERVAL));
    // Nothing is paused any more: what is under way means nothing.
    probe.on_sent(now, PROBE_BYTES, SOUGHT, reading(0, 1_000));
    assert_eq!(probe.next(now, false), None);
    assert_eq!(probe.on_look(now + ms(55), 1_000), None);
}

proptest! {
    /// Whatever the lists' lengths and however often somebody looks, probes take no more than a fifth of a
    /// narrow link, beside the one that is under way.
    #[test]
    fn probes_take_a_bounded_share(
        looks in proptest::collection::vec((0..400_u64, PROBE_BYTES..3_000, any::<bool>()), 1..400),
    ) {
        let begin = start();
        let (mut now, mut probe) = (begin, Probe::default());
        let (mut total, mut largest) = (0, 0);
        for (wait_ms, bytes, may) in looks {
            now += ms(wait_ms);
            if probe.next(now, true).is_none_or(|at| now < at) || probe.on_look(now, 0).is_some() {
                continue;
            }
            if may {
                probe.on_sent(now, bytes, SOUGHT, reading(0, bytes as u64));
                total += bytes + AROUND * bytes.div_ceil(PROBE_BYTES);
                largest = largest.max(bytes + 3 * AROUND);
            } else {
                probe.postpone(now);
            }
        }
        let passed = (now - begin).as_secs_f64();
        prop_assert!((total - largest.min(total)) as f64 <= NARROW * 0.2 * passed, "{total} in {passed}");
    }
}
