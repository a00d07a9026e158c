//! Who joins a call that is on sees it at once: the cache is enough where it is short, a still and
//! one keyframe request where it is long.

mod common;

use std::time::{Duration, Instant};

use common::{World, camera, header, publish, sequences, settle, until};
use pulse_client::Event;
use tokio::time::{Instant as Clock, sleep_until};

fn now() -> Instant {
    Clock::now().into_std()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_cache_is_played_and_goes_on_live() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    alice.announce(&camera(1)).await.unwrap();
    for sequence in 0..5 {
        publish(&alice, header(1, sequence, u8::from(sequence != 0)), 900).await;
    }
    settle(&mut alice).await;
    let mut bob = world.join("room", "Bob").await;
    assert_eq!(bob.welcome().roster.participants[0].tracks, [camera(1)]);
    assert_eq!(sequences(&mut bob, alice.id(), 5).await, [0, 1, 2, 3, 4]);
    publish(&alice, header(1, 5, 1), 900).await;
    assert_eq!(sequences(&mut bob, alice.id(), 1).await, [5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_cache_gives_a_still_and_one_keyframe_request() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    alice.announce(&camera(1)).await.unwrap();
    publish(&alice, header(1, 0, 0), 5_000).await;
    // The rule is about time itself: nothing to await but its passing.
    sleep_until(Clock::from_std(now() + Duration::from_millis(600))).await;
    publish(&alice, header(1, 1, 1), 900).await;
    settle(&mut alice).await;

    let mut guests = Vec::new();
    for number in 0..3 {
        guests.push(world.join("room", &format!("Guest {number}")).await);
    }
    for guest in &mut guests {
        assert_eq!(
            sequences(guest, alice.id(), 6).await,
            [0; 6],
            "the keyframe alone"
        );
    }
    let requests = settle(&mut alice)
        .await
        .into_iter()
        .filter(|event| matches!(event, Event::KeyframeRequest(_)))
        .count();
    assert_eq!(requests, 1, "three joiners, one request");

    // A delta frame they cannot decode is kept from them; the keyframe reaches all.
    publish(&alice, header(1, 2, 1), 900).await;
    publish(&alice, header(1, 3, 0), 900).await;
    publish(&alice, header(1, 4, 1), 900).await;
    for guest in &mut guests {
        assert_eq!(sequences(guest, alice.id(), 2).await, [3, 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_came_too_early_is_sent_later() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let bob = world.join("room", "Bob").await;
    alice.announce(&camera(1)).await.unwrap();
    settle(&mut alice).await;
    let started = now();
    for _ in 0..5 {
        bob.request_keyframe(alice.id(), 1, 0).await.unwrap();
    }
    let mut requests = 0;
    until(&mut alice, |event| {
        requests += usize::from(matches!(event, Event::KeyframeRequest(_)));
        (requests == 2).then_some(())
    })
    .await;
    assert!(
        now() - started >= Duration::from_secs(2),
        "at most one in 2 s"
    );
    assert!(
        settle(&mut alice)
            .await
            .iter()
            .all(|e| !matches!(e, Event::KeyframeRequest(_)))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detailed_screen_arrives_whole() {
    const BYTES: usize = 600_000;
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    let mut early = world.join("room", "Early").await;
    alice.announce(&camera(1)).await.unwrap();
    publish(&alice, header(1, 0, 0), BYTES).await;
    settle(&mut alice).await;
    let mut late = world.join("room", "Late").await;
    for receiver in [&mut early, &mut late] {
        let chunks = sequences(receiver, alice.id(), BYTES.div_ceil(943)).await;
        assert!(chunks.iter().all(|sequence| *sequence == 0));
    }
}
