//! A participant without a browser: it joins, publishes its clip and its tone, follows the room,
//! asks for keyframes and gives them, comes back after a lost connection, and leaves politely.

use std::{future::Future, pin::pin, time::Duration};

use pulse_proto::{
    DisplayName, ErrorCode, RoomName,
    control::{CodecConfig, Source as TrackSource, Subscribe, TrackConfig},
    limits::IDLE_TIMEOUT,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use crate::{
    address::Address,
    client::{Client, Event, JoinOptions},
    connection::{Closed, SocketOptions},
    error::ClientError,
    limits::{OUTGOING_RESERVED, RECONNECT_FIRST, RECONNECT_LONGEST, REPORT_INTERVAL},
    media::{clip, tone},
    receiver::Receiver,
    report::{Report, Reporter, Sent},
    roster::Members,
    send::{Next, Sender},
    source::Source,
};

const MICROPHONE: u8 = 0;
const CAMERA: u8 = 1;

/// What a bot shall do.
#[derive(Clone)]
pub struct BotOptions {
    /// Where the edge is.
    pub address: Address,
    /// The room.
    pub room: String,
    /// The bot's name.
    pub name: String,
    /// Whether to publish the picture.
    pub video: bool,
    /// Whether to publish the tone.
    pub audio: bool,
    /// Whether to take what others publish.
    pub receive: bool,
    /// How far its picture and tone are ahead of those of a bot that starts with it at zero.
    pub phase: Duration,
    /// How the socket is made.
    pub socket: SocketOptions,
}

/// The name of an open room is a secret.
impl std::fmt::Debug for BotOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BotOptions")
            .field("video", &self.video)
            .field("audio", &self.audio)
            .field("receive", &self.receive)
            .field("phase", &self.phase)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// Why a bot gave up.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The room or the name cannot be.
    #[error("{}", .0.sentence())]
    Name(ErrorCode),
    /// It never got in, or not in again.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The edge ended the connection for a reason that coming back does not help.
    #[error("The server ended the connection: {0}")]
    Ended(Closed),
    /// What it would send cannot be read.
    #[error("The built-in picture or tone is damaged; this program must be built again.")]
    Media,
}

/// How a connection of a bot came to its end.
enum End {
    Stopped,
    Lost,
}

/// A bot and everything it remembers over its connections.
#[derive(Debug)]
pub struct Bot {
    options: BotOptions,
    started: Instant,
    sources: Vec<Source>,
    members: Members,
    receiver: Receiver,
    reporter: Reporter,
    sender: Sender,
    /// The last one of this connection.
    round_trip: Option<Duration>,
    sent: Sent,
}

impl Bot {
    /// A bot that has not connected yet.
    ///
    /// # Errors
    /// [`BotError::Name`], [`BotError::Media`].
    pub fn new(options: BotOptions) -> Result<Self, BotError> {
        RoomName::parse(&options.room).map_err(BotError::Name)?;
        DisplayName::parse(&options.name).map_err(BotError::Name)?;
        let picture = clip().ok_or(BotError::Media)?;
        let sound = tone().ok_or(BotError::Media)?;
        let sender = Sender::new(&picture, options.audio.then_some(&sound));
        let mut sources = Vec::new();
        for (wanted, clip, track) in [
            (options.audio, sound, MICROPHONE),
            (options.video, picture, CAMERA),
        ] {
            if wanted {
                let source = Source::new(clip, track, Duration::ZERO);
                sources.push(source.begun_earlier(options.phase));
            }
        }
        Ok(Self {
            options,
            started: Instant::now(),
            sources,
            members: Members::default(),
            receiver: Receiver::default(),
            reporter: Reporter::default(),
            sender,
            round_trip: None,
            sent: Sent::default(),
        })
    }

    /// Joins and stays until `stop`, giving a report each second; returns the last one.
    ///
    /// # Errors
    /// [`BotError::Client`] if the first connection fails, [`BotError::Ended`] if the edge does not
    /// want it back. Other ends are followed by new connections, first after 250 ms and each time
    /// after twice as long, up to 5 s.
    pub async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        mut report: impl FnMut(&Report),
    ) -> Result<Report, BotError> {
        let mut stop = pin!(stop);
        let mut resume = None;
        let mut wait = RECONNECT_FIRST;
        loop {
            let options = JoinOptions {
                room: self.options.room.clone(),
                name: self.options.name.clone(),
                features: Vec::new(),
                resume: resume.clone(),
                socket: self.options.socket.clone(),
                pings: true,
            };
            let joined = tokio::select! {
                joined = Box::pin(Client::join(&self.options.address, &options)) => joined,
                () = &mut stop => return Ok(self.report(true, false)),
            };
            match joined {
                Ok(client) => {
                    wait = RECONNECT_FIRST;
                    resume = Some(client.welcome().resume.clone());
                    let end = Box::pin(self.stay(client, stop.as_mut(), &mut report)).await?;
                    if let End::Stopped = end {
                        return Ok(self.report(true, false));
                    }
                }
                // Whoever was in the room before comes back; a first failure is the person's to see.
                Err(error) if resume.is_none() || error.code().is_some_and(is_final) => {
                    return Err(error.into());
                }
                Err(error) => tracing::warn!(%error, "could not come back yet"),
            }
            report(&self.report(false, false));
            tokio::select! {
                () = sleep(wait) => wait = (2 * wait).min(RECONNECT_LONGEST),
                () = &mut stop => return Ok(self.report(true, false)),
            }
            self.sent.reconnects += 1;
        }
    }

    /// One connection, from its WELCOME to its end.
    async fn stay(
        &mut self,
        mut client: Client,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
        report: &mut impl FnMut(&Report),
    ) -> Result<End, BotError> {
        self.members.reset(&client.welcome().roster);
        self.sender.restart(self.started.elapsed());
        self.round_trip = None;
        for source in &mut self.sources {
            source.request_keyframe();
        }
        for source in &self.sources {
            // Here and below: a connection that is over says why by its last event.
            let _ = client.announce(&track_config(source.track())).await;
        }
        if !self.options.receive {
            let nothing = Subscribe {
                audio: false,
                video: false,
                ..Subscribe::everything()
            };
            let _ = client.subscribe(&nothing).await;
        }
        let mut reports = interval_at(Instant::now() + REPORT_INTERVAL, REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let due = self.sources.iter().map(Source::due_at).min();
            let next_frame = async {
                match due {
                    Some(at) => sleep_until(self.started + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => {
                    client.leave().await;
                    return Ok(End::Stopped);
                }
                _ = reports.tick() => report(&self.report(false, true)),
                () = next_frame => self.publish(&client).await,
                event = client.next() => {
                    heard = Instant::now();
                    match event {
                    Event::Closed(closed) if closed.error().is_some_and(is_final) => {
                        return Err(BotError::Ended(closed));
                    }
                    Event::Closed(closed) => {
                        tracing::warn!(%closed, "connection lost");
                        return Ok(End::Lost);
                    }
                    event => {
                        if !self.take(&client, event).await {
                            tracing::warn!("a roster message is missing; connecting again");
                            return Ok(End::Lost);
                        }
                    }
                    }
                }
                // Our pings are answered every 2 s on a connection that is alive.
                () = sleep_until(heard + IDLE_TIMEOUT) => {
                    tracing::warn!("the connection went silent; connecting again");
                    return Ok(End::Lost);
                }
            }
        }
    }

    /// Takes an event; says whether the connection is still good.
    async fn take(&mut self, client: &Client, event: Event) -> bool {
        match event {
            Event::Roster(roster) => return self.members.update(&roster),
            Event::Track { participant, track } => self.members.track(participant, &track),
            Event::TrackStop { participant, track } => self.members.track_stop(participant, track),
            Event::Media {
                sender,
                header,
                frame,
            } => {
                let now = self.started.elapsed();
                if let Some(request) = self.receiver.media(now, sender, &header, &frame) {
                    self.sent.keyframes_asked += 1;
                    let _ = client.send(&request).await;
                }
            }
            Event::KeyframeRequest(request) => {
                self.sent.keyframe_requests += 1;
                for source in &mut self.sources {
                    if source.track() == request.track {
                        source.request_keyframe();
                    }
                }
            }
            Event::PublisherAck(ack) => {
                self.sent.uplink_delay_ms = Some(ack.delay_ms);
                let now = self.started.elapsed();
                if self.sender.acknowledged(now, &ack, self.round_trip) {
                    let pictures = self.sender.steering().pictures;
                    tracing::info!(?pictures, ack.delay_ms, "the uplink has changed");
                }
                self.drain(client).await;
            }
            Event::Pong { round_trip } => {
                self.round_trip = Some(round_trip);
                self.sent.round_trip_ms = Some(round_trip.as_secs_f64() * 1e3);
            }
            Event::Error(error) => {
                self.sent.errors += 1;
                tracing::warn!(error.code, error.message, "the server refused a message");
            }
            Event::Unreadable(rejection) => tracing::warn!(%rejection, "unreadable message"),
            // A bot neither reads nor answers chat, plays nothing of v1, sends to whoever is there, and
            // its caller saw the end.
            Event::Chat { .. }
            | Event::V1(_)
            | Event::Demand(_)
            | Event::Constrained(_)
            | Event::Alternates(_)
            | Event::Closed(_) => {}
        }
        true
    }

    /// Sends the sound that is due, and as much of the pictures as there is room for.
    async fn publish(&mut self, client: &Client) {
        let now = self.started.elapsed();
        for source in &mut self.sources {
            while let Some(due) = source.take(now) {
                if source.track() == CAMERA {
                    if self.sender.picture(now, client.id(), &due) == Next::Keyframe {
                        source.request_keyframe();
                    }
                    continue;
                }
                let frames = self.sender.sound(now, client.id(), &due, client.room());
                self.sent.frames += u64::from(!frames.is_empty());
                for frame in frames {
                    self.sent.bytes += frame.len() as u64;
                    // A connection that is over says why by its last event.
                    let _ = client.connection().send(&frame).await;
                }
            }
        }
        self.drain(client).await;
    }

    /// Sends what waits; each acknowledgement makes room for more.
    async fn drain(&mut self, client: &Client) {
        let now = self.started.elapsed();
        while client.room() > OUTGOING_RESERVED
            && let Some(chunk) = self.sender.take(now)
        {
            self.sent.bytes += chunk.frame.len() as u64;
            self.sent.frames += u64::from(chunk.last);
            let _ = client.connection().send(&chunk.frame).await;
        }
    }

    fn report(&mut self, last: bool, connected: bool) -> Report {
        let now = self.started.elapsed();
        self.sent.left_out = self.sender.left_out();
        self.sent.dropped = self.sent.left_out.total();
        self.sent.steering = self.sender.steering();
        self.reporter.report(
            now,
            last,
            connected,
            &self.members,
            self.sent,
            &self.receiver,
        )
    }
}

/// Whether coming back would meet the same end.
const fn is_final(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::Internal
            | ErrorCode::JoinTimeout
            | ErrorCode::TooSlow
            | ErrorCode::IdleTimeout
            | ErrorCode::ShuttingDown
    )
}

fn track_config(track: u8) -> TrackConfig {
    let video = track == CAMERA;
    let source = if video {
        TrackSource::Camera
    } else {
        TrackSource::Microphone
    };
    TrackConfig {
        track,
        source,
        version: 0,
        muted: false,
        interrupted: None,
        config: CodecConfig {
            codec: if video { "vp8" } else { "opus" }.to_owned(),
            sample_rate: (!video).then_some(48_000),
            number_of_channels: (!video).then_some(1),
            coded_width: video.then_some(320),
            coded_height: video.then_some(180),
            framerate: video.then_some(15.0),
            bitrate: Some(if video { 180_000 } else { 32_000 }),
            scalability_mode: video.then(|| "L1T3".to_owned()),
            color_space: None,
            description: None,
        },
    }
}
