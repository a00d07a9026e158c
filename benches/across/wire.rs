//! What a room of voices weighs on the path between two edges: bytes of IP, as the lab counts them there, with
//! whatever else travels on the link. Speakers, listeners and core are elsewhere.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use pulse_lab::World;
use pulse_proto::limits::MEDIA_HEADER;
use tokio::time::Instant;

use super::{
    cpu::voices,
    latency::{JOINING, WARM_UP_US},
    listeners::Listeners,
    named,
    place::{Place, joined},
    servers::Servers,
    speakers::Speakers,
};
use crate::call::{Failure, figures::Row, schedule::VOICE_BYTES};

/// The lab's name of the speakers' direction.
const PATH: &str = "fra to iad";

/// Speakers, listeners at the other edge, and how many times their own bytes the wire may carry.
const ROOMS: [(usize, usize, f64); 3] = [(10, 1, 1.30), (40, 1, 1.15), (10, 100, 1.30)];

/// Listeners at the other edge may change the wire by so much.
const EQUAL_PERCENT: f64 = 1.0;

pub fn measure(pinned: bool, window_s: u64) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut ratios = Vec::new();
    for (speakers, listeners, most) in ROOMS {
        let name = format!("wire_{speakers}_to_{listeners}");
        let (measured, ratio) = weigh(&name, (speakers, listeners), pinned, window_s)?;
        rows.push(named(&name, "by_media", ratio, "").at_most(most));
        rows.extend(measured);
        ratios.push(ratio);
    }
    if let [few, _, many] = ratios[..] {
        let change = (many / few - 1.0) * 100.0;
        rows.push(named("wire", "more_by_listeners", change.abs(), "%").at_most(EQUAL_PERCENT));
    }
    Ok(rows)
}

fn weigh(
    name: &str,
    (speakers, listeners): (usize, usize),
    pinned: bool,
    window_s: u64,
) -> Result<(Vec<Row>, f64), Failure> {
    let world = World::builder()
        .seed(1)
        .host_in("fra", "fra", "delay=0ms")
        .host_in("iad", "iad", "delay=0ms")
        .host_in("core", "core", "delay=0ms")
        .path("fra", "iad", "delay=0ms")
        .start()?;
    let at = |host| -> Result<Place<'_>, Failure> { Ok(Place::On(world.host(host)?)) };
    let (fra, iad) = (at("fra")?, at("iad")?);
    let servers = Servers::start(at("core")?, [fra, iad], pinned)?;
    let origin = Instant::now() + JOINING;
    let end_us = WARM_UP_US + window_s * 1_000_000;
    let speaking = Speakers {
        url: servers.edges[0].url(),
        count: speakers,
        origin,
        schedule: voices(speakers, end_us + 500_000, 1),
        joined: Arc::default(),
        sent: Arc::default(),
    };
    let listening = Listeners {
        url: servers.edges[1].url(),
        count: listeners,
        origin,
        end: origin + Duration::from_micros(end_us) + Duration::from_secs(2),
        window_us: WARM_UP_US..end_us,
        joined: speaking.joined.clone(),
    };
    let due = speaking.schedule.iter();
    let due = due.filter(|(at_us, _)| listening.window_us.contains(at_us));
    let due = due.count() * listeners;
    let (sent, in_time) = (speaking.sent.clone(), speaking.joined.clone());
    let speaking = fra.run(pinned, move || speaking.speak())?;
    let listening = iad.run(pinned, move || listening.listen())?;
    let look = |at_us| -> Result<(u64, f64, f64), Failure> {
        let at = origin + Duration::from_micros(at_us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let sent = sent.load(Ordering::Relaxed);
        let links = world.stats()?.links;
        let path = links.get(PATH).ok_or("the lab counts otherwise now")?;
        let counters = &path.counters;
        Ok((sent, counters.offered_bytes as f64, counters.offered as f64))
    };
    let first = look(WARM_UP_US)?;
    if in_time.load(Ordering::Relaxed) < speakers + listeners {
        eprintln!("{name}: not everybody was in when it began");
    }
    let last = look(end_us)?;
    joined(speaking)?;
    let heard = joined(listening)?.len();
    let frames = (last.0 - first.0) as f64;
    let bytes = last.1 - first.1;
    let lost = 100.0 - heard as f64 * 100.0 / due as f64;
    // A frame that was lost made nothing cheaper.
    let carried = frames * heard as f64 / due as f64;
    let ratio = bytes / (carried * (MEDIA_HEADER + VOICE_BYTES) as f64);
    let packets = (last.2 - first.2) / window_s as f64;
    Ok((
        vec![
            named(name, "frames", frames / window_s as f64, "/s"),
            named(name, "packets", packets, "/s"),
            named(name, "lost", lost, "%"),
        ],
        ratio,
    ))
}
