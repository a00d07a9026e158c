//! Core and two edges as processes, with certificates that last as long as they do.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use pulse_core::quic::{CredentialFiles, Credentials};

use super::place::Place;
use crate::call::{
    Failure,
    edge::{EDGE_CORE, EdgeProcess, binary, get_with, on_core},
};

/// The edges: the first dials the second.
pub const EDGES: [&str; 2] = ["fra-1", "iad-1"];
const REGIONS: [&str; 2] = ["fra", "iad"];

/// The operators' token of a core.
const TOKEN: &str = "the-token-of-a-core-that-lasts-as-long-as-a-bench";

/// Where edges listen on hosts of a lab; on loopback on any free port.
const PORT: u16 = 8080;

/// The certificates of a cluster, in a folder that is removed when this is dropped.
pub struct Papers(PathBuf);

impl Papers {
    pub fn new() -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("pulse-bench-{}", std::process::id()));
        // One that a run before this one left.
        let _ = std::fs::remove_dir_all(&folder);
        let papers = Self(folder);
        let mut maker = Command::new(binary()?);
        maker.args(["certs", "init"]).arg(&papers.0);
        maker.args(["--core", "one"]);
        for (region, edge) in REGIONS.iter().zip(EDGES) {
            maker.args(["--edge", &format!("{region}/{edge}")]);
        }
        let made = maker.stdout(Stdio::null()).status()?;
        if !made.success() {
            return Err("edge-node made no certificates; it says above why".into());
        }
        Ok(papers)
    }

    /// Those of an edge.
    pub fn credentials(&self, edge: &str) -> Result<Credentials, Failure> {
        let [cert, key, ca] = self.files(&format!("edge-{edge}"));
        Ok(Credentials::load(&CredentialFiles { cert, key, ca })?)
    }

    fn files(&self, of: &str) -> [PathBuf; 3] {
        let own = [format!("{of}.pem"), format!("{of}-key.pem")];
        let [cert, key] = own.map(|file| self.0.join(file));
        [cert, key, self.0.join("ca.pem")]
    }

    fn flags(&self, of: &str) -> Vec<String> {
        let flags = ["--cluster-cert", "--cluster-key", "--cluster-ca"];
        let files = self.files(of);
        let flags = flags.iter().zip(&files);
        flags
            .flat_map(|(flag, file)| [(*flag).to_owned(), file.display().to_string()])
            .collect()
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A cluster at work; dropping it kills its processes.
pub struct Servers {
    pub edges: [EdgeProcess; 2],
    core: CoreProcess,
    papers: Papers,
}

impl Servers {
    /// Core and both edges, each where it belongs.
    pub fn start(
        core_at: Place<'_>,
        edges_at: [Place<'_>; 2],
        pinned: bool,
    ) -> Result<Self, Failure> {
        let papers = Papers::new()?;
        let core = CoreProcess::start(&papers, core_at, pinned, None)?;
        let edge = |index: usize| -> Result<EdgeProcess, Failure> {
            let place = edges_at[index];
            let listen = match place {
                Place::Loopback => "localhost:0".to_owned(),
                Place::On(host) => format!("{}:{PORT}", host.address()),
            };
            let mut flags = papers.flags(&format!("edge-{}", EDGES[index]));
            flags.extend([
                format!("--listen={listen}"),
                format!("--backbone-addr={}:0", place.address()),
                format!("--core={}", core.edges),
                format!("--region={}", REGIONS[index]),
                format!("--edge-id={}", EDGES[index]),
                // As many as any measurement has in its room.
                "--max-participants=255".to_owned(),
            ]);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            EdgeProcess::start_by(|program| place.command(program), pinned, &flags)
        };
        Ok(Self {
            edges: [edge(0)?, edge(1)?],
            core,
            papers,
        })
    }

    /// Kills core as `kill -9` does, and waits until it is gone.
    pub fn kill_core(&mut self) -> Result<(), Failure> {
        self.core.child.kill()?;
        self.core.child.wait()?;
        Ok(())
    }

    /// Another core, which knows nothing, where the one before was: on loopback.
    pub fn start_core(&mut self, pinned: bool) -> Result<(), Failure> {
        let at = Some(self.core.edges);
        self.core = CoreProcess::start(&self.papers, Place::Loopback, pinned, at)?;
        Ok(())
    }

    /// What core says of its rooms: edges and participants of the only one, once there is one. On loopback.
    pub fn room_by_core(&self) -> Result<Option<(u64, u64)>, Failure> {
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        let answer = get_with(self.core.ops, "/v1/rooms", &bearer)?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let listed: serde_json::Value = serde_json::from_str(body)?;
        let room = &listed["rooms"][0];
        let [edges, participants] = ["edges", "participants"].map(|field| room[field].as_u64());
        Ok(edges.zip(participants))
    }
}

struct CoreProcess {
    child: Child,
    /// Where edges dial.
    edges: SocketAddr,
    /// Where operators look.
    ops: SocketAddr,
    /// A closed pipe would make its next line of output fail.
    _output: BufReader<ChildStdout>,
}

impl CoreProcess {
    /// At any free port, or at this address.
    fn start(
        papers: &Papers,
        place: Place<'_>,
        pinned: bool,
        at: Option<SocketAddr>,
    ) -> Result<Self, Failure> {
        let token = papers.0.join("operators");
        std::fs::write(&token, TOKEN)?;
        let at = at.unwrap_or_else(|| SocketAddr::new(place.address(), 0));
        let elsewhere = |program: &str| place.command(program);
        let mut child = on_core(elsewhere, EDGE_CORE, "pulse-core", pinned)?
            .arg(format!("--listen={at}"))
            .arg("--http-addr=127.0.0.1:0")
            .arg(format!("--operator-token-file={}", token.display()))
            .args(papers.flags("core-one"))
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut printed = |prefix: &str| {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let rest = line.trim().strip_prefix(prefix)?;
            rest.trim_end_matches("/metrics").parse().ok()
        };
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let edges = printed("edges udp ").unwrap_or(nowhere);
        let ops = printed("ops http://").unwrap_or(nowhere);
        let core = Self {
            child,
            edges,
            ops,
            _output: output,
        };
        if core.edges == nowhere || core.ops == nowhere {
            return Err("core did not print its addresses".into());
        }
        Ok(core)
    }
}

impl Drop for CoreProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
