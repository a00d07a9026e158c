//! One receiver, down to each codec frame that came. Its figures are drawn afterwards.

use std::{collections::HashSet, ops::Range};

use pulse_client::{Client, Event};
use tokio::time::{Instant, sleep_until};

use crate::call::{Failure, publisher::MICROPHONE, receiver::Assembly};

/// A codec frame that came whole. Times are µs since the run's origin.
#[derive(Clone, Copy, Debug)]
pub struct Got {
    pub due_us: u64,
    pub at_us: u64,
    /// Everything that it needs came, too.
    pub decodable: bool,
}

impl Got {
    pub fn age_ms(&self) -> f64 {
        self.at_us.saturating_sub(self.due_us) as f64 / 1e3
    }
}

/// What came.
#[derive(Debug, Default)]
pub struct Heard {
    pub voices: Vec<Got>,
    pub pictures: Vec<Got>,
    /// Frames that were damaged, and chunks that contradict their frame's others.
    pub unsound: u64,
    /// Chunks that came behind a newer frame that was whole, or twice: bytes for nothing.
    pub superseded: u64,
    /// Why the connection ended.
    pub closed: Option<String>,
}

impl Heard {
    /// Voices that were due then, whenever they came.
    pub fn voices_of(&self, due_us: &Range<u64>) -> Vec<Got> {
        let of = |got: &&Got| due_us.contains(&got.due_us);
        self.voices.iter().filter(of).copied().collect()
    }

    pub fn undecodable(&self) -> usize {
        self.pictures.iter().filter(|got| !got.decodable).count()
    }

    /// How long after a moment a decodable picture came that was younger than this.
    pub fn live_ms(&self, after_us: u64, age_ms: f64) -> Option<f64> {
        let mut later = self.pictures.iter().filter(|got| got.at_us >= after_us);
        let live = later.find(|got| got.decodable && got.age_ms() < age_ms)?;
        Some((live.at_us - after_us) as f64 / 1e3)
    }
}

/// The value that this part of all does not exceed.
pub fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * part).ceil() as usize;
    values
        .get(place.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// Receives until then, or until the connection is over.
pub async fn listen(
    client: &mut Client,
    origin: Instant,
    until: Instant,
) -> Result<Heard, Failure> {
    let mut heard = Heard::default();
    let mut assembly = Assembly::new(origin);
    let mut decodable = HashSet::new();
    loop {
        let event = tokio::select! {
            event = client.next() => event,
            () = sleep_until(until) => return Ok(heard),
        };
        let (header, frame) = match event {
            Event::Media { header, frame, .. } => (header, frame),
            Event::Closed(closed) => {
                heard.closed = Some(closed.to_string());
                return Ok(heard);
            }
            _ => continue,
        };
        let Some(arrival) = assembly.push(&header, &frame) else {
            continue;
        };
        if arrival.superseded {
            heard.superseded += 1;
            continue;
        }
        if let Some(fault) = arrival.fault {
            if heard.unsound == 0 {
                eprintln!(
                    "a receiver's frame {} is not sound: {fault}",
                    header.sequence
                );
            }
            heard.unsound += 1;
            continue;
        }
        let needs = header.sequence.wrapping_sub(u32::from(header.reference));
        let got = Got {
            due_us: header.captured_us,
            at_us: header.captured_us + arrival.age.as_micros() as u64,
            decodable: header.track == MICROPHONE
                || header.keyframe()
                || decodable.contains(&needs),
        };
        if header.track == MICROPHONE {
            heard.voices.push(got);
            continue;
        }
        if got.decodable {
            decodable.insert(header.sequence);
        }
        heard.pictures.push(got);
    }
}
