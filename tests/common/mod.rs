//! What every guarantee needs: a real edge on free ports and clients that wait for events. Each test
//! file uses a part of it.
#![allow(
    dead_code,
    reason = "every test file is its own crate and uses what it needs"
)]

use std::time::Duration;

use edge_node::{Config, Edge};
use pulse_client::{Client, Connection, Event, Incoming, JoinOptions, V1Client, V1Event};
use pulse_proto::{
    Frame, ParticipantId,
    control::{CodecConfig, Source, TrackConfig},
    media::{LEVEL_SILENT, MediaHeader, chunks},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything here takes on a busy machine: what takes this long never comes.
pub const SOON: Duration = Duration::from_secs(15);

/// An edge of its own.
pub struct World {
    pub edge: Edge,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Config::on_free_ports()).await
    }

    pub async fn with(config: Config) -> Self {
        Self {
            edge: Edge::start(config).await.expect("the edge starts"),
        }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.edge.client_addr())
    }

    pub async fn join(&self, room: &str, name: &str) -> Client {
        self.join_as(&JoinOptions::new(room, name)).await
    }

    pub async fn join_as(&self, options: &JoinOptions) -> Client {
        Client::connect(&self.url(), options)
            .await
            .expect("the edge admits")
    }

    pub async fn join_v1(&self, room: &str, name: &str) -> V1Client {
        V1Client::connect(&self.url(), room, Some("host"), name)
            .await
            .expect("the edge admits")
    }

    /// One counter or gauge of /metrics, its labels given as they stand there.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = get(self.edge.ops_addr(), "/metrics").await;
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .next()
            .unwrap_or(0.0)
    }
}

/// A plain HTTP request; the whole answer.
pub async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    http(address, head.as_bytes()).await
}

/// Whatever bytes as an HTTP request; the whole answer.
pub async fn http(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(request).await.expect("writes");
    let mut answer = Vec::new();
    // A server that refuses a body closes while it is still being sent.
    let _ = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("answers");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The first event that `choose` takes.
pub async fn until<T>(client: &mut Client, mut choose: impl FnMut(Event) -> Option<T>) -> T {
    let found = timeout(SOON, async {
        loop {
            let event = client.next().await;
            let ended = matches!(event, Event::Closed(_)).then(|| format!("{event:?}"));
            if let Some(found) = choose(event) {
                return found;
            }
            if let Some(ended) = ended {
                panic!("the connection ended first: {ended}");
            }
        }
    });
    found.await.expect("it comes")
}

/// The first event of a v1 client that `choose` takes.
pub async fn until_v1<T>(client: &mut V1Client, mut choose: impl FnMut(V1Event) -> Option<T>) -> T {
    let found = timeout(SOON, async {
        loop {
            let event = client.next().await;
            let ended = matches!(event, V1Event::Closed(_)).then(|| format!("{event:?}"));
            if let Some(found) = choose(event) {
                return found;
            }
            if let Some(ended) = ended {
                panic!("the connection ended first: {ended}");
            }
        }
    });
    found.await.expect("it comes")
}

/// The close code a raw connection ends with, and every message before it.
pub async fn end_of(connection: &mut Connection) -> (Option<u16>, Vec<bytes::Bytes>) {
    let mut messages = Vec::new();
    let closed = timeout(SOON, async {
        loop {
            match connection.next().await {
                Incoming::Closed(closed) => return closed,
                Incoming::Binary(bytes) => messages.push(bytes),
                _ => {}
            }
        }
    });
    let closed = closed.await.expect("it ends");
    (closed.code, messages)
}

/// Everything the edge sends before it answers a ping: nothing else is on its way.
pub async fn settle(client: &mut Client) -> Vec<Event> {
    let nonce = format!("settle {}", std::process::id());
    client.chat(&nonce, "settled?").await.expect("sends");
    let mut events = Vec::new();
    until(client, |event| {
        let done = matches!(&event, Event::Chat { chat, .. } if chat.nonce == nonce);
        events.push(event);
        done.then_some(())
    })
    .await;
    events
}

pub fn microphone(track: u8) -> TrackConfig {
    TrackConfig {
        track,
        source: Source::Microphone,
        version: 0,
        muted: false,
        interrupted: None,
        config: CodecConfig {
            codec: "opus".to_owned(),
            sample_rate: Some(48_000),
            number_of_channels: Some(1),
            coded_width: None,
            coded_height: None,
            framerate: None,
            bitrate: None,
            scalability_mode: None,
            color_space: None,
            description: None,
        },
    }
}

pub fn camera(track: u8) -> TrackConfig {
    TrackConfig {
        source: Source::Camera,
        config: CodecConfig {
            codec: "vp8".to_owned(),
            sample_rate: None,
            number_of_channels: None,
            coded_width: Some(640),
            coded_height: Some(360),
            scalability_mode: Some("L1T3".to_owned()),
            ..microphone(track).config
        },
        ..microphone(track)
    }
}

pub fn header(track: u8, sequence: u32, reference: u8) -> MediaHeader {
    MediaHeader {
        track,
        config: 0,
        discardable: false,
        last: true,
        spatial: 0,
        temporal: 0,
        reference,
        level: LEVEL_SILENT,
        chunk: 0,
        sequence,
        captured_us: u64::from(sequence) * 20_000,
    }
}

/// The messages of a codec frame whose bytes tell its sequence number.
pub fn frames(sender: ParticipantId, header: MediaHeader, bytes: usize) -> Vec<Frame> {
    let fill = header.sequence.to_be_bytes();
    let payload: Vec<u8> = fill.iter().copied().cycle().take(bytes).collect();
    chunks(sender, header, &payload)
        .expect("a frame of fitting size")
        .collect()
}

/// Sends a codec frame.
pub async fn publish(client: &Client, header: MediaHeader, bytes: usize) {
    for frame in frames(client.id(), header, bytes) {
        client.connection().send(&frame).await.expect("sends");
    }
}

/// The sequence numbers of the next `count` media messages of one sender.
pub async fn sequences(client: &mut Client, sender: ParticipantId, count: usize) -> Vec<u32> {
    let mut all = Vec::new();
    until(client, |event| {
        if let Event::Media {
            sender: from,
            header,
            ..
        } = event
            && from == sender
        {
            all.push(header.sequence);
        }
        (all.len() == count).then_some(())
    })
    .await;
    all
}

/// A PNG by its first bytes.
pub fn png(bytes: usize) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    image.resize(bytes, 7);
    image
}
