//! The program's arguments, and which part answers them.

mod control;
mod remote;
mod serve;
mod text;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use pulse_lab::PROFILES;

/// Hosts in network namespaces, joined by links that delay, lose and go away.
#[derive(Debug, Parser)]
#[command(version, after_help = specs_help())]
struct Cli {
    /// Which lab, by its process id; needed when several are up.
    #[arg(long, global = true, value_name = "PID")]
    lab: Option<u32>,
    /// Answers as JSON, one line each.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Makes a world and stays until Ctrl-C or `quit`; reads the commands below from its input too.
    Up(Up),
    /// Changes a link: HOST or REGION:REGION, then up or down for one direction, then a spec.
    #[command(visible_alias = "link")]
    Set {
        /// Such as: ada down rate=256kbit
        #[arg(required = true, num_args = 1.., allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Lets nothing through: HOST or REGION:REGION, then up or down, then a time, `on` or `off`.
    Blackhole {
        /// Such as: ada 10s
        #[arg(required = true, num_args = 1..)]
        words: Vec<String>,
    },
    /// The congestion control of a host's new connections: HOST and cubic, bbr or none.
    Congestion {
        /// Such as: ada cubic
        #[arg(required = true, num_args = 2)]
        words: Vec<String>,
    },
    /// What every link does and has done.
    Stats,
    /// Names, addresses and namespaces.
    Hosts,
    /// Runs a program on a host.
    Exec {
        /// On which.
        host: String,
        /// The program and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
    /// Ends a lab.
    Quit,
}

#[derive(Debug, Args)]
struct Up {
    /// What all chance follows from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A host and its access link; a host without a region is its own.
    #[arg(long = "host", required = true, value_name = "NAME[@REGION]=SPEC")]
    hosts: Vec<String>,
    /// What lies between two regions.
    #[arg(long = "path", value_name = "REGION:REGION=SPEC")]
    paths: Vec<String>,
    /// The congestion control of a host's TCP; the kernel's default if not given.
    #[arg(long, value_name = "NAME=cubic|bbr")]
    congestion: Vec<String>,
    /// Ends when the input is closed, as it is when the parent dies.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn specs_help() -> String {
    format!(
        "A SPEC is a profile, settings, or both: mobile,up.loss=5%\n\
         Profiles: {}, any LOSS%-RTTms\n\
         Settings: delay=20ms jitter=5ms loss=3% loss=3%/4 (in bursts of 4) duplicate=1%\n\
         \u{20} reorder=1%/10ms rate=256kbit queue=32KiB mtu=1280 silent-mtu=1280 flap=10s/2s\n\
         \u{20} bursts=ENTER%/LEAVE%/INSIDE%/OUTSIDE%; \"up.\" or \"down.\" before one for one direction",
        PROFILES.join(", ")
    )
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let line = |name: &str, words: &[String]| format!("{name} {}", words.join(" "));
    let ask = |line: &str| remote::ask(cli.lab, line).map(|answer| show(&answer, cli.json));
    let result = match &cli.task {
        Task::Up(up) => serve::serve(up, cli.json),
        Task::Exec { host, command } => remote::exec(cli.lab, host, command),
        Task::Set { words } => ask(&line("set", words)),
        Task::Blackhole { words } => ask(&line("blackhole", words)),
        Task::Congestion { words } => ask(&line("congestion", words)),
        Task::Stats => ask("stats"),
        Task::Hosts => ask("hosts"),
        Task::Quit => ask("quit"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            if cli.json {
                show(&serde_json::json!({ "error": problem }), true);
            } else {
                let _ = writeln!(io::stderr(), "pulse-lab: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

/// One answer on standard output. Nobody there to read it is no fault.
fn show(answer: &serde_json::Value, json: bool) {
    let text = if json {
        answer.to_string()
    } else {
        text::of(answer)
    };
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}
