//! Both wires in one room: each member sees, hears and reads the others in its own words, and a v1
//! member never gets a type it does not know.

mod common;

use common::{World, camera, header, http, png, publish, settle, until, until_v1};
use pulse_client::{Event, JoinOptions, V1Event};
use pulse_proto::{
    FrameType,
    control::{FEATURE_V1_BRIDGE, LeaveReason, Protocol},
};

fn bridging(name: &str) -> JoinOptions {
    JoinOptions::new("room", name).feature(FEATURE_V1_BRIDGE)
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_goes_both_ways() {
    let world = World::start().await;
    let mut new = world.join("room", "New").await;
    let mut old = world.join_v1("room", "Old").await;
    let joined = until(&mut new, |event| match event {
        Event::Roster(change) => change.joined.into_iter().next(),
        _ => None,
    })
    .await;
    assert_eq!((joined.id, joined.protocol), (old.id(), Protocol::V1));
    assert_eq!(joined.name.as_str(), "Old");
    let users = until_v1(&mut old, |event| match event {
        V1Event::Users(users) => Some(users),
        _ => None,
    })
    .await;
    assert_eq!(
        users,
        [(new.id(), "New".to_owned()), (old.id(), "Old".to_owned())]
    );
    let late = world.join("room", "Late").await;
    let protocols: Vec<Protocol> = late
        .welcome()
        .roster
        .participants
        .iter()
        .map(|p| p.protocol)
        .collect();
    assert_eq!(protocols, [Protocol::V2, Protocol::V1]);
    let id = old.id();
    drop(old);
    let left = until(&mut new, |event| match event {
        Event::Roster(change) => change.left.first().copied(),
        _ => None,
    })
    .await;
    assert_eq!((left.id, left.reason), (id, LeaveReason::Lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_and_images_go_both_ways() {
    let world = World::start().await;
    let mut new = world.join("room", "New").await;
    let mut old = world.join_v1("room", "Old").await;
    until_v1(&mut old, |event| {
        matches!(event, V1Event::Users(_)).then_some(())
    })
    .await;
    new.chat("n", "from the new").await.unwrap();
    let text = until_v1(&mut old, |event| match event {
        V1Event::Text { sender, text, .. } => Some((sender, text)),
        _ => None,
    })
    .await;
    assert_eq!(text, (new.id(), "from the new".to_owned()));
    old.text(5.0, "from the old").await.unwrap();
    let chat = until(&mut new, |event| match event {
        Event::Chat { sender, chat } if sender == old.id() => Some(chat),
        _ => None,
    })
    .await;
    assert_eq!(chat.text.as_deref(), Some("from the old"));

    old.image(6.0, &png(300)).await.unwrap();
    let image = until(&mut new, |event| match event {
        Event::Chat { chat, .. } => chat.image,
        _ => None,
    })
    .await;
    let at = world.edge.client_addr();
    let token = &new.welcome().uploads;
    let fetch = format!(
        "GET /v2/images/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        image.reference
    );
    assert!(
        http(at, fetch.as_bytes())
            .await
            .contains("content-length: 300")
    );

    let body = png(500);
    let head = format!(
        "POST /v2/images HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 500\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let answer = http(at, &[head.as_bytes(), &body].concat()).await;
    let reference = answer
        .split("\"ref\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    new.chat_image("i", reference).await.unwrap();
    let inline = until_v1(&mut old, |event| match event {
        V1Event::Image { image: bytes, .. } => Some(bytes),
        _ => None,
    })
    .await;
    assert_eq!(inline, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_media_reaches_those_who_play_it() {
    let world = World::start().await;
    let mut plays = world.join_as(&bridging("Plays")).await;
    let mut bot = world.join("room", "Bot").await;
    let old = world.join_v1("room", "Old").await;
    old.send(FrameType::Audio, &[7; 32_768]).await.unwrap();
    old.send(FrameType::ScreenShareStart, b"video/webm")
        .await
        .unwrap();
    old.send(FrameType::ScreenShare, b"first").await.unwrap();
    let mut kinds = Vec::new();
    until(&mut plays, |event| {
        if let Event::V1(frame) = event {
            assert_eq!(frame.sender(), old.id());
            kinds.push(frame.kind());
        }
        (kinds.len() == 3).then_some(())
    })
    .await;
    kinds.sort_by_key(|kind| kind.number());
    assert_eq!(
        kinds,
        [
            FrameType::Audio,
            FrameType::ScreenShare,
            FrameType::ScreenShareStart
        ]
    );
    let got = settle(&mut bot).await;
    assert!(
        got.iter().all(|event| !matches!(event, Event::V1(_))),
        "it lists no v1-bridge"
    );
    // A late one sees the share that is on.
    let mut late = world.join_as(&bridging("Late")).await;
    let first = until(&mut late, |event| match event {
        Event::V1(frame) => Some(frame),
        _ => None,
    })
    .await;
    assert_eq!(first.kind(), FrameType::ScreenShareStart);
    drop(old);
    until(&mut late, |event| match event {
        Event::V1(frame) => (frame.kind() == FrameType::ScreenShareStop).then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_client_sends_for_old_ones_reaches_them_alone() {
    let world = World::start().await;
    let mut new = world.join_as(&bridging("New")).await;
    let mut other = world.join_as(&bridging("Other")).await;
    let mut old = world.join_v1("room", "Old").await;
    until_v1(&mut old, |event| {
        matches!(event, V1Event::Users(_)).then_some(())
    })
    .await;
    new.announce(&camera(1)).await.unwrap();
    publish(&new, header(1, 0, 0), 3_000).await;
    new.send_v1(FrameType::Audio, &[1; 32_768]).await.unwrap();
    new.send_v1(FrameType::ScreenShareStart, b"video/webm")
        .await
        .unwrap();
    new.send_v1(FrameType::ScreenShare, b"chunk").await.unwrap();
    new.send_v1(FrameType::ScreenShareStop, &[]).await.unwrap();
    new.chat("end", "the end").await.unwrap();
    let mut got = Vec::new();
    until_v1(&mut old, |event| {
        assert!(!matches!(event, V1Event::Foreign(_)), "{event:?}");
        got.push(match event {
            V1Event::Audio { .. } => "audio",
            V1Event::ShareStart { .. } => "start",
            V1Event::ShareStop { .. } => "stop",
            V1Event::Text { .. } => "text",
            // A chunk that still waits when the share stops is of no use any more.
            _ => return None,
        });
        (got.len() == 4).then_some(())
    })
    .await;
    got.sort_unstable();
    assert_eq!(got, ["audio", "start", "stop", "text"]);
    for client in [&mut new, &mut other] {
        let got = settle(client).await;
        assert!(got.iter().all(|event| !matches!(event, Event::V1(_))));
    }
}
