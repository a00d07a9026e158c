//! Which video tracks one receiver's link carries. Pure: time is an argument.
//!
//! Once a second it looks at what had to be dropped. First go upper temporal layers of all tracks
//! (the cap), then whole tracks: cameras before screens, the largest first. Audio is never touched. A
//! track that was paused is tried again, one at a time, screens first, then the smallest, after 2 s, then
//! twice as long each time, up to 30 s; or at once when a probe was acknowledged as soon as only a link
//! that carries it does. Links that take short bursts and no stream answer probes well and fail the
//! track: then probes count only after the pause that follows. A receiver that takes nothing at all is not judged: it has
//! stopped, and will be live at once when it goes on.
//!
//! A link between edges knows what it carries: there tracks and layers come back when they fit, and at no other
//! time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pulse_proto::{
    ParticipantId,
    control::{Constrained, ConstrainedTrack, ConstraintReason, TrackRef},
    limits::{MAX_CONSTRAINED, MAX_TEMPORAL_LAYERS},
    media::MediaHeader,
};

use crate::limits::{
    CARRY_IDLE, CARRY_MISLED, CARRY_RETRY_MAX, CARRY_RETRY_MIN, CARRY_REVIEW, CARRY_SHORT,
    CARRY_STALL, CARRY_TRIAL,
};

const EVERY_LAYER: u8 = MAX_TEMPORAL_LAYERS - 1;
type Layers = [u64; MAX_TEMPORAL_LAYERS as usize];
const NO_LAYERS: Layers = [0; MAX_TEMPORAL_LAYERS as usize];
/// The last four looks.
const MEMORY: u8 = 0b1111;

/// What becomes of a chunk that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Open,
    /// Its track is paused.
    Paused,
    /// Its temporal layer is above the cap.
    Capped,
}

/// What a look has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing of the track is sent from now on.
    Pause(TrackRef),
    /// It is sent again, and judged.
    Retry(TrackRef),
    /// The cap of temporal layers fell.
    Reduce,
    /// It rose.
    Restore,
}

#[derive(Debug)]
enum Standing {
    Sent,
    Paused {
        until: Instant,
        /// Probes count from then on.
        probes_from: Instant,
    },
    Trial {
        until: Instant,
        /// When a probe began it.
        probed_at: Option<Instant>,
    },
}

#[derive(Debug)]
struct Track {
    standing: Standing,
    screen: bool,
    /// Bytes offered since the last look, and in the second before it.
    offered: u64,
    offered_before: u64,
    /// The highest temporal layer of them.
    highest: u8,
    highest_before: u8,
    /// A frame that others need was dropped since the last look.
    short: bool,
    /// One bit a look: it was.
    shorts: u8,
    /// Looks since something was offered.
    idle: u32,
    /// The bytes of each temporal layer in the second before, and since.
    layers_before: Layers,
    layers: Layers,
    /// Of the bytes in the second before, those that were admitted; and since.
    sent_before: u64,
    sent: u64,
    /// The next pause lasts this long.
    retry: Duration,
}

impl Track {
    const fn new(screen: bool) -> Self {
        Self {
            standing: Standing::Sent,
            screen,
            offered: 0,
            offered_before: 0,
            highest: 0,
            highest_before: 0,
            short: false,
            shorts: 0,
            idle: 0,
            layers_before: NO_LAYERS,
            layers: NO_LAYERS,
            sent_before: 0,
            sent: 0,
            retry: CARRY_RETRY_MIN,
        }
    }

    const fn paused(&self) -> bool {
        matches!(self.standing, Standing::Paused { .. })
    }

    /// Paused, and a probe may end it.
    fn heeds(&self, now: Instant) -> bool {
        matches!(self.standing, Standing::Paused { probes_from, .. } if now >= probes_from)
    }

    /// Screens come back first, then the smallest.
    const fn rank(&self) -> (bool, u64) {
        (!self.screen, self.offered_before)
    }

    fn attempt(&mut self, now: Instant, probed: bool) {
        self.standing = Standing::Trial {
            until: now + CARRY_TRIAL,
            probed_at: probed.then_some(now),
        };
    }

    fn pause(&mut self, now: Instant, retry_max: Duration) {
        let probed_at = match self.standing {
            Standing::Trial { probed_at, .. } => probed_at,
            Standing::Sent | Standing::Paused { .. } => None,
        };
        let misled = probed_at.is_some_and(|at| now < at + CARRY_MISLED);
        if probed_at.is_some() && !misled {
            // It was carried, and is no longer.
            self.retry = CARRY_RETRY_MIN;
        }
        let until = now + self.retry;
        self.standing = Standing::Paused {
            until,
            probes_from: if misled { until } else { now },
        };
        self.retry = (self.retry * 2).min(retry_max);
        self.shorts = 0;
    }
}

/// One receiver's link, as its tracks fare.
#[derive(Debug)]
pub(crate) struct Carry {
    tracks: BTreeMap<TrackRef, Track>,
    /// How many of them are paused: asked for with every frame.
    paused: usize,
    cap: u8,
    /// When the cap may rise, and how long the next wait is.
    raise_at: Option<Instant>,
    raise: Duration,
    review_at: Option<Instant>,
    /// Frames of upper layers were dropped since the last look.
    thinned: bool,
    /// What the receiver had acknowledged at the last look, and has now.
    acked_before: u64,
    acked: u64,
    /// It had stopped at the last look: what is dropped now was old.
    stopped: bool,
    /// What the link carries is told: nothing is tried for the time that has passed.
    by_rate: bool,
}

impl Default for Carry {
    fn default() -> Self {
        Self {
            tracks: BTreeMap::new(),
            paused: 0,
            cap: EVERY_LAYER,
            raise_at: None,
            raise: CARRY_RETRY_MIN,
            review_at: None,
            thinned: false,
            acked_before: 0,
            acked: 0,
            stopped: false,
            by_rate: false,
        }
    }
}

impl Carry {
    /// `by_rate`: for a link of which [`Carry::on_rate`] tells what it carries.
    pub(super) fn new(by_rate: bool) -> Self {
        Self {
            by_rate,
            ..Self::default()
        }
    }

    /// Whether anything may be left out: asked for with every batch.
    pub(super) const fn is_constrained(&self) -> bool {
        self.paused > 0 || self.cap < EVERY_LAYER
    }

    /// Bytes a second that are left out because the link does not carry them; `None` if nothing is.
    pub(super) fn missing(&self) -> Option<u64> {
        let capped = |track: &Track| track.highest_before > self.cap;
        let tracks = self.tracks.values();
        let left_out = tracks.filter(|track| track.paused() || capped(track));
        let each = left_out.map(|track| track.offered_before.saturating_sub(track.sent_before));
        each.reduce(u64::saturating_add)
    }

    /// The link carries so many bytes a second beside what is sent: what fits comes back, whole tracks before
    /// upper layers. The tracks that are sent again from now on.
    pub(super) fn on_rate(&mut self, now: Instant, room: u64) -> Vec<TrackRef> {
        let mut left = room;
        let mut back = Vec::new();
        let open = self.tracks.iter_mut().filter(|(_, t)| t.heeds(now));
        let mut open: Vec<_> = open.filter(|(_, track)| track.offered_before > 0).collect();
        open.sort_by_key(|(_, track)| track.rank());
        for (key, track) in open {
            let layers = track.layers_before.iter();
            let needed = layers.take(usize::from(self.cap) + 1).sum();
            let Some(rest) = left.checked_sub(needed) else {
                break;
            };
            left = rest;
            track.attempt(now, true);
            track.shorts = 0;
            back.push(*key);
        }
        self.count_paused();
        while self.paused == 0 && self.cap < EVERY_LAYER {
            let next = self.cap + 1;
            let layer = |track: &Track| track.layers_before.get(usize::from(next)).copied();
            let needed = self.tracks.values().filter_map(layer).sum();
            let Some(rest) = left.checked_sub(needed) else {
                break;
            };
            left = rest;
            self.cap = next;
        }
        back
    }

    fn retry_max(&self) -> Duration {
        if self.by_rate {
            CARRY_RETRY_MIN
        } else {
            CARRY_RETRY_MAX
        }
    }

    /// A chunk is offered; a frame is admitted or refused with all of its chunks, but for the one that a
    /// pause cuts.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        track: TrackRef,
        header: &MediaHeader,
        screen: bool,
        bytes: usize,
    ) -> Admission {
        self.review_at.get_or_insert(now + CARRY_REVIEW);
        let cap = self.cap;
        let track = self
            .tracks
            .entry(track)
            .or_insert_with(|| Track::new(screen));
        track.offered += bytes as u64;
        if let Some(layer) = track.layers.get_mut(usize::from(header.temporal)) {
            *layer += bytes as u64;
        }
        track.highest = track.highest.max(header.temporal);
        if track.paused() {
            Admission::Paused
        } else if header.temporal > cap {
            Admission::Capped
        } else {
            track.sent += bytes as u64;
            Admission::Open
        }
    }

    /// A chunk of it had to be dropped.
    pub(super) fn on_drop(&mut self, track: TrackRef, header: &MediaHeader) {
        if header.discardable || header.temporal > 0 {
            self.thinned = true;
        } else if let Some(track) = self.tracks.get_mut(&track) {
            track.short = true;
        }
    }

    /// So much has been acknowledged by now.
    pub(super) const fn on_acked(&mut self, acked: u64) {
        self.acked = acked;
    }

    /// Nothing more comes of it.
    pub(super) fn forget(&mut self, publisher: ParticipantId, track: Option<u8>) {
        self.tracks.retain(|key, _| {
            key.participant != publisher || track.is_some_and(|number| number != key.track)
        });
        self.count_paused();
    }

    /// Whether nothing of it is sent.
    pub(super) fn is_paused(&self, track: TrackRef) -> bool {
        self.tracks.get(&track).is_some_and(Track::paused)
    }

    /// Whether it is a camera that is tried again without a probe that says it is carried.
    pub(super) fn on_trial(&self, track: TrackRef) -> bool {
        self.tracks.get(&track).is_some_and(|track| {
            !track.screen
                && matches!(
                    track.standing,
                    Standing::Trial {
                        probed_at: None,
                        ..
                    }
                )
        })
    }

    /// The trial of a track has failed.
    pub(super) fn fail(&mut self, now: Instant, track: TrackRef) {
        let retry_max = self.retry_max();
        if let Some(track) = self.tracks.get_mut(&track) {
            track.pause(now, retry_max);
        }
        self.count_paused();
    }

    /// How many tracks are paused.
    pub(super) const fn paused(&self) -> usize {
        self.paused
    }

    fn count_paused(&mut self) {
        self.paused = self.tracks.values().filter(|track| track.paused()).count();
    }

    /// Whether a look is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.review_at.is_some_and(|at| now >= at)
    }

    /// What the receiver is told: its tracks that are paused or have lost layers.
    pub(super) fn constrained(&self) -> Constrained {
        let reduced = |track: &Track| track.highest_before > self.cap;
        let tracks = self.tracks.iter().filter(|(_, t)| t.paused() || reduced(t));
        Constrained {
            tracks: tracks
                .take(MAX_CONSTRAINED)
                .map(|(key, track)| ConstrainedTrack {
                    participant: key.participant,
                    track: key.track,
                    paused: track.paused(),
                    reason: ConstraintReason::Bandwidth,
                })
                .collect(),
            ..Constrained::default()
        }
    }

    /// Looks, once a second; decides at most one step.
    pub(super) fn review(&mut self, now: Instant) -> Option<Decision> {
        if !self.is_due(now) {
            return None;
        }
        let decision = self.look(now);
        self.count_paused();
        decision
    }

    fn look(&mut self, now: Instant) -> Option<Decision> {
        let offered = self.tracks.values().any(|track| track.offered > 0);
        // Without an offer nothing is due; the next one sets the time again.
        self.review_at = offered.then_some(now + CARRY_REVIEW);
        let stops = self.acked.saturating_sub(self.acked_before) < CARRY_STALL;
        let thinned = std::mem::take(&mut self.thinned);
        self.acked_before = self.acked;
        let mut short = false;
        for track in self.tracks.values_mut() {
            short |= track.short;
            track.idle = if track.offered > 0 { 0 } else { track.idle + 1 };
            track.shorts = (track.shorts << 1 | u8::from(track.short)) & MEMORY;
            track.short = false;
            (track.offered_before, track.offered) = (track.offered, 0);
            (track.sent_before, track.sent) = (track.sent, 0);
            track.layers_before = std::mem::take(&mut track.layers);
            (track.highest_before, track.highest) = (track.highest, 0);
        }
        // It has ended, or its receiver does not want it any more.
        self.tracks.retain(|_, track| track.idle < CARRY_IDLE);
        let stopped = std::mem::replace(&mut self.stopped, stops && (short || thinned));
        if self.stopped || stopped {
            for track in self.tracks.values_mut() {
                track.shorts = 0;
            }
            return None;
        }
        if short || thinned {
            self.relieve(now, short)
        } else {
            self.restore(now)
        }
    }

    /// Something had to be dropped.
    fn relieve(&mut self, now: Instant, short: bool) -> Option<Decision> {
        let retry_max = self.retry_max();
        let failed = self.tracks.iter_mut().find(|(_, track)| {
            matches!(track.standing, Standing::Trial { .. }) && track.shorts & 1 != 0
        });
        if let Some((key, track)) = failed {
            track.pause(now, retry_max);
            return Some(Decision::Pause(*key));
        }
        let sent = self.tracks.values().filter(|track| !track.paused());
        let highest = sent.map(|track| track.highest_before).max().unwrap_or(0);
        let highest = highest.min(self.cap);
        if highest > 0 {
            self.cap = if short { 0 } else { highest - 1 };
            // It rose too early: the next time it waits longer.
            if self.raise_at.is_some_and(|at| now < at + CARRY_TRIAL) {
                self.raise = (self.raise * 2).min(CARRY_RETRY_MAX);
            } else {
                self.raise = CARRY_RETRY_MIN;
            }
            self.raise_at = Some(now + self.raise);
            return Some(Decision::Reduce);
        }
        let again = |track: &Track| track.shorts.count_ones() >= CARRY_SHORT;
        if !self.tracks.values().any(again) {
            return None;
        }
        let victim = self
            .tracks
            .iter_mut()
            .filter(|(_, track)| !track.paused() && track.offered_before > 0)
            .max_by_key(|(_, track)| (!track.screen, track.offered_before))?;
        let key = *victim.0;
        victim.1.pause(now, retry_max);
        // The others get time to show that they fit now.
        for track in self.tracks.values_mut() {
            track.shorts = 0;
        }
        Some(Decision::Pause(key))
    }

    /// The bytes a second of the track that a probe may bring back; `None` while there is none, or
    /// another is being tried.
    pub(super) fn sought(&self, now: Instant) -> Option<u64> {
        let trying = |track: &Track| matches!(track.standing, Standing::Trial { .. });
        if self.paused == 0 || self.tracks.values().any(trying) {
            return None;
        }
        let open = self.tracks.values().filter(|track| track.heeds(now));
        let next = open.min_by_key(|track| track.rank())?;
        Some(next.offered_before).filter(|bytes| *bytes > 0)
    }

    /// A probe was acknowledged as soon as only a link does that carries what is sought.
    pub(super) fn on_probe_in_time(&mut self, now: Instant) -> Option<Decision> {
        self.sought(now)?;
        let open = self.tracks.iter_mut().filter(|(_, t)| t.heeds(now));
        let (key, track) = open.min_by_key(|(_, track)| track.rank())?;
        let key = *key;
        track.attempt(now, true);
        // It is judged by what comes after this.
        track.shorts = 0;
        self.count_paused();
        Some(Decision::Retry(key))
    }

    /// Everything fitted.
    fn restore(&mut self, now: Instant) -> Option<Decision> {
        let mut trying = false;
        for track in self.tracks.values_mut() {
            match track.standing {
                Standing::Trial { until, .. } if now >= until => {
                    track.standing = Standing::Sent;
                    track.retry = CARRY_RETRY_MIN;
                }
                Standing::Trial { .. } => trying = true,
                Standing::Sent | Standing::Paused { .. } => {}
            }
        }
        let settled = self.tracks.values().all(|track| track.shorts & 0b11 == 0);
        if trying || !settled || self.by_rate {
            return None;
        }
        let due = self.tracks.iter_mut().filter(
            |(_, track)| matches!(track.standing, Standing::Paused { until, .. } if now >= until),
        );
        if let Some((key, track)) = due.min_by_key(|(_, track)| track.rank()) {
            track.attempt(now, false);
            return Some(Decision::Retry(*key));
        }
        if self.cap < EVERY_LAYER && self.paused() == 0 && self.raise_at.is_none_or(|at| now >= at)
        {
            self.cap += 1;
            self.raise_at = Some(now + self.raise);
            return Some(Decision::Restore);
        }
        None
    }
}

#[cfg(test)]
mod tests;
