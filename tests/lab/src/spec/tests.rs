//! The words of a spec: read, merged, printed, refused.

use std::time::Duration;

use proptest::prelude::*;

use super::{Side, Spec, SpecError};
use crate::{Flap, Loss, PROFILES, Shape};

fn spec(text: &str) -> Spec {
    text.parse().unwrap()
}

#[test]
fn settings_count_for_both_directions_or_for_one() {
    let spec = spec("rate=256kbit,delay=20ms,queue=32KiB,up.loss=3%,down.jitter=5ms");
    for shape in [&spec.up, &spec.down] {
        assert_eq!(shape.rate_bps, Some(256_000));
        assert_eq!(shape.delay, Duration::from_millis(20));
        assert_eq!(shape.queue_bytes(), 32 * 1024);
    }
    assert_eq!(spec.up.loss, Loss::Uniform(0.03));
    assert_eq!(spec.down.loss, Loss::Uniform(0.0));
    assert_eq!(spec.down.jitter, Duration::from_millis(5));
    assert_eq!(spec.up.jitter, Duration::ZERO);
}

#[test]
fn a_profile_comes_first_and_settings_change_it() {
    let mobile = spec("mobile");
    let lossy = spec("mobile,loss=10%");
    assert_eq!(lossy.up.rate_bps, mobile.up.rate_bps);
    assert_eq!(lossy.up.loss, Loss::Uniform(0.1));
    assert_eq!(
        "loss=10%,mobile".parse::<Spec>(),
        Err(SpecError::Late("mobile".into()))
    );
}

#[test]
fn every_profile_can_be_read_and_says_what_its_name_says() {
    for name in PROFILES {
        let _ = spec(name);
    }
    let slow = spec("3%-200ms");
    assert_eq!(slow.up, slow.down);
    assert_eq!(slow.up.delay, Duration::from_millis(100));
    assert_eq!(slow.up.loss, Loss::Uniform(0.03));
    assert_eq!(spec("0.5%-60ms").down.delay, Duration::from_millis(30));
    assert!(spec("flapping").up.flap.is_some());
}

#[test]
fn applied_to_one_side_the_other_stays() {
    let mut changed = spec("mobile");
    changed.apply("lan,loss=1%", Some(Side::Down)).unwrap();
    assert_eq!(changed.up, spec("mobile").up);
    assert_eq!(changed.down, spec("lan,loss=1%").down);
    changed.apply("down.loss=5%", Some(Side::Up)).unwrap();
    assert_eq!(changed.down, spec("lan,loss=1%").down);
}

#[test]
fn none_takes_a_setting_away() {
    let mut changed = spec("mobile,mtu=1280,flap=1s/1s,reorder=1%/5ms,duplicate=1%");
    let all = "delay=none,jitter=none,loss=none,duplicate=none,reorder=none,rate=none,queue=none,\
               mtu=none,flap=none";
    changed.apply(all, None).unwrap();
    assert_eq!(changed, Spec::default());
}

#[test]
fn what_is_wrong_is_named_with_what_is_allowed_and_changes_nothing() {
    for (text, names, allows) in [
        ("lann", "lann", "transatlantic"),
        ("", "\"\"", "lan"),
        ("lss=3%", "lss", "loss=3%"),
        ("loss=3", "loss=3", "3%"),
        ("delay=2h", "delay=2h", "20ms"),
        ("mtu=100", "mtu=100", "576 to 1500"),
        ("flap=0s/0s", "flap=0s/0s", "10s/2s"),
        ("loss=3%/0.5", "loss=3%/0.5", "3%/4"),
        ("bursts=1%/2%/3%", "bursts=", "four shares"),
        ("left.loss=3%", "left.loss", "up. or down."),
        ("3%-200", "3%-200", "LOSS%-RTTms"),
    ] {
        let mut spec = spec("mobile");
        let said = spec.apply(&format!("{text},"), None).unwrap_err();
        let said = format!("{said} {}", spec.apply(text, Some(Side::Up)).unwrap_err());
        assert!(
            said.contains(names) && said.contains(allows),
            "{text}: {said}"
        );
        assert_eq!(spec, "mobile".parse().unwrap());
    }
}

prop_compose! {
    fn shapes()(
        (delay_ms, jitter_us, rate, queue) in
            (0..5_000_u64, 0..50_000_u64, prop::option::of(1..10_000_000_u64), 1..100_000_usize),
        loss in prop_oneof![
            (0..=100_u8).prop_map(|percent| Loss::Uniform(f64::from(percent) / 100.0)),
            Just(Loss::Bursts { enter: 0.01, leave: 0.25, inside: 0.5, outside: 0.125 }),
        ],
        (mtu, mtu_told) in (576..=1_500_usize, any::<bool>()),
        flap in prop::option::of((1..10_u64, 0..10_u64)),
    ) -> Shape {
        Shape {
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::from_micros(jitter_us),
            loss,
            rate_bps: rate,
            queue_bytes: rate.map(|_| queue),
            mtu,
            mtu_told,
            flap: flap.map(|(up, down)| Flap {
                up: Duration::from_secs(up),
                down: Duration::from_secs(down),
            }),
            ..Shape::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(shape in shapes()) {
        let again = spec(&shape.to_string());
        prop_assert_eq!(again.up, shape);
    }

    #[test]
    fn no_text_is_too_strange(text in "[a-z0-9%./=,-]{0,40}") {
        let _ = text.parse::<Spec>();
    }
}
