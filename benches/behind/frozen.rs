//! Fifty of two hundred receivers whose process is stopped for half a minute, as a closed laptop
//! stops: over loopback, which needs no namespaces. The fifty are a process of their own, which is
//! this program again.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use pulse_client::{Client, JoinOptions, SocketOptions};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{
    listener::{Heard, listen},
    others::{BEFORE, DURING, JOINING, PARTS, Phases, Run, attend, block_on, named, speak},
};
use crate::call::{
    Failure, ROOM,
    edge::{EdgeProcess, pin_generator},
    figures::Row,
    looks::Looks,
    schedule::Camera,
};

const FROZEN: usize = 50;
const OTHERS: usize = 150;

/// 0.5 Mbit/s: 30 × 1,900 bytes, and 10,100 more each 4 s. The load test's share of one core.
const CAMERA: Camera = Camera {
    least: 1_500,
    most: 2_300,
    keyframe: 12_000,
};

/// A phone's: what lies in it was lost to freshness already.
const SMALL_BUFFER_BYTES: u32 = 16 * 1024;

/// A picture of the present.
const LIVE_MS: f64 = 300.0;

/// What the edge may hold for the fifty, and what an allocator may keep beside it.
const GROWTH_BYTES: f64 = 16.0 * 1024.0 * 1024.0 + FROZEN as f64 * 256.0 * 1024.0;

/// The word that makes this program the process to be stopped.
pub const SLEEPERS: &str = "--sleepers";

/// Measures.
pub fn measure(pinned: bool, during_s: u64) -> Result<Vec<Row>, Failure> {
    let phases = Phases {
        before_s: 16,
        during_s: during_s.div_ceil(2),
        after_s: 12,
    };
    let edge = EdgeProcess::start_by(
        |program| Command::new(program),
        pinned,
        &["--listen", "localhost:0", "--max-participants", "255"],
    )?;
    let url = edge.url();
    let mut sleepers = Sleepers::start(&url, pinned)?;
    let origin = Instant::now() + JOINING;
    let looks = Looks::start((edge.ops, edge.process()), origin, PARTS, move |at_us| {
        phases.part(at_us)
    });
    let to = url.clone();
    let speaker = on(pinned, move || speak(&to, origin, phases, CAMERA));
    let audience = on(pinned, move || attend(&url, OTHERS, origin, phases));
    let part_us = phases.part_us(DURING);
    let wait = |us| {
        let at = origin + Duration::from_micros(us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
    };
    sleepers.begin(origin, phases)?;
    wait(part_us.start);
    sleepers.signal("-STOP")?;
    wait(part_us.end);
    sleepers.signal("-CONT")?;

    let run = Run {
        phases,
        camera: CAMERA,
        published: joined(speaker)?,
        seen: joined(audience)?,
        size: OTHERS,
        looked: looks.finish()?,
    };
    let woken = sleepers.finish()?;
    let resident = |part: usize| run.looked.get(part).map(|looked| looked.resident_bytes);
    let (before, _) = resident(BEFORE).ok_or("nothing was looked at")?;
    let (_, during) = resident(DURING).ok_or("nothing was looked at")?;
    let held = run
        .looked
        .get(DURING)
        .map_or(f64::NAN, |looked| looked.held_bytes);
    let count = |what: &str| woken[what].as_f64().unwrap_or(f64::NAN);
    let (thrown_out, live) = (count("closed"), count("live"));
    let mut rows = run.others("frozen");
    rows.extend([
        named("frozen", "edge_memory_before", before, "B"),
        named("frozen", "edge_memory_more", during - before, "B").at_most(GROWTH_BYTES),
        named("frozen", "held_bytes", held, "B"),
        named("frozen", "thrown_out", thrown_out, "receivers"),
        named("frozen", "live_again", live, "receivers"),
        named("frozen", "live_again_longest", count("longest_ms"), "ms"),
        named(
            "frozen",
            "neither",
            FROZEN as f64 - thrown_out - live,
            "receivers",
        )
        .at_most(0.0),
    ]);
    rows.extend(run.machine("frozen"));
    Ok(rows)
}

fn on<T: Send + 'static>(
    pinned: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        if pinned {
            pin_generator();
        }
        work()
    })
}

fn joined<T>(thread: thread::JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().map_err(|_| "a thread of the bench failed")?
}

/// The process to be stopped; dropping it kills it.
struct Sleepers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sleepers {
    /// Starts it and waits until its receivers are in.
    fn start(url: &str, pinned: bool) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([SLEEPERS, url, if pinned { "pinned" } else { "free" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut sleepers = Self {
            child,
            input,
            output,
        };
        sleepers.read()?;
        Ok(sleepers)
    }

    /// Tells it when the run begins, and its parts. Its clock is the same but for what the pipe takes.
    fn begin(&mut self, origin: Instant, phases: Phases) -> Result<(), Failure> {
        let until = origin.saturating_duration_since(Instant::now());
        let said = json!({
            "beginsInUs": until.as_micros() as u64, "wakesUs": phases.part_us(DURING).end,
            "endsUs": phases.part_us(PARTS - 1).end,
        });
        writeln!(self.input, "{said}")?;
        Ok(())
    }

    fn signal(&self, name: &str) -> Result<(), Failure> {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([name, &process]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("kill {name} failed").into())
        }
    }

    fn read(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    fn finish(mut self) -> Result<Value, Failure> {
        self.read()
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the other process does.
pub fn sleepers(words: &[String]) -> Result<(), Failure> {
    let [url, pinned] = words else {
        return Err(format!("{SLEEPERS} is for the bench itself").into());
    };
    if pinned == "pinned" {
        pin_generator();
    }
    block_on(async {
        let mut clients = Vec::with_capacity(FROZEN);
        for number in 0..FROZEN {
            let options = JoinOptions {
                socket: SocketOptions {
                    receive_buffer_bytes: Some(SMALL_BUFFER_BYTES),
                    ..SocketOptions::default()
                },
                ..JoinOptions::new(ROOM, format!("Sleeper {number}"))
            };
            clients.push(Client::connect(url, &options).await?);
        }
        println!("{}", json!({ "joined": FROZEN }));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)?;
        let number = |name: &str| said[name].as_u64().ok_or("not what the bench says");
        let (begins_in, wakes_us) = (number("beginsInUs")?, number("wakesUs")?);
        let origin = Instant::now() + Duration::from_micros(begins_in);
        let until = origin + Duration::from_micros(number("endsUs")?);
        let mut listening = JoinSet::new();
        for mut client in clients {
            listening.spawn(async move {
                let heard = listen(&mut client, origin, until).await?;
                client.cut();
                Ok::<Heard, Failure>(heard)
            });
        }
        let (mut closed, mut live, mut longest_ms) = (0, 0, 0.0_f64);
        while let Some(heard) = listening.join_next().await {
            let heard = heard??;
            if let Some(why) = heard.closed {
                if closed == 0 {
                    eprintln!("the first of the frozen ended: {why}");
                }
                closed += 1;
            } else if let Some(after_ms) = heard.live_ms(wakes_us, LIVE_MS) {
                live += 1;
                longest_ms = longest_ms.max(after_ms);
            }
        }
        println!(
            "{}",
            json!({ "closed": closed, "live": live, "longest_ms": longest_ms })
        );
        Ok(())
    })
}
