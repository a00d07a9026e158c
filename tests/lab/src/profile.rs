//! The named links. Round trips are those between public cloud regions and of everyday access
//! networks; a path or access link of delay D adds 2 × D to a round trip.

use std::time::Duration;

use crate::{
    shape::{Flap, Loss, Shape},
    spec::Spec,
    units,
};

/// Every profile by name. Beside them any `LOSS%-RTTms` is one.
pub const NAMES: [&str; 8] = [
    "lan",
    "transatlantic",
    "frankfurt-singapore",
    "wifi-busy",
    "mobile",
    "flapping",
    "3%-200ms",
    "1%-40ms",
];

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const MBIT: u64 = 1_000_000;

/// The profile of this name.
pub(crate) fn find(name: &str) -> Option<Spec> {
    let both = |shape: Shape| Spec {
        up: shape.clone(),
        down: shape,
    };
    let spec = match name {
        // A tenth of a millisecond each way, and nothing else.
        "lan" => both(Shape {
            delay: Duration::from_micros(100),
            ..Shape::default()
        }),
        // Frankfurt to Virginia: 90 ms there and back.
        "transatlantic" => both(Shape {
            delay: ms(45),
            jitter: ms(1),
            loss: Loss::Uniform(0.000_1),
            ..Shape::default()
        }),
        // 160 ms there and back, and now and then a few packets in a row are gone.
        "frankfurt-singapore" => both(Shape {
            delay: ms(80),
            jitter: ms(2),
            loss: Loss::bursts(0.001, 3.0),
            ..Shape::default()
        }),
        // Neighbours on the channel: waits of up to 30 ms, short bursts of loss, the odd second copy.
        "wifi-busy" => {
            let shape = |rate: u64| Shape {
                delay: ms(3),
                jitter: ms(30),
                loss: Loss::bursts(0.01, 4.0),
                duplicate: 0.001,
                rate_bps: Some(rate * MBIT),
                queue_bytes: Some(256 * 1024),
                ..Shape::default()
            };
            Spec {
                up: shape(15),
                down: shape(30),
            }
        }
        // A loaded cell: 60 ms there and back, little upwards, deep queues.
        "mobile" => {
            let shape = |rate: u64, jitter: u64, queue_kib: usize| Shape {
                delay: ms(30),
                jitter: ms(jitter),
                loss: Loss::bursts(0.005, 5.0),
                rate_bps: Some(rate * MBIT),
                queue_bytes: Some(queue_kib * 1024),
                ..Shape::default()
            };
            Spec {
                up: shape(3, 20, 192),
                down: shape(12, 15, 512),
            }
        }
        // 20 ms there and back; away for 3 s of each 15.
        "flapping" => both(Shape {
            delay: ms(10),
            flap: Some(Flap {
                up: Duration::from_secs(12),
                down: Duration::from_secs(3),
            }),
            ..Shape::default()
        }),
        _ => {
            let (loss, round_trip) = name.split_once('-')?;
            both(Shape {
                loss: Loss::Uniform(units::share(loss)?),
                delay: units::time(round_trip)? / 2,
                ..Shape::default()
            })
        }
    };
    Some(spec)
}
