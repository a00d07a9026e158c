//! An edge that is killed, and one whose packets vanish without a word: how long its people hear nothing until
//! they hear through another edge.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use pulse_client::{JoinOptions, Stay, StayEvent};
use pulse_lab::World;
use tokio::time::{Instant, sleep_until};

use super::{
    cpu::voices,
    latency::JOINING,
    named,
    place::{Place, joined},
    servers::Servers,
    speakers::Speakers,
};
use crate::call::{Failure, ROOM, figures::Row};

/// Who is at the edge.
const PEOPLE: usize = 50;

/// From the origin until it is gone, and then until everybody should have come back.
const BEFORE_US: u64 = 4_000_000;
const AFTER_US: u64 = 12_000_000;

/// How many of them have to hear again, and within what if the edge was killed or vanished.
const PERCENT: f64 = 99.0;
const KILLED_MS: f64 = 1_200.0;
const VANISHED_MS: f64 = 4_000.0;

pub fn measure(pinned: bool) -> Result<Vec<Row>, Failure> {
    let mut rows = lose("edge_killed", KILLED_MS, pinned, |_, servers| {
        servers.edges[0].kill()
    })?;
    rows.extend(lose("edge_vanished", VANISHED_MS, pinned, |world, _| {
        Ok(world.blackhole("fra", None, None)?)
    })?);
    Ok(rows)
}

fn lose(
    name: &str,
    most_ms: f64,
    pinned: bool,
    lose: impl FnOnce(&World, &mut Servers) -> Result<(), Failure>,
) -> Result<Vec<Row>, Failure> {
    let world = World::builder()
        .seed(1)
        .host_in("fra", "fra", "delay=1ms")
        .host_in("iad", "iad", "delay=1ms")
        .host_in("core", "core", "delay=1ms")
        .host_in("people", "people", "delay=10ms")
        .start()?;
    let at = |host| -> Result<Place<'_>, Failure> { Ok(Place::On(world.host(host)?)) };
    let mut servers = Servers::start(at("core")?, [at("fra")?, at("iad")?], pinned)?;
    let origin = Instant::now() + JOINING;
    let end_us = BEFORE_US + AFTER_US;
    let speaking = Speakers {
        url: servers.edges[1].url(),
        count: 1,
        origin,
        schedule: voices(1, end_us, 1),
        joined: Arc::default(),
        sent: Arc::default(),
    };
    let in_time = speaking.joined.clone();
    let speaking = at("iad")?.run(pinned, move || speaking.speak())?;
    let (url, people) = (servers.edges[0].url(), in_time.clone());
    let end = origin + Duration::from_micros(end_us);
    let hearing = at("people")?.run(pinned, move || attend(url, end, people))?;
    let gone_at = origin + Duration::from_micros(BEFORE_US);
    thread::sleep(gone_at.saturating_duration_since(Instant::now()));
    if in_time.load(Ordering::Relaxed) < PEOPLE + 1 {
        eprintln!("{name}: not everybody was in when it began");
    }
    let gone_at = Instant::now();
    lose(&world, &mut servers)?;
    joined(speaking)?;
    let again = joined(hearing)?;
    let mut silence_ms: Vec<f64> = again
        .iter()
        .flatten()
        .map(|at| at.saturating_duration_since(gone_at).as_secs_f64() * 1e3)
        .collect();
    silence_ms.sort_by(f64::total_cmp);
    let quantile = |part: f64| {
        let place = (silence_ms.len() as f64 * part).ceil() as usize;
        let value = silence_ms.get(place.saturating_sub(1));
        value.copied().unwrap_or(f64::NAN)
    };
    let percent = silence_ms.len() as f64 * 100.0 / PEOPLE as f64;
    Ok(vec![
        named(name, "hear_again", percent, "%").at_least(PERCENT),
        named(name, "silence_p99", quantile(0.99), "ms").at_most(most_ms),
        named(name, "silence_p50", quantile(0.5), "ms"),
    ])
}

/// When each of them first heard something after it had left its edge.
async fn attend(
    url: String,
    end: Instant,
    in_time: Arc<AtomicUsize>,
) -> Result<Vec<Option<Instant>>, Failure> {
    let mut tasks = Vec::new();
    for number in 0..PEOPLE {
        let options = JoinOptions::new(ROOM, format!("Listener {number}"));
        let stay = Stay::connect(&url, &options).await?;
        in_time.fetch_add(1, Ordering::Relaxed);
        tasks.push(tokio::spawn(hear_again(stay, end)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await?);
    }
    Ok(all)
}

async fn hear_again(mut stay: Stay, end: Instant) -> Option<Instant> {
    let (mut back, mut heard_at) = (false, None);
    loop {
        let event = tokio::select! {
            event = stay.next() => event,
            () = sleep_until(end) => return heard_at,
        };
        match event {
            StayEvent::Away => (back, heard_at) = (false, None),
            StayEvent::Back { .. } => back = true,
            StayEvent::Edge(pulse_client::Event::Media { .. }) if back && heard_at.is_none() => {
                heard_at = Some(Instant::now());
            }
            StayEvent::Over(why) => {
                eprintln!("a listener gave up: {why}");
                return None;
            }
            StayEvent::Edge(_) => {}
        }
    }
}
