//! Both clients against a server that the test plays itself, message by message.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail by panicking, too"
)]

mod served;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use pulse_client::{Client, ClientError, Closed, Event, JoinOptions, V1Client, V1Event};
use pulse_proto::{
    DisplayName, ErrorCode, Frame, FrameType, ParticipantId,
    control::{Control, ErrorMessage, Join, Leave, Ping, Pong, encode},
    media::{LEVEL_SILENT, MediaHeader, codec_bytes},
    v1::user_list,
};
use served::{Served, ZERO, accept, listen, welcome};
use tokio_tungstenite::tungstenite::Message;

fn header(sequence: u32) -> MediaHeader {
    MediaHeader {
        track: 1,
        config: 0,
        discardable: false,
        last: true,
        spatial: 0,
        temporal: 0,
        reference: 0,
        level: LEVEL_SILENT,
        chunk: 0,
        sequence,
        captured_us: 0,
    }
}

/// A client that has joined, and the server's end of it.
async fn joined(options: &JoinOptions) -> (Client, Served) {
    let (listener, url) = listen().await;
    let id = ParticipantId::from_random([7; 16]);
    let (client, served) = tokio::join!(Client::connect(&url, options), async {
        let mut served = accept(&listener).await;
        let join = served.frame().await;
        assert_eq!(join.kind(), FrameType::Join);
        assert_eq!(join.sender(), ZERO);
        let join = Join::parse(join.payload()).unwrap();
        assert_eq!((join.room, join.name), ("r".into(), "Ada".into()));
        assert_eq!(join.resume, options.resume);
        served.send(&welcome(id, options.resume.is_some())).await;
        served
    });
    let client = client.unwrap();
    assert_eq!(client.id(), id);
    assert_eq!(served.path, "/v2");
    (client, served)
}

#[tokio::test]
async fn a_client_joins_speaks_and_leaves() {
    let options = JoinOptions::new("r", "Ada").resume("old");
    let (mut client, mut served) = joined(&options).await;
    assert_eq!(client.welcome().roster.epoch, 4);

    client.send_media(header(3), &[5; 1_000]).await.unwrap();
    let first = served.frame().await;
    let second = served.frame().await;
    assert_eq!(first.sender(), client.id());
    assert_eq!((first.len(), codec_bytes(&second).len()), (1_000, 57));
    assert!(MediaHeader::parse(&second).unwrap().last);

    let other = ParticipantId::from_random([8; 16]);
    let media = header(9).encode(other, b"codec");
    served.send(&media).await;
    assert_eq!(
        client.next().await,
        Event::Media {
            sender: other,
            header: header(9),
            frame: media
        }
    );
    served
        .send(&encode(ZERO, &ErrorMessage::new(ErrorCode::BadJson, false)))
        .await;
    assert!(matches!(client.next().await, Event::Error(error) if error.code == 4014));
    let foreign = served
        .socket
        .send(Message::Binary(Bytes::from_static(b"short")));
    foreign.await.unwrap();
    let Event::Unreadable(rejection) = client.next().await else {
        panic!("a short frame was read");
    };
    assert_eq!(rejection.code, ErrorCode::FrameTooShort);

    let server = tokio::spawn(async move {
        let leave = served.frame().await;
        assert!(Leave::parse(leave.payload()).is_ok());
        assert_eq!(leave.kind(), FrameType::Leave);
        let close = served.socket.next().await.unwrap().unwrap();
        assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
        while let Some(Ok(_)) = served.socket.next().await {}
    });
    assert_eq!(client.leave().await.code, Some(1000));
    server.await.unwrap();
}

#[tokio::test]
async fn pings_go_out_and_are_answered() {
    let (mut client, mut served) = joined(&JoinOptions::new("r", "Ada")).await;
    // No timeout is under way any more: the clock may run ahead to the next ping.
    tokio::time::pause();
    let ping = served.frame().await;
    let t = Ping::parse(ping.payload()).unwrap().t;
    let sent = t.as_f64().unwrap();
    assert!(sent >= 2_000.0, "{sent}");
    served.send(&encode(ZERO, &Pong { t })).await;
    assert!(matches!(client.next().await, Event::Pong { .. }));

    served.send(&encode(ZERO, &Ping { t: 5.into() })).await;
    let answer = async {
        loop {
            let frame = served.frame().await;
            if frame.kind() == FrameType::Pong {
                return Pong::parse(frame.payload()).unwrap().t;
            }
        }
    };
    tokio::select! {
        t = answer => assert_eq!(t, 5.into()),
        event = client.next() => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_refusal_carries_its_code() {
    let (listener, url) = listen().await;
    let options = JoinOptions::new("r", "Ada");
    let (refused, ()) = tokio::join!(Client::connect(&url, &options), async {
        let mut served = accept(&listener).await;
        served.frame().await;
        let error = ErrorMessage::new(ErrorCode::RoomFull, true);
        served.send(&encode(ZERO, &error)).await;
        served.end(ErrorCode::RoomFull).await;
    });
    let error = refused.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::RoomFull));
    assert!(error.to_string().contains("This room is full."), "{error}");
}

#[tokio::test]
async fn the_end_is_told_again_and_again() {
    let (mut client, served) = joined(&JoinOptions::new("r", "Ada")).await;
    served.end(ErrorCode::TooSlow).await;
    for _ in 0..2 {
        let Event::Closed(closed) = client.next().await else {
            panic!("no end");
        };
        assert_eq!(closed.error(), Some(ErrorCode::TooSlow));
    }
    let sent = client.chat("n", "late").await;
    assert!(matches!(sent, Err(ClientError::Closed)));
}

#[tokio::test]
async fn a_cut_connection_is_lost_for_both() {
    let (mut client, served) = joined(&JoinOptions::new("r", "Ada")).await;
    drop(served);
    assert!(matches!(
        client.next().await,
        Event::Closed(Closed { code: None, .. })
    ));

    let (client, mut served) = joined(&JoinOptions::new("r", "Ada")).await;
    client.cut();
    assert!(matches!(served.socket.next().await, None | Some(Err(_))));
}

#[tokio::test]
async fn a_paused_client_reads_nothing_more() {
    let mut options = JoinOptions::new("r", "Ada");
    options.socket.receive_buffer_bytes = Some(4_096);
    options.pings = false;
    let (mut client, mut served) = joined(&options).await;
    client.pause_reading();
    // More than all buffers between the two can hold, so that it cannot be written to the end.
    let frame = header(1).encode(ZERO, &[1; 900]);
    let writer = tokio::spawn(async move {
        for _ in 0..40_000 {
            served.send(&frame).await;
        }
        served
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!writer.is_finished());
    client.resume_reading();
    for _ in 0..40_000 {
        assert!(matches!(client.next().await, Event::Media { .. }));
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn unreachable_and_foreign_servers_get_a_sentence() {
    let (listener, url) = listen().await;
    let options = JoinOptions::new("r", "Ada");
    let (error, ()) = tokio::join!(Client::connect(&url, &options), async {
        // No subprotocol in the answer: an edge of another time.
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_tungstenite::accept_async(stream).await;
    });
    assert!(matches!(error.unwrap_err(), ClientError::Subprotocol));
    drop(listener);
    let error = Client::connect(&url, &options).await.unwrap_err();
    assert!(error.to_string().contains("Is the edge running"), "{error}");
}

#[tokio::test]
async fn a_v1_client_speaks_the_original_wire() {
    let (listener, url) = listen().await;
    let (client, mut served) = tokio::join!(
        V1Client::connect(&url, "team", Some("k3y"), "Zoë"),
        accept(&listener)
    );
    let mut client = client.unwrap();
    assert_eq!(served.path, "/room/team?key=k3y");
    let join = served.frame().await;
    assert_eq!(join.sender(), client.id());
    assert_eq!(join.kind(), FrameType::JoinRequest);
    assert_eq!(join.payload(), "Zoë".as_bytes());

    let name = DisplayName::parse("Zoë").unwrap();
    let list = user_list([(client.id(), &name)].into_iter());
    served
        .send(&Frame::new(ZERO, FrameType::UserListUpdate, &list))
        .await;
    let users = vec![(client.id(), "Zoë".to_owned())];
    assert_eq!(client.next().await, V1Event::Users(users));

    client.text(12.0, "hi").await.unwrap();
    let chat = served.frame().await;
    served.send(&chat).await;
    assert_eq!(
        client.next().await,
        V1Event::Text {
            sender: client.id(),
            at_ms: 12.0,
            text: "hi".into()
        }
    );
    served.send(&Frame::new(ZERO, FrameType::Media, b"x")).await;
    assert!(matches!(client.next().await, V1Event::Foreign(_)));
    served.end(ErrorCode::RoomNotFound).await;
    let V1Event::Closed(closed) = client.next().await else {
        panic!("no end");
    };
    assert_eq!(closed.to_string(), "Room not found (4004)");
}
