//! A bot behind an uplink that does not carry all of it, and then does, to a real edge: its sound arrives
//! whole and in order, its pictures are thinned, and come back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the helpers of a test fail by panicking, too"
)]

use std::{future::pending, net::SocketAddr, time::Duration};

use edge_node::{Config, Edge};
use pulse_client::{
    Address, Bot, BotOptions, Client, Event, JoinOptions, Pictures, Receiver, Report,
    SocketOptions, StreamKey,
};
use pulse_proto::media::MediaHeader;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

const MICROPHONE: u8 = 0;
const CAMERA: u8 = 1;

/// Three quarters of what a bot sends.
const NARROW_BITS_PER_S: u64 = 150_000;

/// Forwards at this rate as long as there is one, towards the edge.
async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rate: watch::Receiver<Option<u64>>,
) {
    let mut free_at = Instant::now();
    let mut buffer = [0; 1_000];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bits_per_s = *rate.borrow_and_update();
        if let Some(bits_per_s) = bits_per_s {
            let takes = Duration::from_secs_f64(length as f64 * 8.0 / bits_per_s as f64);
            free_at = free_at.max(Instant::now()) + takes;
            tokio::select! {
                () = sleep_until(free_at) => {}
                _ = rate.changed() => {}
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// An uplink to the edge for one connection, and what sets its rate.
async fn uplink(edge: SocketAddr) -> (SocketAddr, watch::Sender<Option<u64>>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (set_rate, rate) = watch::channel(Some(NARROW_BITS_PER_S));
    let task = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(edge).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        tokio::select! {
            () = forward(from_client, to_server, rate) => {}
            _ = copy(&mut from_server, &mut to_client) => {}
        }
    });
    (address, set_rate, task)
}

/// Somebody in the room who takes all that the bot sends.
struct Listener {
    client: Client,
    receiver: Receiver,
    began: Instant,
    bot: Option<StreamKey>,
    sound: Vec<MediaHeader>,
}

impl Listener {
    /// The header of the next message of media.
    async fn next(&mut self) -> MediaHeader {
        loop {
            let Event::Media {
                sender,
                header,
                frame,
            } = self.client.next().await
            else {
                continue;
            };
            self.receiver
                .media(self.began.elapsed(), sender, &header, &frame);
            if header.track == MICROPHONE {
                self.sound.push(header);
            }
            self.bot = Some(StreamKey {
                participant: sender,
                track: CAMERA,
                layer: 0,
            });
            return header;
        }
    }

    /// Listens until a report says something, and returns it.
    async fn until(
        &mut self,
        reports: &mut watch::Receiver<Option<Report>>,
        good: impl Fn(&Report) -> bool,
    ) -> Report {
        loop {
            tokio::select! {
                _ = self.next() => {}
                report = reports.wait_for(|report| report.as_ref().is_some_and(&good)) => {
                    return report.unwrap().clone().unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn sound_passes_pictures_that_the_uplink_does_not_carry() {
    // It ends by events; this only ends a test that waits for nothing.
    timeout(Duration::from_secs(180), narrow_then_wide())
        .await
        .unwrap();
}

async fn narrow_then_wide() {
    let edge = Edge::start(Config::on_free_ports()).await.unwrap();
    let (address, set_rate, proxy) = uplink(edge.client_addr()).await;
    let url = format!("http://{}", edge.client_addr());
    let mut listener = Listener {
        client: Client::connect(&url, &JoinOptions::new("r", "Ear"))
            .await
            .unwrap(),
        receiver: Receiver::default(),
        began: Instant::now(),
        bot: None,
        sound: Vec::new(),
    };
    let bot = Bot::new(BotOptions {
        address: Address::parse(&format!("http://{address}")).unwrap(),
        room: "r".into(),
        name: "Bot".into(),
        video: true,
        audio: true,
        receive: false,
        phase: Duration::ZERO,
        socket: SocketOptions::default(),
    });
    let (tell, mut told) = watch::channel(None);
    let running = tokio::spawn(bot.unwrap().run(pending(), move |report| {
        tell.send_replace(Some(report.clone()));
    }));

    let thinned = listener
        .until(&mut told, |report| report.sent.left_out.layers > 20)
        .await;
    let steps = thinned.sent.steering.steps;
    assert!(steps.down_late + steps.down_waiting > 0);
    assert!(thinned.to_string().contains("upper layers"), "{thinned}");
    let json = serde_json::to_value(&thinned).unwrap();
    let in_json = json["sent"]["leftOut"]["layers"].as_u64();
    assert_eq!(in_json, Some(thinned.sent.left_out.layers));

    set_rate.send_replace(None);
    // From one report to the next everything is sent.
    let mut back = thinned;
    loop {
        let before = back.sent;
        back = listener
            .until(&mut told, |report| report.at > back.at)
            .await;
        let all = before.steering.pictures == Pictures::All;
        if all && back.sent.left_out == before.left_out {
            break;
        }
    }
    assert!(back.sent.steering.steps.up > 0);
    while listener.next().await.temporal != 2 {}

    assert_eq!((back.sent.left_out.sound, back.sent.errors), (0, 0));
    assert!(listener.sound.len() > 100);
    assert_eq!(listener.sound[0].sequence, 0);
    for two in listener.sound.windows(2) {
        assert_eq!(two[1].sequence, two[0].sequence + 1);
        assert!(two[1].captured_us > two[0].captured_us);
    }
    let pictures = listener.receiver.stream(&listener.bot.unwrap()).unwrap();
    assert!(pictures.frames > 0);
    assert_eq!(pictures.undecodable, 0);

    running.abort();
    proxy.abort();
    edge.shut_down().await;
}
