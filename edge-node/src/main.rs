//! The binary: flags in, an edge until a signal, out.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use edge_node::{
    Config, Edge, certs,
    config::{Cli, Command},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, config } = Cli::parse();
    log(config.log_json);
    let done = match command {
        None => run(config).await,
        Some(Command::Certs(command)) => make_certs(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "edge-node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let edge = Edge::start(config).await?;
    writeln!(std::io::stdout(), "open {}", edge.invitation())?;
    writeln!(std::io::stdout(), "ops http://{}/metrics", edge.ops_addr())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    edge.shut_down().await;
    Ok(())
}

fn make_certs(command: &certs::CertsCommand) -> Result<(), Box<dyn std::error::Error>> {
    for line in certs::make(command)? {
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if json {
        logs.json().init()
    } else {
        logs.compact().init()
    }
}
