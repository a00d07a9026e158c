//! The bot against a server that the test plays itself: what it announces and sends, how it comes
//! back, and when it does not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail by panicking, too"
)]

mod served;

use std::time::Duration;

use futures_util::StreamExt;
use pulse_client::{Address, Bot, BotError, BotOptions, Report, SocketOptions};
use pulse_proto::{
    ErrorCode, Frame, FrameType, ParticipantId,
    control::{Control, Join, KeyframeRequest, Leave, Source, TrackConfig, encode},
    media::MediaHeader,
};
use served::{Served, ZERO, accept, listen, welcome};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

fn id() -> ParticipantId {
    ParticipantId::from_random([9; 16])
}

/// A bot under way, what stops it, and where it connects.
async fn bot() -> (
    JoinHandle<Result<Report, BotError>>,
    oneshot::Sender<()>,
    TcpListener,
) {
    let (listener, url) = listen().await;
    let bot = Bot::new(BotOptions {
        address: Address::parse(&url).unwrap(),
        room: "r".into(),
        name: "Bot".into(),
        video: true,
        audio: true,
        receive: true,
        phase: Duration::ZERO,
        socket: SocketOptions::default(),
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let running = tokio::spawn(bot.unwrap().run(stopped, |_| {}));
    (running, stop, listener)
}

/// Lets the bot in; returns the token that it resumed with.
async fn let_in(listener: &TcpListener) -> (Served, Option<String>) {
    let mut served = accept(listener).await;
    assert_eq!(served.path, "/v2");
    let join = Join::parse(served.frame().await.payload()).unwrap();
    let resumed = join.resume.is_some();
    served.send(&welcome(id(), resumed)).await;
    (served, join.resume)
}

/// The next frame of the camera that a test of its header likes.
async fn camera(served: &mut Served, mut good: impl FnMut(&MediaHeader) -> bool) -> MediaHeader {
    loop {
        let frame = served.frame().await;
        if frame.kind() == FrameType::Media {
            assert_eq!(frame.sender(), id());
            let header = MediaHeader::parse(&frame).unwrap();
            if header.track == 1 && header.chunk == 0 && good(&header) {
                return header;
            }
        }
    }
}

async fn configs(served: &mut Served) -> [Frame; 2] {
    [served.frame().await, served.frame().await]
}

#[tokio::test]
async fn a_bot_announces_sends_answers_and_leaves() {
    let (running, stop, listener) = bot().await;
    let (mut served, resume) = let_in(&listener).await;
    assert_eq!(resume, None);
    let sources = configs(&mut served)
        .await
        .map(|frame| TrackConfig::parse(frame.payload()).unwrap().source);
    assert_eq!(sources, [Source::Microphone, Source::Camera]);

    assert!(camera(&mut served, |_| true).await.keyframe());
    let delta = camera(&mut served, |header| !header.keyframe()).await;
    let request = KeyframeRequest {
        participant: id(),
        track: 1,
        layer: 0,
    };
    served.send(&encode(ZERO, &request)).await;
    let answer = camera(&mut served, MediaHeader::keyframe).await;
    // By itself the next one would come with the 33rd frame.
    assert!(
        answer.sequence.wrapping_sub(delta.sequence) < 16,
        "{answer:?}"
    );

    stop.send(()).unwrap();
    loop {
        let frame = served.frame().await;
        if frame.kind() == FrameType::Leave {
            assert!(Leave::parse(frame.payload()).is_ok());
            break;
        }
    }
    served.end(ErrorCode::Internal).await;
    let last = running.await.unwrap().unwrap();
    assert_eq!(last.sent.keyframe_requests, 1);
    assert!(last.last && last.sent.frames > 2);
}

#[tokio::test]
async fn a_lost_connection_is_resumed_with_a_keyframe_and_running_numbers() {
    let (running, stop, listener) = bot().await;
    let (mut served, _) = let_in(&listener).await;
    let before = camera(&mut served, |header| !header.keyframe()).await;
    drop(served);
    let (mut served, resume) = let_in(&listener).await;
    assert_eq!(resume.as_deref(), Some("token"));
    for frame in configs(&mut served).await {
        assert_eq!(frame.kind(), FrameType::TrackConfig);
    }
    let first = camera(&mut served, |_| true).await;
    assert!(first.keyframe() && first.sequence > before.sequence);

    // An end that a new connection may mend.
    served.end(ErrorCode::ShuttingDown).await;
    let (served, _) = let_in(&listener).await;
    stop.send(()).unwrap();
    drop(served);
    assert_eq!(running.await.unwrap().unwrap().sent.reconnects, 2);
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let (running, stop, listener) = bot().await;
    let (mut served, _) = let_in(&listener).await;
    // The clock may run ahead: nothing but the silence is being waited for.
    tokio::time::pause();
    while let Some(Ok(_)) = served.socket.next().await {}
    tokio::time::resume();
    let (served, resume) = let_in(&listener).await;
    assert!(resume.is_some());
    stop.send(()).unwrap();
    drop(served);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_bot_that_is_not_wanted_stays_away() {
    let (running, _stop, listener) = bot().await;
    let (served, _) = let_in(&listener).await;
    served.end(ErrorCode::Replaced).await;
    let error = running.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("You joined from another page."),
        "{error}"
    );

    let (running, _stop, listener) = bot().await;
    let mut served = accept(&listener).await;
    served.frame().await;
    served.end(ErrorCode::RoomFull).await;
    let error = running.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("This room is full."), "{error}");
}

#[test]
fn impossible_names_get_a_sentence() {
    let options = BotOptions {
        address: Address::parse("localhost:1").unwrap(),
        room: "no spaces".into(),
        name: "Bot".into(),
        video: false,
        audio: false,
        receive: true,
        phase: Duration::ZERO,
        socket: SocketOptions::default(),
    };
    let error = Bot::new(options.clone()).unwrap_err().to_string();
    assert_eq!(error, ErrorCode::BadRoom.sentence());
    let options = BotOptions {
        room: "r".into(),
        name: " ".into(),
        ..options
    };
    let error = Bot::new(options).unwrap_err().to_string();
    assert_eq!(error, ErrorCode::BadName.sentence());
}
