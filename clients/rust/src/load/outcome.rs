//! What became of a load test: sums, losses with their causes, delays, and whether the generator
//! itself was the limit. Pure; `tell.rs` makes texts of it.

use std::time::Duration;

use serde::Serialize;

use super::{
    ledger::Account,
    plan::Plan,
    publisher::{Sent, Sums},
    schedule::{Kind, kind_of},
    seconds,
    subscriber::End,
    tally::{Class, Percentiles, Tally},
};
use crate::limits::{LIMIT_CPU, LIMIT_LATE, LIMIT_TURN};

/// Everything an outcome is made of.
#[derive(Debug)]
pub(crate) struct Materials<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) sent: Sent,
    pub(crate) tally: Tally,
    pub(crate) ends: Vec<End>,
    pub(crate) joined: usize,
    pub(crate) failed: usize,
    pub(crate) failure: Option<String>,
    pub(crate) sending: Duration,
    /// Messages that came until nothing more was sent.
    pub(crate) in_time: u64,
    pub(crate) cpu: Option<Duration>,
}

/// One second while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Seconds since the first join.
    pub at: f64,
    /// Whether it is the last one; then it is an [`Outcome`].
    pub last: bool,
    /// Participants that are in.
    pub joined: usize,
    /// Participants that are not and will not be.
    pub failed_joins: usize,
    /// Codec frames sent so far.
    pub sent: u64,
    /// Messages that came to all subscribers so far.
    pub deliveries: u64,
    /// The same a second.
    pub deliveries_per_second: f64,
    /// Bytes a second of them.
    pub bytes_per_second: f64,
    /// Messages so far that were not as they were sent.
    pub corrupt: u64,
    /// Delays of this second's voice.
    pub audio_ms: Percentiles,
    /// Delays of this second's pictures.
    pub video_ms: Percentiles,
}

impl Progress {
    pub(crate) fn between(
        at: Duration,
        since: Duration,
        joined: usize,
        failed: usize,
        sent: u64,
        now: &Tally,
        before: Option<&Tally>,
    ) -> Self {
        let rate = |of: fn(&Tally) -> u64| (of(now) - before.map_or(0, of)) as f64 / seconds(since);
        let delays = |of: fn(&Tally) -> &Class| {
            let mut us = of(now).latency_us.clone();
            if let Some(before) = before {
                // What there was before is part of what there is.
                let _ = us.subtract(&of(before).latency_us);
            }
            Percentiles::of(&us)
        };
        Self {
            at: at.as_secs_f64(),
            last: false,
            joined,
            failed_joins: failed,
            sent,
            deliveries: now.messages(),
            deliveries_per_second: rate(Tally::messages),
            bytes_per_second: rate(|tally| tally.voice.bytes + tally.picture.bytes),
            corrupt: now.corrupt,
            audio_ms: delays(|tally| &tally.voice),
            video_ms: delays(|tally| &tally.picture),
        }
    }
}

/// Frames that did not come, by cause, as far as their receivers can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// Newer frames of the track came, and nothing of these: somebody dropped them.
    pub dropped: u64,
    /// Some of their chunks came.
    pub incomplete: u64,
    /// The connection was over.
    pub closed: u64,
    /// Nothing newer of the track came until the end: dropped last, or still on the way.
    pub unfinished: u64,
}

impl Lost {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.dropped + self.incomplete + self.closed + self.unfinished
    }
}

/// All tracks of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassOutcome {
    /// Codec frames given to sockets.
    pub sent: u64,
    /// Codec frames that were due but found their socket full or over.
    pub unsent: u64,
    /// Bytes of their messages.
    pub sent_bytes: u64,
    /// Codec frames that should have come, at all subscribers that wanted them.
    pub expected: u64,
    /// Codec frames that came whole.
    pub delivered: u64,
    /// Those that did not.
    pub lost: Lost,
    /// The same, of a hundred expected ones.
    pub lost_percent: f64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Frames behind newer ones of their track.
    pub reordered: u64,
    /// Whole frames that need one which was not decoded.
    pub undecodable: u64,
    /// Messages of tracks that were not asked for.
    pub unwanted: u64,
    /// Messages that came: a codec frame is one or several.
    pub deliveries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the time a frame was due to its last chunk.
    pub latency_ms: Percentiles,
}

/// What is known of the generator itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Generator {
    /// From the time a frame was due until its socket had it.
    pub late_ms: Percentiles,
    /// How long a socket waits for its receiving thread.
    pub turn_ms: Percentiles,
    /// Processor time of the process while it sent, in cores; missing where the system does not say.
    pub cores_used: Option<f64>,
    /// The cores that its threads can use.
    pub cores: usize,
    /// Whether one of the three was over its bound.
    pub was_the_limit: bool,
}

/// One subscriber.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberOutcome {
    /// Its room, from 0.
    pub room: usize,
    /// Its number in the room, from 0; slow ones are the first.
    pub number: usize,
    /// Packets of voice that came.
    pub audio: u64,
    /// Packets of voice that did not.
    pub audio_lost: u64,
    /// Age of the voice that came, if the plan asks for it.
    pub audio_age_ms: Option<Percentiles>,
    /// Pictures that came.
    pub video: u64,
    /// Pictures that did not.
    pub video_lost: u64,
    /// Pictures that could not be decoded.
    pub undecodable: u64,
    /// After it had been slow: ms until no voice was older than 200 ms any more.
    pub audio_live_ms: Option<f64>,
    /// After it had been slow: ms until a decodable picture was less than 500 ms old.
    pub video_live_ms: Option<f64>,
    /// Why its connection ended too soon.
    pub closed: Option<String>,
}

/// What became of a load test.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// It is the last report.
    pub last: bool,
    /// Seconds for which media was sent.
    pub seconds: f64,
    /// Participants that got in.
    pub joined: usize,
    /// Participants that did not.
    pub failed_joins: usize,
    /// Why the first of them did not.
    pub first_failure: Option<String>,
    /// Voice.
    pub audio: ClassOutcome,
    /// Pictures.
    pub video: ClassOutcome,
    /// Messages a second at all subscribers while media was sent, every one verified. What comes
    /// afterwards is delivered, but not at this rate.
    pub deliveries_per_second: f64,
    /// Messages that were not as they were sent, or in a wrong room.
    pub corrupt: u64,
    /// Media of others in the room.
    pub foreign: u64,
    /// Times that somebody was refused something.
    pub errors: u64,
    /// Keyframes that publishers were asked for.
    pub keyframe_requests: u64,
    /// Connections that ended too soon, publishers' and subscribers'.
    pub closed: usize,
    /// Why the first of them did.
    pub first_close: Option<String>,
    /// The generator itself.
    pub generator: Generator,
    /// Each subscriber, if the plan asks for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscribers: Vec<SubscriberOutcome>,
}

impl Outcome {
    /// Whether everybody got in and every message was as it was sent. Loss is no failure: a server
    /// may have to drop.
    pub const fn is_sound(&self) -> bool {
        self.failed_joins == 0 && self.corrupt == 0
    }
}

/// Draws the sums.
pub(crate) fn settle(materials: &Materials<'_>) -> Outcome {
    let Materials {
        plan, sent, tally, ..
    } = materials;
    let mut audio = class(sent.voice, &tally.voice);
    let mut video = class(sent.picture, &tally.picture);
    let mut subscribers = Vec::new();
    let mut closes = sent.closed.clone();
    for end in &materials.ends {
        let mut figures = SubscriberOutcome {
            room: end.room,
            number: end.number,
            audio_age_ms: end.age_us.as_ref().map(Percentiles::of),
            audio_live_ms: end.comeback.voice.map(millis),
            video_live_ms: end.comeback.picture.map(millis),
            closed: end.closed.clone(),
            ..SubscriberOutcome::default()
        };
        closes.extend(end.closed.clone());
        for (stream, ledger) in end.ledgers.iter().enumerate() {
            let (kind, publisher) = kind_of(plan, stream);
            if kind == Kind::Picture && !plan.layout.shows(publisher) {
                continue;
            }
            let index = end.room * plan.streams() + stream;
            let expected = sent.frames.get(index).copied().unwrap_or_default();
            let account = ledger.account(expected, end.closed.is_some());
            let lost = match kind {
                Kind::Voice => enter(&mut audio, &account, expected),
                Kind::Picture => enter(&mut video, &account, expected),
            };
            match kind {
                Kind::Voice => {
                    figures.audio += account.whole;
                    figures.audio_lost += lost;
                }
                Kind::Picture => {
                    figures.video += account.whole;
                    figures.video_lost += lost;
                    figures.undecodable += account.undecodable;
                }
            }
        }
        if plan.per_subscriber {
            subscribers.push(figures);
        }
    }
    subscribers.sort_by_key(|one| (one.room, one.number));
    for class in [&mut audio, &mut video] {
        if class.expected > 0 {
            class.lost_percent = class.lost.total() as f64 * 100.0 / class.expected as f64;
        }
    }
    let seconds = seconds(materials.sending);
    Outcome {
        last: true,
        seconds,
        joined: materials.joined,
        failed_joins: materials.failed,
        first_failure: materials.failure.clone(),
        audio,
        video,
        deliveries_per_second: materials.in_time as f64 / seconds,
        corrupt: tally.corrupt,
        foreign: tally.foreign,
        errors: tally.errors + sent.errors,
        keyframe_requests: sent.keyframe_requests,
        closed: closes.len(),
        first_close: closes.into_iter().next(),
        generator: generator(materials),
        subscribers,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn class(sums: Sums, seen: &Class) -> ClassOutcome {
    ClassOutcome {
        sent: sums.frames,
        unsent: sums.unsent,
        sent_bytes: sums.bytes,
        unwanted: seen.unwanted,
        deliveries: seen.messages,
        bytes: seen.bytes,
        latency_ms: Percentiles::of(&seen.latency_us),
        ..ClassOutcome::default()
    }
}

/// Adds one track of one subscriber; says what it lost.
fn enter(class: &mut ClassOutcome, account: &Account, expected: u64) -> u64 {
    let missing = account.missing;
    let lost = Lost {
        dropped: missing.dropped,
        incomplete: missing.incomplete,
        closed: missing.closed,
        unfinished: missing.unfinished,
    };
    class.expected += expected;
    class.delivered += account.whole;
    class.lost.dropped += lost.dropped;
    class.lost.incomplete += lost.incomplete;
    class.lost.closed += lost.closed;
    class.lost.unfinished += lost.unfinished;
    class.duplicates += account.repeated;
    class.reordered += account.reordered;
    class.undecodable += account.undecodable;
    lost.total()
}

fn generator(materials: &Materials<'_>) -> Generator {
    let late_ms = Percentiles::of(&materials.sent.late_us);
    let turn_ms = Percentiles::of(&materials.tally.turn_us);
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = allowed.min(materials.plan.threads + 1);
    let used = materials
        .cpu
        .map(|cpu| cpu.as_secs_f64() / seconds(materials.sending));
    Generator {
        late_ms,
        turn_ms,
        cores_used: used,
        cores,
        was_the_limit: late_ms.p99 > millis(LIMIT_LATE)
            || turn_ms.p99 > millis(LIMIT_TURN)
            || used.is_some_and(|used| used > LIMIT_CPU * cores as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address::Address,
        load::{
            ledger::Ledger, publisher::Sums, stamp::Chunk, subscriber::Comeback, tally::histogram,
        },
    };

    fn ledger(frames: std::ops::Range<u32>) -> Ledger {
        let mut ledger = Ledger::default();
        for sequence in frames {
            ledger.take(&Chunk {
                stream: 0,
                due_ns: 0,
                sequence,
                reference: 0,
                chunk: 0,
                last: true,
            });
        }
        ledger
    }

    fn outcome(change: impl FnOnce(&mut Materials<'_>)) -> Outcome {
        let plan = Plan {
            audio_publishers: 1,
            video_publishers: 1,
            subscribers: 2,
            per_subscriber: true,
            ..Plan::new(Address::parse("http://localhost:1").unwrap(), "room")
        };
        let end = |number, frames, closed| End {
            room: 0,
            number,
            ledgers: vec![ledger(frames), ledger(0..5)],
            closed,
            age_us: None,
            comeback: Comeback::default(),
        };
        let mut materials = Materials {
            plan: &plan,
            sent: Sent {
                frames: vec![100, 5],
                voice: Sums {
                    frames: 100,
                    ..Sums::default()
                },
                picture: Sums {
                    frames: 5,
                    ..Sums::default()
                },
                late_us: histogram().unwrap(),
                keyframe_requests: 0,
                errors: 0,
                closed: Vec::new(),
            },
            tally: Tally::new().unwrap(),
            ends: vec![end(1, 0..60, Some("gone".into())), end(0, 10..100, None)],
            joined: 3,
            failed: 0,
            failure: None,
            sending: Duration::from_secs(2),
            in_time: 300,
            cpu: Some(Duration::from_secs(1)),
        };
        change(&mut materials);
        settle(&materials)
    }

    #[test]
    fn losses_are_summed_with_their_causes() {
        let outcome = outcome(|_| {});
        let audio = outcome.audio;
        assert_eq!((audio.expected, audio.delivered), (200, 150));
        assert_eq!((audio.lost.closed, audio.lost.dropped), (40, 10));
        assert!((audio.lost_percent - 25.0).abs() < 1e-9);
        assert_eq!(
            (outcome.video.expected, outcome.video.lost.total()),
            (10, 0)
        );
        assert_eq!(
            (outcome.closed, outcome.first_close.as_deref()),
            (1, Some("gone"))
        );
        let lost: Vec<u64> = outcome
            .subscribers
            .iter()
            .map(|one| one.audio_lost)
            .collect();
        assert_eq!(lost, [10, 40]);
        assert!(outcome.is_sound());
        assert!((outcome.deliveries_per_second - 150.0).abs() < 1e-9);
        assert!(
            outcome.to_string().contains("40 connection over"),
            "{outcome}"
        );
        assert!(
            serde_json::to_string(&outcome)
                .unwrap()
                .contains("\"lostPercent\":25.0")
        );
    }

    #[test]
    fn a_generator_at_its_limit_says_so() {
        assert!(!outcome(|_| {}).generator.was_the_limit);
        let late = outcome(|materials| materials.sent.late_us.saturating_record(40_000));
        assert!(late.generator.was_the_limit);
        assert!(late.to_string().contains("The generator was the limit"));
        let busy = outcome(|materials| materials.cpu = Some(Duration::from_secs(20)));
        assert!(busy.generator.was_the_limit);
        let slow = outcome(|materials| materials.tally.turn_us.saturating_record(80_000));
        assert!(slow.generator.was_the_limit);
    }

    #[test]
    fn damage_and_failed_joins_are_failures() {
        assert!(!outcome(|materials| materials.tally.corrupt = 1).is_sound());
        let failed = outcome(|materials| {
            materials.failed = 1;
            materials.failure = Some("no".into());
        });
        assert!(!failed.is_sound());
        assert!(
            failed
                .to_string()
                .contains("1 could not join, the first: no")
        );
    }

    #[test]
    fn a_second_is_what_came_since_the_one_before() {
        let mut before = Tally::new().unwrap();
        before.voice.messages = 100;
        before.voice.latency_us.saturating_record_n(50_000, 100);
        let mut now = before.clone();
        now.voice.messages = 300;
        now.voice.latency_us.saturating_record_n(1_000, 200);
        let second = Duration::from_secs(2);
        let progress = Progress::between(second, second, 1, 0, 1, &now, Some(&before));
        assert!((progress.deliveries_per_second - 100.0).abs() < 1e-9);
        assert!((progress.audio_ms.p99 - 1.0).abs() < 0.01);
    }
}
