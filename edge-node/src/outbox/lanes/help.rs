//! Receivers that can decode nothing of a track: when they are offered what is cached, and when a keyframe is
//! asked for them. Whether a frame can be decoded, the gate says.

use std::time::{Duration, Instant};

use pulse_proto::control::TrackRef;

use super::{Lanes, Layer, LayerKey};
use crate::{
    limits::{PROBED_PATIENCE, STARVED_MEMORY, STARVED_RETRY, STARVED_RETRY_MAX},
    outbox::carry::Decision,
};

/// A track of which a receiver can decode nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Starving {
    /// Which.
    pub(crate) track: TrackRef,
    /// Whether it is worth a keyframe that everybody gets.
    pub(crate) keyframe: bool,
}

/// A track that is tried again.
#[derive(Debug)]
pub(super) struct Retried {
    pub(super) track: TrackRef,
    /// What carries its cached keyframe within this is worth a new one.
    patience: Duration,
}

impl Lanes {
    /// A track is tried again.
    pub(super) fn retry(&mut self, track: TrackRef, patience: Duration) {
        self.retried.push(Retried { track, patience });
    }

    /// The bytes a second of the track that a probe may bring back, if there is one.
    pub(crate) fn sought(&self, now: Instant) -> Option<u64> {
        self.carry.sought(now)
    }

    /// A probe found that the link carries as much.
    pub(crate) fn on_probe_in_time(&mut self, now: Instant) -> Option<Decision> {
        let decision = self.carry.on_probe_in_time(now)?;
        if let Decision::Retry(track) = decision {
            self.retry(track, PROBED_PATIENCE);
        }
        Some(decision)
    }

    /// Bytes a second that the link does not carry; `None` if it carries all.
    pub(crate) fn missing(&self) -> Option<u64> {
        self.carry.missing()
    }

    /// The link carries so many bytes a second beside what is sent.
    pub(crate) fn on_rate(&mut self, now: Instant, room: u64) -> usize {
        let back = self.carry.on_rate(now, room);
        for track in &back {
            self.retry(*track, PROBED_PATIENCE);
        }
        back.len()
    }

    /// Video tracks of which the receiver can decode nothing until a keyframe comes; each is
    /// named once in a while until it does. Ask while it can take one.
    pub(crate) fn starving(&mut self, now: Instant) -> Vec<Starving> {
        let mut all = Vec::new();
        for Retried { track, patience } in self.retried.drain(..) {
            let key = LayerKey {
                publisher: track.participant,
                track: track.track,
                spatial: 0,
            };
            let layer = self.layers.entry(key).or_default();
            layer.asked_at = Some(now);
            layer.ask_after = patience;
            layer.slow = false;
            let keyframe = false;
            all.push(Starving { track, keyframe });
        }
        let mut slow = None;
        let carry = &self.carry;
        let starved = |(key, layer): &(&LayerKey, &mut Layer)| {
            layer.gate.starved() && !carry.is_paused(key.track())
        };
        for (key, layer) in self.layers.iter_mut().filter(starved) {
            let since = layer.asked_at.map(|at| now.saturating_duration_since(at));
            // A still that is on its way comes first.
            let waits = || self.video.iter().any(|item| item.key == *key);
            if since.is_some_and(|since| since < layer.ask_after) {
                continue;
            }
            if waits() {
                layer.slow = true;
                continue;
            }
            if std::mem::take(&mut layer.slow) && carry.on_trial(key.track()) {
                slow = Some(key.track());
                continue;
            }
            let fresh = since.is_none_or(|since| since >= STARVED_MEMORY);
            layer.ask_after = if fresh {
                STARVED_RETRY
            } else {
                (layer.ask_after * 2).min(STARVED_RETRY_MAX)
            };
            layer.asked_at = Some(now);
            all.push(Starving {
                track: key.track(),
                keyframe: true,
            });
        }
        if let Some(track) = slow {
            // A camera whose still took so long is not carried, and a keyframe for it would cost everybody: the
            // one that is asked for once it is carried must not have to wait for that.
            self.carry.fail(now, track);
            self.cut(track);
        }
        // The same order each time, whatever the map's is.
        all.sort_by_key(|starving| starving.track);
        all
    }

    /// Whether there is one.
    pub(super) fn needs_help(&self) -> bool {
        !self.retried.is_empty()
            || self
                .layers
                .iter()
                .any(|(key, layer)| layer.gate.starved() && !self.carry.is_paused(key.track()))
    }
}
