//! Core is killed in the middle of a call, and comes back knowing nothing: what those in the call notice, whether
//! others can join and resume without it, and how soon it knows who is there.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use pulse_client::{Client, JoinOptions};
use pulse_proto::ParticipantId;
use tokio::time::Instant;

use super::{
    cpu::voices,
    latency::{JOINING, WARM_UP_US},
    listeners::Listeners,
    named,
    place::{Place, joined},
    quantile_ms,
    servers::Servers,
    speakers::Speakers,
};
use crate::call::{Failure, ROOM, figures::Row};

const SPEAKERS: usize = 10;

/// From the origin: core is killed, guests come, core is back, all is over.
const KILLED_US: u64 = WARM_UP_US + 2_000_000;
const GUESTS_US: u64 = KILLED_US + 1_500_000;
const BACK_US: u64 = KILLED_US + 5_000_000;
const END_US: u64 = BACK_US + 6_000_000;

/// Rosters are equal so soon after it is back.
const EQUAL_MS: f64 = 2_000.0;
/// A look at core's list of rooms is taken so often.
const LOOK: Duration = Duration::from_millis(20);

pub fn measure(pinned: bool) -> Result<Vec<Row>, Failure> {
    let place = Place::Loopback;
    let mut servers = Servers::start(place, [place; 2], pinned)?;
    let urls = servers.edges.each_ref().map(|edge| edge.url());
    let origin = Instant::now() + JOINING;
    let speakers = Speakers {
        url: urls[0].clone(),
        count: SPEAKERS,
        origin,
        schedule: voices(SPEAKERS, END_US, 1),
        joined: Arc::default(),
        sent: Arc::default(),
    };
    let window_us = WARM_UP_US..END_US;
    let due = speakers.schedule.iter();
    let due = due.filter(|(at_us, _)| window_us.contains(at_us)).count() as f64;
    let in_time = speakers.joined.clone();
    let listeners = urls.each_ref().map(|url| Listeners {
        url: url.clone(),
        count: 1,
        origin,
        end: origin + Duration::from_micros(END_US) + Duration::from_secs(1),
        window_us: window_us.clone(),
        joined: in_time.clone(),
    });
    let speaking = place.run(pinned, move || speakers.speak())?;
    let hearing = place.run(pinned, move || async move {
        let [near, far] = listeners;
        let (near, far) = tokio::join!(near.listen(), far.listen());
        Ok([near?, far?])
    })?;
    let wait_until = |at_us| {
        let at = origin + Duration::from_micros(at_us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
    };
    wait_until(KILLED_US);
    if in_time.load(Ordering::Relaxed) < SPEAKERS + 2 {
        eprintln!("core_killed: not everybody was in when it began");
    }
    servers.kill_core()?;
    wait_until(GUESTS_US);
    let own = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let guests = own.block_on(visit(&urls))?;
    wait_until(BACK_US);
    servers.start_core(pinned)?;
    let back_at = Instant::now();
    let all = (2, (SPEAKERS + 2 + guests.clients.len()) as u64);
    while servers.room_by_core()? != Some(all) && back_at.elapsed() < Duration::from_secs(5) {
        thread::sleep(LOOK);
    }
    let known_ms = match servers.room_by_core()? == Some(all) {
        true => back_at.elapsed().as_secs_f64() * 1e3,
        false => f64::NAN,
    };
    let rosters = own.block_on(rosters(&urls))?;
    let rosters_ms = back_at.elapsed().as_secs_f64() * 1e3;
    let equal = rosters[0] == rosters[1] && rosters[0].len() as u64 == all.1 + 2;
    joined(speaking)?;
    let heard = joined(hearing)?;
    let row = |what: &str, value, unit| named("core_killed", what, value, unit);
    let mut rows = Vec::new();
    for (of, heard) in ["near", "far"].iter().zip(&heard) {
        let missing = due - heard.len() as f64;
        rows.push(row(&format!("{of}_missing"), missing, "frames").at_most(0.0));
        rows.push(row(
            &format!("{of}_age_p99"),
            quantile_ms(heard, 0.99),
            "ms",
        ));
    }
    rows.extend([
        row("joined_without_it", guests.joined, "of 2").at_least(2.0),
        row("slowest_join", guests.slowest_ms, "ms"),
        row("resumed_without_it", guests.resumed, "of 2").at_least(2.0),
        row("knows_all", known_ms, "ms").at_most(EQUAL_MS),
        row("rosters_equal", f64::from(u8::from(equal)), "of 1").at_least(1.0),
        row("rosters_asked", rosters_ms, "ms"),
    ]);
    Ok(rows)
}

/// Those who came without core; they stay.
struct Guests {
    clients: Vec<Client>,
    joined: f64,
    resumed: f64,
    slowest_ms: f64,
}

/// One joins at each edge, loses its connection, and resumes at the other edge.
async fn visit(urls: &[String; 2]) -> Result<Guests, Failure> {
    let mut guests = Guests {
        clients: Vec::new(),
        joined: 0.0,
        resumed: 0.0,
        slowest_ms: 0.0,
    };
    let [first, second] = urls;
    for (number, (here, there)) in [(first, second), (second, first)].into_iter().enumerate() {
        let options = JoinOptions::new(ROOM, format!("Guest {number}"));
        let began = Instant::now();
        let client = Client::connect(here, &options).await?;
        guests.slowest_ms = guests.slowest_ms.max(began.elapsed().as_secs_f64() * 1e3);
        guests.joined += 1.0;
        // The other edge learns of it in the meantime.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let token = client.welcome().resume.clone();
        let id = client.id();
        client.cut();
        let client = Client::connect(there, &options.resume(&token)).await?;
        if client.welcome().resumed && client.id() == id {
            guests.resumed += 1.0;
        }
        guests.clients.push(client);
    }
    Ok(guests)
}

/// Who is in the room as each edge says, those who ask included.
async fn rosters(urls: &[String; 2]) -> Result<[BTreeSet<ParticipantId>; 2], Failure> {
    let mut clients = Vec::new();
    for (number, url) in urls.iter().enumerate() {
        let options = JoinOptions::new(ROOM, format!("Auditor {number}"));
        clients.push(Client::connect(url, &options).await?);
    }
    let own: Vec<ParticipantId> = clients.iter().map(Client::id).collect();
    let of = |client: &Client| {
        let there = client.welcome().roster.participants.iter();
        let there = there.map(|participant| participant.id);
        there.chain(own.iter().copied()).collect()
    };
    let [first, second] = &clients[..] else {
        return Err("one client an edge".into());
    };
    Ok([of(first), of(second)])
}
