//! A receiver that stops reading costs the others nothing and holds little; once it reads again it
//! hears what is said now, and sees a picture it can decode. The times are in `benches/`.

mod common;

use std::time::Duration;

use common::{World, camera, header, microphone, publish, settle};
use pulse_client::{Event, JoinOptions, SocketOptions};
use tokio::time::{Instant, interval, timeout};

const STALL: Duration = Duration::from_secs(10);
const HELD_MAX: f64 = 256.0 * 1024.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_holds_little_and_comes_back_live() {
    let world = World::start().await;
    let mut alice = world.join("room", "Alice").await;
    alice.announce(&camera(1)).await.unwrap();
    alice.announce(&microphone(2)).await.unwrap();
    let mut others = Vec::new();
    for number in 0..20 {
        let other = world.join("room", &format!("Guest {number}")).await;
        others.push(tokio::spawn(read_all(other)));
    }
    let socket = SocketOptions {
        receive_buffer_bytes: Some(16 * 1024),
        ..Default::default()
    };
    let mut slow = world
        .join_as(&JoinOptions {
            socket,
            ..JoinOptions::new("room", "Slow")
        })
        .await;
    slow.pause_reading();

    // 50 packets of voice and 30 frames of a 2-Mbit/s picture a second, a keyframe each 4 s.
    let started = Instant::now();
    let mut tick = interval(Duration::from_millis(20));
    let (mut sequence, mut pictures, mut spoken) = (0, 0, 0);
    let mut held_max = 0.0_f64;
    while started.elapsed() < STALL {
        tokio::select! {
            _ = tick.tick() => {}
            event = alice.next() => {
                if matches!(event, Event::KeyframeRequest(_)) {
                    // An honest publisher answers with a keyframe.
                    sequence = u32::next_multiple_of(sequence, 120);
                }
                continue;
            }
        }
        publish(&alice, header(2, spoken, 0), 120).await;
        spoken += 1;
        if spoken % 5 != 0 && spoken % 5 != 3 {
            let reference = u8::from(sequence % 120 != 0);
            publish(&alice, header(1, sequence, reference), 8_000).await;
            sequence += 1;
            pictures += 1;
        }
        if spoken % 50 == 0 {
            held_max = held_max.max(settled(&world).await);
        }
    }
    assert!(held_max > 0.0, "something was held");
    assert!(held_max <= HELD_MAX, "{held_max} bytes were held");
    for queue in ["audio", "video"] {
        let dropped: f64 = {
            let late = format!("pulse_dropped_total{{queue=\"{queue}\",cause=\"late\"}}");
            world.metric(&late).await
        };
        assert!(dropped > 0.0, "drops of {queue} are counted by cause");
    }

    // Nobody else missed more than a busy machine's own pauses explain.
    publish(&alice, header(2, spoken, 0), LAST).await;
    for other in others {
        let (frames, packets) = other.await.expect("reads to the end");
        assert!(frames * 10 >= pictures * 9, "{frames} of {pictures} frames");
        assert!(packets * 10 >= spoken * 9, "{packets} of {spoken} packets");
    }
    spoken += 1;

    // What it finds when it reads on: at once old bytes of the kernel's buffers, then the present.
    let said_before = spoken;
    slow.resume_reading();
    let resumed = Instant::now();
    let mut decodable = std::collections::HashSet::new();
    let (mut fresh_at, mut picture_at) = (None, None);
    let mut tick = interval(Duration::from_millis(20));
    while fresh_at.is_none() || picture_at.is_none() {
        assert!(
            resumed.elapsed() < common::SOON,
            "fresh {fresh_at:?}, picture {picture_at:?}"
        );
        tokio::select! {
            _ = tick.tick() => {
                publish(&alice, header(2, spoken, 0), 120).await;
                spoken += 1;
                publish(&alice, header(1, sequence, u8::from(sequence % 120 != 0)), 2_000).await;
                sequence += 1;
            }
            event = slow.next() => if let Event::Media { header, .. } = event {
                if header.track == 2 && header.sequence >= said_before {
                    fresh_at.get_or_insert(resumed.elapsed());
                }
                if header.track == 1 && header.last {
                    let needs = header.sequence.wrapping_sub(u32::from(header.reference));
                    if header.reference == 0 || decodable.contains(&needs) {
                        decodable.insert(header.sequence);
                        if header.sequence >= sequence - 10 {
                            picture_at.get_or_insert(resumed.elapsed());
                        }
                    } else {
                        panic!("frame {} cannot be decoded", header.sequence);
                    }
                }
            },
            event = alice.next() => if matches!(event, Event::KeyframeRequest(_)) {
                // An honest publisher answers with a keyframe.
                sequence = sequence.next_multiple_of(120);
            },
        }
    }
    let fresh_at = fresh_at.expect("just seen");
    println!("fresh audio after {fresh_at:?}, a live picture after {picture_at:?}");
    assert!(fresh_at <= Duration::from_millis(500), "{fresh_at:?}");
    settle(&mut slow).await;
}

/// The length of the packet that ends the first part.
const LAST: usize = 33;

/// What is held once that is within the bound. The gauge is of all receivers together; while nothing is
/// sent, what a busy machine has piled up for the others goes, and what waits for the stalled one stays.
async fn settled(world: &World) -> f64 {
    let mut held = f64::INFINITY;
    let within = async {
        while held > HELD_MAX {
            held = world.metric("pulse_held_bytes").await;
        }
    };
    let _ = timeout(common::SOON, within).await;
    held
}

/// Reads until the last packet and counts the frames and packets before it.
async fn read_all(mut client: pulse_client::Client) -> (u32, u32) {
    let (mut frames, mut packets) = (0, 0);
    loop {
        match client.next().await {
            Event::Media { header, frame, .. } if header.track == 2 => {
                if frame.payload().len() == LAST + 20 {
                    return (frames, packets);
                }
                packets += 1;
            }
            Event::Media { header, .. } => frames += u32::from(header.last),
            Event::Closed(closed) => panic!("{closed:?}"),
            _ => {}
        }
    }
}
