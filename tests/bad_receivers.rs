//! Receivers that take little or nothing harm themselves alone: what waits for them is bounded, what
//! is dropped is counted, they are let go in time, and the room goes on.

mod common;

use std::time::Duration;

use common::{SOON, World, camera, header, microphone, publish, until};
use pulse_client::{Client, Event};
use pulse_proto::{
    Frame, FrameType, PROTOCOL_VERSION, ParticipantId,
    control::{
        Constrained, Control as _, FEATURE_CONSTRAINED, Hello, Join, LeaveReason, Ping, encode,
    },
    media::MediaHeader,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::{interval, timeout},
};

const LITTLE: u32 = 4 * 1024;

/// A raw client in a room, joined over plain TCP so that it reads what and when it likes.
struct Raw {
    stream: tokio::net::TcpStream,
    read: Vec<u8>,
}

impl Raw {
    async fn join(world: &World, name: &str, features: &[&str]) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(LITTLE).unwrap();
        let mut stream = socket.connect(world.edge.client_addr()).await.unwrap();
        let request = "GET /v2 HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: pulse.v2\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let join = Join {
            hello: Hello {
                version: PROTOCOL_VERSION,
                features: features.iter().map(|name| (*name).to_owned()).collect(),
                agent: "test".to_owned(),
            },
            room: "room".to_owned(),
            name: name.to_owned(),
            resume: None,
        };
        let read = Vec::new();
        let mut raw = Self { stream, read };
        raw.send(&encode(ParticipantId::ZERO, &join)).await;
        raw
    }

    /// Reads at most so many bytes, once; the messages that are whole by then.
    async fn read(&mut self, at_most: usize) -> Vec<Frame> {
        let mut bytes = vec![0; at_most];
        let count = self.stream.read(&mut bytes).await.expect("it is open");
        assert!(count > 0, "it is open");
        self.read.extend_from_slice(&bytes[..count]);
        let mut whole = Vec::new();
        loop {
            let (header, length) = match self.read[..] {
                [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
                [_, short @ 0..126, ..] => (2, usize::from(short)),
                _ => return whole,
            };
            if self.read.len() < header + length {
                return whole;
            }
            let message: Vec<u8> = self.read.drain(..header + length).skip(header).collect();
            whole.push(Frame::parse(message.into()).expect("a frame"));
        }
    }

    /// One message, masked with zeros. Whether it could be sent.
    async fn send(&mut self, frame: &Frame) -> bool {
        let length = u16::try_from(frame.len()).unwrap();
        let mut message = vec![0x82, 0x80 | 126];
        message.extend(length.to_be_bytes());
        message.extend([0; 4]);
        message.extend_from_slice(frame.bytes());
        self.stream.write_all(&message).await.is_ok()
    }
}

/// A room with a speaker who shows a picture of 2 Mbit/s, and a witness who checks that all of the
/// voice arrives, until one called `name` has left.
async fn call_goes_on_until_gone(world: &World, alice: &mut Client, name: &str) -> LeaveReason {
    let mut witness = world.join("room", "Witness").await;
    let gone = witness
        .welcome()
        .roster
        .participants
        .iter()
        .find(|other| other.name.as_str() == name)
        .expect("it is there")
        .id;
    let mut tick = interval(Duration::from_millis(20));
    let (mut spoken, mut sequence, mut heard, mut held) = (0, 0, 0, 0.0_f64);
    let reason = timeout(SOON * 4, async {
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    publish(alice, header(2, spoken, 0), 120).await;
                    spoken += 1;
                    if spoken % 2 == 0 {
                        let reference = u8::from(sequence % 120 != 0);
                        publish(alice, header(1, sequence, reference), 8_000).await;
                        sequence += 1;
                    }
                    if spoken % 50 == 0 {
                        held = held.max(world.metric("pulse_held_bytes").await);
                    }
                }
                event = alice.next() => if matches!(event, Event::KeyframeRequest(_)) {
                    sequence = u32::next_multiple_of(sequence, 120);
                },
                event = witness.next() => match event {
                    Event::Media { header, .. } if header.track == 2 => heard += 1,
                    Event::Roster(change) => {
                        if let Some(left) = change.left.iter().find(|left| left.id == gone) {
                            return left.reason;
                        }
                    }
                    Event::Closed(closed) => panic!("{closed:?}"),
                    _ => {}
                },
            }
        }
    });
    let reason = reason.await.expect("it is let go");
    assert!(heard + 100 >= spoken, "{heard} of {spoken} were heard");
    assert!(held <= 512.0 * 1024.0, "{held} bytes were held");
    println!("{name}: {reason:?} after {spoken} packets, {held} bytes held");
    reason
}

async fn room(world: &World) -> Client {
    let alice = world.join("room", "Alice").await;
    alice.announce(&camera(1)).await.unwrap();
    alice.announce(&microphone(2)).await.unwrap();
    alice
}

#[tokio::test(flavor = "multi_thread")]
async fn who_neither_reads_nor_sends_is_let_go() {
    let world = World::start().await;
    let mut alice = room(&world).await;
    let _mute = Raw::join(&world, "Mute", &[]).await;
    until_joined(&mut alice, "Mute").await;
    let reason = call_goes_on_until_gone(&world, &mut alice, "Mute").await;
    assert_eq!(reason, LeaveReason::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_and_never_reads_is_let_go() {
    let world = World::start().await;
    let mut alice = room(&world).await;
    let mut deaf = Raw::join(&world, "Deaf", &[]).await;
    until_joined(&mut alice, "Deaf").await;
    let pings = tokio::spawn(async move {
        let ping = encode(ParticipantId::ZERO, &Ping { t: 1.into() });
        let mut tick = interval(Duration::from_secs(1));
        // The zero id is a foreign sender: an error each second, which is forgiven each second.
        while deaf.send(&ping).await {
            tick.tick().await;
        }
    });
    call_goes_on_until_gone(&world, &mut alice, "Deaf").await;
    pings.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_byte_a_second_is_let_go() {
    let world = World::start().await;
    let mut alice = room(&world).await;
    let mut slow = Raw::join(&world, "Slow", &[]).await;
    until_joined(&mut alice, "Slow").await;
    let reading = tokio::spawn(async move {
        let ping = encode(ParticipantId::ZERO, &Ping { t: 1.into() });
        let mut tick = interval(Duration::from_secs(1));
        while slow.send(&ping).await && slow.stream.read_u8().await.is_ok() {
            tick.tick().await;
        }
    });
    call_goes_on_until_gone(&world, &mut alice, "Slow").await;
    reading.abort();
}

/// Reads 24 KB a second, of which the voice is a third; the picture would be 240. It is paused, the person is told
/// why, nothing that cannot be decoded comes, and once everything is read it is there again.
#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_does_not_fit_is_paused_and_comes_back() {
    let world = World::start().await;
    let mut alice = room(&world).await;
    let mut narrow = Raw::join(&world, "Narrow", &[FEATURE_CONSTRAINED]).await;
    until_joined(&mut alice, "Narrow").await;
    let (mut talk, mut look) = (
        interval(Duration::from_millis(20)),
        interval(Duration::from_millis(25)),
    );
    let (mut spoken, mut sequence, mut heard) = (0, 0, 0);
    let mut whole = std::collections::HashSet::new();
    let mut lists = Vec::new();
    let mut at_most = 600;
    let there_again = timeout(SOON * 4, async {
        loop {
            tokio::select! {
                _ = talk.tick() => {
                    publish(&alice, header(2, spoken, 0), 120).await;
                    spoken += 1;
                    if spoken % 2 == 0 {
                        let reference = u8::from(sequence % 120 != 0);
                        publish(&alice, header(1, sequence, reference), 8_000).await;
                        sequence += 1;
                    }
                }
                event = alice.next() => if matches!(event, Event::KeyframeRequest(_)) {
                    sequence = u32::next_multiple_of(sequence, 120);
                },
                _ = look.tick() => {}
            }
            if spoken % 50 == 0 {
                let ping = Ping { t: 1.into() };
                narrow.send(&encode(ParticipantId::ZERO, &ping)).await;
            }
            let Ok(frames) = timeout(Duration::from_millis(1), narrow.read(at_most)).await else {
                continue;
            };
            for frame in frames {
                if frame.kind() == FrameType::Constrained {
                    let told = Constrained::parse(frame.payload()).unwrap();
                    if told.tracks.iter().any(|entry| entry.paused) {
                        at_most = 1 << 20;
                    }
                    lists.push(told);
                } else if frame.kind() == FrameType::Media {
                    let header = MediaHeader::parse(&frame).unwrap();
                    heard += u32::from(header.track == 2);
                    if header.track == 1 && header.last {
                        let needs = header.sequence.wrapping_sub(u32::from(header.reference));
                        assert!(header.keyframe() || whole.contains(&needs), "{header:?}");
                        whole.insert(header.sequence);
                        if at_most > 600
                            && lists.last().is_some_and(|told| told.tracks.is_empty())
                            && header.sequence + 10 > sequence
                        {
                            return;
                        }
                    }
                }
            }
        }
    });
    there_again.await.expect("it comes back");
    println!("{lists:?}, {heard} of {spoken} were heard");
    let paused = lists
        .iter()
        .flat_map(|told| &told.tracks)
        .find(|entry| entry.paused);
    assert_eq!(paused.map(|entry| entry.track), Some(1));
    assert!(heard * 10 >= spoken * 8, "{heard} of {spoken} were heard");
    let dropped = world
        .metric("pulse_dropped_total{queue=\"video\",cause=\"paused\"}")
        .await;
    assert!(dropped > 0.0, "what was not sent is counted");
}

/// 100 times what a voice and a picture are: the budget takes what fits it, and the room goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_at_a_hundred_times_its_rate_is_cut() {
    let world = World::start().await;
    let alice = room(&world).await;
    let mut bob = world.join("room", "Bob").await;
    let eve = world.join("room", "Eve").await;
    eve.announce(&camera(1)).await.unwrap();
    // As fast as the edge reads them: it takes 4 MB and 3 MB a second.
    let flood = tokio::spawn(async move {
        for sequence in 0.. {
            let reference = u8::from(sequence > 0);
            for frame in common::frames(eve.id(), header(1, sequence, reference), 80_000) {
                if eve.connection().send(&frame).await.is_err() {
                    return;
                }
            }
        }
    });
    let mut tick = interval(Duration::from_millis(20));
    let (mut spoken, mut cut) = (0, 0.0);
    while cut == 0.0 && spoken < 1_000 {
        tick.tick().await;
        publish(&alice, header(2, spoken, 0), 120).await;
        spoken += 1;
        if spoken % 50 == 0 {
            let refused = "pulse_errors_total{error=\"rate_limited\"}";
            cut = world.metric(refused).await;
        }
    }
    flood.abort();
    assert!(
        cut > 0.0,
        "what is beyond its budget is refused and counted"
    );
    publish(&alice, header(2, spoken, 0), 120).await;
    spoken += 1;
    let mut heard = 0;
    until(&mut bob, |event| {
        if let Event::Media { header, .. } = event
            && header.track == 2
        {
            heard += 1;
            return (header.sequence + 1 == spoken).then_some(());
        }
        None
    })
    .await;
    assert!(heard * 10 >= spoken * 9, "{heard} of {spoken} were heard");
}

async fn until_joined(alice: &mut Client, name: &str) {
    until(alice, |event| match event {
        Event::Roster(change) => change
            .joined
            .iter()
            .any(|other| other.name.as_str() == name)
            .then_some(()),
        _ => None,
    })
    .await;
}
