//! What a link delivers over a path that loses, with the edge's own budget, and with the library's CUBIC.

use std::time::Duration;

use pulse_core::quic::Congestion;
use pulse_lab::World;

use super::{
    ends::{Plan, run},
    named,
    place::Place,
    quantile_ms,
    servers::Papers,
};
use crate::call::{Failure, figures::Row};

/// 543 datagrams a second of 1,150 bytes are 5 Mbit/s of media. Two frames fill one: 8 + 2 × (7 + 20 + 544).
const DATAGRAMS_PER_SECOND: u64 = 543;
const FRAME_BYTES: usize = 544;

/// The budget begins at 4 Mbit/s; at 200 ms it has 5.3 after two.
const WARM_UP_US: u64 = 8_000_000;

/// How old the oldest of a hundred frames may be, beside the way itself.
const LATE_MS: f64 = 20.0;

/// A path: its name, its profile, one way in ms, and the part that has to arrive.
const PATHS: [(&str, &str, f64, f64); 2] = [
    ("lossy_3%_200ms", "3%-200ms", 100.0, 96.0),
    ("lossy_5%_30ms", "5%-30ms", 15.0, 94.0),
];

pub fn measure(window_s: u64) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (name, profile, way_ms, percent) in PATHS {
        for (of, congestion) in [("", Congestion::Sender), ("_cubic", Congestion::Library)] {
            let name = format!("{name}{of}");
            let measured = carry(&name, profile, congestion, window_s, way_ms, percent)?;
            let compared = congestion == Congestion::Library;
            rows.extend(measured.into_iter().map(|row| match compared {
                true => row.without_bar(),
                false => row,
            }));
        }
    }
    Ok(rows)
}

fn carry(
    name: &str,
    profile: &str,
    congestion: Congestion,
    window_s: u64,
    way_ms: f64,
    percent: f64,
) -> Result<Vec<Row>, Failure> {
    let world = World::builder()
        .seed(1)
        .host("from", "delay=0ms")
        .host("to", "delay=0ms")
        .path("from", "to", profile)
        .start()?;
    let papers = Papers::new()?;
    let end_us = WARM_UP_US + window_s * 1_000_000;
    let due = (0..).map(|number| number * 1_000_000 / DATAGRAMS_PER_SECOND);
    let due = due.take_while(|at_us| *at_us < end_us);
    let plan = Plan {
        schedule: due.flat_map(|at_us| [(at_us, 0), (at_us, 0)]).collect(),
        participants: 1,
        frame_bytes: FRAME_BYTES,
        voices: false,
        packed: true,
        congestion,
        window_us: WARM_UP_US..end_us,
    };
    let places = [Place::On(world.host("from")?), Place::On(world.host("to")?)];
    let outcome = run(&papers, places, false, &plan)?;
    let stats = world.stats()?;
    let devices = stats.devices.values();
    let dropped: u64 = devices
        .map(|one| one.dropped_sending + one.dropped_receiving)
        .sum();
    let of_due = |frames: u64| frames as f64 * 100.0 / outcome.due as f64;
    let media = outcome.datagrams as f64 / window_s as f64;
    let sent = outcome.sent_bytes as f64 * 8.0 / 1e6 / Duration::from_secs(window_s).as_secs_f64();
    let watch = &outcome.watch;
    let of_reports = |some: u64| some as f64 * 100.0 / watch.reports.max(1) as f64;
    let slowest = watch.slowest.unwrap_or_default() * 8.0 / 1e6;
    let lost_here = stats.links.values();
    let lost_here: u64 = lost_here.map(|link| link.counters.dropped_loss).sum();
    Ok(vec![
        named(name, "path_lost", lost_here as f64, "packets of all"),
        named(name, "library_lost", outcome.lost_packets as f64, "packets"),
        named(name, "delivered", of_due(outcome.ages_us.len()), "%").at_least(percent),
        named(name, "age_p50", quantile_ms(&outcome.ages_us, 0.5), "ms"),
        named(name, "age_p99", quantile_ms(&outcome.ages_us, 0.99), "ms").at_most(way_ms + LATE_MS),
        named(
            name,
            "sender_late_p99",
            quantile_ms(&outcome.late_us, 0.99),
            "ms",
        ),
        named(
            name,
            "waited_p99",
            quantile_ms(&outcome.waited_us, 0.99),
            "ms",
        ),
        named(name, "reports_full", of_reports(watch.full), "%"),
        named(name, "reports_draining", of_reports(watch.draining), "%"),
        named(name, "reports_other", of_reports(watch.other), "%"),
        named(name, "longest_queue", watch.queue.as_secs_f64() * 1e3, "ms"),
        named(name, "slowest", slowest, "Mbit/s"),
        named(name, "given_up", of_due(outcome.stale), "%"),
        named(name, "datagrams", media, "/s"),
        named(name, "sent", sent, "Mbit/s"),
        named(name, "lab_dropped", dropped as f64, "packets").at_most(0.0),
    ])
}
