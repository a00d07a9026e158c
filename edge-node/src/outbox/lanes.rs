//! What waits for one receiver, in lanes, with a bound and a drop rule each. Pure: time is an
//! argument. Control is never dropped; audio drops the oldest; video drops what nothing depends on
//! first, then to the next keyframe; a v1 share drops to its next cluster.

mod help;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use pulse_proto::{
    Frame, FrameType, ParticipantId,
    control::{Constrained, TrackRef},
    limits::{FRAME_HEADER, MAX_V1_AUDIO, MAX_V1_SHARE_CHUNK},
    media::MediaHeader,
};

use self::help::Retried;
pub(crate) use self::help::Starving;
use super::{
    carry::{Admission, Carry, Decision},
    gate::{DependencyGate, Verdict},
    leaving::{AUDIO, CONTROL, Leaving, Taken, V1, VIDEO},
};
use crate::limits::{
    BESIDE_A_KEYFRAME, CONTROL_BESIDE, CONTROL_FIRST, KEYFRAME_LATE, LINK_AUDIO_BYTES,
    LINK_VIDEO_AGE, LINK_VIDEO_BYTES, MAX_AUDIO_AGE, MAX_AUDIO_BYTES, MAX_CONTROL_BYTES,
    MAX_CONTROL_MESSAGES, MAX_LEAVING_KEYFRAME_AGE, MAX_V1_AUDIO_AGE, MAX_V1_AUDIO_MESSAGES,
    MAX_VIDEO_AGE, MAX_VIDEO_BYTES, RETRY_PATIENCE,
};

/// How a frame is treated on its way to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Never dropped; too much of it ends the connection.
    Control,
    /// A chunk of an audio track.
    Audio,
    /// A chunk of a camera's track.
    Video(MediaHeader),
    /// A chunk of a screen's track.
    Screen(MediaHeader),
    /// PCM of or for a v1 member.
    V1Audio,
    /// A share chunk of or for a v1 member, and where in its payload a cluster begins.
    V1Share {
        /// Offset in the payload.
        cluster_at: Option<usize>,
    },
}

/// Why something was dropped: the `cause` label of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// Over the lane's bytes or messages.
    Full,
    /// It waited too long.
    Late,
    /// What it needs was dropped.
    Undecodable,
    /// Its track is paused: the link does not carry it.
    Paused,
    /// Its temporal layer is not sent: the link does not carry it.
    Capped,
}

impl Cause {
    /// The label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Undecodable => "undecodable",
            Self::Paused => "paused",
            Self::Capped => "capped",
        }
    }
}

/// What a push or a take dropped, to be counted.
pub(crate) type Drops = Vec<(&'static str, Cause, u64)>;

/// The control lane is full: its receiver cannot keep up with what must not be lost.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

#[derive(Debug)]
struct Queued {
    bytes: Bytes,
    at: Instant,
}

#[derive(Debug)]
struct QueuedChunk {
    key: LayerKey,
    header: MediaHeader,
    bytes: Bytes,
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct LayerKey {
    publisher: ParticipantId,
    track: u8,
    spatial: u8,
}

impl LayerKey {
    const fn track(self) -> TrackRef {
        TrackRef {
            participant: self.publisher,
            track: self.track,
        }
    }
}

#[derive(Debug, Default)]
struct Layer {
    gate: DependencyGate,
    /// The frame of which a chunk has left already.
    begun: Option<u32>,
    /// When help was asked last, and how long after it is asked again.
    asked_at: Option<Instant>,
    ask_after: Duration,
    /// A still was on its way for longer than that.
    slow: bool,
}

/// How much may wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    audio_bytes: usize,
    video_bytes: usize,
    video_age: Duration,
    leaving_keyframe_age: Duration,
    /// What its link carries is told.
    by_rate: bool,
}

impl Bounds {
    /// For a link with another edge, which carries many rooms.
    pub(crate) const LINK: Self = Self {
        audio_bytes: LINK_AUDIO_BYTES,
        video_bytes: LINK_VIDEO_BYTES,
        video_age: LINK_VIDEO_AGE,
        leaving_keyframe_age: LINK_VIDEO_AGE,
        by_rate: true,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            audio_bytes: MAX_AUDIO_BYTES,
            video_bytes: MAX_VIDEO_BYTES,
            video_age: MAX_VIDEO_AGE,
            leaving_keyframe_age: MAX_LEAVING_KEYFRAME_AGE,
            by_rate: false,
        }
    }
}

/// All that waits for one receiver.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    bounds: Bounds,
    control: VecDeque<Queued>,
    control_bytes: usize,
    audio: VecDeque<Queued>,
    audio_bytes: usize,
    v1_audio: VecDeque<Queued>,
    video: VecDeque<QueuedChunk>,
    video_bytes: usize,
    layers: HashMap<LayerKey, Layer>,
    carry: Carry,
    /// Tracks that are tried again: their cached keyframes are due.
    retried: Vec<Retried>,
    share: VecDeque<Queued>,
    share_bytes: usize,
    /// Share chunks were dropped: the next one that leaves begins at a cluster.
    share_cut: bool,
}

impl Lanes {
    /// Empty.
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            carry: Carry::new(bounds.by_rate),
            ..Self::default()
        }
    }

    /// Queues a frame, or drops by the rule of its lane.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        class: Class,
        frame: &Frame,
        drops: &mut Drops,
    ) -> Result<(), Overflow> {
        match class {
            Class::Control => return self.push_control(now, frame),
            Class::Audio => self.push_audio(now, frame, drops),
            Class::Video(header) => self.push_video(now, header, false, frame, drops),
            Class::Screen(header) => self.push_video(now, header, true, frame, drops),
            Class::V1Audio => {
                self.v1_audio.push_back(Queued {
                    bytes: frame.bytes().clone(),
                    at: now,
                });
                if self.v1_audio.len() > MAX_V1_AUDIO_MESSAGES {
                    self.v1_audio.pop_front();
                    drops.push(("v1_audio", Cause::Full, 1));
                }
            }
            Class::V1Share { cluster_at } => self.push_share(now, cluster_at, frame, drops),
        }
        Ok(())
    }

    /// Moves what leaves next into `batch`: at most `budget` bytes, but at least one message; pictures
    /// and shares while there is `room`, and control a little beyond it. Voices wait for nothing.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        budget: usize,
        room: i64,
        batch: &mut Vec<Bytes>,
        drops: &mut Drops,
    ) -> Taken {
        self.expire(now, drops);
        let mut leaving = Leaving {
            batch,
            left: budget,
            room,
            taken: Taken::default(),
            now,
        };
        // The first control message is the first of a connection; a roster of many stands behind voices.
        self.take_control(CONTROL_FIRST, &mut leaving);
        while let Some(item) = self.audio.pop_front_if(|item| leaving.fits(&item.bytes)) {
            self.audio_bytes -= item.bytes.len();
            leaving.add(AUDIO, item.bytes, item.at);
        }
        if self.audio.is_empty() {
            while let Some(item) = self.v1_audio.pop_front_if(|item| leaving.fits(&item.bytes)) {
                leaving.add(V1, item.bytes, item.at);
            }
        }
        self.take_control(usize::MAX, &mut leaving);
        if self.control.is_empty() {
            while let Some(item) = self.video.pop_front_if(|item| leaving.may(&item.bytes, 0)) {
                self.video_bytes -= item.bytes.len();
                self.layers.entry(item.key).or_default().begun = Some(item.header.sequence);
                leaving.add(VIDEO, item.bytes, item.at);
            }
            while let Some(item) = self.share.pop_front_if(|item| leaving.may(&item.bytes, 0)) {
                self.share_bytes -= item.bytes.len();
                leaving.add(V1, item.bytes, item.at);
            }
        }
        let pictures = !self.video.is_empty() || !self.share.is_empty();
        Taken {
            held: (leaving.room <= 0 && (pictures || self.needs_help()))
                || (!self.control.is_empty() && leaving.room <= -CONTROL_BESIDE),
            paused: self.carry.paused() > 0,
            constrained: self.carry.is_constrained(),
            ..leaving.taken
        }
    }

    fn take_control(&mut self, at_most: usize, leaving: &mut Leaving<'_>) {
        let before = leaving.taken.bytes;
        while let Some(item) = self.control.pop_front_if(|item| {
            leaving.taken.bytes - before < at_most && leaving.may(&item.bytes, CONTROL_BESIDE)
        }) {
            self.control_bytes -= item.bytes.len();
            leaving.add(CONTROL, item.bytes, item.at);
        }
    }

    /// Decides what the link carries from now on, given what the receiver has acknowledged.
    pub(crate) fn review(&mut self, now: Instant) -> Option<Decision> {
        let decision = self.carry.review(now)?;
        match decision {
            Decision::Pause(track) => self.cut(track),
            Decision::Retry(track) => self.retry(track, RETRY_PATIENCE),
            Decision::Reduce | Decision::Restore => {}
        }
        Some(decision)
    }

    /// Nothing of a track leaves any more.
    fn cut(&mut self, track: TrackRef) {
        for (_, layer) in self
            .layers
            .iter_mut()
            .filter(|(key, _)| key.track() == track)
        {
            layer.gate.cut();
        }
        self.retried.retain(|retried| retried.track != track);
        self.video.retain(|item| item.key.track() != track);
        self.video_bytes = self.video.iter().map(|item| item.bytes.len()).sum();
    }

    /// Whether that is due.
    pub(crate) fn review_due(&self, now: Instant) -> bool {
        self.carry.is_due(now)
    }

    /// So much has been acknowledged by now.
    pub(crate) const fn on_acked(&mut self, acked: u64) {
        self.carry.on_acked(acked);
    }

    /// How many tracks are paused because the link does not carry them.
    pub(crate) const fn paused(&self) -> usize {
        self.carry.paused()
    }

    /// What the link does not carry.
    pub(crate) fn constrained(&self) -> Constrained {
        self.carry.constrained()
    }

    /// Forgets what it knows of a track that stopped, or of all of somebody who left.
    pub(crate) fn forget(&mut self, publisher: ParticipantId, track: Option<u8>) {
        self.carry.forget(publisher, track);
        let gone =
            |key: TrackRef| key.participant == publisher && track.is_none_or(|t| t == key.track);
        self.layers.retain(|key, _| !gone(key.track()));
        self.retried.retain(|retried| !gone(retried.track));
        self.video.retain(|item| !gone(item.key.track()));
        self.video_bytes = self.video.iter().map(|item| item.bytes.len()).sum();
    }

    /// Whether something of this lane waits.
    pub(crate) fn waits(&self, class: Class) -> bool {
        !match class {
            Class::Control => self.control.is_empty(),
            Class::Audio => self.audio.is_empty(),
            Class::Video(_) | Class::Screen(_) => self.video.is_empty(),
            Class::V1Audio => self.v1_audio.is_empty(),
            Class::V1Share { .. } => self.share.is_empty(),
        }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        let v1_audio: usize = self.v1_audio.iter().map(|item| item.bytes.len()).sum();
        self.control_bytes + self.audio_bytes + v1_audio + self.video_bytes + self.share_bytes
    }

    fn push_control(&mut self, now: Instant, frame: &Frame) -> Result<(), Overflow> {
        if self.control.len() >= MAX_CONTROL_MESSAGES || self.control_bytes > MAX_CONTROL_BYTES {
            return Err(Overflow);
        }
        self.control_bytes += frame.len();
        self.control.push_back(Queued {
            bytes: frame.bytes().clone(),
            at: now,
        });
        Ok(())
    }

    fn push_audio(&mut self, now: Instant, frame: &Frame, drops: &mut Drops) {
        self.audio_bytes += frame.len();
        self.audio.push_back(Queued {
            bytes: frame.bytes().clone(),
            at: now,
        });
        let full = self.audio_bytes > self.bounds.audio_bytes;
        while self.audio_bytes > self.bounds.audio_bytes {
            let Some(item) = self.audio.pop_front() else {
                break;
            };
            self.audio_bytes -= item.bytes.len();
            drops.push(("audio", Cause::Full, 1));
        }
        if !full {
            self.expire_audio(now, drops);
        }
    }

    fn expire_audio(&mut self, now: Instant, drops: &mut Drops) {
        let late = |item: &mut Queued| now.saturating_duration_since(item.at) > MAX_AUDIO_AGE;
        while let Some(item) = self.audio.pop_front_if(late) {
            self.audio_bytes -= item.bytes.len();
            drops.push(("audio", Cause::Late, 1));
        }
    }

    fn expire(&mut self, now: Instant, drops: &mut Drops) {
        self.expire_audio(now, drops);
        let v1_late = |item: &mut Queued| now.saturating_duration_since(item.at) > MAX_V1_AUDIO_AGE;
        while self.v1_audio.pop_front_if(v1_late).is_some() {
            drops.push(("v1_audio", Cause::Late, 1));
        }
        if self.oldest_video_is_late(now) {
            self.shed_video(now, Cause::Late, drops);
        }
    }

    fn push_video(
        &mut self,
        now: Instant,
        header: MediaHeader,
        screen: bool,
        frame: &Frame,
        drops: &mut Drops,
    ) {
        let key = LayerKey {
            publisher: frame.sender(),
            track: header.track,
            spatial: header.spatial,
        };
        match self
            .carry
            .offer(now, key.track(), &header, screen, frame.len())
        {
            Admission::Open => {}
            Admission::Paused => return drops.push(("video", Cause::Paused, 1)),
            Admission::Capped => return drops.push(("video", Cause::Capped, 1)),
        }
        match self.layers.entry(key).or_default().gate.judge(&header) {
            Verdict::Admit => {}
            Verdict::Undecodable => return drops.push(("video", Cause::Undecodable, 1)),
            Verdict::Past => return,
        }
        if header.keyframe() && header.chunk == 0 {
            self.supersede(now, key, drops);
        }
        self.video_bytes += frame.len();
        self.video.push_back(QueuedChunk {
            key,
            header,
            bytes: frame.bytes().clone(),
            at: now,
        });
        if !self.video_fits() {
            self.shed_video(now, Cause::Full, drops);
        } else if self.oldest_video_is_late(now) {
            self.shed_video(now, Cause::Late, drops);
        }
    }

    /// A keyframe has come while an older one has waited for long, and all that leads from it: on a link that is
    /// so far behind nobody needs both. Two in a row at the beginning of a track say nothing of a link.
    fn supersede(&mut self, now: Instant, key: LayerKey, drops: &mut Drops) {
        let of = |item: &QueuedChunk| item.key == key;
        let late = |item: &QueuedChunk| now.saturating_duration_since(item.at) >= KEYFRAME_LATE;
        if self
            .video
            .iter()
            .any(|item| of(item) && item.header.keyframe() && late(item))
        {
            self.drop_video(Cause::Late, drops, |item, _| of(item));
            // The newer one was admitted before: it is what the layer goes on from.
            self.layers.entry(key).or_default().gate.fed();
        }
    }

    /// Drops frames nothing depends on, then upper temporal layers, then whole layers, the largest
    /// first, until the lane is within its bounds. A frame that has begun to leave stays while
    /// anything else can go.
    fn shed_video(&mut self, now: Instant, cause: Cause, drops: &mut Drops) {
        self.drop_video(cause, drops, |item, begun| {
            item.header.discardable && !begun
        });
        if self.video_within_bounds(now) {
            return;
        }
        self.drop_video(cause, drops, |item, begun| {
            item.header.temporal > 0 && !begun
        });
        while !self.video_within_bounds(now) {
            let Some(victim) = self.largest_layer() else {
                return;
            };
            if self.drop_video(cause, drops, |item, begun| item.key == victim && !begun) == 0 {
                self.drop_video(cause, drops, |item, _| item.key == victim);
            }
        }
    }

    fn video_within_bounds(&self, now: Instant) -> bool {
        self.video_fits() && !self.oldest_video_is_late(now)
    }

    /// A keyframe that has begun to leave gets more time: to cut it off would be to begin it again.
    fn oldest_video_is_late(&self, now: Instant) -> bool {
        self.video.front().is_some_and(|item| {
            let begun = self.layers.get(&item.key).and_then(|layer| layer.begun);
            let leaving = item.header.keyframe() && begun == Some(item.header.sequence);
            let allowed = if leaving {
                self.bounds.leaving_keyframe_age
            } else {
                self.bounds.video_age
            };
            now.saturating_duration_since(item.at) > allowed
        })
    }

    /// Whether the lane is within its bytes. A keyframe that is larger than most may still wait
    /// whole: without it the receiver would see nothing at all.
    fn video_fits(&self) -> bool {
        if self.video_bytes <= self.bounds.video_bytes {
            return true;
        }
        let mut keyframes: HashMap<(LayerKey, u32), usize> = HashMap::new();
        for item in self.video.iter().filter(|item| item.header.keyframe()) {
            *keyframes
                .entry((item.key, item.header.sequence))
                .or_default() += item.bytes.len();
        }
        let largest = keyframes.into_values().max().unwrap_or(0);
        self.video_bytes <= largest + BESIDE_A_KEYFRAME
    }

    fn largest_layer(&self) -> Option<LayerKey> {
        let mut bytes: BTreeMap<LayerKey, usize> = BTreeMap::new();
        for item in &self.video {
            *bytes.entry(item.key).or_default() += item.bytes.len();
        }
        bytes
            .into_iter()
            .max_by_key(|(_, bytes)| *bytes)
            .map(|(key, _)| key)
    }

    /// Drops the chosen chunks; `chosen` is told whether a chunk's frame has begun to leave.
    fn drop_video(
        &mut self,
        cause: Cause,
        drops: &mut Drops,
        chosen: impl Fn(&QueuedChunk, bool) -> bool,
    ) -> u64 {
        let (layers, carry) = (&mut self.layers, &mut self.carry);
        let (mut dropped, mut bytes) = (0, 0);
        self.video.retain(|item| {
            let layer = layers.entry(item.key).or_default();
            if !chosen(item, layer.begun == Some(item.header.sequence)) {
                return true;
            }
            layer.gate.forget(&item.header);
            carry.on_drop(item.key.track(), &item.header);
            dropped += 1;
            bytes += item.bytes.len();
            false
        });
        self.video_bytes -= bytes;
        if dropped > 0 {
            drops.push(("video", cause, dropped));
        }
        dropped
    }

    fn push_share(
        &mut self,
        now: Instant,
        cluster_at: Option<usize>,
        frame: &Frame,
        drops: &mut Drops,
    ) {
        if frame.kind() != FrameType::ScreenShare {
            // After START and STOP, chunks of what was shared before are of no use.
            self.drop_share_chunks(drops);
            self.share_cut = false;
        } else if self.share_bytes + frame.len() > MAX_V1_SHARE_CHUNK + FRAME_HEADER {
            self.drop_share_chunks(drops);
            self.share_cut = true;
        }
        let bytes = if self.share_cut && frame.kind() == FrameType::ScreenShare {
            let Some(cluster) = cluster_at.and_then(|at| frame.payload().get(at..)) else {
                return drops.push(("v1_share", Cause::Undecodable, 1));
            };
            self.share_cut = false;
            Frame::new(frame.sender(), FrameType::ScreenShare, cluster)
                .bytes()
                .clone()
        } else {
            frame.bytes().clone()
        };
        self.share_bytes += bytes.len();
        self.share.push_back(Queued { bytes, at: now });
    }
}

impl Lanes {
    /// Drops chunks; STARTs and STOPs stay.
    fn drop_share_chunks(&mut self, drops: &mut Drops) {
        let before = self.share.len();
        let chunk = FrameType::ScreenShare.number();
        self.share
            .retain(|item| item.bytes.get(FRAME_HEADER - 1) != Some(&chunk));
        self.share_bytes = self.share.iter().map(|item| item.bytes.len()).sum();
        if self.share.len() < before {
            drops.push(("v1_share", Cause::Full, (before - self.share.len()) as u64));
        }
    }
}

const _: () = assert!(MAX_V1_AUDIO_MESSAGES * MAX_V1_AUDIO <= 256 * 1024);

#[cfg(test)]
mod tests;
