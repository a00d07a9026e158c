//! The sums of one receiving thread while it goes on, and of all together: what came, how late, and
//! how late the thread itself was. Pure.

use hdrhistogram::Histogram;

use super::{LoadError, schedule::Kind};
use crate::limits::MAX_DELAY_US;

/// Three digits from 1 µs to 60 s; what is later counts as 60 s.
pub(crate) fn histogram() -> Result<Histogram<u64>, LoadError> {
    Histogram::new_with_bounds(1, MAX_DELAY_US, 3).map_err(|_| LoadError::Histogram)
}

/// What came of one kind of track.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// µs from a frame's due time to its last chunk.
    pub(crate) latency_us: Histogram<u64>,
    /// Messages, whole frames or not.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Messages of tracks that were not wanted.
    pub(crate) unwanted: u64,
}

impl Class {
    fn new() -> Result<Self, LoadError> {
        Ok(Self {
            latency_us: histogram()?,
            messages: 0,
            bytes: 0,
            unwanted: 0,
        })
    }
}

/// What a receiving thread has seen.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) voice: Class,
    pub(crate) picture: Class,
    /// Media of our publishers that is not as they sent it, or in another room.
    pub(crate) corrupt: u64,
    /// Media of somebody else in the room.
    pub(crate) foreign: u64,
    /// ERROR messages.
    pub(crate) errors: u64,
    /// µs that the thread's own clock ran late: as long as a socket waits for its turn.
    pub(crate) turn_us: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, LoadError> {
        Ok(Self {
            voice: Class::new()?,
            picture: Class::new()?,
            corrupt: 0,
            foreign: 0,
            errors: 0,
            turn_us: histogram()?,
        })
    }

    pub(crate) const fn class(&mut self, kind: Kind) -> &mut Class {
        match kind {
            Kind::Voice => &mut self.voice,
            Kind::Picture => &mut self.picture,
        }
    }

    /// Messages that came, wanted or not, sound or not.
    pub(crate) const fn messages(&self) -> u64 {
        self.voice.messages + self.picture.messages
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (class, other) in [
            (&mut self.voice, &other.voice),
            (&mut self.picture, &other.picture),
        ] {
            // All have the same bounds.
            let _ = class.latency_us.add(&other.latency_us);
            class.messages += other.messages;
            class.bytes += other.bytes;
            class.unwanted += other.unwanted;
        }
        let _ = self.turn_us.add(&other.turn_us);
        self.corrupt += other.corrupt;
        self.foreign += other.foreign;
        self.errors += other.errors;
    }
}

/// Delays in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Half of them are at most this.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// Reads them, in ms, from a histogram of µs.
    pub(crate) fn of<C: hdrhistogram::Counter>(us: &Histogram<C>) -> Self {
        let ms = |quantile| us.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            p999: ms(0.999),
            max: us.max() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let mut us = histogram().unwrap();
        for value in 1..=10_000_u64 {
            us.saturating_record(value * 10);
        }
        let read = Percentiles::of(&us);
        for (value, ms) in [
            (read.p50, 50.0),
            (read.p90, 90.0),
            (read.p99, 99.0),
            (read.p999, 99.9),
            (read.max, 100.0),
        ] {
            assert!((value - ms).abs() <= ms * 0.001 + 0.001, "{value} for {ms}");
        }
        assert_eq!(
            Percentiles::of(&histogram().unwrap()),
            Percentiles::default()
        );
    }

    #[test]
    fn sums_of_threads_add_up() {
        let mut one = Tally::new().unwrap();
        one.class(Kind::Voice).latency_us.saturating_record(10);
        one.voice.messages = 3;
        one.corrupt = 1;
        let mut other = Tally::new().unwrap();
        other.class(Kind::Voice).latency_us.saturating_record(30);
        other.picture.messages = 4;
        one.add(&other);
        assert_eq!((one.messages(), one.corrupt), (7, 1));
        assert_eq!(one.voice.latency_us.len(), 2);
        assert_eq!(one.voice.latency_us.max(), 30);
    }
}
