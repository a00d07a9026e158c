//! People in a room see, hear and read each other: nothing is lost, doubled or echoed, and nobody
//! outside hears any of it.

mod common;

use common::{
    World, camera, frames, get, header, http, microphone, png, publish, sequences, settle, until,
};
use pulse_client::{Event, JoinOptions};
use pulse_proto::{
    ErrorCode,
    control::{LeaveReason, Source, Subscribe, TrackRef},
};

#[tokio::test(flavor = "multi_thread")]
async fn media_reaches_everybody_else_once_and_unchanged() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    let mut carol = world.join("room", "Carol").await;
    let mut stranger = world.join("another", "Stranger").await;
    alice.announce(&camera(1)).await.unwrap();
    alice.announce(&microphone(2)).await.unwrap();
    let mut sent = Vec::new();
    for sequence in 0..40 {
        let picture = header(1, sequence, u8::from(sequence != 0));
        sent.extend(frames(alice.id(), picture, 2_500));
        sent.extend(frames(alice.id(), header(2, sequence, 0), 120));
    }
    for frame in &sent {
        alice.connection().send(frame).await.unwrap();
    }
    for listener in [&mut bob, &mut carol] {
        let mut got = Vec::new();
        until(listener, |event| {
            if let Event::Media { frame, .. } = event {
                got.push(frame);
            }
            (got.len() == sent.len()).then_some(())
        })
        .await;
        // Audio may overtake video; each keeps its own order.
        for track in [1, 2] {
            let of = |frames: &[pulse_proto::Frame]| -> Vec<_> {
                frames
                    .iter()
                    .filter(|f| f.payload()[0] == track)
                    .cloned()
                    .collect()
            };
            assert_eq!(of(&got), of(&sent));
        }
    }
    for (client, who) in [(&mut alice, "its sender"), (&mut stranger, "another room")] {
        let media = settle(client)
            .await
            .into_iter()
            .filter(|e| matches!(e, Event::Media { .. }));
        assert_eq!(media.count(), 0, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_knows_who_is_there() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    assert!(alice.welcome().roster.participants.is_empty());
    alice.announce(&camera(1)).await.unwrap();
    settle(&mut alice).await;
    let bob = world.join("room", "  Bob ").await;
    let seen = &bob.welcome().roster.participants;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].name.as_str(), seen[0].tracks.clone()),
        ("Alice", vec![camera(1)])
    );
    let joined = until(&mut alice, |event| match event {
        Event::Roster(change) => change.joined.into_iter().next(),
        _ => None,
    })
    .await;
    assert_eq!((joined.id, joined.name.as_str()), (bob.id(), "Bob"));
    let id = bob.id();
    bob.leave().await;
    let left = until(&mut alice, |event| match event {
        Event::Roster(change) => change.left.first().copied(),
        _ => None,
    })
    .await;
    assert_eq!((left.id, left.reason), (id, LeaveReason::Left));
}

#[tokio::test(flavor = "multi_thread")]
async fn roster_epochs_have_no_gaps() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut epoch = alice.welcome().roster.epoch;
    let mut guests = Vec::new();
    for number in 0..10 {
        guests.push(world.join("room", &format!("Guest {number}")).await);
    }
    for guest in guests {
        guest.leave().await;
    }
    let mut left = 0;
    until(&mut alice, |event| {
        if let Event::Roster(change) = event {
            epoch += 1;
            assert_eq!(change.epoch, epoch);
            left += change.left.len();
        }
        (left == 10).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn muting_and_stopping_show() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.announce(&microphone(0)).await.unwrap();
    let muted = pulse_proto::control::TrackConfig {
        muted: true,
        ..microphone(0)
    };
    alice.announce(&muted).await.unwrap();
    alice.stop(0).await.unwrap();
    let mut seen = Vec::new();
    until(&mut bob, |event| match event {
        Event::Track { participant, track } => {
            assert_eq!(
                (participant, track.source),
                (alice.id(), Source::Microphone)
            );
            seen.push(track.muted);
            None
        }
        Event::TrackStop { participant, track } => {
            assert_eq!((participant, track), (alice.id(), 0));
            Some(())
        }
        _ => None,
    })
    .await;
    assert_eq!(seen, [false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_arrives_in_one_order_and_is_acknowledged_by_its_echo() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    for number in 0..10 {
        alice
            .chat(&format!("a{number}"), &format!("from Alice {number}"))
            .await
            .unwrap();
        bob.chat(&format!("b{number}"), &format!("<b>from Bob</b> {number}"))
            .await
            .unwrap();
    }
    let mut heard = Vec::new();
    for client in [&mut alice, &mut bob] {
        let mut chats = Vec::new();
        until(client, |event| {
            if let Event::Chat { sender, chat } = event {
                chats.push((sender, chat));
            }
            (chats.len() == 20).then_some(())
        })
        .await;
        heard.push(chats);
    }
    assert_eq!(heard[0], heard[1]);
    let numbers: Vec<u64> = heard[0].iter().map(|(_, chat)| chat.seq).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_go_by_http_and_are_referred_to() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    let stranger = world.join("another", "Stranger").await;
    let at = world.edge.client_addr();
    let upload = |token: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "POST /v2/images HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    let token = alice.welcome().uploads.clone();
    let answer = http(at, &upload(&token, &png(50_000))).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let reference = answer
        .split("\"ref\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    alice.chat_image("1", reference).await.unwrap();
    let image = until(&mut bob, |event| match event {
        Event::Chat { chat, .. } => chat.image,
        _ => None,
    })
    .await;
    assert_eq!((image.mime.as_str(), image.bytes), ("image/png", 50_000));

    let fetch = |token: &str| {
        format!(
            "GET /v2/images/{reference} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
    };
    let got = http(at, fetch(&bob.welcome().uploads).as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 200") && got.contains("image/png"));
    let other_room = http(at, fetch(&stranger.welcome().uploads).as_bytes()).await;
    assert!(other_room.contains("no_such_image"), "{other_room}");
    for (request, status, name) in [
        (upload("guess", &png(10)), "401", "bad_token"),
        (
            upload(&token, b"<svg onload=alert(1)>"),
            "415",
            "not_an_image",
        ),
        (upload(&token, &png(1_048_577)), "413", "image_too_large"),
        (fetch("guess").into_bytes(), "401", "bad_token"),
    ] {
        let answer = http(at, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(name), "{answer}");
    }
    let token = alice.welcome().uploads.clone();
    alice.leave().await;
    settle(&mut bob).await;
    assert!(
        http(at, &upload(&token, &png(10)))
            .await
            .contains("bad_token"),
        "revoked on leave"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_video_gets_none() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.announce(&camera(1)).await.unwrap();
    alice.announce(&microphone(2)).await.unwrap();
    bob.subscribe(&Subscribe {
        video: false,
        ..Subscribe::everything()
    })
    .await
    .unwrap();
    settle(&mut bob).await;
    publish(&alice, header(1, 0, 0), 3_000).await;
    publish(&alice, header(2, 0, 0), 100).await;
    let heard = until(&mut bob, |event| match event {
        Event::Media { header, .. } => Some(header.track),
        _ => None,
    })
    .await;
    assert_eq!(heard, 2);
    // Wanted again, the track begins with what is cached.
    bob.subscribe(&Subscribe::everything()).await.unwrap();
    assert_eq!(sequences(&mut bob, alice.id(), 4).await, [0; 4]);
    let paused = vec![TrackRef {
        participant: alice.id(),
        track: 1,
    }];
    bob.subscribe(&Subscribe {
        paused,
        ..Subscribe::everything()
    })
    .await
    .unwrap();
    settle(&mut bob).await;
    publish(&alice, header(1, 1, 1), 100).await;
    publish(&alice, header(2, 1, 0), 100).await;
    let heard = until(&mut bob, |event| match event {
        Event::Media { header, .. } => Some(header.track),
        _ => None,
    })
    .await;
    assert_eq!(heard, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_hear_what_arrived_and_who_needs_a_keyframe() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let bob = world.join("room", "Bob").await;
    alice.announce(&camera(1)).await.unwrap();
    for sequence in 0..5 {
        publish(&alice, header(1, sequence, u8::from(sequence != 0)), 2_000).await;
    }
    let bytes = 5 * (2_000 + 3 * 57);
    let seq = until(&mut alice, |event| match event {
        Event::PublisherAck(ack) if ack.bytes == bytes => Some(ack.acks[0].seq),
        _ => None,
    })
    .await;
    assert_eq!(seq, 4);
    bob.request_keyframe(alice.id(), 1, 0).await.unwrap();
    let request = until(&mut alice, |event| match event {
        Event::KeyframeRequest(request) => Some(request),
        _ => None,
    })
    .await;
    assert_eq!(
        (request.participant, request.track, request.layer),
        (alice.id(), 1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_resumes_and_nobody_sees_it_leave() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.announce(&camera(1)).await.unwrap();
    let (id, token) = (alice.id(), alice.welcome().resume.clone());
    alice.cut();
    let away = until(&mut bob, |event| match event {
        Event::Roster(change) => change.updated.into_iter().next(),
        _ => None,
    })
    .await;
    assert!(away.away && away.id == id);
    let alice = world
        .join_as(&JoinOptions::new("room", "Alice").resume(&token))
        .await;
    assert!(alice.welcome().resumed);
    assert_eq!(alice.id(), id);
    let back = until(&mut bob, |event| match event {
        Event::Roster(change) => {
            assert!(change.left.is_empty() && change.joined.is_empty());
            change.updated.into_iter().next()
        }
        _ => None,
    })
    .await;
    assert!(!back.away);
    alice.announce(&camera(1)).await.unwrap();
    publish(&alice, header(1, 7, 0), 100).await;
    assert_eq!(sequences(&mut bob, id, 1).await, [7]);
    // The token was for one use.
    let other = world
        .join_as(&JoinOptions::new("room", "Mallory").resume(&token))
        .await;
    assert!(!other.welcome().resumed && other.id() != id);
}

#[tokio::test(flavor = "multi_thread")]
async fn resuming_elsewhere_ends_the_older_connection() {
    let world = World::start().await;
    let mut first = world.join("room", "Alice").await;
    let token = first.welcome().resume.clone();
    let second = world
        .join_as(&JoinOptions::new("room", "Alice").resume(&token))
        .await;
    assert_eq!(first.id(), second.id());
    let closed = until(&mut first, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await;
    assert_eq!(closed.error(), Some(ErrorCode::Replaced));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_everybody_why() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut old = world.join_v1("room", "Old").await;
    world.edge.shut_down().await;
    let closed = until(&mut alice, |event| match event {
        Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await;
    assert_eq!(closed.error(), Some(ErrorCode::ShuttingDown));
    let closed = common::until_v1(&mut old, |event| match event {
        pulse_client::V1Event::Closed(closed) => Some(closed),
        _ => None,
    })
    .await;
    assert_eq!(closed.error(), Some(ErrorCode::ShuttingDown));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_is_served_with_headers_that_bound_it() {
    let world = World::start().await;
    let page = get(world.edge.client_addr(), "/").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("<!doctype html>"),
        "{page}"
    );
    let page = page.to_lowercase();
    for wanted in [
        "content-security-policy: default-src 'none'",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let at = world.edge.client_addr();
    assert!(get(at, "/healthz").await.ends_with("ok\n"));
    assert!(get(at, "/sdk/pulse.js").await.contains("text/javascript"));
    assert!(get(at, "/nothing").await.starts_with("HTTP/1.1 404"));
    assert!(
        get(at, "/metrics").await.starts_with("HTTP/1.1 404"),
        "for operators alone"
    );
    assert!(
        get(at, "/room/abc")
            .await
            .to_lowercase()
            .contains("location: /#abc")
    );
    assert!(
        get(world.edge.ops_addr(), "/metrics")
            .await
            .contains("pulse_rooms")
    );
}
