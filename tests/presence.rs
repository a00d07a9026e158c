//! Who wants what and how people are: publishers hear of demand, receivers choose layers, hands and
//! qualities reach everybody, and clients that know nothing of it go on as before.

mod common;

use std::time::Duration;

use common::{World, camera, header, microphone, publish, sequences, settle, until};
use pulse_client::{Client, Event, JoinOptions};
use pulse_proto::{
    ErrorCode, ParticipantId,
    control::{
        Demand, FEATURE_DEMAND, FEATURE_UPDATE, Interruption, Participant, Quality, Subscribe,
        TrackConfig, TrackRef, Update,
    },
    media::MediaHeader,
};

fn asking(name: &str, features: &[&str]) -> JoinOptions {
    features
        .iter()
        .fold(JoinOptions::new("room", name), |options, feature| {
            options.feature(feature)
        })
}

async fn demand(client: &mut Client) -> Demand {
    until(client, |event| match event {
        Event::Demand(demand) => Some(demand),
        _ => None,
    })
    .await
}

/// The next row of somebody that has changed.
async fn updated(client: &mut Client, id: ParticipantId) -> Participant {
    until(client, |event| match event {
        Event::Roster(roster) => roster.updated.into_iter().find(|row| row.id == id),
        _ => None,
    })
    .await
}

fn layered(sequence: u32) -> MediaHeader {
    let (reference, temporal) = match sequence % 4 {
        _ if sequence == 0 => (0, 0),
        0 => (4, 0),
        2 => (2, 1),
        _ => (1, 2),
    };
    MediaHeader {
        temporal,
        ..header(1, sequence, reference)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_hears_of_demand() {
    let world = World::start().await;
    let mut alice = world.join_as(&asking("Alice", &[FEATURE_DEMAND])).await;
    let features = &alice.welcome().hello;
    assert!(features.has(FEATURE_DEMAND) && features.has(FEATURE_UPDATE));
    alice.announce(&camera(1)).await.unwrap();
    let told = |subscribers, decode: &[&str]| Demand {
        track: 1,
        subscribers,
        decode: decode.iter().map(|name| (*name).to_owned()).collect(),
    };
    assert_eq!(demand(&mut alice).await, told(0, &[]));
    let bob = world
        .join_as(&asking(
            "Bob",
            &["decode-vp9", "decode-av1", "decode-later"],
        ))
        .await;
    assert_eq!(demand(&mut alice).await, told(1, &["vp9", "av1"]));
    let carol = world.join_as(&asking("Carol", &["decode-vp9"])).await;
    assert_eq!(demand(&mut alice).await, told(2, &["vp9"]));
    let _old = world.join_v1("room", "Old").await;
    bob.subscribe(&Subscribe {
        paused: vec![TrackRef {
            participant: alice.id(),
            track: 1,
        }],
        ..Subscribe::everything()
    })
    .await
    .unwrap();
    assert_eq!(demand(&mut alice).await, told(1, &["vp9"]));
    carol.leave().await;
    assert_eq!(demand(&mut alice).await, told(0, &[]));
    bob.subscribe(&Subscribe::everything()).await.unwrap();
    assert_eq!(demand(&mut alice).await, told(1, &["vp9", "av1"]));
    assert!(world.metric("pulse_demands_total").await >= 6.0);
    assert!(
        settle(&mut alice)
            .await
            .iter()
            .all(|event| !matches!(event, Event::Demand(_)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_chooses_its_layers() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    let mut carol = world.join("room", "Carol").await;
    alice.announce(&camera(1)).await.unwrap();
    let up_to = |max_temporal| Subscribe {
        max_temporal,
        ..Subscribe::everything()
    };
    bob.subscribe(&up_to(0)).await.unwrap();
    settle(&mut bob).await;
    for sequence in 0..11 {
        publish(&alice, layered(sequence), 100).await;
    }
    assert_eq!(sequences(&mut bob, alice.id(), 3).await, [0, 4, 8]);
    settle(&mut alice).await;
    // In the middle of a period: 11 needs 10, which was not sent.
    bob.subscribe(&up_to(3)).await.unwrap();
    settle(&mut bob).await;
    for sequence in 11..16 {
        publish(&alice, layered(sequence), 100).await;
    }
    assert_eq!(
        sequences(&mut carol, alice.id(), 16).await,
        (0..16).collect::<Vec<_>>()
    );
    assert_eq!(sequences(&mut bob, alice.id(), 4).await, [12, 13, 14, 15]);
    let thinned = r#"pulse_dropped_total{queue="video",cause="thinned"}"#;
    assert!(world.metric(thinned).await >= 8.0);
    assert!(
        settle(&mut alice)
            .await
            .iter()
            .all(|event| !matches!(event, Event::KeyframeRequest(_))),
        "a thinned layer is no reason for a keyframe"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_layer_alone_arrives() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.announce(&camera(1)).await.unwrap();
    alice.announce(&microphone(0)).await.unwrap();
    bob.subscribe(&Subscribe {
        max_temporal: 1,
        ..Subscribe::everything()
    })
    .await
    .unwrap();
    settle(&mut bob).await;
    for sequence in 0..9 {
        publish(&alice, layered(sequence), 2_000).await;
    }
    let chunks = [0, 2, 4, 6, 8].map(|sequence| [sequence; 3]).concat();
    assert_eq!(sequences(&mut bob, alice.id(), 15).await, chunks);
    // Audio has no layers.
    let upper = MediaHeader {
        temporal: 3,
        ..header(0, 0, 0)
    };
    publish(&alice, upper, 100).await;
    assert_eq!(sequences(&mut bob, alice.id(), 1).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hands_and_qualities_reach_everybody() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    alice.raise_hand(true).await.unwrap();
    let row = updated(&mut bob, alice.id()).await;
    assert!(row.hand.is_some() && row.quality.is_none());
    let id = alice.id();
    let own = updated(&mut alice, id).await;
    assert_eq!(own, row, "the sender hears when its hand went up");
    bob.raise_hand(true).await.unwrap();
    assert!(updated(&mut alice, bob.id()).await.hand > row.hand);
    alice.report_quality(Quality::Poor).await.unwrap();
    let row = updated(&mut bob, alice.id()).await;
    assert_eq!(row.quality, Some(Quality::Poor));

    // Over a lost connection the hand stays up; who comes late sees it.
    let token = alice.welcome().resume.clone();
    alice.cut();
    let away = updated(&mut bob, id).await;
    assert_eq!((away.away, away.hand), (true, row.hand));
    let alice = world
        .join_as(&JoinOptions::new("room", "Alice").resume(&token))
        .await;
    assert!(alice.welcome().resumed);
    assert_eq!(updated(&mut bob, id).await.hand, row.hand);
    let carol = world.join("room", "Carol").await;
    let seen = &carol.welcome().roster.participants;
    assert_eq!((seen[0].hand, seen[0].quality), (row.hand, row.quality));
    alice.raise_hand(false).await.unwrap();
    assert_eq!(updated(&mut bob, id).await.hand, None);
    assert!(world.metric("pulse_updates_total").await >= 4.0);

    // Who left and comes again has said nothing yet.
    bob.leave().await;
    world.join("room", "Bob").await;
    let dave = world.join("room", "Dave").await;
    let roster = &dave.welcome().roster;
    assert!(roster.participants.iter().all(|row| row.hand.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_updates_are_refused_and_nobody_else_pays() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    for number in 0..15 {
        alice.raise_hand(number % 2 == 0).await.unwrap();
    }
    let refused = settle(&mut alice)
        .await
        .into_iter()
        .filter(|event| match event {
            Event::Error(error) => {
                assert_eq!(error.code, ErrorCode::RateLimited.number());
                assert!(!error.ends);
                true
            }
            _ => false,
        })
        .count();
    // 15 at once take no second: at most two more than the burst pass.
    assert!((3..=5).contains(&refused), "{refused}");
    let changes = settle(&mut bob)
        .await
        .into_iter()
        .filter(|event| matches!(event, Event::Roster(roster) if !roster.updated.is_empty()))
        .count();
    assert_eq!(changes, 15 - refused);
    alice.send(&Update::default()).await.unwrap();
    let code = until(&mut alice, |event| match event {
        Event::Error(error) => Some(error.code),
        _ => None,
    })
    .await;
    assert_eq!(code, ErrorCode::BadJson.number(), "nothing said");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_track_says_why() {
    let world = World::start().await;
    let alice = world.join("room", "Alice").await;
    let mut bob = world.join("room", "Bob").await;
    let hidden = TrackConfig {
        interrupted: Some(Interruption::Hidden),
        ..camera(1)
    };
    let track = |event| match event {
        Event::Track { track, .. } => Some(track),
        _ => None,
    };
    alice.announce(&camera(1)).await.unwrap();
    assert_eq!(until(&mut bob, track).await, camera(1));
    for _ in 0..2 {
        alice.announce(&hidden).await.unwrap();
        assert_eq!(until(&mut bob, track).await, hidden);
    }
    let carol = world.join("room", "Carol").await;
    let seen = &carol.welcome().roster.participants;
    assert_eq!(seen[0].tracks, [hidden], "kept for who comes late");
    alice.announce(&camera(1)).await.unwrap();
    assert_eq!(until(&mut bob, track).await, camera(1));
    let interrupted = r#"pulse_interruptions_total{cause="hidden"}"#;
    assert_eq!(world.metric(interrupted).await, 1.0, "once, said twice");
}

/// A client of the protocol before demand, updates and layers: it lists no feature, and reads rows
/// and configs by the fields it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_before_goes_on_as_before() {
    let world = World::start().await;
    let mut old = world.join("room", "Old").await;
    old.announce(&camera(1)).await.unwrap();
    let new = world
        .join_as(&asking("New", &[FEATURE_DEMAND, "decode-vp9"]))
        .await;
    new.announce(&camera(1)).await.unwrap();
    new.raise_hand(true).await.unwrap();
    let row = updated(&mut old, new.id()).await;
    let known = (row.name.as_str(), row.away, row.tracks.len());
    assert_eq!(known, ("New", false, 0));
    // As it writes SUBSCRIBE: without a layer, which is every layer.
    let written = serde_json::to_string(&Subscribe::everything()).unwrap();
    assert_eq!(written, r#"{"audio":true,"video":true,"paused":[]}"#);
    old.subscribe(&Subscribe::everything()).await.unwrap();
    settle(&mut old).await;
    for sequence in 0..4 {
        publish(&new, layered(sequence), 100).await;
    }
    assert_eq!(sequences(&mut old, new.id(), 4).await, [0, 1, 2, 3]);
    // Time enough for what is told later.
    tokio::time::sleep(Duration::from_millis(250)).await;
    let unexpected: Vec<Event> = settle(&mut old)
        .await
        .into_iter()
        .filter(|event| !matches!(event, Event::Chat { .. } | Event::Pong { .. }))
        .collect();
    assert_eq!(unexpected, []);
}
