//! The phases of a run, and what they are for everybody else: a speaker and an audience that have
//! nothing wrong with them, each on a thread and a runtime of its own.

use std::{future::Future, ops::Range, time::Duration};

use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use crate::call::{
    Failure,
    figures::Row,
    looks::Looked,
    publisher::{self, MICROPHONE, Published},
    receiver::{Audience, LOST_US, Seen, histogram},
    schedule::{Camera, Due, Kind, stretch_of},
};

/// Until everybody is in, and until what is done once is done.
pub const JOINING: Duration = Duration::from_secs(4);
const WARM_UP_S: u64 = 4;

/// Others may be worse by the larger of the two.
const WORSE_RATIO: f64 = 0.2;
const WORSE_MS: f64 = 2.0;

/// A call whose middle part is bad for somebody.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// A multiple of 4, so that all parts have their share of keyframes.
    pub before_s: u64,
    pub during_s: u64,
    pub after_s: u64,
}

/// Of [`Phases`].
pub const BEFORE: usize = 0;
pub const DURING: usize = 1;
pub const PARTS: usize = 3;

impl Phases {
    /// When a part is, in µs since the origin.
    pub fn part_us(&self, part: usize) -> Range<u64> {
        let lengths_s = [self.before_s, self.during_s, self.after_s];
        let start_s = WARM_UP_S + lengths_s.iter().take(part).sum::<u64>();
        let end_s = start_s + lengths_s.get(part).copied().unwrap_or_default();
        start_s * 1_000_000..end_s * 1_000_000
    }

    /// The part of a moment.
    pub fn part(&self, at_us: u64) -> Option<usize> {
        (0..PARTS).find(|part| self.part_us(*part).contains(&at_us))
    }

    /// The end of everything that is sent.
    pub fn end(&self, origin: Instant) -> Instant {
        origin + Duration::from_micros(self.part_us(PARTS - 1).end)
    }

    fn schedule(&self, camera: Camera) -> Vec<Due> {
        let all_s = WARM_UP_S + self.before_s + self.during_s + self.after_s;
        stretch_of(camera, 0, all_s, 1)
    }
}

/// Runs a future on a runtime of this thread.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// Speaks and is seen, to the end.
pub fn speak(
    url: &str,
    origin: Instant,
    phases: Phases,
    camera: Camera,
) -> Result<Published, Failure> {
    block_on(async {
        let client = publisher::join(url).await?;
        if Instant::now() >= origin {
            return Err("the speaker took too long to join".into());
        }
        let publisher = publisher::publish(client, phases.schedule(camera), origin);
        publisher.finish().await
    })
}

/// Receives to the end; two windows a part, pictures before voice.
pub fn attend(url: &str, size: usize, origin: Instant, phases: Phases) -> Result<Seen, Failure> {
    block_on(async {
        let window = move |header: &pulse_proto::media::MediaHeader| {
            let part = phases.part(header.captured_us)?;
            Some(2 * part + usize::from(header.track == MICROPHONE))
        };
        let audience = Audience::join(url, size, origin, 2 * PARTS, window).await?;
        if Instant::now() >= origin {
            return Err("the audience took too long to join".into());
        }
        sleep_until(phases.end(origin) + Duration::from_secs(1)).await;
        audience.finish().await
    })
}

/// What one row of figures is drawn from, beside the bad receivers' own.
pub struct Run {
    pub phases: Phases,
    pub camera: Camera,
    pub published: Published,
    pub seen: Seen,
    pub size: usize,
    pub looked: Vec<Looked>,
}

/// A row whose name begins with its measurement's.
pub fn named(run: &str, what: &str, value: f64, unit: &'static str) -> Row {
    Row::new(format!("{run}_{what}").leak(), value, unit)
}

impl Run {
    /// What the others had of it.
    pub fn others(&self, name: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut lost = [0; 2];
        for (track, what) in ["picture", "voice"].into_iter().enumerate() {
            let mut p99_ms = [0.0; 2];
            for part in [BEFORE, DURING] {
                let Some(mut window) = self.seen.windows.get(2 * part + track).cloned() else {
                    continue;
                };
                let given = self.given(part, track) * self.size as u64;
                let missing = given.saturating_sub(window.len());
                lost[part] += missing;
                window.saturating_record_n(LOST_US, missing);
                p99_ms[part] = window.value_at_quantile(0.99) as f64 / 1e3;
            }
            let [before, during] = p99_ms;
            // What was lost without any trouble says that the machine was too busy to tell.
            let worse = if lost[BEFORE] > 0 {
                f64::NAN
            } else {
                during - before
            };
            let row =
                |part: &str, value| named(name, &format!("others_{what}_p99_{part}"), value, "ms");
            rows.extend([
                row("worse", worse).at_most(WORSE_MS.max(WORSE_RATIO * before)),
                row("before", before),
                row("during", during),
            ]);
        }
        rows.extend([
            named(name, "others_lost_before", lost[BEFORE] as f64, "frames"),
            named(name, "others_lost_during", lost[DURING] as f64, "frames"),
            named(name, "others_unsound", self.seen.unsound as f64, "frames").at_most(0.0),
        ]);
        rows
    }

    /// Codec frames of a track that were due in a part.
    fn given(&self, part: usize, track: usize) -> u64 {
        let due = self.phases.schedule(self.camera).into_iter().filter(|due| {
            matches!(due.kind, Kind::Voice) == (track == 1)
                && self.phases.part(due.at_us) == Some(part)
        });
        due.count() as u64
    }

    /// What the machine had of it: how late it was itself, without and with the bad receiver.
    pub fn machine(&self, name: &str) -> Vec<Row> {
        let late_ms = |part| {
            let mut late_us: Histogram<u64> = histogram();
            for (at_us, late) in &self.published.late_us {
                if self.phases.part(*at_us) == Some(part) {
                    late_us.saturating_record(*late);
                }
            }
            late_us.value_at_quantile(0.99) as f64 / 1e3
        };
        let per_second = |part: usize, seconds: u64| {
            self.looked.get(part).map_or(f64::NAN, Looked::waited_ms) / seconds as f64
        };
        vec![
            named(name, "generator_late_p99_before", late_ms(BEFORE), "ms"),
            named(name, "generator_late_p99_during", late_ms(DURING), "ms"),
            named(
                name,
                "edge_waited_before",
                per_second(BEFORE, self.phases.before_s),
                "ms/s",
            ),
            named(
                name,
                "edge_waited_during",
                per_second(DURING, self.phases.during_s),
                "ms/s",
            ),
        ]
    }

    /// Bytes a second of the camera in a part.
    pub fn camera_rate(&self, part: usize) -> f64 {
        let pictures = self.published.pictures.iter();
        let of = pictures.filter(|(at_us, _)| self.phases.part(*at_us) == Some(part));
        let time_us = self.phases.part_us(part);
        of.map(|(_, bytes)| *bytes as f64).sum::<f64>() * 1e6 / (time_us.end - time_us.start) as f64
    }
}
