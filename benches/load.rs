//! What a delivery costs, and whether `pulse load` can ask for it: the same load on the edge, on the
//! least that a fan-out can cost, and on two servers as anybody would write them; then as much on the
//! floor as the load test can check on one core. Server and load test have a core each.

mod call;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use call::{
    Failure,
    edge::{EDGE_CORE, GENERATOR_CORE, can_pin, cpu, on_core},
    figures::{Options, Row, print},
};
use serde_json::Value;

const SPEAKERS: usize = 10;

/// Rooms of 10 speakers and 90 listeners, which is an edge's largest by default: 90,000 deliveries a
/// second. All servers get the same.
const ROOMS: usize = 2;
const LISTENERS: usize = 90;

/// One room on the floor: 10 × 50 × 2,200 is 1.1 million deliveries a second.
const MANY_LISTENERS: usize = 2_200;
const DELIVERIES: f64 = 1e6;

/// A server that was just started does what is done once.
const WARM_UP: Duration = Duration::from_millis(200);

fn main() -> Result<(), Failure> {
    let Some(options) = Options::read()? else {
        return Ok(());
    };
    let pinned = can_pin();
    if !pinned {
        eprintln!("not pinned: server and load test share cores");
    }
    let mut rows = Vec::new();
    let servers = ["floor", "axum-batch", "axum-each", "edge-node"];
    for name in servers.into_iter().filter(|name| options.wants(name)) {
        let run = load(name, pinned, ROOMS, LISTENERS, options.window_s)?;
        rows.extend(run.rows(&name.replace('-', "_")));
    }
    if options.wants("load_checked") {
        let most = load("floor", pinned, 1, MANY_LISTENERS, options.window_s)?;
        rows.push(Row::new("load_checked_damaged", most.corrupt, "").at_most(0.0));
        rows.extend(most.rows("load_checked"));
    }
    let title = format!(
        "Load: {ROOMS} rooms of {SPEAKERS} speakers and {LISTENERS} listeners; then {MANY_LISTENERS} listeners"
    );
    print(&options, &title, &rows);
    Ok(())
}

/// A server at work; dropping it kills it.
struct Server {
    child: Child,
    url: String,
    /// A closed pipe would make its next line of output fail.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(name: &str, pinned: bool) -> Result<Self, Failure> {
        let mut command = on_core(|program| Command::new(program), EDGE_CORE, name, pinned)?;
        command.stdin(Stdio::null());
        if name == "edge-node" {
            command.args(["--listen", "localhost:0", "--ops-addr", "127.0.0.1:0"]);
            command.env("RUST_LOG", "warn");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let server = Self {
            child,
            url: line
                .trim()
                .trim_start_matches("open ")
                .replace("localhost", "127.0.0.1"),
            _output: output,
        };
        if !server.url.starts_with("http://") {
            return Err(format!("{name} printed {line:?} in place of its address").into());
        }
        sleep(WARM_UP);
        Ok(server)
    }

    fn cpu(&self) -> Result<Duration, Failure> {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One load on one server.
struct Run {
    /// Of the server, while media flowed.
    cpu_us: f64,
    per_second: f64,
    lost_percent: f64,
    corrupt: f64,
    p50_ms: f64,
    p99_ms: f64,
    late_p99_ms: f64,
    generator_cores: f64,
    generator_was_the_limit: bool,
}

impl Run {
    fn rows(&self, name: &str) -> Vec<Row> {
        let row = |what: &str, value, unit| Row::new(format!("{name}_{what}").leak(), value, unit);
        vec![
            row("cpu_per_delivery", self.cpu_us, "µs"),
            match name {
                "load_checked" => row("deliveries", self.per_second, "/s").at_least(DELIVERIES),
                _ => row("deliveries", self.per_second, "/s"),
            },
            row("p50_ms", self.p50_ms, "ms"),
            row("p99_ms", self.p99_ms, "ms"),
            row("lost", self.lost_percent, "%"),
            row("generator_late_p99_ms", self.late_p99_ms, "ms"),
            row("generator_cores", self.generator_cores, ""),
            row(
                "generator_was_the_limit",
                f64::from(u8::from(self.generator_was_the_limit)),
                "",
            ),
        ]
    }
}

fn load(
    name: &str,
    pinned: bool,
    rooms: usize,
    listeners: usize,
    seconds: u64,
) -> Result<Run, Failure> {
    let server = Server::start(name, pinned)?;
    let mut child = on_core(
        |program| Command::new(program),
        GENERATOR_CORE,
        "pulse",
        pinned,
    )?
    .stdin(Stdio::null())
    .args(["load", &server.url, "--room", "measured", "--json"])
    .args(["--rooms", &rooms.to_string()])
    .args(["--audio-publishers", &SPEAKERS.to_string()])
    .args(["--subscribers", &listeners.to_string()])
    .args([
        "--duration",
        &seconds.to_string(),
        "--num-per-second",
        "400",
    ])
    .stdout(Stdio::piped())
    .spawn()?;
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut looks = Vec::new();
    let mut last = None;
    for line in output.lines() {
        let report: Value = serde_json::from_str(&line?)?;
        if report["last"] == true {
            last = Some(report);
        } else if report["deliveriesPerSecond"].as_f64() > Some(0.0) {
            looks.push((server.cpu()?, report["deliveries"].as_u64().unwrap_or(0)));
        }
    }
    // Its exit status says that something was damaged; so does what it reports.
    child.wait()?;
    let last = last.ok_or_else(|| format!("no outcome of the load on {name}"))?;
    let (Some(first), Some(end)) = (looks.first(), looks.last()) else {
        return Err(format!("nothing came from {name}").into());
    };
    let number = |path: &str| {
        last.pointer(path)
            .and_then(Value::as_f64)
            .unwrap_or(f64::NAN)
    };
    Ok(Run {
        cpu_us: (end.0 - first.0).as_secs_f64() * 1e6 / (end.1 - first.1) as f64,
        per_second: number("/deliveriesPerSecond"),
        lost_percent: number("/audio/lostPercent"),
        corrupt: number("/corrupt"),
        p50_ms: number("/audio/latencyMs/p50"),
        p99_ms: number("/audio/latencyMs/p99"),
        late_p99_ms: number("/generator/lateMs/p99"),
        generator_cores: number("/generator/coresUsed"),
        generator_was_the_limit: last["generator"]["wasTheLimit"] == true,
    })
}
