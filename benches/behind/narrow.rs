//! One receiver behind 256 kbit/s in a room of fifty, in namespaces of their own with real TCP
//! between them; then the link is good again. Beside it what a server does that queues everything.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use pulse_client::{Client, JoinOptions};
use pulse_lab::{Host, World};
use tokio::time::Instant;

use super::{
    listener::{Heard, listen, quantile},
    others::{BEFORE, DURING, JOINING, PARTS, Phases, Run, attend, block_on, named, speak},
};
use crate::call::{
    Failure, ROOM,
    edge::{EDGE_CORE, EdgeProcess, on_core, pin_generator},
    figures::Row,
    looks::Looks,
    schedule::Camera,
};

const OTHERS: usize = 49;

/// The link of the slow one, in both directions.
const GOOD: &str = "delay=20ms";
const NARROW: &str = "rate=256kbit,queue=32KiB";
const WIDE: &str = "rate=none,queue=none";

/// 1.5 Mbit/s: 30 × 6,000 bytes, and 19,000 more each 4 s.
const CAMERA: Camera = Camera {
    least: 4_600,
    most: 7_400,
    keyframe: 25_000,
};

const PORT: u16 = 8080;

/// A voice that comes later is of no use.
const VOICE_MS: f64 = 250.0;
const VOICE_PERCENT: f64 = 99.0;
/// What the good link's queues had taken is gone then, whoever sent it.
const SETTLED_US: u64 = 5_000_000;
/// A picture of the present, and how soon there must be one.
const LIVE_MS: f64 = 300.0;
const LIVE_WITHIN_MS: f64 = 500.0;
const HELD_BYTES: f64 = 256.0 * 1024.0;
const MORE_PERCENT: f64 = 5.0;

/// Measures with this congestion control at the edge: as its flag, and as its host's route.
pub fn measure(congestion: &str, pinned: bool, during_s: u64) -> Result<Vec<Row>, Failure> {
    let phases = Phases {
        before_s: 16,
        during_s,
        after_s: 8,
    };
    let world = world(congestion)?;
    let host = world.host("edge")?;
    let listen_at = format!("{}:{PORT}", host.address());
    let edge = EdgeProcess::start_by(
        |program| host.command(program),
        pinned,
        &["--listen", &listen_at, "--tcp-congestion", congestion],
    )?;
    let url = edge.url();
    let origin = Instant::now() + JOINING;
    let (ops, process) = (edge.ops, edge.process());
    let looks = on(host, false, move || {
        Ok(Looks::start((ops, process), origin, PARTS, move |at_us| {
            phases.part(at_us)
        }))
    })?;
    let others = world.host("others")?;
    let to = url.clone();
    let speaker = on(others, pinned, move || speak(&to, origin, phases, CAMERA))?;
    let to = url.clone();
    let audience = on(others, pinned, move || attend(&to, OTHERS, origin, phases))?;
    let slow = on(world.host("slow")?, pinned, move || {
        attend_slowly(&url, origin, phases)
    })?;
    let released_us = narrow_and_release(&world, origin, phases)?;

    let heard = joined(slow)?;
    let run = Run {
        phases,
        camera: CAMERA,
        published: joined(speaker)?,
        seen: joined(audience)?,
        size: OTHERS,
        looked: joined(looks)?.finish()?,
    };
    let name = format!("narrow_{congestion}");
    let mut rows = slow_one(&name, &heard, phases, released_us)?;
    let held = |part: usize| run.looked.get(part).map_or(f64::NAN, |l| l.held_bytes);
    let more = (run.camera_rate(DURING) / run.camera_rate(BEFORE) - 1.0) * 100.0;
    rows.extend([
        named(&name, "held_bytes", held(DURING) - held(BEFORE), "B").at_most(HELD_BYTES),
        named(&name, "publisher_bytes_more", more, "%").at_most(MORE_PERCENT),
        named(
            &name,
            "keyframes_asked_for",
            run.published.requested as f64,
            "requests",
        ),
    ]);
    rows.extend(run.others(&name));
    rows.extend(run.machine(&name));
    let stats = world.stats()?;
    let devices = stats.devices.values();
    let dropped: u64 = devices
        .map(|one| one.dropped_sending + one.dropped_receiving)
        .sum();
    rows.push(named(&name, "lab_dropped", dropped as f64, "packets").at_most(0.0));
    Ok(rows)
}

/// The same link, with nobody else, at a server that keeps what it was given and the order of it.
pub fn baseline(pinned: bool, during_s: u64) -> Result<Vec<Row>, Failure> {
    let phases = Phases {
        before_s: 4,
        during_s: during_s.div_ceil(2),
        after_s: 8,
    };
    let world = world("cubic")?;
    let host = world.host("edge")?;
    let server = Server::start(host, pinned)?;
    let url = server.url.clone();
    let origin = Instant::now() + JOINING;
    let to = url.clone();
    let speaker = on(world.host("others")?, pinned, move || {
        speak(&to, origin, phases, CAMERA)
    })?;
    let slow = on(world.host("slow")?, pinned, move || {
        attend_slowly(&url, origin, phases)
    })?;
    let released_us = narrow_and_release(&world, origin, phases)?;
    let heard = joined(slow)?;
    joined(speaker)?;
    let rows = slow_one("narrow_baseline", &heard, phases, released_us)?;
    Ok(rows.into_iter().map(Row::without_bar).collect())
}

fn world(congestion: &str) -> Result<World, Failure> {
    let world = World::builder()
        .seed(1)
        .host("edge", "lan")
        .host("others", "lan")
        .host("slow", GOOD)
        .congestion("edge", congestion)
        .start()?;
    Ok(world)
}

/// Makes the link narrow when it is due, and good again; says when that was.
fn narrow_and_release(world: &World, origin: Instant, phases: Phases) -> Result<u64, Failure> {
    let part_us = phases.part_us(DURING);
    let wait = |us| {
        let at = origin + Duration::from_micros(us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
    };
    wait(part_us.start);
    world.set("slow", None, NARROW)?;
    wait(part_us.end);
    let released_us = origin.elapsed().as_micros() as u64;
    world.set("slow", None, WIDE)?;
    Ok(released_us)
}

fn attend_slowly(url: &str, origin: Instant, phases: Phases) -> Result<Heard, Failure> {
    block_on(async {
        // As browsers do: then the edge can find out when the link has become good again.
        let options = JoinOptions::new(ROOM, "Slow").feature("constrained");
        let mut client = Client::connect(url, &options).await?;
        let heard = listen(&mut client, origin, phases.end(origin)).await?;
        client.leave().await;
        Ok(heard)
    })
}

/// What the slow one had.
fn slow_one(
    name: &str,
    heard: &Heard,
    phases: Phases,
    released_us: u64,
) -> Result<Vec<Row>, Failure> {
    if let Some(closed) = &heard.closed {
        return Err(format!("the slow one's end: {closed}").into());
    }
    let part_us = phases.part_us(DURING);
    let voices = heard.voices_of(&part_us);
    let due = phases.during_s * 50;
    let ages = |part| quantile(voices.iter().map(|voice| voice.age_ms()), part);
    let settled_us = part_us.start + SETTLED_US;
    let settled = voices.iter().filter(|voice| voice.due_us >= settled_us);
    let settled_ms = quantile(settled.map(|voice| voice.age_ms()), 0.95);
    let pictures = heard
        .pictures
        .iter()
        .filter(|got| part_us.contains(&got.at_us));
    let live_ms = heard.live_ms(released_us, LIVE_MS).unwrap_or(f64::INFINITY);
    let row = |what: &str, value, unit| named(name, what, value, unit);
    Ok(vec![
        row(
            "voice_delivered",
            voices.len() as f64 * 100.0 / due as f64,
            "%",
        )
        .at_least(VOICE_PERCENT),
        row("voice_age_p50", ages(0.5), "ms"),
        row("voice_age_p95", ages(0.95), "ms").at_most(VOICE_MS),
        row("voice_age_p95_after_5_s", settled_ms, "ms"),
        row("voice_age_p99", ages(0.99), "ms"),
        row("voice_age_most", ages(1.0), "ms"),
        row("undecodable", heard.undecodable() as f64, "frames").at_most(0.0),
        row("unsound", heard.unsound as f64, "frames").at_most(0.0),
        row("superseded", heard.superseded as f64, "chunks"),
        row("pictures_meanwhile", pictures.count() as f64, "frames"),
        row("picture_live_after", live_ms, "ms").at_most(LIVE_WITHIN_MS),
    ])
}

type Working<T> = thread::JoinHandle<std::io::Result<Result<T, Failure>>>;

/// Does it on a thread of a host, on the generator's core if `pinned`.
fn on<T: Send + 'static>(
    host: &Host,
    pinned: bool,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<Working<T>, Failure> {
    Ok(host.run(move || {
        if pinned {
            pin_generator();
        }
        work()
    })?)
}

fn joined<T>(thread: Working<T>) -> Result<T, Failure> {
    thread
        .join()
        .map_err(|_| "a thread of the bench failed")??
}

/// A server that is no edge; dropping it kills it.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(host: &Host, pinned: bool) -> Result<Self, Failure> {
        let at = format!("{}:{PORT}", host.address());
        let elsewhere = |program: &str| -> Command { host.command(program) };
        let mut child = on_core(elsewhere, EDGE_CORE, "axum-batch", pinned)?
            .arg(&at)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let server = Self {
            child,
            url: format!("ws://{at}"),
        };
        let mut line = String::new();
        // It prints nothing else, so nobody misses the pipe.
        BufReader::new(output).read_line(&mut line)?;
        if line.starts_with("open ") {
            Ok(server)
        } else {
            Err(format!("axum-batch printed {line:?} in place of its address").into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
