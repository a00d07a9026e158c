//! `pulse load`: its arguments, named as those of `lk load-test` where they mean the same, and what it
//! prints.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use pulse_client::{
    Address, SocketOptions,
    load::{self, Layout, Outcome, PictureShape, Plan, Slow, VoiceShape},
};

/// The arguments of `pulse load`.
#[derive(Args)]
pub(crate) struct LoadArguments {
    /// The edge's address or an invitation link, such as http://localhost:8080/#team
    #[arg(value_name = "LINK")]
    link: Option<String>,
    /// The edge's address
    #[arg(long, value_name = "URL", conflicts_with = "link")]
    url: Option<String>,
    /// The room; a random one if nothing is said. Several rooms add their number
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Rooms, each with all the participants below
    #[arg(long, value_name = "N", default_value_t = 1)]
    rooms: usize,
    /// Participants of a room with a camera. The first participants have camera and microphone
    #[arg(
        long,
        visible_alias = "publishers",
        value_name = "N",
        default_value_t = 0
    )]
    video_publishers: usize,
    /// Participants of a room with a microphone
    #[arg(long, value_name = "N", default_value_t = 0)]
    audio_publishers: usize,
    /// Participants of a room who receive
    #[arg(long, value_name = "N", default_value_t = 1)]
    subscribers: usize,
    /// How long media is sent once everybody is in, such as 90, 90s, 5m or 1h; until Ctrl-C, if missing
    #[arg(long, value_name = "TIME", value_parser = crate::duration)]
    duration: Option<Duration>,
    /// Participants that join each second
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    num_per_second: f64,
    /// What participants' names begin with
    #[arg(long, value_name = "TEXT", default_value = "load")]
    identity_prefix: String,
    /// Size and bitrate of pictures
    #[arg(long, value_name = "SIZE", value_parser = ["high", "medium", "low"], default_value = "high")]
    video_resolution: String,
    /// The codec that pictures say they are; their bytes mean nothing
    #[arg(long, value_name = "NAME", default_value = "vp8")]
    video_codec: String,
    /// Bits a second of a camera; by --video-resolution, if missing
    #[arg(long, value_name = "BITS")]
    bitrate: Option<f64>,
    /// Pictures a second of a camera
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    fps: f64,
    /// Time between keyframes of a camera
    #[arg(long, value_name = "TIME", value_parser = crate::duration, default_value = "4s")]
    keyframe_interval: Duration,
    /// Bytes of a packet of voice
    #[arg(long, value_name = "BYTES", default_value_t = 120)]
    frame_bytes: usize,
    /// Packets of voice a second
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    rate: f64,
    /// Whose pictures a subscriber takes: all, speaker, 3x3, 4x4 or 5x5
    #[arg(long, value_name = "LAYOUT", default_value = "all")]
    layout: Layout,
    /// One participant of a room speaks at a time, the others are silent; all packets are sent alike
    #[arg(long)]
    simulate_speakers: bool,
    /// Subscribers of each room that read slowly, with a receive buffer of 16 KiB
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow_subscribers: usize,
    /// Bytes a second that they read; 0 reads nothing
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    slow_rate: u64,
    /// They are slow from this time on after the first frame
    #[arg(long, value_name = "TIME", value_parser = crate::duration)]
    slow_after: Option<Duration>,
    /// They are slow for so long; to the end, if missing
    #[arg(long, value_name = "TIME", value_parser = crate::duration)]
    slow_for: Option<Duration>,
    /// Phases of tracks, sizes of pictures and turns of speakers are drawn from this number
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads that receive; one more sends
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Tell each subscriber's figures, too (JSON only)
    #[arg(long, requires = "json")]
    per_subscriber: bool,
    /// Accept any certificate; for edges with a self-signed one
    #[arg(long)]
    insecure: bool,
    /// Report as one JSON object a line, the last one with "last": true
    #[arg(long)]
    json: bool,
}

impl LoadArguments {
    fn plan(&self) -> Result<Plan, Box<dyn std::error::Error>> {
        let url = self.link.as_deref().or(self.url.as_deref());
        let address = Address::parse(url.unwrap_or(crate::DEFAULT_URL))?;
        let named = self.room.clone().or_else(|| address.room.clone());
        let room = match named {
            Some(room) => room,
            None => {
                let mut random = [0; 8];
                getrandom::fill(&mut random)?;
                format!("load-{:016x}", u64::from_be_bytes(random))
            }
        };
        let (width, height, bitrate) = match self.video_resolution.as_str() {
            "low" => (320, 180, 200_000.0),
            "medium" => (640, 360, 500_000.0),
            _ => (1_280, 720, 1_500_000.0),
        };
        Ok(Plan {
            rooms: self.rooms,
            video_publishers: self.video_publishers,
            audio_publishers: self.audio_publishers,
            subscribers: self.subscribers,
            duration: self.duration,
            joins_per_second: self.num_per_second,
            voice: VoiceShape {
                frame_bytes: self.frame_bytes,
                rate: self.rate,
            },
            picture: PictureShape {
                width,
                height,
                codec: self.video_codec.clone(),
                fps: self.fps,
                bitrate: self.bitrate.unwrap_or(bitrate),
                keyframe_interval: self.keyframe_interval,
            },
            layout: self.layout,
            simulate_speakers: self.simulate_speakers,
            seed: self.seed,
            threads: self.threads,
            identity_prefix: self.identity_prefix.clone(),
            slow: (self.slow_subscribers > 0).then(|| Slow {
                subscribers: self.slow_subscribers,
                bytes_per_second: self.slow_rate,
                after: self.slow_after.unwrap_or_default(),
                lasting: self.slow_for,
            }),
            per_subscriber: self.per_subscriber,
            socket: SocketOptions {
                insecure: self.insecure,
                receive_buffer_bytes: None,
            },
            ..Plan::new(address, room)
        })
    }
}

/// Makes the load test; says whether everybody got in and nothing was damaged.
pub(crate) fn run(arguments: &LoadArguments) -> Result<bool, Box<dyn std::error::Error>> {
    let plan = arguments.plan()?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // It ends with the process.
    thread::Builder::new().spawn(move || {
        runtime.block_on(crate::stop(None));
        asked.store(true, Ordering::Relaxed);
    })?;
    let json = arguments.json;
    let outcome: Outcome = load::run(&plan, &stop, |progress| print(progress, json))?;
    print(&outcome, json);
    Ok(outcome.is_sound())
}

fn print<T: serde::Serialize + std::fmt::Display>(report: &T, json: bool) {
    let line = if json {
        serde_json::to_string(report).unwrap_or_default()
    } else {
        report.to_string()
    };
    // A reader that went away is no reason to stop measuring.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
