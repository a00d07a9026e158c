//! Who speaks and is seen: a thread that wakes at each due time, and a task that sends what it gives
//! and answers keyframe requests as an honest publisher does. Frames carry their DUE time, so that
//! whatever delays the sending counts as delay too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use pulse_client::{Client, Event, JoinOptions};
use pulse_proto::{
    Frame, ParticipantId,
    control::{CodecConfig, Source, TrackConfig},
    media::{LEVEL_SILENT, MediaHeader, chunks},
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{
    Failure, ROOM,
    receiver::checksum,
    schedule::{Due, Kind, Random, VOICE_BYTES},
};

/// The tracks' numbers.
pub const CAMERA: u8 = 1;
pub const MICROPHONE: u8 = 2;

/// The pattern of L1T3: temporal layer, and distance to the picture that this one needs.
const PATTERN: [(u8, u8); 4] = [(0, 4), (2, 1), (1, 2), (2, 1)];

/// Codec frames that wait for the task. Its thread waits for room, and that counts as lateness.
const WAITING: usize = 64;

/// A publisher at work.
pub struct Publisher {
    clock: thread::JoinHandle<Kept>,
    sender: JoinHandle<Result<(), Failure>>,
    requested: Arc<AtomicU64>,
}

/// How it went.
pub struct Published {
    /// Each due time, and the µs until the speaker's clock woke for it.
    pub late_us: Vec<(u64, u64)>,
    /// Each picture's due time and bytes.
    pub pictures: Vec<(u64, usize)>,
    /// Keyframes that somebody asked for.
    pub requested: u64,
}

/// What the clock's thread notes.
#[derive(Default)]
struct Kept {
    late_us: Vec<(u64, u64)>,
    pictures: Vec<(u64, usize)>,
}

/// Joins and announces both tracks.
pub async fn join(url: &str) -> Result<Client, Failure> {
    join_room(url, ROOM).await
}

/// The same in another room.
pub async fn join_room(url: &str, room: &str) -> Result<Client, Failure> {
    let client = Client::connect(url, &JoinOptions::new(room, "Speaker")).await?;
    client.announce(&camera()).await?;
    client.announce(&microphone()).await?;
    Ok(client)
}

/// Publishes the whole schedule, whose times count from `origin`.
pub fn publish(client: Client, schedule: Vec<Due>, origin: Instant) -> Publisher {
    let (give, frames) = mpsc::channel(WAITING);
    let wanted = Arc::new(AtomicBool::new(false));
    let requested = Arc::new(AtomicU64::new(0));
    let id = client.id();
    let sender = tokio::spawn(send(client, frames, wanted.clone(), requested.clone()));
    let clock = thread::spawn(move || keep_time(id, &schedule, origin, &give, &wanted));
    Publisher {
        clock,
        sender,
        requested,
    }
}

impl Publisher {
    /// Waits for the end of the schedule.
    pub async fn finish(self) -> Result<Published, Failure> {
        self.sender.await??;
        let kept = self.clock.join().map_err(|_| "the clock's thread failed")?;
        Ok(Published {
            late_us: kept.late_us,
            pictures: kept.pictures,
            requested: self.requested.load(Ordering::Relaxed),
        })
    }
}

/// Sends until the schedule ends, then stays a little: what was sent last is still on its way.
async fn send(
    mut client: Client,
    mut frames: mpsc::Receiver<Vec<Frame>>,
    wanted: Arc<AtomicBool>,
    requested: Arc<AtomicU64>,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            messages = frames.recv() => {
                let Some(messages) = messages else { break };
                for message in messages {
                    client.connection().send(&message).await?;
                }
            }
            event = client.next() => match event {
                Event::KeyframeRequest(_) => {
                    wanted.store(true, Ordering::Relaxed);
                    requested.fetch_add(1, Ordering::Relaxed);
                }
                Event::Error(error) => return Err(format!("the edge refused: {error:?}").into()),
                Event::Closed(closed) => return Err(format!("the publisher's end: {closed}").into()),
                _ => {}
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.leave().await;
    Ok(())
}

/// Prepares each codec frame ahead and gives it away when it is due.
fn keep_time(
    id: ParticipantId,
    schedule: &[Due],
    origin: Instant,
    give: &mpsc::Sender<Vec<Frame>>,
    wanted: &AtomicBool,
) -> Kept {
    let mut kept = Kept::default();
    let (mut voice, mut picture, mut since_keyframe) = (0, 0, 0);
    for due in schedule {
        let (header, bytes) = match due.kind {
            Kind::Voice => {
                voice += 1;
                (header(MICROPHONE, voice - 1, 0, 1, due.at_us), VOICE_BYTES)
            }
            Kind::Picture {
                keyframe,
                bytes,
                keyframe_bytes,
            } => {
                let keyframe = wanted.swap(false, Ordering::Relaxed) || keyframe;
                since_keyframe = if keyframe { 0 } else { since_keyframe + 1 };
                let (temporal, reference) = PATTERN[since_keyframe % PATTERN.len()];
                let reference = if keyframe { 0 } else { reference };
                picture += 1;
                let bytes = if keyframe { keyframe_bytes } else { bytes };
                kept.pictures.push((due.at_us, bytes));
                let header = header(CAMERA, picture - 1, temporal, reference, due.at_us);
                (header, bytes)
            }
        };
        let messages: Vec<Frame> = match chunks(id, header, &payload(&header, bytes)) {
            Ok(messages) => messages.collect(),
            Err(_) => continue,
        };
        let at = origin + Duration::from_micros(due.at_us);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        let late = at.elapsed();
        kept.late_us.push((due.at_us, late.as_micros() as u64));
        if give.blocking_send(messages).is_err() {
            // The task says why.
            break;
        }
    }
    kept
}

fn header(track: u8, sequence: u32, temporal: u8, reference: u8, captured_us: u64) -> MediaHeader {
    MediaHeader {
        track,
        config: 0,
        discardable: temporal == 2,
        last: true,
        spatial: 0,
        temporal,
        // Every packet of voice stands for itself.
        reference: if track == MICROPHONE { 0 } else { reference },
        level: if track == MICROPHONE {
            20
        } else {
            LEVEL_SILENT
        },
        chunk: 0,
        sequence,
        captured_us,
    }
}

/// A checksum and bytes of their own for each codec frame.
fn payload(header: &MediaHeader, bytes: usize) -> Vec<u8> {
    let mut random = Random(u64::from(header.track) << 32 | u64::from(header.sequence));
    let mut payload = vec![0; 8];
    while payload.len() < bytes {
        payload.extend_from_slice(&random.next().to_be_bytes());
    }
    payload.truncate(bytes);
    let sum = checksum(&payload[8..]);
    payload[..8].copy_from_slice(&sum.to_be_bytes());
    payload
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

fn camera() -> TrackConfig {
    TrackConfig {
        track: CAMERA,
        source: Source::Camera,
        config: CodecConfig {
            codec: "vp8".to_owned(),
            sample_rate: None,
            number_of_channels: None,
            coded_width: Some(1_280),
            coded_height: Some(720),
            scalability_mode: Some("L1T3".to_owned()),
            ..microphone().config
        },
        ..microphone()
    }
}
