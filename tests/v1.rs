//! The original client is served unmodified, and what its first server got wrong is not.

mod common;

use bytes::Bytes;
use common::{World, end_of, png, until_v1};
use pulse_client::{Address, Connection, SocketOptions, V1Client, V1Event};
use pulse_proto::{ErrorCode, Frame, FrameType, ParticipantId, v1};

/// A WebM head as browsers write it, then clusters of unknown length.
const INIT: &[u8] = b"\x1a\x45\xdf\xa3 header and tracks";
const CLUSTER: &[u8] = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xe7\x81\x05";

fn share(event: V1Event) -> Option<Bytes> {
    match event {
        V1Event::Share { chunk, .. } => Some(chunk),
        _ => None,
    }
}

async fn socket(world: &World, path: &str) -> Connection {
    let address = Address::parse(&world.url()).unwrap();
    Connection::open(&address, path, None, &SocketOptions::default())
        .await
        .unwrap()
}

fn id(number: u8) -> ParticipantId {
    ParticipantId::from_random([number; 16])
}

fn join(id: ParticipantId, name: &str) -> Bytes {
    Frame::new(id, FrameType::JoinRequest, name.as_bytes())
        .bytes()
        .clone()
}

async fn listed(client: &mut V1Client, count: usize) -> Vec<String> {
    until_v1(client, |event| match event {
        V1Event::Users(users) if users.len() == count => {
            Some(users.into_iter().map(|(_, name)| name).collect())
        }
        _ => None,
    })
    .await
}

/// Everything up to a text that the same member sends behind it.
async fn everything_from(sender: &V1Client, receiver: &mut V1Client) -> Vec<V1Event> {
    sender.text(1.0, "that was all").await.unwrap();
    let mut events = Vec::new();
    until_v1(receiver, |event| {
        let last = matches!(&event, V1Event::Text { text, .. } if text == "that was all");
        events.push(event);
        last.then_some(())
    })
    .await;
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_needs_a_host_and_lives_while_somebody_is_in_it() {
    let world = World::start().await;
    let mut guest = socket(&world, "/room/room").await;
    guest.send_bytes(join(id(1), "Guest")).await.unwrap();
    let (code, messages) = end_of(&mut guest).await;
    assert_eq!(
        (code, messages.len()),
        (Some(4004), 0),
        "4004 and no message of a later wire"
    );

    let mut host = V1Client::connect(&world.url(), "room", Some("secret"), "Host")
        .await
        .unwrap();
    // Its room is there once it is listed.
    assert_eq!(listed(&mut host, 1).await, ["Host"]);
    let mut guest = V1Client::connect(&world.url(), "room", None, "Guest")
        .await
        .unwrap();
    assert_eq!(listed(&mut guest, 2).await, ["Host", "Guest"]);
    host.close().await;
    assert_eq!(listed(&mut guest, 1).await, ["Guest"]);
    let mut third = V1Client::connect(&world.url(), "room", None, "Third")
        .await
        .unwrap();
    assert_eq!(listed(&mut third, 2).await, ["Guest", "Third"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_relayed_to_the_others_as_it_is() {
    let world = World::start().await;
    let mut host = world.join_v1("room", "Host").await;
    let mut guest = world.join_v1("room", "Guest").await;
    listed(&mut host, 2).await;
    listed(&mut guest, 2).await;
    host.send(FrameType::Audio, &[1, 2, 3, 4]).await.unwrap();
    host.text(1_234.5, "hello").await.unwrap();
    host.image(9.0, &png(100)).await.unwrap();
    host.send(FrameType::ScreenShareStart, b"video/webm;codecs=vp8")
        .await
        .unwrap();
    let first = [INIT, CLUSTER, b"one"].concat();
    host.send(FrameType::ScreenShare, &first).await.unwrap();
    host.send(FrameType::ScreenShareStop, &[]).await.unwrap();
    // Chat waits for its number, and voice overtakes a share; each kind keeps its order.
    let (mut got, mut ends) = (Vec::new(), 0);
    until_v1(&mut guest, |event| {
        ends += usize::from(matches!(
            event,
            V1Event::ShareStop { .. } | V1Event::Image { .. }
        ));
        got.push(event);
        (ends == 2).then_some(())
    })
    .await;
    let has = |wanted: &dyn Fn(&V1Event) -> bool| got.iter().any(wanted);
    let sender_is_host = |sender: &ParticipantId| *sender == host.id();
    assert!(has(
        &|e| matches!(e, V1Event::Audio { sender, .. } if sender_is_host(sender))
    ));
    assert!(has(
        &|e| matches!(e, V1Event::Text { at_ms: 1_234.5, text, .. } if text == "hello")
    ));
    assert!(has(
        &|e| matches!(e, V1Event::Image { image, .. } if image[..] == png(100))
    ));
    assert!(has(&|e| matches!(e, V1Event::ShareStart { .. })));
    let echoed = everything_from(&guest, &mut host).await;
    assert!(
        echoed
            .iter()
            .all(|e| !matches!(e, V1Event::Audio { .. } | V1Event::Share { .. })),
        "never back to its sender: {echoed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_viewer_gets_start_init_and_whole_clusters() {
    let world = World::start().await;
    let host = world.join_v1("room", "Host").await;
    let mut early = world.join_v1("room", "Early").await;
    listed(&mut early, 2).await;
    let mime = b"video/webm;codecs=vp9";
    host.send(FrameType::ScreenShareStart, mime).await.unwrap();
    host.send(FrameType::ScreenShare, &[INIT, CLUSTER, b"one"].concat())
        .await
        .unwrap();
    host.send(FrameType::ScreenShare, b"still one")
        .await
        .unwrap();
    until_v1(&mut early, share).await;
    assert_eq!(until_v1(&mut early, share).await, &b"still one"[..]);

    let mut late = world.join_v1("room", "Late").await;
    let mut shown = Vec::new();
    until_v1(&mut late, |event| {
        match event {
            V1Event::ShareStart { mime: m, .. } => shown.push(m.into_bytes()),
            V1Event::Share { chunk: bytes, .. } => shown.push(bytes.to_vec()),
            _ => {}
        }
        (shown.len() == 2).then_some(())
    })
    .await;
    assert_eq!(shown, [&mime[..], INIT]);

    host.send(FrameType::ScreenShare, b"one goes on")
        .await
        .unwrap();
    let second = [b"end of one", CLUSTER, b"two"].concat();
    host.send(FrameType::ScreenShare, &second).await.unwrap();
    host.send(FrameType::ScreenShare, b"two goes on")
        .await
        .unwrap();
    assert_eq!(until_v1(&mut late, share).await, [CLUSTER, b"two"].concat());
    assert_eq!(until_v1(&mut late, share).await, &b"two goes on"[..]);
    assert_eq!(until_v1(&mut early, share).await, &b"one goes on"[..]);
    assert_eq!(until_v1(&mut early, share).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_share_a_room_which_ends_with_its_owner() {
    let world = World::start().await;
    let first = world.join_v1("room", "First").await;
    let second = world.join_v1("room", "Second").await;
    let mut viewer = world.join_v1("room", "Viewer").await;
    listed(&mut viewer, 3).await;
    first
        .send(FrameType::ScreenShareStart, b"video/webm")
        .await
        .unwrap();
    let start = until_v1(&mut viewer, |event| match event {
        V1Event::ShareStart { sender, .. } => Some(sender),
        _ => None,
    })
    .await;
    assert_eq!(start, first.id());
    second
        .send(FrameType::ScreenShareStart, b"video/webm")
        .await
        .unwrap();
    let mut seen = Vec::new();
    until_v1(&mut viewer, |event| {
        match event {
            V1Event::ShareStop { sender } => seen.push(("stop", sender)),
            V1Event::ShareStart { sender, .. } => seen.push(("start", sender)),
            _ => {}
        }
        (seen.len() == 2).then_some(())
    })
    .await;
    assert_eq!(seen, [("stop", first.id()), ("start", second.id())]);
    first.send(FrameType::ScreenShare, b"stale").await.unwrap();
    let got = everything_from(&first, &mut viewer).await;
    assert!(
        got.iter()
            .all(|event| !matches!(event, V1Event::Share { .. }))
    );

    let gone = second.id();
    drop(second);
    let stopped = until_v1(&mut viewer, |event| match event {
        V1Event::ShareStop { sender } => Some(sender),
        _ => None,
    })
    .await;
    assert_eq!(stopped, gone);
    let mut late = world.join_v1("room", "Late").await;
    listed(&mut late, 3).await;
    let got = everything_from(&first, &mut late).await;
    assert!(
        got.iter()
            .all(|event| !matches!(event, V1Event::ShareStart { .. })),
        "{got:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_ids_are_checked_at_the_door() {
    let world = World::start().await;
    let mut host = world.join_v1("room", "Host").await;
    // Until it is in, its id is free.
    listed(&mut host, 1).await;
    let not_a_uuid = [&[b'x'; 36][..], &[4], b"Eve"].concat();
    for (first, code) in [
        (join(host.id(), "Copy"), ErrorCode::IdTaken),
        (join(ParticipantId::ZERO, "Nobody"), ErrorCode::BadId),
        (not_a_uuid.into(), ErrorCode::BadId),
        (join(id(2), ""), ErrorCode::BadName),
        (join(id(2), &"n".repeat(65)), ErrorCode::BadName),
        (
            Frame::new(id(2), FrameType::JoinRequest, b"\xff\xfe")
                .bytes()
                .clone(),
            ErrorCode::BadName,
        ),
        (
            Frame::new(id(2), FrameType::Audio, &[0; 8]).bytes().clone(),
            ErrorCode::JoinFirst,
        ),
        (Bytes::from_static(&[0; 36]), ErrorCode::FrameTooShort),
    ] {
        let mut eve = socket(&world, "/room/room?key=host").await;
        eve.send_bytes(first).await.unwrap();
        assert_eq!(end_of(&mut eve).await.0, Some(code.number()), "{code}");
    }
    // 64 characters of four bytes each: 256 bytes do not corrupt the list.
    let long = V1Client::connect(&world.url(), "room", None, &"🎮".repeat(64))
        .await
        .unwrap();
    assert_eq!(listed(&mut host, 2).await[1], "🎮".repeat(63));
    drop(long);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_are_dropped_counted_and_unanswered() {
    let world = World::start().await;
    let mut host = world.join_v1("room", "Host").await;
    let eve = world.join_v1("room", "Eve").await;
    listed(&mut host, 2).await;
    let me = eve.id();
    let frame = |kind, payload: &[u8]| Frame::new(me, kind, payload).bytes().clone();
    let text = "a".repeat(16_385);
    let mut image = png(1_048_577);
    for (bytes, name) in [
        (Bytes::from_static(&[1; 36]), "frame_too_short"),
        (
            Frame::new(host.id(), FrameType::Audio, &[0; 8])
                .bytes()
                .clone(),
            "foreign_sender",
        ),
        (frame(FrameType::JoinRequest, b"again"), "already_joined"),
        (frame(FrameType::UserListUpdate, &[0]), "wrong_direction"),
        (frame(FrameType::Media, &[0; 40]), "unknown_type"),
        (frame(FrameType::Audio, &[0; 65_537]), "audio_too_large"),
        (frame(FrameType::ScreenShareStart, b"text/html"), "bad_mime"),
        (
            frame(FrameType::ChatV1, &v1::chat(0.0, v1::ChatBody::Text(&text))),
            "chat_too_long",
        ),
        (
            frame(
                FrameType::ChatV1,
                &v1::chat(0.0, v1::ChatBody::Image(&image)),
            ),
            "image_too_large",
        ),
        (
            frame(
                FrameType::ChatV1,
                &v1::chat(0.0, v1::ChatBody::Image(b"<svg>")),
            ),
            "not_an_image",
        ),
        (frame(FrameType::ChatV1, &[7; 20]), "bad_json"),
    ] {
        let counter = format!("pulse_errors_total{{error=\"{name}\"}}");
        let before = world.metric(&counter).await;
        eve.connection().send_bytes(bytes).await.unwrap();
        let got = everything_from(&eve, &mut host).await;
        let only_the_text = got
            .iter()
            .filter(|e| !matches!(e, V1Event::Users(_)))
            .count();
        assert_eq!(only_the_text, 1, "{name}: {got:?}");
        assert!(world.metric(&counter).await > before, "{name} is counted");
    }
    image.truncate(0);
    let mut eve = eve;
    let answered = everything_from(&host, &mut eve).await;
    assert!(
        answered
            .iter()
            .all(|event| !matches!(event, V1Event::Foreign(_))),
        "{answered:?}"
    );
}
