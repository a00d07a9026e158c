//! The program `pulse`: reads its arguments, runs what they ask for, and tells in one sentence what
//! went wrong.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use pulse_client::{Address, Bot, BotOptions, Report, SocketOptions};
use tracing_subscriber::EnvFilter;

/// Takes part in Pulse calls from a terminal.
#[derive(Parser)]
#[command(name = "pulse", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Joins a room as a participant that shows a moving picture and plays a tone.
    ///
    /// Each second and at the end it says what it receives of the others. Ctrl-C leaves the room.
    Bot(BotArguments),
}

#[derive(Args)]
struct BotArguments {
    /// The invitation link, such as http://localhost:8080/#team
    #[arg(value_name = "LINK")]
    link: Option<String>,
    /// The edge's address, or an invitation link
    #[arg(long, value_name = "URL", conflicts_with = "link")]
    url: Option<String>,
    /// The room: 1 to 64 letters, digits, - or _; needed if the link names none
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// What the bot is called
    #[arg(long, default_value = "Bot")]
    name: String,
    /// Leave after this time, such as 90, 90s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<Duration>,
    /// Show no picture
    #[arg(long)]
    no_video: bool,
    /// Play no tone
    #[arg(long)]
    no_audio: bool,
    /// Accept any certificate; for edges with a self-signed one
    #[arg(long)]
    insecure: bool,
    /// Report as one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Where a bot goes that is not told.
const DEFAULT_URL: &str = "http://localhost:8080";

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    number
        .parse::<u32>()
        .ok()
        .map(|number| u64::from(number) * seconds)
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "a time is a number of seconds, or 90s, 5m, 1h".to_owned())
}

fn main() -> ExitCode {
    let Command::Bot(arguments) = Arguments::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell if not even this can be written.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: BotArguments) -> Result<(), Box<dyn std::error::Error>> {
    let url = arguments.link.or(arguments.url);
    let address = Address::parse(url.as_deref().unwrap_or(DEFAULT_URL))?;
    let Some(room) = arguments.room.or_else(|| address.room.clone()) else {
        return Err("Which room? Add --room NAME, or give an invitation link.".into());
    };
    let bot_options = BotOptions {
        address,
        room,
        name: arguments.name,
        video: !arguments.no_video,
        audio: !arguments.no_audio,
        socket: SocketOptions {
            insecure: arguments.insecure,
            receive_buffer_bytes: None,
        },
    };
    let json = arguments.json;
    let duration = arguments.duration;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async move {
            let bot = Bot::new(bot_options)?;
            let last = bot
                .run(stop(duration), |report| print(report, json))
                .await?;
            print(&last, json);
            Ok(())
        })
}

/// Done when it is time to go: after the duration, at Ctrl-C, or when asked to by the system.
async fn stop(duration: Option<Duration>) {
    let timer = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let asked = async {
        #[cfg(unix)]
        if let Ok(mut asked) =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        {
            asked.recv().await;
            return;
        }
        std::future::pending().await
    };
    tokio::select! {
        () = timer => {}
        () = asked => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

fn print(report: &Report, json: bool) {
    let line = if json {
        serde_json::to_string(report).unwrap_or_default()
    } else {
        report.to_string()
    };
    // A reader that went away, such as `head`, is no reason to leave the room.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "0", "m", "1.5", "5d", "-1", "99999999999"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
