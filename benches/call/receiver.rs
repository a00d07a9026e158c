//! Those who listen and watch: each codec frame that arrives is put together, checked, and timed
//! against the moment it was due.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use pulse_client::{Client, Event, JoinOptions};
use pulse_proto::{
    Frame,
    media::{MediaHeader, newer},
    reassembly::Reassembler,
};
use tokio::{task::JoinHandle, time::Instant};

use super::{Failure, ROOM, publisher::MICROPHONE};

/// The longest delay a figure can hold; a frame that never came counts as this late.
pub const LOST_US: u64 = 60_000_000;

/// An empty histogram of µs.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LOST_US, 3).expect("bounds that the crate allows")
}

/// A codec frame that is whole.
pub struct Arrival {
    pub header: MediaHeader,
    /// How long ago it was due.
    pub age: Duration,
    /// Why it is not whole, in order and with its own bytes.
    pub fault: Option<Cow<'static, str>>,
    /// It is a chunk of a frame that is whole already, or older than one that is.
    pub superseded: bool,
}

/// Puts the codec frames of both tracks together.
pub struct Assembly {
    origin: Instant,
    tracks: [(Reassembler, Option<u32>); 2],
}

impl Assembly {
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            tracks: Default::default(),
        }
    }

    /// Takes a chunk; returns the codec frame it completes.
    pub fn push(&mut self, header: &MediaHeader, frame: &Frame) -> Option<Arrival> {
        let now_us = self.origin.elapsed().as_micros() as u64;
        let (reassembler, newest) = &mut self.tracks[usize::from(header.track == MICROPHONE)];
        let age = Duration::from_micros(now_us.saturating_sub(header.captured_us));
        let superseded = newest.is_some_and(|newest| !newer(header.sequence, newest));
        let whole = match reassembler.push(header, frame) {
            Ok(whole) => whole?,
            Err(rejection) => {
                return Some(Arrival {
                    header: *header,
                    age,
                    fault: Some(rejection.detail),
                    superseded,
                });
            }
        };
        let in_order = newest.is_none_or(|newest| newer(header.sequence, newest));
        *newest = Some(header.sequence);
        let intact = whole
            .payload
            .split_first_chunk()
            .is_some_and(|(sum, rest)| u64::from_be_bytes(*sum) == checksum(rest));
        Some(Arrival {
            header: *header,
            age,
            superseded,
            fault: match (in_order, intact) {
                (true, true) => None,
                (_, false) => Some("its bytes are not its own".into()),
                (false, true) => Some("a newer one came before it".into()),
            },
        })
    }
}

/// FNV-1a, eight bytes at a step.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xcbf2_9ce4_8422_2325, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_be_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What all of an audience received, by window of the run.
pub struct Seen {
    pub windows: Vec<Histogram<u64>>,
    pub unsound: u64,
}

/// Healthy receivers at work.
pub struct Audience {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<Failure>>,
}

impl Audience {
    /// Lets `size` receivers join. `window` tells from a frame's header, which has its due time,
    /// which histogram it belongs to, if any.
    pub async fn join(
        url: &str,
        size: usize,
        origin: Instant,
        windows: usize,
        window: impl Fn(&MediaHeader) -> Option<usize> + Clone + Send + 'static,
    ) -> Result<Self, Failure> {
        let seen = Arc::new(Mutex::new(Seen {
            windows: (0..windows).map(|_| histogram()).collect(),
            unsound: 0,
        }));
        let mut tasks = Vec::with_capacity(size);
        for number in 0..size {
            let options = JoinOptions::new(ROOM, format!("Listener {number}"));
            let client = Client::connect(url, &options).await?;
            let (seen, window) = (seen.clone(), window.clone());
            tasks.push(tokio::spawn(receive(client, origin, seen, window)));
        }
        Ok(Self { seen, tasks })
    }

    /// What was received; an error if one of them did not stay to the end.
    pub async fn finish(self) -> Result<Seen, Failure> {
        for task in self.tasks {
            if task.is_finished() {
                return Err(task.await?);
            }
            task.abort();
            // Aborted: nothing else can come of it.
            let _ = task.await;
        }
        let seen = Arc::into_inner(self.seen).ok_or("a receiver is still at work")?;
        Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads to the end of the connection, which is a failure.
async fn receive(
    mut client: Client,
    origin: Instant,
    seen: Arc<Mutex<Seen>>,
    window: impl Fn(&MediaHeader) -> Option<usize>,
) -> Failure {
    let mut assembly = Assembly::new(origin);
    loop {
        match client.next().await {
            Event::Media { header, frame, .. } => {
                let Some(arrival) = assembly.push(&header, &frame) else {
                    continue;
                };
                let mut seen = lock(&seen);
                if let Some(fault) = arrival.fault {
                    if seen.unsound == 0 {
                        eprintln!("the first of the audience's frames that is not sound: {fault}");
                    }
                    seen.unsound += 1;
                } else if let Some(window) = window(&header) {
                    let age_us = arrival.age.as_micros() as u64;
                    seen.windows[window].saturating_record(age_us);
                }
            }
            Event::Closed(closed) => return format!("a receiver's end: {closed}").into(),
            _ => {}
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
