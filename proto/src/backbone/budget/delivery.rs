//! What of the datagrams that left has arrived: the rate, and the loss. A report that contradicts what left is
//! not believed. Never decides on a rate to send at.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::sent::Departure;
use crate::backbone::{
    feedback::Feedback,
    limits::{
        DATAGRAM_OVERHEAD, DELIVERY_DATAGRAMS, DELIVERY_SPAN, DELIVERY_SPAN_MAX, LOSS_DATAGRAMS,
        LOSS_SPAN, MAX_DATAGRAM,
    },
};

/// Reports kept to measure over: more than come within [`DELIVERY_SPAN_MAX`].
const MAX_SAMPLES: usize = 32;

/// Late datagrams that a first report may not know of.
const SLACK: u64 = 64;

/// What is known by one report.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When the report came.
    at: Instant,
    departure: Departure,
    arrived_us: u32,
    /// As the receiver counts them, without the wrap, from the first report on.
    datagrams: u64,
    bytes: u64,
    /// What streams of the connection carried meanwhile, ever; they are not reported.
    streams: u64,
    raw: Feedback,
}

/// Follows what arrives.
#[derive(Debug)]
pub(super) struct Delivery {
    /// Where counting began: what had left, and what the first report said.
    base: Option<Departure>,
    samples: VecDeque<Sample>,
    /// (at, left, arrived) where the window of loss begins.
    loss_from: Option<(Instant, u64, u64)>,
}

impl Delivery {
    pub(super) const fn new() -> Self {
        Self {
            base: None,
            samples: VecDeque::new(),
            loss_from: None,
        }
    }

    /// Takes a report; whether it can be true.
    pub(super) fn on_report(
        &mut self,
        now: Instant,
        report: &Feedback,
        departure: Departure,
        streams: u64,
    ) -> bool {
        let base = *self.base.get_or_insert(departure);
        let mut sample = Sample {
            at: now,
            departure,
            arrived_us: report.arrived_us,
            datagrams: 0,
            bytes: 0,
            streams,
            raw: *report,
        };
        if let Some(last) = self.samples.back() {
            let datagrams = u64::from(report.datagrams.wrapping_sub(last.raw.datagrams));
            let bytes = u64::from(report.bytes.wrapping_sub(last.raw.bytes));
            sample.datagrams = last.datagrams + datagrams;
            sample.bytes = last.bytes + bytes + datagrams * DATAGRAM_OVERHEAD as u64;
            let left = departure.datagrams.saturating_sub(base.datagrams);
            if sample.datagrams > left + SLACK || bytes > datagrams * MAX_DATAGRAM as u64 {
                return false;
            }
        }
        self.samples.push_back(sample);
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
        true
    }

    /// Bytes a second that the path delivers now, if it can be told.
    pub(super) fn rate(&self) -> Option<f64> {
        let newest = self.samples.back()?;
        let span = |sample: &Sample| {
            let arrived = newest.arrived_us.wrapping_sub(sample.arrived_us);
            // The receiver's clock may be wrong, but not by a factor of two.
            let here = newest.at.saturating_duration_since(sample.at) / 2;
            here.max(Duration::from_micros(u64::from(arrived)))
        };
        let long_enough = |sample: &&Sample| {
            let span = span(sample);
            let enough = newest.datagrams - sample.datagrams >= DELIVERY_DATAGRAMS;
            span >= DELIVERY_SPAN && (enough || span >= DELIVERY_SPAN_MAX / 2)
        };
        let from = self.samples.iter().rev().find(long_enough)?;
        let span = span(from);
        if span > DELIVERY_SPAN_MAX {
            return None;
        }
        let bytes = newest.bytes - from.bytes + (newest.streams - from.streams);
        Some(bytes as f64 / span.as_secs_f64())
    }

    /// The part that was lost over the window that ends now, each time one does.
    pub(super) fn loss(&mut self, now: Instant) -> Option<f64> {
        let newest = self.samples.back()?;
        let (left, arrived) = (newest.departure.datagrams, newest.datagrams);
        let (from, left_before, arrived_before) =
            *self.loss_from.get_or_insert((now, left, arrived));
        let left_since = left.saturating_sub(left_before);
        if now.saturating_duration_since(from) < LOSS_SPAN || left_since < LOSS_DATAGRAMS {
            return None;
        }
        self.loss_from = Some((now, left, arrived));
        let arrived_since = arrived.saturating_sub(arrived_before) as f64;
        Some((1.0 - arrived_since / left_since as f64).max(0.0))
    }

    /// After a silence: nothing before it counts.
    pub(super) fn restart(&mut self) {
        *self = Self::new();
    }
}
