//! A room is one room, whichever edges its people are at: they hear, see and read each other, once; and it goes
//! on while core is gone.

#[path = "common/cluster.rs"]
mod cluster;
mod common;

use std::collections::BTreeSet;

use cluster::Cluster;
use common::{camera, frames, header, microphone, publish, sequences, settle, until, until_v1};
use pulse_client::{Client, Event, JoinOptions, V1Event};
use pulse_proto::{FrameType, ParticipantId, control::Source};

/// Waits until a client has been told of somebody, unless its welcome did.
async fn knows(client: &mut Client, id: ParticipantId) {
    let welcome = &client.welcome().roster.participants;
    if welcome.iter().any(|one| one.id == id) {
        return;
    }
    until(client, |event| match event {
        Event::Roster(change) => change.joined.iter().any(|one| one.id == id).then_some(()),
        _ => None,
    })
    .await;
}

/// Waits until a track of that source has been told of.
async fn sees_track(client: &mut Client, source: Source) {
    until(client, |event| match event {
        Event::Track { track, .. } => (track.source == source).then_some(()),
        Event::Roster(change) => change
            .joined
            .iter()
            .any(|one| one.tracks.iter().any(|track| track.source == source))
            .then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_crosses_once_and_reaches_everybody() {
    let cluster = Cluster::start(3).await;
    let mut ada = cluster.join(0, "room", "Ada").await;
    let mut bob = cluster.join(1, "room", "Bob").await;
    let mut cy = cluster.join(2, "room", "Cy").await;
    let mut dan = cluster.join(2, "room", "Dan").await;
    let mut stranger = cluster.join(2, "another", "Stranger").await;
    knows(&mut ada, bob.id()).await;
    for listener in [&mut bob, &mut cy, &mut dan] {
        knows(listener, ada.id()).await;
    }
    ada.announce(&microphone(2)).await.unwrap();
    for listener in [&mut bob, &mut cy, &mut dan] {
        sees_track(listener, Source::Microphone).await;
    }
    for sequence in 0..50 {
        publish(&ada, header(2, sequence, 0), 120).await;
    }
    let expected: Vec<u32> = (0..50).collect();
    for listener in [&mut bob, &mut cy, &mut dan] {
        assert_eq!(sequences(listener, ada.id(), 50).await, expected);
    }
    for (client, who) in [(&mut ada, "its sender"), (&mut stranger, "another room")] {
        let events = settle(client).await;
        let media = events.iter().filter(|e| matches!(e, Event::Media { .. }));
        assert_eq!(media.count(), 0, "{who}");
    }
    // Nothing more comes of it.
    let events = settle(&mut cy).await;
    assert!(!events.iter().any(|e| matches!(e, Event::Media { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_to_another_edge_sees_at_once() {
    let cluster = Cluster::start(2).await;
    let mut ada = cluster.join(0, "room", "Ada").await;
    ada.announce(&camera(1)).await.unwrap();
    for frame in frames(ada.id(), header(1, 0, 0), 2_500) {
        ada.connection().send(&frame).await.unwrap();
    }
    settle(&mut ada).await;
    let mut bob = cluster.join(1, "room", "Bob").await;
    // The keyframe that was sent before anybody was there to see it.
    let first = until(&mut bob, |event| match event {
        Event::Media { header, .. } => Some(header),
        _ => None,
    })
    .await;
    assert!(first.keyframe() && first.sequence == 0);
    // The next one of that edge is served there.
    let mut cy = cluster.join(1, "room", "Cy").await;
    let first = until(&mut cy, |event| match event {
        Event::Media { header, .. } => Some(header),
        _ => None,
    })
    .await;
    assert!(first.keyframe() && first.sequence == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_has_one_order_everywhere() {
    let cluster = Cluster::start(2).await;
    let mut ada = cluster.join(0, "room", "Ada").await;
    let mut bob = cluster.join(1, "room", "Bob").await;
    knows(&mut ada, bob.id()).await;
    for number in 0..10 {
        ada.chat(&format!("a{number}"), "from Ada").await.unwrap();
        bob.chat(&format!("b{number}"), "from Bob").await.unwrap();
    }
    let mut told = Vec::new();
    for client in [&mut ada, &mut bob] {
        let mut texts = Vec::new();
        until(client, |event| {
            if let Event::Chat { chat, .. } = event {
                texts.push((chat.seq, chat.nonce));
            }
            (texts.len() == 20).then_some(())
        })
        .await;
        told.push(texts);
    }
    assert_eq!(told[0], told[1]);
    let numbers: BTreeSet<u64> = told[0].iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_clients_of_different_edges_share_a_room() {
    let cluster = Cluster::start(2).await;
    let mut ada = cluster.join_v1(0, "room", "Ada").await;
    let mut bob = cluster.join_v1(1, "room", "Bob").await;
    for client in [&mut ada, &mut bob] {
        until_v1(client, |event| match event {
            V1Event::Users(users) => (users.len() == 2).then_some(()),
            _ => None,
        })
        .await;
    }
    ada.text(7.0, "hello").await.unwrap();
    until_v1(&mut bob, |event| match event {
        V1Event::Text { text, .. } => (text == "hello").then_some(()),
        _ => None,
    })
    .await;
    // Whether anybody there plays v1's types is told after who is there.
    let heard = async {
        loop {
            ada.send(FrameType::Audio, &[1, 2, 3, 4]).await.unwrap();
            let next = until_v1(&mut bob, |event| match event {
                V1Event::Audio { sender, .. } => Some(sender),
                _ => None,
            });
            if let Ok(sender) =
                tokio::time::timeout(std::time::Duration::from_millis(50), next).await
            {
                return sender;
            }
        }
    };
    let sender = tokio::time::timeout(common::SOON, heard).await.unwrap();
    assert_eq!(sender, ada.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_at_another_edge_is_the_same_person() {
    let cluster = Cluster::start(2).await;
    let ada = cluster.join(0, "room", "Ada").await;
    let mut bob = cluster.join(1, "room", "Bob").await;
    knows(&mut bob, ada.id()).await;
    let (id, token) = (ada.id(), ada.welcome().resume.clone());
    let mut options = JoinOptions::new("room", "Ada");
    options.resume = Some(token);
    let again = cluster.join_as(1, &options).await;
    assert!(again.welcome().resumed);
    assert_eq!(again.id(), id);
    again.announce(&microphone(1)).await.unwrap();
    sees_track(&mut bob, Source::Microphone).await;
    publish(&again, header(1, 1, 0), 120).await;
    assert_eq!(sequences(&mut bob, id, 1).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_without_core_and_all_agree_once_it_is_back() {
    let mut cluster = Cluster::start(2).await;
    let mut ada = cluster.join(0, "room", "Ada").await;
    let mut bob = cluster.join(1, "room", "Bob").await;
    knows(&mut ada, bob.id()).await;
    knows(&mut bob, ada.id()).await;
    ada.announce(&microphone(1)).await.unwrap();
    sees_track(&mut bob, Source::Microphone).await;
    cluster.stop_core().await;
    publish(&ada, header(1, 1, 0), 120).await;
    assert_eq!(sequences(&mut bob, ada.id(), 1).await, [1]);
    // A room that is held admits, and everybody hears of it.
    let mut cy = cluster.join(1, "room", "Cy").await;
    knows(&mut ada, cy.id()).await;
    publish(&ada, header(1, 2, 0), 120).await;
    assert_eq!(sequences(&mut cy, ada.id(), 1).await, [2]);
    // What is said waits for core.
    bob.chat("n", "are you there?").await.unwrap();
    cluster.restart_core().await;
    for client in [&mut ada, &mut bob, &mut cy] {
        until(client, |event| match event {
            Event::Chat { chat, .. } => {
                (chat.text.as_deref() == Some("are you there?")).then_some(())
            }
            _ => None,
        })
        .await;
    }
    let dan = cluster.join(0, "room", "Dan").await;
    let there: BTreeSet<ParticipantId> = dan
        .welcome()
        .roster
        .participants
        .iter()
        .map(|one| one.id)
        .collect();
    assert_eq!(there, BTreeSet::from([ada.id(), bob.id(), cy.id()]));
    knows(&mut cy, dan.id()).await;
}
