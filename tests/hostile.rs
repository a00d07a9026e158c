//! Bad input harms its sender alone: every malformed message ends in a numbered close or a counted
//! drop, and the room goes on.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{World, camera, end_of, header, microphone, publish, sequences, settle, until};
use pulse_client::{Address, Client, Connection, Event, JoinOptions, SocketOptions};
use pulse_proto::{
    ErrorCode, Frame, FrameType, ParticipantId, SUBPROTOCOL,
    control::{Hello, Join, encode},
};
use serde_json::Value;

async fn socket(world: &World, path: &str) -> Connection {
    let address = Address::parse(&world.url()).unwrap();
    let protocol = (path == "/v2").then_some(SUBPROTOCOL);
    Connection::open(&address, path, protocol, &SocketOptions::default())
        .await
        .unwrap()
}

fn join(room: &str, name: &str) -> Frame {
    let hello = Hello {
        version: 2,
        features: vec![],
        agent: "test".to_owned(),
    };
    let join = Join {
        hello,
        room: room.to_owned(),
        name: name.to_owned(),
        resume: None,
    };
    encode(ParticipantId::ZERO, &join)
}

/// A room with two people in it, whose call must go on.
struct Call {
    alice: Client,
    bob: Client,
    sequence: u32,
}

impl Call {
    async fn start(world: &World) -> Self {
        let alice = world.join("room", "Alice").await;
        let bob = world.join("room", "Bob").await;
        alice.announce(&camera(1)).await.unwrap();
        Self {
            alice,
            bob,
            sequence: 0,
        }
    }

    async fn goes_on(&mut self) {
        publish(&self.alice, header(1, self.sequence, 0), 500).await;
        assert_eq!(
            sequences(&mut self.bob, self.alice.id(), 1).await,
            [self.sequence]
        );
        self.sequence += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_instead_of_a_join_has_its_code() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let zero = ParticipantId::ZERO;
    let raw = |json: &str| Frame::new(zero, FrameType::Join, json.as_bytes());
    let with = |hello: &str| {
        raw(&format!(
            r#"{{"hello":{hello},"room":"room","name":"Eve"}}"#
        ))
    };
    for (first, code) in [
        (Bytes::from_static(b"short"), ErrorCode::FrameTooShort),
        (
            Frame::new(zero, FrameType::Leave, b"{}").bytes().clone(),
            ErrorCode::JoinFirst,
        ),
        (join("no room", "Eve").bytes().clone(), ErrorCode::BadRoom),
        (
            join(&"r".repeat(65), "Eve").bytes().clone(),
            ErrorCode::BadRoom,
        ),
        (join("", "Eve").bytes().clone(), ErrorCode::BadRoom),
        (join("room", "").bytes().clone(), ErrorCode::BadName),
        (
            join("room", &"n".repeat(65)).bytes().clone(),
            ErrorCode::BadName,
        ),
        (raw("{").bytes().clone(), ErrorCode::BadJson),
        (raw("[]").bytes().clone(), ErrorCode::BadJson),
        (
            Frame::new(zero, FrameType::Join, b"\xff\xfe{}")
                .bytes()
                .clone(),
            ErrorCode::BadJson,
        ),
        (
            with(r#"{"version":9,"features":[],"agent":"x"}"#)
                .bytes()
                .clone(),
            ErrorCode::BadVersion,
        ),
        (
            with(r#"{"version":2,"version":2,"features":[],"agent":"x"}"#)
                .bytes()
                .clone(),
            ErrorCode::BadJson,
        ),
    ] {
        let mut eve = socket(&world, "/v2").await;
        eve.send_bytes(first).await.unwrap();
        let (closed, messages) = end_of(&mut eve).await;
        assert_eq!(closed, Some(code.number()), "{code}");
        let told = Frame::parse(messages.last().expect("an ERROR before the close").clone());
        let told: Value = serde_json::from_slice(told.unwrap().payload()).unwrap();
        assert_eq!(
            (&told["name"], &told["ends"]),
            (&code.name().into(), &true.into())
        );
        assert_eq!(told["message"], code.sentence());
        let counter = format!("pulse_errors_total{{error=\"{}\"}}", code.name());
        assert!(world.metric(&counter).await >= 1.0, "{counter}");
    }
    let mut eve = socket(&world, "/v2").await;
    eve.send_text("hello?").await.unwrap();
    assert_eq!(
        end_of(&mut eve).await.0,
        Some(ErrorCode::TextMessage.number())
    );
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_after_connecting_ends_after_three_seconds() {
    let world = World::start().await;
    let started = tokio::time::Instant::now();
    let (mut v2, mut v1) = (
        socket(&world, "/v2").await,
        socket(&world, "/room/room?key=host").await,
    );
    let code = Some(ErrorCode::JoinTimeout.number());
    assert_eq!(end_of(&mut v2).await.0, code);
    assert_eq!(end_of(&mut v1).await.0, code);
    assert!(started.elapsed() >= Duration::from_millis(2_900));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_a_member_is_told_counted_and_survived() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let mut eve = world.join("room", "Eve").await;
    eve.announce(&camera(1)).await.unwrap();
    let me = eve.id();
    let media = |payload: &[u8]| Frame::new(me, FrameType::Media, payload).bytes().clone();
    let control = |kind, json: &str| Frame::new(me, kind, json.as_bytes()).bytes().clone();
    let valid = |sequence| {
        common::frames(me, header(1, sequence, 0), 100)[0]
            .bytes()
            .clone()
    };
    let mut lying = common::frames(me, header(1, 50, 0), 2_000);
    lying.remove(1);
    let mut spoofed = valid(3).to_vec();
    spoofed[..36].copy_from_slice(call.alice.id().as_bytes());
    let second_camera = r#"{"track":5,"source":"camera","version":0,"muted":false,
        "config":{"codec":"vp8","codedWidth":64,"codedHeight":64}}"#;
    let absurd = r#"{"track":2,"source":"screen","version":0,"muted":false,
        "config":{"codec":"vp8","codedWidth":100000,"codedHeight":64}}"#;
    let long_chat = format!(r#"{{"nonce":"1","text":"{}"}}"#, "a".repeat(16_384));
    for (what, code) in [
        (vec![Bytes::from_static(&[0; 36])], ErrorCode::FrameTooShort),
        (
            vec![Bytes::from([&me.as_bytes()[..], &[99]].concat())],
            ErrorCode::UnknownType,
        ),
        (vec![spoofed.into()], ErrorCode::ForeignSender),
        (vec![media(&[0; 964])], ErrorCode::FrameTooLarge),
        (vec![media(&[0; 19])], ErrorCode::BadMediaHeader),
        (
            lying.iter().map(|f| f.bytes().clone()).collect(),
            ErrorCode::BadChunk,
        ),
        (
            vec![common::frames(me, header(9, 0, 0), 10)[0].bytes().clone()],
            ErrorCode::UnknownTrack,
        ),
        (
            vec![control(FrameType::Chat, &long_chat)],
            ErrorCode::ChatTooLong,
        ),
        (
            vec![control(FrameType::Chat, r#"{"nonce":"1","image":"gone"}"#)],
            ErrorCode::NoSuchImage,
        ),
        (
            vec![control(FrameType::TrackConfig, absurd)],
            ErrorCode::BadConfig,
        ),
        (
            vec![control(FrameType::TrackConfig, second_camera)],
            ErrorCode::TooManyTracks,
        ),
        (vec![control(FrameType::Ping, "{}")], ErrorCode::BadJson),
        (
            vec![join("room", "Eve").bytes().clone()],
            ErrorCode::ForeignSender,
        ),
        (
            vec![Frame::new(me, FrameType::Join, b"{}").bytes().clone()],
            ErrorCode::AlreadyJoined,
        ),
        (
            vec![control(FrameType::Welcome, "{}")],
            ErrorCode::WrongDirection,
        ),
        (
            vec![
                Frame::new(me, FrameType::Audio, &[0; 65_537])
                    .bytes()
                    .clone(),
            ],
            ErrorCode::AudioTooLarge,
        ),
        (
            vec![
                Frame::new(me, FrameType::ScreenShareStart, b"text/html")
                    .bytes()
                    .clone(),
            ],
            ErrorCode::BadMime,
        ),
    ] {
        for bytes in what {
            eve.send_bytes(bytes).await.unwrap();
        }
        let told = until(&mut eve, |event| match event {
            Event::Error(error) => Some(error),
            _ => None,
        })
        .await;
        assert_eq!(
            (told.code, told.ends),
            (code.number(), false),
            "{}",
            told.name
        );
        assert_eq!(told.message, code.sentence());
    }
    // Her valid frames still arrive, nothing else of hers did.
    eve.send_bytes(valid(60)).await.unwrap();
    let from_eve = sequences(&mut call.bob, me, 1).await;
    assert!(from_eve == [50] || from_eve == [60], "{from_eve:?}");
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_errors_end_the_connection_and_only_that() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let mut eve = world.join("room", "Eve").await;
    for _ in 0..40 {
        // Once it is closed nothing more can be sent.
        let _ = eve.send_bytes(Bytes::from_static(b"?")).await;
    }
    let closed = until(&mut eve, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await;
    assert_eq!(closed.error(), Some(ErrorCode::TooManyErrors));
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_all_limits_ends_the_connection() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let mut eve = world.join("room", "Eve").await;
    let huge = Frame::new(
        eve.id(),
        FrameType::ScreenShare,
        &vec![0; 2 * 1024 * 1024 + 1],
    );
    eve.send_bytes(huge.bytes().clone()).await.unwrap();
    let closed = until(&mut eve, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await;
    assert_eq!(closed.error(), Some(ErrorCode::MessageTooLarge));
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_refuses() {
    let config = edge_node::Config {
        max_participants: 3,
        ..edge_node::Config::on_free_ports()
    };
    let world = World::with(config).await;
    let _call = Call::start(&world).await;
    let _third = world.join("room", "Carol").await;
    let refused = Client::connect(&world.url(), &JoinOptions::new("room", "Dave")).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::RoomFull));
    world.join("other", "Dave").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_and_says_so() {
    let config = edge_node::Config {
        max_connections: 2,
        ..edge_node::Config::on_free_ports()
    };
    let world = World::with(config).await;
    let mut call = Call::start(&world).await;
    let refused = Client::connect(&world.url(), &JoinOptions::new("room", "Carol")).await;
    assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::ServerFull));
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_cut_to_its_rate() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let eve = world.join("room", "Eve").await;
    eve.announce(&microphone(2)).await.unwrap();
    let frames: Vec<Frame> = (0..20_000)
        .flat_map(|s| common::frames(eve.id(), header(2, s, 0), 900))
        .collect();
    for frame in &frames {
        if eve.connection().send(frame).await.is_err() {
            break;
        }
    }
    call.goes_on().await;
    assert!(
        world
            .metric("pulse_errors_total{error=\"rate_limited\"}")
            .await
            > 0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_control_is_let_go() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let socket = SocketOptions {
        receive_buffer_bytes: Some(4 * 1024),
        ..Default::default()
    };
    let slow = world
        .join_as(&JoinOptions {
            socket,
            ..JoinOptions::new("room", "Slow")
        })
        .await;
    slow.pause_reading();
    let mut witness = world.join("room", "Witness").await;
    let text = "a".repeat(15_000);
    let gone = tokio::time::timeout(common::SOON * 4, async {
        for number in 0.. {
            alice.chat(&number.to_string(), &text).await.unwrap();
            let mut gone = false;
            until(&mut witness, |event| match event {
                Event::Chat { chat, .. } => (chat.nonce == number.to_string()).then_some(()),
                Event::Roster(change) => {
                    gone |= change.left.iter().any(|left| left.id == slow.id());
                    None
                }
                Event::Error(_) => Some(()),
                _ => None,
            })
            .await;
            if gone {
                return;
            }
            // As fast as the edge lets one client speak.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    gone.await.expect("it is let go");
    assert!(world.metric("pulse_closed_total{error=\"too_slow\"}").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_malformed_vector_is_refused_before_a_join() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    for vector in malformed() {
        let mut eve = socket(&world, "/v2").await;
        eve.send_bytes(bytes_of(&vector)).await.unwrap();
        let (code, _) = end_of(&mut eve).await;
        let code = code.and_then(ErrorCode::from_number);
        let code = code.unwrap_or_else(|| panic!("{}: no numbered close", vector["name"]));
        let counter = format!("pulse_closed_total{{error=\"{}\"}}", code.name());
        assert!(
            world.metric(&counter).await >= 1.0,
            "{}: {code}",
            vector["name"]
        );
    }
    call.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_malformed_vector_of_a_member_has_its_exact_error() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    for vector in malformed() {
        let mut bytes = bytes_of(&vector).to_vec();
        let expected = vector["error"].as_str().unwrap();
        // The sender's own id, but where the id itself is what is wrong. A join, and v1's join and
        // chat (types 4 and 8), are not a v2 member's to send.
        let member = bytes.get(..36) == Some(VECTOR_ID);
        if !member || bytes.get(36).is_some_and(|kind| matches!(kind, 4 | 8 | 16)) {
            continue;
        }
        let mut eve = world.join("room", "Eve").await;
        bytes[..36].copy_from_slice(eve.id().as_bytes());
        eve.send_bytes(bytes).await.unwrap();
        let name = until(&mut eve, |event| match event {
            Event::Error(error) => Some(error.name),
            _ => None,
        })
        .await;
        assert_eq!(name, expected, "{}", vector["name"]);
        eve.leave().await;
    }
    call.goes_on().await;
}

/// The sender of the vectors.
const VECTOR_ID: &[u8] = b"0b51d01a-4d7e-4f3a-9a25-4a1a8b3fd0c1";

/// What a client may send and an edge must refuse.
fn malformed() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("../proto/vectors.json")).unwrap();
    let all = vectors["malformed"].as_array().unwrap().iter();
    let ours: Vec<Value> = all
        .filter(|vector| {
            vector["from"] != "edge" && vector["from"] != "server" && vector["side"] != "client"
        })
        .cloned()
        .collect();
    assert!(ours.len() > 100);
    ours
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_mutations_of_valid_messages_harm_nobody_else() {
    let world = World::start().await;
    let mut call = Call::start(&world).await;
    let seed = 0x5eed_u64;
    let mut random = Random(seed);
    let vectors: Value = serde_json::from_str(include_str!("../proto/vectors.json")).unwrap();
    let seeds: Vec<Vec<u8>> = ["frames", "media"]
        .iter()
        .flat_map(|kind| vectors[*kind].as_array().unwrap())
        .chain(vectors["malformed"].as_array().unwrap())
        .map(|vector| bytes_of(vector).to_vec())
        .filter(|bytes| bytes.len() < 5_000)
        .collect();
    let mut eve = None;
    let mut sent = 0;
    while sent < 10_000 {
        let client = match eve.take() {
            Some(client) => client,
            None => world.join("room", "Eve").await,
        };
        let mut bytes = seeds[random.below(seeds.len())].clone();
        if random.below(4) != 0 && bytes.len() >= 36 {
            bytes[..36].copy_from_slice(client.id().as_bytes());
        }
        for _ in 0..random.below(4) {
            if bytes.is_empty() {
                break;
            }
            match random.below(3) {
                0 => {
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
                1 => bytes.truncate(random.below(bytes.len() + 1)),
                _ => bytes.push(random.below(256) as u8),
            }
        }
        sent += 1;
        if client.send_bytes(bytes).await.is_ok() {
            eve = Some(client);
        }
        if sent % 1_000 == 0 {
            call.goes_on().await;
        }
    }
    call.goes_on().await;
    settle(&mut call.alice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_that_makes_no_sense_is_answered() {
    let world = World::start().await;
    let at = world.edge.client_addr();
    for (request, status) in [
        (
            &b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"[..],
            "426",
        ),
        (
            b"GET /room/a%20b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "404",
        ),
        (
            b"DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "405",
        ),
        (b"\0\0\0\r\n\r\n", "400"),
        (
            b"GET /../Cargo.toml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "404",
        ),
    ] {
        let answer = common::http(at, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    let address = Address::parse(&world.url()).unwrap();
    let options = SocketOptions::default();
    assert!(
        Connection::open(&address, "/v2", None, &options)
            .await
            .is_err()
    );
    assert!(
        Connection::open(&address, "/room/a", Some(SUBPROTOCOL), &options)
            .await
            .is_err()
    );
}

/// The bytes of a vector: its hex, and what is repeated behind it.
fn bytes_of(vector: &Value) -> Bytes {
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
            .collect()
    };
    let mut bytes = hex(vector["hex"].as_str().unwrap());
    if let Some(repeat) = vector.get("repeat") {
        let unit = hex(repeat["byte"].as_str().unwrap());
        let times = repeat["times"].as_u64().unwrap() as usize;
        bytes.extend(unit.repeat(times));
        if let Some(end) = repeat.get("then").and_then(Value::as_str) {
            bytes.extend(hex(end));
        }
    }
    bytes.into()
}

/// xorshift64*: the same bytes from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}
