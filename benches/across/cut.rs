//! The path between two edges is cut to less than half of what it is to carry, and is whole again: what becomes of
//! voices and pictures. Three rooms, each with a speaker with a camera at one edge and a listener at the other.

use std::{ops::Range, thread, time::Duration};

use pulse_client::{Client, Event, JoinOptions};
use pulse_lab::{Side, World};
use tokio::time::{Instant, sleep_until};

use super::{
    latency::JOINING,
    named,
    place::{Place, joined},
    servers::Servers,
};
use crate::call::{
    Failure,
    figures::Row,
    publisher::{self, MICROPHONE},
    receiver::Assembly,
    schedule::{Camera, Due, Kind, stretch_of},
};

const ROOMS: usize = 3;

/// 1.5 Mbit/s: 30 × 6,000 bytes, and 19,000 more each 4 s; with a voice and all headers 1.65, and three are 5.
const CAMERA: Camera = Camera {
    least: 4_600,
    most: 7_400,
    keyframe: 25_000,
};

/// 30 ms there and back, and what the cut leaves: its router keeps 100 ms.
const WHOLE: &str = "delay=15ms,rate=none,queue=none";
const CUT: &str = "rate=2mbit,queue=24KiB";

/// From the origin, in seconds: cut, whole again, over.
const CUT_S: u64 = 12;
const WHOLE_S: u64 = CUT_S + 30;
const END_S: u64 = WHOLE_S + 12;

/// A voice that comes later is of no use, as a picture that is not of the present.
const VOICE_MS: f64 = 250.0;
const LIVE_MS: f64 = 300.0;

const VOICES_PERCENT: f64 = 99.0;
const VOICES_LATER_PERCENT: f64 = 99.9;
const QUEUE_MS: f64 = 60.0;
const FULL_S: f64 = 5.0;

/// A codec frame that came whole.
#[derive(Clone, Copy, Debug)]
struct Got {
    due_us: u64,
    age_ms: f64,
    voice: bool,
}

pub fn measure(pinned: bool) -> Result<Vec<Row>, Failure> {
    let world = World::builder()
        .seed(1)
        .host_in("fra", "fra", "delay=0ms")
        .host_in("iad", "iad", "delay=0ms")
        .host_in("core", "core", "delay=0ms")
        .path("fra", "iad", WHOLE)
        .start()?;
    let at = |host| -> Result<Place<'_>, Failure> { Ok(Place::On(world.host(host)?)) };
    let (fra, iad) = (at("fra")?, at("iad")?);
    let servers = Servers::start(at("core")?, [fra, iad], pinned)?;
    let urls = servers.edges.each_ref().map(|edge| edge.url());
    let origin = Instant::now() + JOINING;
    let [speakers_at, listeners_at] = urls;
    let speaking = fra.run(pinned, move || speak(speakers_at, origin))?;
    let hearing = iad.run(pinned, move || hear(listeners_at, origin))?;
    let change = |at_s, spec| -> Result<(), Failure> {
        let at = origin + Duration::from_secs(at_s);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        Ok(world.set("fra:iad", Some(Side::Up), spec)?)
    };
    change(CUT_S, CUT)?;
    change(WHOLE_S, WHOLE)?;
    let late_ms = joined(speaking)?;
    let heard = joined(hearing)?;
    let stats = world.stats()?;
    let devices = stats.devices.values();
    let dropped: u64 = devices
        .map(|one| one.dropped_sending + one.dropped_receiving)
        .sum();

    let voices = |from_s: u64, to_s: u64| percent_of_voices(&heard, from_s..to_s);
    let ages = |range: Range<u64>| {
        let range = range.start * 1_000_000..range.end * 1_000_000;
        let mut ages: Vec<f64> = heard
            .iter()
            .flatten()
            .filter(|got| got.voice && range.contains(&got.due_us))
            .map(|got| got.age_ms)
            .collect();
        ages.sort_by(f64::total_cmp);
        ages
    };
    let quantile = |ages: &[f64], part: f64| {
        let place = (ages.len() as f64 * part).ceil() as usize;
        ages.get(place.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let (before, during) = (ages(4..CUT_S), ages(CUT_S..WHOLE_S));
    let way = quantile(&before, 0.5);
    let pictures = |from_s: u64, to_s: u64| percent_of_pictures(&heard, from_s..to_s);
    let row = |what: &str, value, unit| named("cut", what, value, unit);
    let due: usize = (0..ROOMS)
        .map(|number| {
            let during = CUT_S * 1_000_000..WHOLE_S * 1_000_000;
            let all = schedule(number);
            let all = all.iter().filter(|due| due.kind == Kind::Voice);
            all.filter(|due| during.contains(&due.at_us)).count()
        })
        .sum();
    let lost = 100.0 - during.len() as f64 * 100.0 / due as f64;
    Ok(vec![
        row("voices", voices(CUT_S, WHOLE_S), "%").at_least(VOICES_PERCENT),
        row("voices_after_1_s", voices(CUT_S + 1, WHOLE_S), "%").at_least(VOICES_LATER_PERCENT),
        row("queue_p95", quantile(&during, 0.95) - way, "ms").at_most(QUEUE_MS),
        row("full_after", full_after_s(&heard), "s").at_most(FULL_S),
        row("voices_lost", lost, "%"),
        row("voices_before", voices(4, CUT_S), "%"),
        row("voice_age_before_p50", way, "ms"),
        row("voice_age_p50", quantile(&during, 0.5), "ms"),
        row("voice_age_p99", quantile(&during, 0.99), "ms"),
        row("pictures_before", pictures(4, CUT_S), "%"),
        row("pictures", pictures(CUT_S, WHOLE_S), "%"),
        row("pictures_after_5_s", pictures(WHOLE_S + 5, END_S - 1), "%"),
        row("generator_late_p99", quantile(&late_ms, 0.99), "ms"),
        row("lab_dropped", dropped as f64, "packets").at_most(0.0),
    ])
}

fn room(number: usize) -> String {
    format!("cut-{number}")
}

/// Each room has phases of its own.
fn schedule(number: usize) -> Vec<Due> {
    let mut all = stretch_of(CAMERA, 0, END_S, number as u64 + 1);
    for due in &mut all {
        due.at_us += 7_000 * number as u64;
    }
    all
}

/// Speaks and is seen in all rooms; how late each frame was given, in ms, in order of size.
async fn speak(url: String, origin: Instant) -> Result<Vec<f64>, Failure> {
    let mut publishers = Vec::new();
    for number in 0..ROOMS {
        let client = publisher::join_room(&url, &room(number)).await?;
        publishers.push(publisher::publish(client, schedule(number), origin));
    }
    let mut late_ms = Vec::new();
    for publisher in publishers {
        let published = publisher.finish().await?;
        late_ms.extend(published.late_us.iter().map(|(_, us)| *us as f64 / 1e3));
    }
    late_ms.sort_by(f64::total_cmp);
    Ok(late_ms)
}

async fn hear(url: String, origin: Instant) -> Result<Vec<Vec<Got>>, Failure> {
    let mut tasks = Vec::new();
    for number in 0..ROOMS {
        let options = JoinOptions::new(room(number), "Listener");
        let client = Client::connect(&url, &options).await?;
        tasks.push(tokio::spawn(one(client, origin)));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await??);
    }
    Ok(all)
}

async fn one(mut client: Client, origin: Instant) -> Result<Vec<Got>, Failure> {
    let end = origin + Duration::from_secs(END_S);
    let mut assembly = Assembly::new(origin);
    let mut all = Vec::new();
    loop {
        let event = tokio::select! {
            event = client.next() => event,
            () = sleep_until(end) => return Ok(all),
        };
        let (header, frame) = match event {
            Event::Media { header, frame, .. } => (header, frame),
            Event::Closed(closed) => return Err(format!("a listener's end: {closed}").into()),
            _ => continue,
        };
        let whole = assembly.push(&header, &frame);
        if let Some(arrival) = whole.filter(|arrival| arrival.fault.is_none()) {
            all.push(Got {
                due_us: header.captured_us,
                age_ms: arrival.age.as_secs_f64() * 1e3,
                voice: header.track == MICROPHONE,
            });
        }
    }
}

/// Of the voices that were due then, how many came in time.
fn percent_of_voices(heard: &[Vec<Got>], range_s: Range<u64>) -> f64 {
    percent(
        heard,
        range_s.start * 1_000_000..range_s.end * 1_000_000,
        true,
    )
}

fn percent_of_pictures(heard: &[Vec<Got>], range_s: Range<u64>) -> f64 {
    percent(
        heard,
        range_s.start * 1_000_000..range_s.end * 1_000_000,
        false,
    )
}

fn percent(heard: &[Vec<Got>], range_us: Range<u64>, voice: bool) -> f64 {
    let (mut due, mut came) = (0, 0);
    let most_ms = if voice { VOICE_MS } else { LIVE_MS };
    for (number, heard) in heard.iter().enumerate() {
        due += schedule(number)
            .iter()
            .filter(|due| (due.kind == Kind::Voice) == voice && range_us.contains(&due.at_us))
            .count();
        came += heard
            .iter()
            .filter(|got| {
                got.voice == voice && range_us.contains(&got.due_us) && got.age_ms <= most_ms
            })
            .count();
    }
    came as f64 * 100.0 / due as f64
}

/// From the path's return until every picture of a second comes in time, in all rooms.
fn full_after_s(heard: &[Vec<Got>]) -> f64 {
    let first = WHOLE_S * 10;
    let last = (END_S - 2) * 10;
    let full = (first..last).find(|tenth| {
        let from_us = tenth * 100_000;
        percent(heard, from_us..from_us + 1_000_000, false) >= 100.0
    });
    full.map_or(f64::NAN, |tenth| (tenth - first) as f64 / 10.0)
}
