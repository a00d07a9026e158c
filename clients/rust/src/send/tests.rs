//! A bot on paths of all kinds, in simulated time: sound stays in time, pictures take what is left and come
//! back.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use proptest::prelude::*;
use pulse_proto::control::Ack;

use super::*;
use crate::{
    limits::{PACER_MAX_BYTES, PACER_MAX_WAIT, UPLINK_FLOOR_BYTES},
    media::{clip, tone},
    source::Source,
};

const SOUND: u8 = 0;
const PICTURE: u8 = 1;
const ID: ParticipantId = ParticipantId::ZERO;

/// An edge behind an uplink of some rate with an unbounded queue.
struct Link {
    one_way: Duration,
    free_at: Duration,
    on_the_way: VecDeque<(Duration, Frame)>,
    bytes: u64,
    newest: BTreeMap<u8, u32>,
    least: Option<Duration>,
    fastest: Duration,
    acks: VecDeque<(Duration, PublisherAck)>,
    /// When sound was captured and how long it took beyond the path.
    sound: Vec<(Duration, Duration)>,
    pictures: Vec<(Duration, MediaHeader)>,
}

impl Link {
    fn new(one_way: Duration) -> Self {
        Self {
            one_way,
            free_at: Duration::ZERO,
            on_the_way: VecDeque::new(),
            bytes: 0,
            newest: BTreeMap::new(),
            least: None,
            fastest: Duration::MAX,
            acks: VecDeque::new(),
            sound: Vec::new(),
            pictures: Vec::new(),
        }
    }

    /// A rate of 0 lasts until there is another one.
    fn enter(&mut self, now: Duration, frame: Frame, bits_per_s: impl Fn(u64) -> u64) {
        let mut begins = self.free_at.max(now);
        while bits_per_s(begins.as_secs()) == 0 {
            begins = Duration::from_secs(begins.as_secs() + 1);
        }
        let rate = bits_per_s(begins.as_secs()) as f64;
        self.free_at = begins + Duration::from_secs_f64(frame.len() as f64 * 8.0 / rate);
        self.on_the_way
            .push_back((self.free_at + self.one_way, frame));
    }

    fn arrive(&mut self, now: Duration) {
        while let Some((_, frame)) = self.on_the_way.pop_front_if(|(at, _)| *at <= now) {
            let header = MediaHeader::parse(&frame).unwrap();
            self.bytes += frame.len() as u64;
            self.newest.insert(header.track, header.sequence);
            let captured = Duration::from_micros(header.captured_us);
            let transit = now - captured;
            self.fastest = self.fastest.min(transit);
            self.least = Some(self.least.map_or(transit, |least| least.min(transit)));
            if header.track == SOUND {
                self.sound.push((captured, transit - self.one_way));
            } else if header.last {
                self.pictures.push((now, header));
            }
        }
    }

    fn acknowledge(&mut self, now: Duration) {
        let Some(least) = self.least.take() else {
            return;
        };
        let acks = self.newest.iter().map(|(track, seq)| Ack {
            track: *track,
            layer: 0,
            seq: *seq,
        });
        let ack = PublisherAck {
            acks: acks.collect(),
            bytes: self.bytes,
            delay_ms: (least - self.fastest).as_millis() as u64,
        };
        self.acks.push_back((now + self.one_way, ack));
    }
}

/// Sends for so long over a path of which `bits_per_s` says what it carries at a second.
fn publish(seconds: u64, with_sound: bool, bits_per_s: impl Fn(u64) -> u64) -> (Link, Sender) {
    let picture = clip().unwrap();
    let mut sender = Sender::new(&picture, with_sound.then(|| tone().unwrap()).as_ref());
    let mut camera = Source::new(picture, PICTURE, Duration::from_millis(7));
    let mut microphone = Source::new(tone().unwrap(), SOUND, Duration::ZERO);
    let mut link = Link::new(Duration::from_millis(20));
    let round_trip = Some(Duration::from_millis(45));
    sender.restart(Duration::ZERO);
    for ms in 0..seconds * 1_000 {
        let now = Duration::from_millis(ms);
        link.arrive(now);
        if ms % 100 == 50 {
            link.acknowledge(now);
        }
        while let Some((_, ack)) = link.acks.pop_front_if(|(at, _)| *at <= now) {
            sender.acknowledged(now, &ack, round_trip);
        }
        while let Some(due) = microphone.take(now).filter(|_| with_sound) {
            for frame in sender.sound(now, ID, &due, usize::MAX) {
                link.enter(now, frame, &bits_per_s);
            }
        }
        while let Some(due) = camera.take(now) {
            if sender.picture(now, ID, &due) == Next::Keyframe {
                camera.request_keyframe();
            }
        }
        while let Some(chunk) = sender.take(now) {
            link.enter(now, chunk.frame, &bits_per_s);
        }
    }
    (link, sender)
}

impl Link {
    fn slowest_sound(&self, from_s: u64, to_s: u64) -> Duration {
        let range = Duration::from_secs(from_s)..Duration::from_secs(to_s);
        let within = self.sound.iter().filter(|(at, _)| range.contains(at));
        within.map(|(_, delay)| *delay).max().unwrap()
    }

    fn pictures_a_second(&self, from_s: u64, to_s: u64) -> f64 {
        let range = Duration::from_secs(from_s)..Duration::from_secs(to_s);
        let within = self.pictures.iter().filter(|(at, _)| range.contains(at));
        within.count() as f64 / (to_s - from_s) as f64
    }

    fn assert_decodable(&self) {
        let mut decoded = HashSet::new();
        for (_, header) in &self.pictures {
            let needed = header.sequence.wrapping_sub(header.reference.into());
            assert!(header.keyframe() || decoded.contains(&needed), "{header:?}");
            decoded.insert(header.sequence);
        }
    }
}

#[test]
fn a_wide_path_gets_everything() {
    let (link, sender) = publish(30, true, |_| 10_000_000);
    assert_eq!(sender.left_out(), LeftOut::default());
    assert_eq!(sender.steering().steps, Steps::default());
    assert!(link.slowest_sound(0, 30) <= Duration::from_millis(5));
    assert!((link.pictures_a_second(0, 30) - 15.0).abs() < 0.1);
    link.assert_decodable();
}

#[test]
fn on_a_narrow_path_sound_stays_in_time_and_pictures_come_back() {
    for kbit in [90, 110, 130, 150, 180] {
        let (link, sender) = publish(80, true, |second| {
            if second < 40 {
                kbit * 1_000
            } else {
                10_000_000
            }
        });
        link.assert_decodable();
        let slowest = link.slowest_sound(5, 40);
        // Behind what may be under way, the rest of a chunk, and sound itself.
        let bound = (195 * kbit / 8).max(UPLINK_FLOOR_BYTES) + 1_000;
        let bound = Duration::from_millis(bound * 8 / kbit + 20);
        assert!(slowest <= bound, "{kbit}: {slowest:?} of {bound:?}");
        let rate = link.pictures_a_second(5, 40);
        let wide = link.pictures_a_second(60, 80);
        assert!(rate > 0.4 && rate < 14.9, "{kbit}: {rate}");
        assert!((wide - 15.0).abs() < 0.1, "{kbit}: {wide}");
        assert_eq!(sender.left_out().sound, 0);
        assert!(sender.left_out().layers > 0);
        assert_eq!(sender.steering().pictures, Pictures::All);
        assert!(link.sound.windows(2).all(|two| two[0].0 < two[1].0));
    }
}

#[test]
fn pictures_alone_find_what_the_path_carries() {
    for kbit in [120, 140] {
        let (link, sender) = publish(80, false, |second| {
            if second < 40 {
                kbit * 1_000
            } else {
                10_000_000
            }
        });
        link.assert_decodable();
        assert!(link.pictures_a_second(5, 40) > 2.0);
        assert!(link.pictures_a_second(60, 80) > 14.9);
        assert_eq!(sender.steering().pictures, Pictures::All);
    }
}

#[test]
fn a_path_that_stood_still_gets_a_keyframe_and_not_what_was_kept() {
    let (link, sender) = publish(30, true, |second| {
        if (10..15).contains(&second) {
            0
        } else {
            5_000_000
        }
    });
    link.assert_decodable();
    assert!(sender.left_out().stale > 0);
    assert_eq!(sender.left_out().sound, 0);
    let back = Duration::from_secs(15);
    let mut after = link
        .pictures
        .iter()
        .filter(|(at, _)| *at > back + Duration::from_millis(200));
    let (_, first) = after.next().unwrap();
    assert!(Duration::from_micros(first.captured_us) > back - PACER_MAX_WAIT);
    assert!(link.slowest_sound(16, 30) < Duration::from_millis(100));
    assert_eq!(sender.steering().pictures, Pictures::All);
}

proptest! {
    /// Whatever an edge acknowledges: sound leaves at once, what leaves of pictures is decodable, what waits
    /// is bounded, and every picture has left or has a cause.
    #[test]
    fn lies_cost_pictures_alone(
        turns in prop::collection::vec(
            (0..300_u64, 0..3_u8, any::<u32>(), any::<u64>(), any::<u64>(), 0..3_u8, any::<u16>()),
            1..300,
        ),
    ) {
        let mut sender = Sender::new(&clip().unwrap(), None);
        let mut camera = Source::new(clip().unwrap(), PICTURE, Duration::ZERO);
        let mut microphone = Source::new(tone().unwrap(), SOUND, Duration::ZERO);
        let mut link = Link::new(Duration::ZERO);
        let (mut now, mut pictures) = (Duration::ZERO, 0);
        for (wait_ms, kind, seq, bytes, delay_ms, track, round_trip_ms) in turns {
            now += Duration::from_millis(wait_ms);
            while let Some(due) = microphone.take(now) {
                prop_assert_eq!(sender.sound(now, ID, &due, 1).len(), 1);
            }
            while let Some(due) = camera.take(now) {
                pictures += 1;
                if sender.picture(now, ID, &due) == Next::Keyframe {
                    camera.request_keyframe();
                }
            }
            while let Some(chunk) = sender.take(now) {
                let header = MediaHeader::parse(&chunk.frame).unwrap();
                prop_assert_eq!(chunk.last, header.last);
                if header.last {
                    link.pictures.push((now, header));
                }
            }
            prop_assert!(sender.steering().waiting_bytes <= PACER_MAX_BYTES);
            if kind > 0 {
                let (seq, delay_ms) = if kind == 1 { (seq, delay_ms) } else { (seq % 500, delay_ms % 200) };
                let acks = vec![Ack { track, layer: 0, seq }];
                let ack = PublisherAck { acks, bytes, delay_ms };
                let round_trip = Duration::from_millis(round_trip_ms.into());
                sender.acknowledged(now, &ack, Some(round_trip));
            }
        }
        link.assert_decodable();
        // What still waits is dropped with the connection.
        sender.restart(now);
        let left_out = sender.left_out();
        prop_assert_eq!(left_out.sound, 0);
        prop_assert_eq!(link.pictures.len() as u64 + left_out.total(), pictures);
    }
}
