//! What is paused, in which order, and when it comes back.

use std::time::Duration;

use super::*;
use crate::outbox::gate::header;

const CAMERA: u8 = 1;
const SCREEN: u8 = 2;

fn of(number: u8, track: u8) -> TrackRef {
    TrackRef {
        participant: ParticipantId::from_random([number; 16]),
        track,
    }
}

/// A link in seconds: what is offered, whether something must be dropped, and what is decided.
struct Rig {
    carry: Carry,
    now: Instant,
    acked: u64,
    /// Tracks with their bytes a second and whether they have upper layers.
    tracks: Vec<(TrackRef, usize, bool)>,
}

impl Rig {
    fn new(tracks: Vec<(TrackRef, usize, bool)>) -> Self {
        Self {
            carry: Carry::default(),
            now: tokio::time::Instant::now().into_std(),
            acked: 0,
            tracks,
        }
    }

    /// One second, of which the link carries `capacity` bytes.
    fn second(&mut self, capacity: usize) -> Option<Decision> {
        let mut carried = 0;
        let mut over = Vec::new();
        for (track, bytes, layers) in &self.tracks {
            let parts: &[u8] = if *layers { &[0, 2] } else { &[0] };
            for temporal in parts {
                let header = header(0, u8::from(*temporal > 0), *temporal);
                let part = bytes / parts.len();
                let screen = track.track == SCREEN;
                let admission = self.carry.offer(self.now, *track, &header, screen, part);
                if admission == Admission::Open {
                    carried += part;
                    if carried > capacity {
                        over.push((*track, header));
                    }
                }
            }
        }
        for (track, header) in over {
            self.carry.on_drop(track, &header);
        }
        self.acked += capacity.min(carried) as u64 + 3_000_u64.min(capacity as u64);
        self.carry.on_acked(self.acked);
        self.now += Duration::from_secs(1);
        self.carry.review(self.now)
    }

    fn seconds(&mut self, count: usize, capacity: usize) -> Vec<Decision> {
        (0..count).filter_map(|_| self.second(capacity)).collect()
    }
}

#[test]
fn what_fits_is_left_alone() {
    let mut rig = Rig::new(vec![(of(1, CAMERA), 100_000, true)]);
    assert_eq!(rig.seconds(60, 200_000), []);
    assert_eq!(rig.carry.constrained(), Constrained::default());
}

#[test]
fn layers_go_first_then_the_largest_camera_then_the_screen() {
    let (small, large, screen) = (of(1, CAMERA), of(2, CAMERA), of(3, SCREEN));
    let tracks = vec![
        (small, 40_000, true),
        (large, 80_000, true),
        (screen, 200_000, false),
    ];
    let mut rig = Rig::new(tracks);
    let decisions = rig.seconds(12, 10_000);
    let firsts: Vec<_> = decisions.iter().take(4).copied().collect();
    let pause = Decision::Pause;
    assert_eq!(
        firsts,
        [Decision::Reduce, pause(large), pause(small), pause(screen)]
    );
    let told = rig.carry.constrained();
    assert_eq!(told.tracks.len(), 3);
    assert!(
        told.tracks
            .iter()
            .all(|entry| entry.paused || entry.track == SCREEN)
    );
}

#[test]
fn one_incident_pauses_nothing() {
    let mut rig = Rig::new(vec![(of(1, CAMERA), 100_000, false)]);
    for _ in 0..10 {
        assert_eq!(rig.second(50_000), None);
        assert_eq!(rig.seconds(4, 200_000), []);
    }
}

#[test]
fn a_receiver_that_stops_is_not_judged() {
    let mut rig = Rig::new(vec![(of(1, CAMERA), 100_000, false)]);
    rig.seconds(3, 200_000);
    assert_eq!(rig.seconds(20, 0), []);
    assert_eq!(rig.second(50_000), None, "what is old by now is dropped");
    assert_eq!(rig.seconds(10, 200_000), []);
}

#[test]
fn retries_become_rare_and_a_success_makes_them_soon_again() {
    let camera = of(1, CAMERA);
    let mut rig = Rig::new(vec![(camera, 100_000, false)]);
    let start = rig.now;
    let mut tries = Vec::new();
    for _ in 0..180 {
        if rig.second(30_000) == Some(Decision::Retry(camera)) {
            tries.push((rig.now - start).as_secs());
        }
    }
    let waits: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(tries[0] <= 6, "{tries:?}");
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0]), "{waits:?}");
    assert!(
        waits.iter().all(|wait| *wait <= 33) && waits.last() >= Some(&30),
        "{waits:?}"
    );
    rig.seconds(60, 200_000);
    assert_eq!(rig.carry.paused(), 0);
    rig.seconds(3, 30_000);
    let back = (0..10).position(|_| rig.second(200_000) == Some(Decision::Retry(camera)));
    assert!(back.is_some_and(|seconds| seconds <= 3), "{back:?}");
}

#[test]
fn a_probe_in_time_ends_a_pause_at_once() {
    let (camera, screen) = (of(1, CAMERA), of(2, SCREEN));
    let mut rig = Rig::new(vec![(camera, 80_000, false), (screen, 60_000, false)]);
    assert_eq!(rig.carry.sought(rig.now), None);
    assert_eq!(
        rig.carry.on_probe_in_time(rig.now),
        None,
        "nothing is paused"
    );
    while rig.carry.paused() < 2 {
        rig.second(5_000);
    }
    assert_eq!(rig.carry.sought(rig.now), Some(60_000));
    let retried = rig.carry.on_probe_in_time(rig.now);
    assert_eq!(retried, Some(Decision::Retry(screen)));
    assert_eq!(rig.carry.paused(), 1);
    // One at a time.
    assert_eq!(rig.carry.sought(rig.now), None);
    assert_eq!(rig.carry.on_probe_in_time(rig.now), None);
}

#[test]
fn a_link_that_was_good_for_some_seconds_is_probed_again() {
    let camera = of(1, CAMERA);
    let mut rig = Rig::new(vec![(camera, 100_000, false)]);
    for _ in 0..4 {
        while rig.carry.paused() == 0 {
            rig.second(30_000);
        }
        assert_eq!(
            rig.carry.on_probe_in_time(rig.now),
            Some(Decision::Retry(camera))
        );
        assert_eq!(rig.seconds(5, 200_000), []);
    }
}

/// A link that lets a probe pass at once and no stream, as one with a token bucket.
#[test]
fn probes_that_mislead_make_no_more_tries_than_twice_the_usual() {
    let camera = of(1, CAMERA);
    let tries = |probes: bool| {
        let mut rig = Rig::new(vec![(camera, 100_000, false)]);
        let mut tries = 0;
        for _ in 0..180 {
            let decision = rig.second(30_000);
            tries += usize::from(decision == Some(Decision::Retry(camera)));
            if probes && rig.carry.sought(rig.now).is_some() {
                tries += usize::from(rig.carry.on_probe_in_time(rig.now).is_some());
            }
        }
        tries
    };
    let (usual, misled) = (tries(false), tries(true));
    assert!(
        usual > 4 && misled <= usual * 2,
        "{misled} tries, usually {usual}"
    );
}

#[test]
fn the_screen_comes_back_first_and_layers_last() {
    let (camera, screen) = (of(1, CAMERA), of(2, SCREEN));
    let mut rig = Rig::new(vec![(camera, 80_000, true), (screen, 60_000, false)]);
    while rig.carry.paused() < 2 {
        rig.second(5_000);
    }
    // Both are due.
    rig.now += CARRY_RETRY_MAX;
    let back: Vec<_> = rig.seconds(90, 1_000_000);
    let restores = back.iter().filter(|d| **d == Decision::Restore).count();
    assert_eq!(back[0], Decision::Retry(screen), "{back:?}");
    assert_eq!(back[1], Decision::Retry(camera), "{back:?}");
    assert!(restores >= 1 && back[2..].iter().all(|d| *d == Decision::Restore));
    assert_eq!(rig.carry.constrained(), Constrained::default());
}

#[test]
fn what_is_not_offered_any_more_is_forgotten() {
    let (camera, other) = (of(1, CAMERA), of(2, CAMERA));
    let mut rig = Rig::new(vec![(camera, 100_000, false), (other, 10, false)]);
    rig.seconds(3, 30_000);
    assert_eq!(rig.carry.paused(), 1);
    rig.tracks.remove(0);
    rig.seconds(CARRY_IDLE as usize + 1, 0);
    assert_eq!(rig.carry.constrained(), Constrained::default());
}

#[test]
fn who_leaves_is_forgotten() {
    let camera = of(1, CAMERA);
    let mut rig = Rig::new(vec![(camera, 100_000, false)]);
    rig.seconds(3, 30_000);
    assert_eq!(rig.carry.paused(), 1);
    rig.carry.forget(camera.participant, None);
    assert_eq!(rig.carry.constrained(), Constrained::default());
}

/// A second in which two layers of each camera are offered to a link, of which nothing is sent that it refuses.
fn offer_layers(carry: &mut Carry, now: Instant, tracks: &[TrackRef]) {
    for track in tracks {
        for temporal in 0..=1 {
            carry.offer(now, *track, &header(0, 0, temporal), false, 1_000);
        }
    }
}

#[test]
fn on_a_link_whole_tracks_come_back_as_they_fit_then_layers_and_nothing_by_itself() {
    let mut carry = Carry::new(true);
    let mut now = tokio::time::Instant::now().into_std();
    let cameras = [of(1, CAMERA), of(2, CAMERA)];
    let mut second = |carry: &mut Carry, short: bool| {
        offer_layers(carry, now, &cameras);
        if short {
            for track in &cameras {
                carry.on_drop(*track, &header(0, 0, 0));
            }
        }
        now += CARRY_REVIEW;
        let acked = carry.acked + 1_000_000;
        carry.on_acked(acked);
        carry.review(now);
        now
    };
    for _ in 0..8 {
        second(&mut carry, true);
    }
    assert_eq!((carry.paused(), carry.cap), (2, 0));
    assert_eq!(carry.missing(), Some(4_000));
    for _ in 0..60 {
        second(&mut carry, false);
    }
    assert_eq!(carry.paused(), 2);
    let now = second(&mut carry, false);
    assert_eq!(carry.on_rate(now, 999), []);
    assert_eq!(carry.on_rate(now, 1_000), cameras[..1]);
    assert_eq!(carry.on_rate(now, 2_000), cameras[1..]);
    assert_eq!((carry.paused(), carry.cap), (0, 0));
    assert_eq!(carry.on_rate(now, 2_000), []);
    assert!(!carry.is_constrained());
}
