//! The bounds and drop rules of one receiver's lanes.

use std::time::Duration;

use pulse_proto::{id::ParticipantId, media};

use super::*;
use crate::outbox::gate::header;

const ALICE: ParticipantId = ParticipantId::ZERO;

fn video(sequence: u32, reference: u8, temporal: u8, bytes: usize) -> Vec<(Class, Frame)> {
    media::chunks(
        ALICE,
        header(sequence, reference, temporal),
        &vec![0; bytes],
    )
    .unwrap()
    .map(|frame| (Class::Video(MediaHeader::parse(&frame).unwrap()), frame))
    .collect()
}

fn sequences(batch: &[Bytes]) -> Vec<u32> {
    let mut sequences: Vec<u32> = batch
        .iter()
        .map(|bytes| {
            MediaHeader::parse(&Frame::parse(bytes.clone()).unwrap())
                .unwrap()
                .sequence
        })
        .collect();
    sequences.dedup();
    sequences
}

struct Rig {
    lanes: Lanes,
    now: Instant,
    drops: Drops,
}

impl Rig {
    fn new() -> Self {
        let now = tokio::time::Instant::now().into_std();
        Self {
            lanes: Lanes::default(),
            now,
            drops: Vec::new(),
        }
    }

    fn push(&mut self, frames: Vec<(Class, Frame)>) {
        for (class, frame) in frames {
            self.lanes
                .push(self.now, class, &frame, &mut self.drops)
                .unwrap();
        }
    }

    fn take(&mut self, budget: usize) -> Vec<Bytes> {
        let mut batch = Vec::new();
        self.lanes
            .take(self.now, budget, i64::MAX, &mut batch, &mut self.drops);
        batch
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn audio(&mut self) {
        let frame = Frame::new(ALICE, FrameType::Media, &[0; 120]);
        self.push(vec![(Class::Audio, frame)]);
    }
}

#[test]
fn audio_leaves_before_video_and_control_before_both() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 100));
    rig.audio();
    rig.push(vec![(
        Class::Control,
        Frame::new(ALICE, FrameType::Pong, b"{}"),
    )]);
    let kinds: Vec<u8> = rig.take(usize::MAX).iter().map(|b| b[36]).collect();
    assert_eq!(
        kinds,
        [FrameType::Pong, FrameType::Media, FrameType::Media].map(|k| k.number())
    );
    assert_eq!(rig.lanes.bytes(), 0);
}

#[test]
fn a_stalled_receiver_holds_little_and_hears_only_what_is_fresh() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 40_000));
    for step in 1..500 {
        rig.push(video(step, 1, 0, 8_000));
        rig.audio();
        rig.wait(20);
        assert!(rig.lanes.bytes() <= 256 * 1024);
    }
    let batch = rig.take(usize::MAX);
    assert!(
        batch.len() <= 11,
        "at most 200 ms of audio, no stale video: {}",
        batch.len()
    );
    assert_eq!(
        rig.lanes.starving(rig.now),
        vec![Starving {
            track: TrackRef {
                participant: ALICE,
                track: 1
            },
            keyframe: true
        }]
    );
    assert!(
        rig.lanes.starving(rig.now).is_empty(),
        "asked once in a while only"
    );
    rig.push(video(501, 1, 0, 100));
    assert!(
        rig.take(usize::MAX).is_empty(),
        "nothing that cannot be decoded"
    );
    rig.push(video(502, 0, 0, 100));
    rig.push(video(503, 1, 0, 100));
    assert_eq!(sequences(&rig.take(usize::MAX)), [502, 503]);
    rig.wait(5_000);
    assert!(rig.lanes.starving(rig.now).is_empty());
}

#[test]
fn upper_layers_go_first() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, MAX_VIDEO_BYTES / 2));
    rig.push(video(1, 1, 2, MAX_VIDEO_BYTES / 4));
    rig.push(video(2, 2, 1, MAX_VIDEO_BYTES / 8));
    rig.push(video(3, 1, 2, MAX_VIDEO_BYTES / 4));
    assert_eq!(sequences(&rig.take(usize::MAX)), [0, 2]);
    assert!(rig.lanes.starving(rig.now).is_empty());
}

#[test]
fn a_frame_that_has_begun_is_finished() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 5_000));
    assert_eq!(rig.take(1_000).len(), 1);
    rig.push(video(1, 1, 0, MAX_VIDEO_BYTES));
    assert_eq!(sequences(&rig.take(usize::MAX)), [0]);
}

#[test]
fn a_large_frame_of_one_track_spares_the_others() {
    let mut rig = Rig::new();
    let bob = ParticipantId::from_random([1; 16]);
    let small: Vec<_> = media::chunks(bob, header(0, 0, 0), &[0; 2_000])
        .unwrap()
        .map(|frame| (Class::Video(MediaHeader::parse(&frame).unwrap()), frame))
        .collect();
    rig.push(small);
    rig.push(video(0, 0, 0, MAX_VIDEO_BYTES / 2));
    rig.push(video(1, 1, 0, MAX_VIDEO_BYTES));
    let batch = rig.take(usize::MAX);
    assert_eq!(batch.len(), 3);
    assert!(batch.iter().all(|bytes| &bytes[..36] == bob.as_bytes()));
}

#[test]
fn a_keyframe_larger_than_the_lane_arrives_whole_unless_it_is_late() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 2 * MAX_VIDEO_BYTES));
    rig.push(video(1, 1, 0, 5_000));
    assert_eq!(sequences(&rig.take(usize::MAX)), [0, 1]);
    rig.push(video(2, 0, 0, 2 * MAX_VIDEO_BYTES));
    rig.push(video(3, 1, 0, MAX_VIDEO_BYTES));
    assert!(
        rig.lanes.bytes() <= 3 * MAX_VIDEO_BYTES,
        "not two of that size"
    );
    rig.push(video(4, 0, 0, 2 * MAX_VIDEO_BYTES));
    rig.wait(600);
    assert!(rig.take(usize::MAX).is_empty());
}

#[test]
fn a_keyframe_on_its_way_may_finish() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 50_000));
    for _ in 0..6 {
        assert!(!rig.take(4_000).is_empty());
        rig.wait(250);
    }
    assert!(!rig.take(4_000).is_empty(), "after 1.5 s");
    rig.wait(600);
    assert!(rig.take(4_000).is_empty(), "after 2.1 s");
    assert!(!rig.lanes.starving(rig.now).is_empty());
}

#[test]
fn an_older_keyframe_makes_way_for_a_newer_one() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 20_000));
    assert!(!rig.take(4_000).is_empty());
    rig.push(video(1, 1, 0, 2_000));
    rig.wait(100);
    rig.push(video(2, 0, 0, 20_000));
    rig.push(video(3, 1, 0, 2_000));
    assert_eq!(sequences(&rig.take(usize::MAX)), [2, 3]);
    assert!(rig.lanes.starving(rig.now).is_empty());
    // Frames that wait for a moment only are not what is meant.
    rig.push(video(4, 1, 0, 2_000));
    rig.push(video(5, 0, 0, 2_000));
    assert_eq!(sequences(&rig.take(usize::MAX)), [4, 5]);
}

#[test]
fn two_keyframes_in_a_row_are_no_sign_of_a_slow_link() {
    let mut rig = Rig::new();
    rig.push(video(0, 0, 0, 20_000));
    rig.wait(10);
    rig.push(video(1, 0, 0, 20_000));
    assert!(rig.drops.is_empty(), "{:?}", rig.drops);
    assert_eq!(sequences(&rig.take(usize::MAX)), [0, 1]);
}

/// What a paused camera that is tried again by the clock leads to, when a still takes so long.
fn tried_again(still_ms: u64) -> (usize, bool) {
    let mut rig = Rig::new();
    let mut publisher = Publisher::default();
    let mut acked = 0;
    // Only some of it leaves.
    let second = |rig: &mut Rig, publisher: &mut Publisher, acked: &mut u64| {
        publisher.since_key = 0;
        for _ in 0..30 {
            rig.push(publisher.next(12_000));
            rig.wait(33);
            let mut batch = Vec::new();
            rig.lanes
                .take(rig.now, 2_000, i64::MAX, &mut batch, &mut rig.drops);
            *acked += 1_000;
            rig.lanes.on_acked(*acked);
        }
        rig.wait(10);
        rig.lanes.review(rig.now)
    };
    let mut tried = false;
    for _ in 0..20 {
        let decision = second(&mut rig, &mut publisher, &mut acked);
        if matches!(decision, Some(Decision::Retry(_))) {
            tried = true;
            break;
        }
    }
    assert!(tried);
    let asked = rig.lanes.starving(rig.now);
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].keyframe, "its cached keyframe comes first");
    publisher.since_key = 0;
    rig.push(publisher.next(20_000));
    rig.push(video(publisher.sequence + 1, 1, 0, 1_000));
    for _ in 0..20 {
        rig.wait(still_ms / 20);
        rig.take(1_000);
        rig.lanes.starving(rig.now);
    }
    rig.take(usize::MAX);
    rig.wait(1_000);
    let asks = rig.lanes.starving(rig.now).iter().any(|one| one.keyframe);
    (rig.lanes.paused(), asks)
}

#[test]
fn a_camera_whose_still_took_long_is_paused_and_no_keyframe_is_asked_for() {
    assert_eq!(tried_again(200), (0, true));
    assert_eq!(tried_again(1_600), (1, false));
}

#[test]
fn control_overflows_instead_of_being_dropped() {
    let mut lanes = Lanes::default();
    let now = tokio::time::Instant::now().into_std();
    let frame = Frame::new(ALICE, FrameType::Roster, &[b' '; 1_000]);
    let mut drops = Vec::new();
    let pushed = (0..10_000)
        .take_while(|_| lanes.push(now, Class::Control, &frame, &mut drops).is_ok())
        .count();
    assert!((10..=MAX_CONTROL_MESSAGES).contains(&pushed));
    assert!(drops.is_empty());
}

#[test]
fn a_share_goes_on_at_a_cluster() {
    /// Two of them fit the lane, three do not.
    const HALF: usize = MAX_V1_SHARE_CHUNK / 2 - 64;
    let mut rig = Rig::new();
    let chunk = |fill: u8, cluster_at| {
        let mut payload = vec![fill; HALF];
        payload[7] = 0x1f;
        let class = Class::V1Share { cluster_at };
        vec![(class, Frame::new(ALICE, FrameType::ScreenShare, &payload))]
    };
    for fill in 0..3 {
        rig.push(chunk(fill, None));
    }
    assert!(
        rig.take(usize::MAX).is_empty(),
        "cut in the middle: nothing to go on with"
    );
    rig.push(chunk(4, Some(7)));
    rig.push(chunk(5, None));
    let batch = rig.take(usize::MAX);
    assert_eq!(batch.len(), 2);
    assert_eq!(batch[0][FRAME_HEADER], 0x1f);
    assert_eq!(batch[0].len(), FRAME_HEADER + HALF - 7);
}

#[test]
fn voices_wait_for_nothing_pictures_for_room_and_rosters_a_little() {
    let mut rig = Rig::new();
    let roster = || {
        vec![(
            Class::Control,
            Frame::new(ALICE, FrameType::Roster, &[b' '; 3_000]),
        )]
    };
    let take = |rig: &mut Rig, room: i64| {
        let mut batch = Vec::new();
        let taken = rig
            .lanes
            .take(rig.now, usize::MAX, room, &mut batch, &mut rig.drops);
        assert_eq!(taken.bytes, batch.iter().map(Bytes::len).sum::<usize>());
        let kinds: Vec<u8> = batch.iter().map(|bytes| bytes[36]).collect();
        (kinds, taken.held)
    };
    let (media, control) = (FrameType::Media.number(), FrameType::Roster.number());
    rig.push(video(0, 0, 0, 2_800));
    rig.audio();
    assert_eq!(take(&mut rig, 0), (vec![media], true), "the voice alone");
    assert_eq!(take(&mut rig, 1), (vec![media], true), "one chunk");
    assert_eq!(take(&mut rig, 2_000), (vec![media; 2], false));

    for _ in 0..4 {
        rig.push(roster());
    }
    rig.audio();
    assert_eq!(take(&mut rig, -CONTROL_BESIDE), (vec![media], true));
    rig.audio();
    assert_eq!(take(&mut rig, 0), (vec![control, control, media], true));
    rig.audio();
    rig.push(video(1, 1, 0, 100));
    let rest = vec![control, control, media, media];
    assert_eq!(take(&mut rig, i64::MAX), (rest, false));
}

/// A publisher of L1T3 whose cache answers who starves, as the room does.
#[derive(Default)]
struct Publisher {
    sequence: u32,
    since_key: u32,
    cached: Vec<(Class, Frame)>,
}

impl Publisher {
    fn next(&mut self, bytes: usize) -> Vec<(Class, Frame)> {
        let (reference, temporal) = match self.since_key % 4 {
            0 => (4, 0),
            2 => (2, 1),
            _ => (1, 2),
        };
        let key = self.since_key == 0;
        let frames = video(
            self.sequence,
            if key { 0 } else { reference },
            if key { 0 } else { temporal },
            bytes,
        );
        if key {
            self.cached.clone_from(&frames);
        }
        self.sequence += 1;
        self.since_key += 1;
        frames
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]
    /// Whatever is dropped, capped, paused and tried again: each frame that leaves whole can be
    /// decoded from those that left whole before, and what waits is bounded.
    #[test]
    fn whatever_leaves_can_be_decoded(
        steps in proptest::collection::vec((0..400_i64, 200..20_000_usize, 0..40_u64, 0..50_u8), 50..300),
    ) {
        use std::collections::{HashMap, HashSet};
        let mut rig = Rig::new();
        let mut publisher = Publisher::default();
        let (mut whole, mut parts) = (HashSet::new(), HashMap::<u32, u16>::new());
        let mut acked = 0;
        for (room, bytes, ms, chance) in steps {
            rig.push(publisher.next(bytes));
            if chance == 0 {
                publisher.since_key = 0;
            }
            rig.wait(ms);
            let mut batch = Vec::new();
            rig.lanes.take(rig.now, usize::MAX, room * 50, &mut batch, &mut rig.drops);
            acked += batch.len() as u64 * 1_000;
            rig.lanes.on_acked(acked);
            for message in batch {
                let header = MediaHeader::parse(&Frame::parse(message).unwrap()).unwrap();
                let had = parts.entry(header.sequence).or_default();
                proptest::prop_assert_eq!(*had, header.chunk, "chunks leave in order, each once");
                *had += 1;
                if header.last {
                    let needs = header.sequence.wrapping_sub(u32::from(header.reference));
                    proptest::prop_assert!(
                        header.keyframe() || whole.contains(&needs),
                        "frame {} needs {needs}", header.sequence
                    );
                    whole.insert(header.sequence);
                }
            }
            rig.lanes.review(rig.now);
            for starving in rig.lanes.starving(rig.now) {
                rig.push(publisher.cached.clone());
                if starving.keyframe {
                    publisher.since_key = 0;
                }
            }
            proptest::prop_assert!(rig.lanes.bytes() <= 256 * 1024);
        }
    }
}
