//! What somebody sees first: how large the binary is, and how soon after its start it answers.

mod call;

use std::time::Duration;

use call::{
    Failure,
    edge::{EdgeProcess, binary, get},
    figures::{Options, Row, median, print},
};
use tokio::time::Instant;

const STARTS: usize = 9;
const READY_MS: f64 = 1_000.0;
const SIZE_MB: f64 = 30.0;

/// A start that takes this long has failed.
const NEVER: Duration = Duration::from_secs(30);

fn main() -> Result<(), Failure> {
    let Some(options) = Options::read()? else {
        return Ok(());
    };
    let size = binary()?.metadata()?.len();
    let starts = (0..STARTS)
        .map(|_| Ok(ready()?.as_secs_f64() * 1e3))
        .collect::<Result<Vec<_>, Failure>>()?;
    let longest = starts.iter().copied().fold(0.0, f64::max);
    let rows = [
        Row::new("ready_median_ms", median(starts), "ms").at_most(READY_MS),
        Row::new("ready_longest_ms", longest, "ms"),
        Row::new("binary_mb", size as f64 / 1e6, "MB").at_most(SIZE_MB),
    ];
    print(&options, "First start", &rows);
    Ok(())
}

/// From the start of the process until it has printed its addresses and answered.
fn ready() -> Result<Duration, Failure> {
    let started = Instant::now();
    let edge = EdgeProcess::start(false)?;
    while !get(edge.clients, "/healthz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
        if started.elapsed() > NEVER {
            return Err("the edge does not answer /healthz".into());
        }
    }
    Ok(started.elapsed())
}
