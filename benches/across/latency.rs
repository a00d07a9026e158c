//! What the second edge adds to a voice's delay: one listener at the speakers' edge and one at the other, in
//! one run, on loopback.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pulse_proto::backbone::limits::MAX_HOLD;
use tokio::time::Instant;

use super::{
    cpu::voices,
    listeners::Listeners,
    named,
    place::{Place, joined},
    quantile_ms,
    servers::Servers,
    speakers::Speakers,
};
use crate::call::{Failure, figures::Row};

const SPEAKERS: usize = 40;

/// Until everybody is in.
pub const JOINING: Duration = Duration::from_secs(4);
pub const WARM_UP_US: u64 = 4_000_000;

/// What it may add beside the time that a frame is held for others.
const MORE_P50_MS: f64 = 0.4;
const MORE_P99_MS: f64 = 2.0;

pub fn measure(pinned: bool, window_s: u64) -> Result<Vec<Row>, Failure> {
    let place = Place::Loopback;
    let servers = Servers::start(place, [place; 2], pinned)?;
    let origin = Instant::now() + JOINING;
    let end_us = WARM_UP_US + window_s * 1_000_000;
    let window_us = WARM_UP_US..end_us;
    let speakers = Speakers {
        url: servers.edges[0].url(),
        count: SPEAKERS,
        origin,
        schedule: voices(SPEAKERS, end_us, 1),
        joined: Arc::default(),
        sent: Arc::default(),
    };
    let due = speakers.schedule.iter();
    let due = due.filter(|(at_us, _)| window_us.contains(at_us)).count() as f64;
    let listeners = servers.edges.each_ref().map(|edge| Listeners {
        url: edge.url(),
        count: 1,
        origin,
        end: origin + Duration::from_micros(end_us) + Duration::from_secs(1),
        window_us: window_us.clone(),
        joined: speakers.joined.clone(),
    });
    let in_time = speakers.joined.clone();
    let speaking = place.run(pinned, move || speakers.speak())?;
    // Both are served by one thread: what holds it up falls on both.
    let heard = place.run(pinned, move || async move {
        let [near, far] = listeners;
        let (near, far) = tokio::join!(near.listen(), far.listen());
        Ok((near?, far?))
    })?;
    std::thread::sleep(origin.saturating_duration_since(Instant::now()));
    if in_time.load(Ordering::Relaxed) < SPEAKERS + 2 {
        eprintln!("latency: not everybody was in when it began");
    }
    let late_us = joined(speaking)?;
    let (near, far) = joined(heard)?;
    let hold_ms = MAX_HOLD.as_secs_f64() * 1e3;
    let added = |part| quantile_ms(&far, part) - quantile_ms(&near, part);
    let row = |what: &str, value, unit| named("latency", what, value, unit);
    let lost = |came: u64| 100.0 - came as f64 * 100.0 / due;
    Ok(vec![
        row("added_p50", added(0.5), "ms").at_most(hold_ms + MORE_P50_MS),
        row("added_p99", added(0.99), "ms").at_most(hold_ms + MORE_P99_MS),
        row("near_p50", quantile_ms(&near, 0.5), "ms"),
        row("near_p99", quantile_ms(&near, 0.99), "ms"),
        row("far_p50", quantile_ms(&far, 0.5), "ms"),
        row("far_p99", quantile_ms(&far, 0.99), "ms"),
        row("near_lost", lost(near.len()), "%"),
        row("far_lost", lost(far.len()), "%"),
        row("generator_late_p99", quantile_ms(&late_us, 0.99), "ms"),
    ])
}
