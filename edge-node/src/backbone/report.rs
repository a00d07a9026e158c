//! What operators see of links. Labels name edges, never rooms or participants. What goes wrong is logged once a
//! link and cause; how often, the counters say.

use std::time::{Duration, Instant};

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use pulse_core::quic::Connection;
use pulse_proto::{
    backbone::{Budget, DatagramError, PackingCounts},
    cluster::EdgeId,
};

use super::link::LinkEnd;

/// Describes every metric of links; the README lists the same.
pub(crate) fn describe() {
    describe_gauge!("pulse_links", "Other edges that there is a link with.");
    describe_counter!("pulse_link_ends_total", "Links that ended, by cause.");
    describe_counter!(
        "pulse_link_frames_total",
        "Media frames sent to other edges and received from them, by direction."
    );
    describe_counter!(
        "pulse_link_datagrams_total",
        "Datagrams of media sent to other edges."
    );
    describe_counter!(
        "pulse_link_bytes_total",
        Unit::Bytes,
        "Bytes of media datagrams sent to other edges."
    );
    describe_counter!(
        "pulse_link_refused_total",
        "What came from other edges and was of no use, by cause."
    );
    describe_gauge!(
        "pulse_link_budget_bytes",
        Unit::Bytes,
        "Bytes a second that a link is believed to carry, by edge."
    );
    describe_gauge!(
        "pulse_link_queue_seconds",
        Unit::Seconds,
        "The queue that datagrams meet on the way to another edge, by edge."
    );
    describe_gauge!(
        "pulse_link_rtt_seconds",
        Unit::Seconds,
        "The round trip to another edge, by edge."
    );
    describe_gauge!(
        "pulse_link_packet_loss",
        "The share of packets to another edge that were lost in the last second, by edge."
    );
}

/// What the sending half of one link reports each second.
pub(super) struct Report {
    told_at: Instant,
    told: PackingCounts,
    packets: (u64, u64),
    /// Datagrams that QUIC did not take.
    pub(super) unsent: u64,
    budget: Gauge,
    queue: Gauge,
    rtt: Gauge,
    loss: Gauge,
}

impl Report {
    pub(super) fn new(edge: &EdgeId, now: Instant) -> Self {
        let of = |name: &'static str| gauge!(name, "edge" => edge.as_str().to_owned());
        Self {
            told_at: now,
            told: PackingCounts::default(),
            packets: (0, 0),
            unsent: 0,
            budget: of("pulse_link_budget_bytes"),
            queue: of("pulse_link_queue_seconds"),
            rtt: of("pulse_link_rtt_seconds"),
            loss: of("pulse_link_packet_loss"),
        }
    }

    pub(super) fn due_at(&self, interval: Duration) -> Instant {
        self.told_at + interval
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.due_at(crate::limits::LINK_REPORT)
    }

    pub(super) fn tell(
        &mut self,
        now: Instant,
        budget: &Budget,
        counts: &PackingCounts,
        connection: &Connection,
    ) {
        self.told_at = now;
        let stats = connection.stats();
        let (sent, lost) = (
            stats.sent_packets.saturating_sub(self.packets.0),
            stats.lost_packets.saturating_sub(self.packets.1),
        );
        self.packets = (stats.sent_packets, stats.lost_packets);
        self.budget.set(budget.rate());
        self.queue.set(budget.queue_delay().as_secs_f64());
        self.rtt.set(stats.rtt.as_secs_f64());
        self.loss.set(lost as f64 / sent.max(1) as f64);
        counter!("pulse_link_frames_total", "direction" => "sent")
            .increment(counts.frames - self.told.frames);
        counter!("pulse_link_datagrams_total").increment(counts.datagrams - self.told.datagrams);
        counter!("pulse_link_bytes_total").increment(counts.bytes - self.told.bytes);
        refused("unsent", std::mem::take(&mut self.unsent));
        self.told = *counts;
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        for gauge in [&self.budget, &self.queue, &self.rtt, &self.loss] {
            gauge.set(0.0);
        }
    }
}

pub(super) fn up(by: f64) {
    gauge!("pulse_links").increment(by);
}

pub(super) fn ended(edge: &EdgeId, end: &LinkEnd) {
    counter!("pulse_link_ends_total", "cause" => end.label()).increment(1);
    tracing::info!(%edge, %end, "a link has ended");
}

pub(super) fn received(frames: usize) {
    counter!("pulse_link_frames_total", "direction" => "received").increment(frames as u64);
}

pub(super) fn malformed(edge: &EdgeId, error: &DatagramError) {
    refused("malformed", 1);
    tracing::debug!(%edge, %error, "a datagram could not be read");
}

pub(super) fn unheld() {
    refused("room_not_held", 1);
}

pub(super) fn unknown_message() {
    refused("unknown_message", 1);
}

pub(super) fn bad_stream() {
    refused("stream", 1);
}

pub(crate) fn refused(cause: &'static str, count: u64) {
    if count > 0 {
        counter!("pulse_link_refused_total", "cause" => cause).increment(count);
    }
}
