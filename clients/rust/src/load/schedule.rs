//! When each codec frame of each track is due, and what it is: an open loop. A frame that leaves late
//! moves no later one, and every track begins at a phase of its own, drawn from the seed: speakers in
//! step would flatter whoever batches. Pure; the same seed gives the same frames.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use pulse_proto::media::LEVEL_SILENT;

use super::plan::Plan;

/// The pattern of L1T3: temporal layer, and distance to the picture that this one needs.
const PATTERN: [(u8, u8); 4] = [(0, 4), (2, 1), (1, 2), (2, 1)];

/// A keyframe is so many times as large as other pictures on average.
const KEYFRAME_RATIO: f64 = 6.0;

/// Pictures differ from their mean by up to this part of it.
const PICTURE_SPREAD: f64 = 0.3;

/// How long one of the simulated speakers speaks.
const TURN_NS: u64 = 2_000_000_000;

/// A voice that is heard: the voice bit and −20 dBov.
const LEVEL_VOICE: u8 = 0x80 | 20;

/// Numbers that look random (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Voice,
    Picture,
}

/// Which of a room's tracks a stream is: first every microphone, then every camera.
pub(crate) fn kind_of(plan: &Plan, stream: usize) -> (Kind, usize) {
    match stream.checked_sub(plan.audio_publishers) {
        Some(publisher) => (Kind::Picture, publisher),
        None => (Kind::Voice, stream),
    }
}

/// A codec frame that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The track, counted over all rooms.
    pub(crate) stream: usize,
    /// Its publisher, counted over all rooms.
    pub(crate) publisher: usize,
    pub(crate) kind: Kind,
    /// When, in ns since the schedule's beginning.
    pub(crate) at_ns: u64,
    pub(crate) bytes: usize,
    pub(crate) temporal: u8,
    /// Distance to the frame that it needs; 0 for a keyframe and for voice.
    pub(crate) reference: u8,
    pub(crate) discardable: bool,
    /// The audio level of its header.
    pub(crate) level: u8,
}

#[derive(Debug)]
struct Track {
    room: usize,
    publisher: usize,
    kind: Kind,
    rate: f64,
    phase_ns: u64,
    /// Frames that were due.
    count: u64,
    since_keyframe: usize,
    keyframe_wanted: bool,
    random: Random,
}

impl Track {
    /// Counted from its phase each time, so that nothing adds up over hours.
    fn at_ns(&self) -> u64 {
        self.phase_ns + (self.count as f64 * 1e9 / self.rate) as u64
    }
}

/// Everything that is due, in its order.
#[derive(Debug)]
pub(crate) struct Schedule {
    tracks: Vec<Track>,
    next: BinaryHeap<Reverse<(u64, usize)>>,
    end_ns: u64,
    seed: u64,
    speaking: Option<usize>,
    voice_bytes: usize,
    picture_bytes: f64,
    pictures_per_keyframe: u64,
}

impl Schedule {
    /// The schedule of a plan that has been checked.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut random = Random(plan.seed);
        let mut tracks = Vec::with_capacity(plan.rooms * plan.streams());
        for room in 0..plan.rooms {
            for stream in 0..plan.streams() {
                let (kind, publisher) = kind_of(plan, stream);
                let rate = match kind {
                    Kind::Voice => plan.voice.rate,
                    Kind::Picture => plan.picture.fps,
                };
                tracks.push(Track {
                    room,
                    publisher: room * plan.publishers() + publisher,
                    kind,
                    rate,
                    phase_ns: (random.part() * 1e9 / rate) as u64,
                    count: 0,
                    since_keyframe: 0,
                    keyframe_wanted: false,
                    random: Random(random.next()),
                });
            }
        }
        let picture = &plan.picture;
        let per_keyframe = (picture.keyframe_interval.as_secs_f64() * picture.fps)
            .round()
            .max(1.0);
        let mean = picture.bitrate / 8.0 / picture.fps;
        let duration = plan.duration.map_or(u128::MAX, |time| time.as_nanos());
        Self {
            next: (tracks.iter().map(Track::at_ns).zip(0..).map(Reverse)).collect(),
            tracks,
            end_ns: u64::try_from(duration).unwrap_or(u64::MAX),
            seed: plan.seed,
            speaking: plan.simulate_speakers.then_some(plan.audio_publishers),
            voice_bytes: plan.voice.frame_bytes,
            // One of so many pictures is larger, and all together have the mean.
            picture_bytes: mean * per_keyframe / (per_keyframe - 1.0 + KEYFRAME_RATIO),
            pictures_per_keyframe: per_keyframe as u64,
        }
    }

    /// When the next frame is due; `None` at the end.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        let Reverse((at_ns, _)) = self.next.peek()?;
        (*at_ns < self.end_ns).then_some(*at_ns)
    }

    /// The next frame, if it is due. Ask again until there is none.
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<Due> {
        let at_ns = self.next_ns().filter(|at_ns| *at_ns <= now_ns)?;
        let Reverse((_, stream)) = self.next.pop()?;
        let level = self.level(stream, at_ns);
        let track = self.tracks.get_mut(stream)?;
        let mut due = Due {
            stream,
            publisher: track.publisher,
            kind: track.kind,
            at_ns,
            bytes: self.voice_bytes,
            temporal: 0,
            reference: 0,
            discardable: false,
            level,
        };
        if track.kind == Kind::Picture {
            let keyframe = track.count.is_multiple_of(self.pictures_per_keyframe)
                || std::mem::take(&mut track.keyframe_wanted);
            track.since_keyframe = if keyframe {
                0
            } else {
                track.since_keyframe + 1
            };
            let pattern = PATTERN.get(track.since_keyframe % PATTERN.len());
            let (temporal, reference) = pattern.copied().unwrap_or_default();
            let spread = 1.0 + PICTURE_SPREAD * (2.0 * track.random.part() - 1.0);
            let ratio = if keyframe { KEYFRAME_RATIO } else { spread };
            due.bytes = Plan::fitting((self.picture_bytes * ratio) as usize);
            due.temporal = temporal;
            due.reference = if keyframe { 0 } else { reference };
            due.discardable = temporal == 2;
        }
        track.count += 1;
        self.next.push(Reverse((track.at_ns(), stream)));
        Some(due)
    }

    /// The track's next picture is a keyframe: somebody asked, or a picture was not sent.
    pub(crate) fn want_keyframe(&mut self, stream: usize) {
        if let Some(track) = self.tracks.get_mut(stream) {
            track.keyframe_wanted = true;
        }
    }

    /// Nothing is due any more from this time on.
    pub(crate) fn end(&mut self, after: Duration) {
        let at_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        self.end_ns = self.end_ns.min(at_ns);
    }

    fn level(&self, stream: usize, at_ns: u64) -> u8 {
        let Some(track) = self.tracks.get(stream) else {
            return LEVEL_SILENT;
        };
        if track.kind == Kind::Picture {
            return LEVEL_SILENT;
        }
        let Some(speakers) = self.speaking else {
            return LEVEL_VOICE;
        };
        let turn = self.seed ^ (at_ns / TURN_NS) << 16 ^ track.room as u64;
        let speaker = Random(turn).next() % (speakers.max(1) as u64);
        // Within its room a microphone's stream has its publisher's number.
        let first = self.tracks.len() / self.rooms() * track.room;
        if stream - first == speaker as usize {
            LEVEL_VOICE
        } else {
            LEVEL_SILENT
        }
    }

    fn rooms(&self) -> usize {
        self.tracks.last().map_or(1, |track| track.room + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::address::Address;

    fn plan() -> Plan {
        let address = Address::parse("http://localhost:1").unwrap();
        Plan {
            rooms: 2,
            audio_publishers: 10,
            video_publishers: 3,
            subscribers: 1,
            duration: Some(Duration::from_secs(20)),
            ..Plan::new(address, "room")
        }
    }

    fn all(plan: &Plan) -> Vec<Due> {
        let mut schedule = Schedule::new(plan);
        std::iter::from_fn(|| schedule.take(u64::MAX)).collect()
    }

    #[test]
    fn the_seed_decides_the_phases_and_they_lie_apart() {
        assert_eq!(all(&plan()), all(&plan()));
        let first = |seed| -> Vec<u64> {
            let schedule = Schedule::new(&Plan { seed, ..plan() });
            schedule.tracks.iter().map(|track| track.phase_ns).collect()
        };
        assert_ne!(first(1), first(2));
        for seed in 0..50 {
            let mut voices = first(seed);
            voices.truncate(10);
            assert!(voices.iter().all(|phase| *phase < 20_000_000));
            voices.sort_unstable();
            voices.dedup();
            assert_eq!(voices.len(), 10);
            // In step means within a part of a millisecond.
            assert!(voices[9] - voices[0] > 2_000_000, "{voices:?}");
        }
    }

    #[test]
    fn every_track_keeps_its_rate_to_the_end() {
        let all = all(&plan());
        assert!(all.windows(2).all(|two| two[0].at_ns <= two[1].at_ns));
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for due in &all {
            *counts.entry(due.stream).or_default() += 1;
        }
        assert_eq!(counts.len(), 26);
        for (stream, count) in counts {
            assert_eq!(count, if stream % 13 < 10 { 1_000 } else { 600 });
        }
    }

    #[test]
    fn a_late_tick_moves_no_later_one() {
        let on_time = all(&plan());
        let mut schedule = Schedule::new(&plan());
        let mut late = Vec::new();
        for now_ms in [0, 3, 700, 701, 5_000, 30_000] {
            late.extend(std::iter::from_fn(|| schedule.take(now_ms * 1_000_000)));
        }
        assert_eq!(late, on_time);
    }

    #[test]
    fn pictures_have_their_bitrate_their_keyframes_and_their_references() {
        let pictures: Vec<Due> = all(&plan())
            .into_iter()
            .filter(|due| due.stream == 10)
            .collect();
        let bits: usize = pictures.iter().map(|due| due.bytes * 8).sum();
        assert!((1.4e6..1.6e6).contains(&(bits as f64 / 20.0)), "{bits}");
        for (index, due) in pictures.iter().enumerate() {
            assert_eq!(due.reference == 0, index % 120 == 0);
            assert!(usize::from(due.reference) <= index % 120);
            assert_eq!(due.discardable, due.temporal == 2);
        }
        assert!(pictures[120].bytes > 3 * pictures[121].bytes);
    }

    #[test]
    fn a_keyframe_comes_when_it_is_wanted() {
        let mut schedule = Schedule::new(&plan());
        let mut pictures = Vec::new();
        while pictures.len() < 20 {
            pictures.extend(schedule.take(u64::MAX).filter(|due| due.stream == 10));
            if pictures.len() == 7 {
                schedule.want_keyframe(10);
            }
        }
        let keyframes: Vec<usize> = (0..20).filter(|at| pictures[*at].reference == 0).collect();
        assert_eq!(keyframes, [0, 7]);
        assert_eq!((pictures[8].temporal, pictures[8].reference), (2, 1));
    }

    #[test]
    fn one_of_a_room_speaks_at_a_time() {
        let plan = Plan {
            simulate_speakers: true,
            ..plan()
        };
        let mut heard: HashMap<(u64, usize), Vec<usize>> = HashMap::new();
        for due in all(&plan) {
            if due.level & 0x7f < 0x7f {
                heard
                    .entry((due.at_ns / TURN_NS, due.stream / 13))
                    .or_default()
                    .push(due.stream);
            }
        }
        assert_eq!(heard.len(), 20);
        for streams in heard.values_mut() {
            streams.dedup();
            assert_eq!(streams.len(), 1);
        }
        assert!(heard.values().any(|streams| streams != &heard[&(0, 0)]));
    }

    #[test]
    fn it_ends_when_it_is_stopped() {
        let mut schedule = Schedule::new(&Plan {
            duration: None,
            ..plan()
        });
        assert!(schedule.take(u64::MAX).is_some());
        schedule.end(Duration::from_millis(5));
        while let Some(due) = schedule.take(u64::MAX) {
            assert!(due.at_ns < 5_000_000);
        }
        assert_eq!(schedule.next_ns(), None);
    }
}
