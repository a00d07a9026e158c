//! Those who speak: an open loop, decided before the run. A thread wakes at each due time and gives the frame
//! to its speaker's task. They listen to nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use hdrhistogram::Histogram;
use pulse_client::{Client, Event, JoinOptions};
use pulse_proto::{
    Frame, ParticipantId,
    control::{CodecConfig, Source, Subscribe, TrackConfig},
    media::MediaHeader,
};
use tokio::{sync::mpsc, time::Instant};

use super::ends::Due;
use crate::call::{Failure, ROOM, receiver::histogram, schedule::VOICE_BYTES};

const MICROPHONE: u8 = 2;

/// Frames that wait for a task. The thread waits for room, and that counts as lateness.
const WAITING: usize = 64;

/// Who speaks, where and when.
#[derive(Clone, Debug)]
pub struct Speakers {
    pub url: String,
    pub count: usize,
    pub origin: Instant,
    pub schedule: Vec<Due>,
    /// Counts those who are in.
    pub joined: Arc<AtomicUsize>,
    /// Counts frames that left.
    pub sent: Arc<AtomicU64>,
}

impl Speakers {
    /// Speaks to the end; how late each frame was given to its task, in µs.
    pub async fn speak(self) -> Result<Histogram<u64>, Failure> {
        let (mut tasks, mut give) = (Vec::new(), Vec::new());
        for number in 0..self.count {
            let options = JoinOptions::new(ROOM, format!("Speaker {number}"));
            let client = Client::connect(&self.url, &options).await?;
            let nothing = Subscribe {
                audio: false,
                video: false,
                ..Subscribe::everything()
            };
            client.subscribe(&nothing).await?;
            client.announce(&microphone()).await?;
            self.joined.fetch_add(1, Ordering::Relaxed);
            let (to, frames) = mpsc::channel(WAITING);
            give.push((client.id(), to));
            tasks.push(tokio::spawn(one(client, frames, self.sent.clone())));
        }
        let (schedule, origin) = (self.schedule, self.origin);
        let clock = thread::spawn(move || keep_time(&schedule, origin, &give));
        for task in tasks {
            task.await??;
        }
        Ok(clock.join().map_err(|_| "the clock's thread failed")?)
    }
}

async fn one(
    mut client: Client,
    mut frames: mpsc::Receiver<Frame>,
    sent: Arc<AtomicU64>,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                client.connection().send(&frame).await?;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            event = client.next() => match event {
                Event::Error(error) => return Err(format!("the edge refused: {error:?}").into()),
                Event::Closed(closed) => return Err(format!("a speaker's end: {closed}").into()),
                _ => {}
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.leave().await;
    Ok(())
}

fn keep_time(
    schedule: &[Due],
    origin: Instant,
    give: &[(ParticipantId, mpsc::Sender<Frame>)],
) -> Histogram<u64> {
    let mut late_us = histogram();
    let mut sequences = vec![0_u32; give.len()];
    let codec = [0x5a; VOICE_BYTES];
    for (at_us, who) in schedule {
        let (id, to) = &give[*who];
        let header = MediaHeader {
            track: MICROPHONE,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference: 0,
            level: 20,
            chunk: 0,
            sequence: sequences[*who],
            captured_us: *at_us,
        };
        sequences[*who] += 1;
        let frame = header.encode(*id, &codec);
        let at = origin + Duration::from_micros(*at_us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        late_us.saturating_record(at.elapsed().as_micros() as u64);
        if to.blocking_send(frame).is_err() {
            // The task says why.
            break;
        }
    }
    late_us
}

fn microphone() -> TrackConfig {
    TrackConfig {
        track: MICROPHONE,
        source: Source::Microphone,
        version: 0,
        muted: false,
        interrupted: None,
        config: CodecConfig {
            codec: "opus".to_owned(),
            sample_rate: Some(48_000),
            number_of_channels: Some(1),
            coded_width: None,
            coded_height: None,
            framerate: None,
            bitrate: None,
            scalability_mode: None,
            description: None,
            color_space: None,
        },
    }
}
