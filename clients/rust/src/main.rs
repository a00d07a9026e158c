//! The program `pulse`: reads its arguments, runs what they ask for, and tells in one sentence what
//! went wrong.

mod load_command;

use std::{
    io::{self, IsTerminal as _, Write},
    pin::pin,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use pulse_client::{Address, Bot, BotOptions, Report, SocketOptions};
use tokio::{sync::watch, task::JoinSet};
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
    /// Joins a room as a participant that shows a moving picture and plays a tone, or as several.
    ///
    /// The picture has 320×180 pixels at 15 frames a second; the tone beeps twice a second. Both are encoded
    /// already. Each second and at the end it says what it receives of the others; of several bots the first
    /// one does. Ctrl-C leaves the room.
    Bot(BotArguments),
    /// Measures an edge with many participants of its own: who send on a fixed schedule, and who verify
    /// every message they receive.
    ///
    /// The options are named as those of `lk load-test` where they mean the same. Each second and at the end it
    /// says what came, what was lost and why, and how late it was, counted from when it was due. Fails if
    /// somebody could not join or a message was damaged.
    ///
    /// pulse load http://localhost:8080 --audio-publishers 10 --subscribers 80 --duration 30s
    #[command(verbatim_doc_comment)]
    Load(Box<load_command::LoadArguments>),
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
    /// How many bots; from two on they are called Bot 1, Bot 2, …
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    count: u8,
    /// How many of them play the tone: all, if nothing is said
    #[arg(long, value_name = "N", conflicts_with = "no_audio")]
    speaking: Option<u8>,
    /// Receive nothing of what others send; many bots are cheap then
    #[arg(long)]
    send_only: bool,
    /// Where in picture and tone each bot begins is drawn from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
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

/// The built-in picture begins again after 96 frames at 15 a second.
const LONGEST_PHASE_US: u64 = 6_400_000;

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
    let command = Arguments::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    let done = match command {
        Command::Bot(arguments) => run(arguments).map(|()| true),
        Command::Load(arguments) => load_command::run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
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
    let several = arguments.count > 1;
    let speaking = arguments.speaking.unwrap_or(arguments.count);
    let bots = (1..=arguments.count).map(|number| {
        Bot::new(BotOptions {
            address: address.clone(),
            room: room.clone(),
            name: if several {
                format!("{} {number}", arguments.name)
            } else {
                arguments.name.clone()
            },
            video: !arguments.no_video,
            audio: !arguments.no_audio && number <= speaking,
            receive: !arguments.send_only,
            phase: phase(arguments.seed, number),
            socket: SocketOptions {
                insecure: arguments.insecure,
                receive_buffer_bytes: None,
            },
        })
    });
    let bots = bots.collect::<Result<Vec<Bot>, _>>()?;
    let json = arguments.json;
    let duration = arguments.duration;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async move {
            let (stopping, stopped) = watch::channel(false);
            let mut running = JoinSet::new();
            for (index, bot) in bots.into_iter().enumerate() {
                let mut stopped = stopped.clone();
                let stop = async move {
                    // A sender that is gone is a reason to stop, too.
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                };
                running.spawn(async move {
                    let tells = index == 0;
                    let last = bot.run(stop, |report| {
                        if tells {
                            print(report, json);
                        }
                    });
                    last.await.map(|last| tells.then_some(last))
                });
            }
            let mut timer = pin!(stop(duration));
            let mut result = Ok(());
            loop {
                tokio::select! {
                    ended = running.join_next() => match ended {
                        None => return result,
                        Some(Ok(Ok(last))) => last.iter().for_each(|last| print(last, json)),
                        // The others leave politely; the first reason is told.
                        Some(Ok(Err(error))) => {
                            stopping.send_replace(true);
                            result = result.and(Err(error.into()));
                        }
                        Some(Err(error)) => {
                            stopping.send_replace(true);
                            result = result.and(Err(error.into()));
                        }
                    },
                    () = &mut timer, if !*stopping.borrow() => {
                        stopping.send_replace(true);
                    }
                }
            }
        })
}

/// Somewhere in the longer of the two clips, the same for the same seed and bot (SplitMix64).
const fn phase(seed: u64, number: u8) -> Duration {
    let mut bits = seed.wrapping_add((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_micros((bits ^ (bits >> 31)) % LONGEST_PHASE_US)
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
    fn bots_begin_apart_and_where_their_seed_says() {
        let all: Vec<Duration> = (1..=16).map(|number| phase(1, number)).collect();
        let mut apart = all.clone();
        apart.sort();
        apart.dedup();
        assert_eq!(apart.len(), 16);
        assert_eq!(phase(1, 16), all[15]);
        assert_ne!(phase(2, 16), all[15]);
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
