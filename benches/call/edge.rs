//! The release edge as a child process, and what the system and its /metrics tell of it. It never
//! reaches into the edge: everything it knows was printed or asked for over HTTP.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    thread::available_parallelism,
    time::Duration,
};

use super::Failure;

/// The core of the edge, and the one of everything that measures it.
pub const EDGE_CORE: &str = "0";
pub const GENERATOR_CORE: &str = "1";

/// Longer than any answer takes: what takes this long never comes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A running edge; dropping it kills it.
pub struct EdgeProcess {
    child: Child,
    /// Where clients connect.
    pub clients: SocketAddr,
    /// Where operators look.
    pub ops: SocketAddr,
    /// A closed pipe would make its next line of output fail.
    _output: BufReader<ChildStdout>,
}

impl EdgeProcess {
    /// Starts it on free ports, on a core of its own if `pinned`, and reads where it listens.
    pub fn start(pinned: bool) -> Result<Self, Failure> {
        Self::start_by(
            |program| Command::new(program),
            pinned,
            &["--listen", "localhost:0"],
        )
    }

    /// The same with other flags, as a command that runs a program elsewhere: on a host of a lab.
    pub fn start_by(
        elsewhere: impl FnOnce(&str) -> Command,
        pinned: bool,
        flags: &[&str],
    ) -> Result<Self, Failure> {
        let mut child = on_core(elsewhere, EDGE_CORE, "edge-node", pinned)?
            .args(flags)
            .args(["--ops-addr", "127.0.0.1:0"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let found = printed(&mut output, "open ")
            .and_then(|open| Ok((open, printed(&mut output, "ops ")?)))
            .and_then(|(open, ops)| Ok((address(&open)?, address(&ops)?)));
        match found {
            Ok((clients, ops)) => Ok(Self {
                child,
                clients,
                ops,
                _output: output,
            }),
            Err(failure) => {
                child.kill()?;
                child.wait()?;
                Err(failure)
            }
        }
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.clients)
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Its number in the system.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The processor time it has used.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for EdgeProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command for a program of ours on this core, by one that runs programs.
pub fn on_core(
    elsewhere: impl FnOnce(&str) -> Command,
    core: &str,
    name: &str,
    pinned: bool,
) -> Result<Command, Failure> {
    let binary = built(name)?;
    let binary = binary.to_str().ok_or("a path that is no text")?;
    if !pinned {
        return Ok(elsewhere(binary));
    }
    let mut command = elsewhere("taskset");
    command.args(["-c", core, binary]);
    Ok(command)
}

/// The edge's binary.
pub fn binary() -> Result<PathBuf, Failure> {
    built("edge-node")
}

/// A binary beside this one: benches run from `release/deps`.
pub fn built(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let release = own.parent().and_then(|deps| deps.parent());
    let binary = release.ok_or("no build folder")?.join(name);
    if binary.is_file() {
        Ok(binary)
    } else {
        Err(format!(
            "{} is missing: run benches/run, which builds everything",
            binary.display()
        )
        .into())
    }
}

/// Whether server and generator can have a core each.
pub fn can_pin() -> bool {
    available_parallelism().is_ok_and(|cores| cores.get() > 1)
        && Command::new("taskset")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_ok()
}

/// Puts this thread, and every one it starts from now on, on a core of its own. `false`: the
/// machine has one core only, or no `taskset`; then the edge is not pinned either.
pub fn pin_generator() -> bool {
    let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
    let Some(thread) = thread.file_name().and_then(|number| number.to_str()) else {
        return false;
    };
    available_parallelism().is_ok_and(|cores| cores.get() > 1)
        && Command::new("taskset")
            .args(["-p", "-c", GENERATOR_CORE, thread])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

/// The processor time that this process has used.
pub fn own_cpu() -> Result<Duration, Failure> {
    cpu("self")
}

/// The processor time that a process has used.
pub fn cpu(process: &str) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may hold spaces; what follows its bracket begins with field 3.
    let (_, fields) = stat.rsplit_once(") ").ok_or("an unknown /proc")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0))
        .sum();
    // Linux counts hundredths of a second here on every architecture in use.
    Ok(Duration::from_millis(ticks * 10))
}

/// The memory that a process has, in bytes.
pub fn resident(process: u32) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"))
        .ok_or("an unknown /proc")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}

/// How long the threads of a process were ready to run while others ran: what the machine, not the
/// process, adds to every delay.
pub fn waited(process: u32) -> Result<Duration, Failure> {
    let mut waited_ns = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end in between.
        let stat = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let field = stat.split(' ').nth(1).and_then(|field| field.parse().ok());
        waited_ns += field.unwrap_or(0);
    }
    Ok(Duration::from_nanos(waited_ns))
}

/// The rest of the next line, which must begin so.
fn printed(output: &mut impl std::io::BufRead, prefix: &str) -> Result<String, Failure> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    match line.trim_end().strip_prefix(prefix) {
        Some(rest) => Ok(rest.to_owned()),
        None => Err(format!("the edge printed {line:?} in place of '{prefix}...'").into()),
    }
}

/// The address in a printed URL.
fn address(url: &str) -> Result<SocketAddr, Failure> {
    let rest = url.strip_prefix("http://").ok_or("not http")?;
    let authority = rest.split('/').next().ok_or("no authority")?;
    Ok(authority.replace("localhost", "127.0.0.1").parse()?)
}

/// A plain HTTP request; the whole answer.
pub fn get(address: SocketAddr, path: &str) -> Result<String, Failure> {
    get_with(address, path, "")
}

/// The same with more headers, each with the end of its line.
pub fn get_with(address: SocketAddr, path: &str, headers: &str) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The sum of a counter or gauge of /metrics over all its labels.
pub fn metric(ops: SocketAddr, name: &str) -> Result<f64, Failure> {
    let text = get(ops, "/metrics")?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum())
}
