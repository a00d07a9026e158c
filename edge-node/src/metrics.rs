//! Every metric of an edge: its name, its help, and the function that counts it. No label holds a
//! participant, a room or an address. What is counted for every frame keeps its handle, so that no name
//! is looked up on the way of media.

use std::{sync::LazyLock, time::Duration};

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use pulse_proto::{ErrorCode, FrameType, control::Interruption};

/// What may be old when it leaves.
const CLASSES: [&str; 4] = ["control", "audio", "video", "v1"];

/// Buckets in seconds of what an edge does itself.
const FORWARD_BUCKETS: [f64; 10] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.02, 0.1,
];
/// Buckets in seconds of what networks do.
const AGE_BUCKETS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 2.0,
];
/// Buckets in bytes a second: 128 kbit/s to 100 Mbit/s.
const RATE_BUCKETS: [f64; 9] = [16e3, 32e3, 64e3, 125e3, 250e3, 500e3, 1.25e6, 2.5e6, 12.5e6];

/// Handles of what is counted for every frame, made at the first use: the recorder is there by then.
struct Hot {
    held: Gauge,
    received_media: Counter,
    received_v1_media: Counter,
    received_control: Counter,
    received_bytes: Counter,
    sent: Counter,
    sent_bytes: Counter,
    forward: Histogram,
    /// By class, in the order of [`CLASSES`].
    leaving: [Histogram; 4],
    link_rate: Histogram,
    link_rtt: Histogram,
    thinned: Counter,
}

static HOT: LazyLock<Hot> = LazyLock::new(|| {
    let received = |kind: &'static str| counter!("pulse_frames_received_total", "type" => kind);
    Hot {
        held: gauge!("pulse_held_bytes"),
        received_media: received("media"),
        received_v1_media: received("v1_media"),
        received_control: received("control"),
        received_bytes: counter!("pulse_received_bytes_total"),
        sent: counter!("pulse_frames_sent_total"),
        sent_bytes: counter!("pulse_sent_bytes_total"),
        forward: histogram!("pulse_forward_seconds"),
        leaving: CLASSES.map(|class| histogram!("pulse_leaving_age_seconds", "class" => class)),
        link_rate: histogram!("pulse_receiver_rate_bytes"),
        link_rtt: histogram!("pulse_receiver_rtt_seconds"),
        thinned: counter!("pulse_dropped_total", "queue" => "video", "cause" => "thinned"),
    }
});

/// What holds every metric, with the buckets of each histogram.
pub(crate) fn recorder() -> PrometheusRecorder {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let built = PrometheusBuilder::new()
        .set_buckets(&FORWARD_BUCKETS)
        .and_then(|b| b.set_buckets_for_metric(full("pulse_leaving_age_seconds"), &AGE_BUCKETS))
        .and_then(|b| b.set_buckets_for_metric(full("pulse_receiver_rtt_seconds"), &AGE_BUCKETS))
        .and_then(|b| b.set_buckets_for_metric(full("pulse_receiver_rate_bytes"), &RATE_BUCKETS));
    built
        .unwrap_or_else(|_| PrometheusBuilder::new())
        .build_recorder()
}

/// Describes every metric; the README lists the same.
pub(crate) fn describe() {
    crate::backbone::report::describe();
    describe_gauge!("pulse_connections", "Open client connections, by protocol.");
    describe_gauge!("pulse_rooms", "Rooms with somebody in them.");
    describe_gauge!(
        "pulse_participants",
        "Participants, those who may yet resume included."
    );
    describe_gauge!(
        "pulse_held_bytes",
        Unit::Bytes,
        "Bytes that wait for receivers, all together."
    );
    describe_gauge!(
        "pulse_paused_tracks",
        "Tracks that are paused for a receiver whose link does not carry them."
    );
    describe_counter!(
        "pulse_constrained_total",
        "Tracks paused and resumed, layers taken and given back for receivers, by step and cause."
    );
    describe_counter!(
        "pulse_probes_total",
        "Probes of links that do not carry a track, by when they were acknowledged."
    );
    describe_gauge!(
        "pulse_tcp_connections",
        "Open TCP connections, operators' included, by congestion control."
    );
    describe_counter!("pulse_joins_total", "Joins, by protocol and outcome.");
    describe_counter!(
        "pulse_frames_received_total",
        "Frames from clients, by type."
    );
    describe_counter!(
        "pulse_received_bytes_total",
        Unit::Bytes,
        "Bytes of frames from clients."
    );
    describe_counter!(
        "pulse_frames_sent_total",
        "Frames handed to client sockets."
    );
    describe_counter!(
        "pulse_sent_bytes_total",
        Unit::Bytes,
        "Bytes handed to client sockets."
    );
    describe_counter!(
        "pulse_dropped_total",
        "What was dropped, by queue and cause."
    );
    describe_counter!(
        "pulse_errors_total",
        "What clients were refused, by error name."
    );
    describe_counter!(
        "pulse_closed_total",
        "Connections that this edge ended, by error name."
    );
    describe_counter!(
        "pulse_keyframe_requests_total",
        "Keyframe requests sent to publishers."
    );
    describe_counter!(
        "pulse_demands_total",
        "Messages that told publishers who wants their tracks."
    );
    describe_counter!(
        "pulse_updates_total",
        "What participants said about themselves."
    );
    describe_counter!(
        "pulse_interruptions_total",
        "Tracks that publishers could not go on sending, by cause."
    );
    describe_counter!(
        "pulse_http_refused_total",
        "Connections refused before HTTP, by cause."
    );
    describe_counter!("pulse_core_views_total", "Room views received from core.");
    describe_histogram!(
        "pulse_forward_seconds",
        Unit::Seconds,
        "Time from reading a media frame to queueing it for its receivers."
    );
    describe_histogram!(
        "pulse_leaving_age_seconds",
        Unit::Seconds,
        "Time in an edge of the oldest message of its class in each flush to a receiver."
    );
    describe_histogram!(
        "pulse_receiver_rate_bytes",
        Unit::Bytes,
        "What receivers' links are known to carry in a second, each at most once a second."
    );
    describe_histogram!(
        "pulse_receiver_rtt_seconds",
        Unit::Seconds,
        "Round trips to receivers, each at most once a second."
    );
    // What has not happened yet is 0, not absent.
    for protocol in ["v1", "v2"] {
        gauge!("pulse_connections", "protocol" => protocol).set(0.0);
    }
    for name in [
        "pulse_rooms",
        "pulse_participants",
        "pulse_held_bytes",
        "pulse_paused_tracks",
    ] {
        gauge!(name).set(0.0);
    }
}

/// A connection opened (1) or closed (-1).
pub(crate) fn connections(protocol: &'static str, change: f64) {
    gauge!("pulse_connections", "protocol" => protocol).increment(change);
}

/// A room began (1) or ended (-1).
pub(crate) fn rooms(change: f64) {
    gauge!("pulse_rooms").increment(change);
}

/// Participants came or went.
pub(crate) fn participants(change: f64) {
    gauge!("pulse_participants").increment(change);
}

/// So much more or less waits for receivers.
pub(crate) fn held(change: f64) {
    HOT.held.increment(change);
}

/// A join ended so.
pub(crate) fn joined(protocol: &'static str, outcome: &'static str) {
    counter!("pulse_joins_total", "protocol" => protocol, "outcome" => outcome).increment(1);
}

/// A frame arrived.
pub(crate) fn received(kind: FrameType, bytes: usize) {
    let frames = match kind {
        FrameType::Media => &HOT.received_media,
        FrameType::Audio | FrameType::ScreenShare => &HOT.received_v1_media,
        _ => &HOT.received_control,
    };
    frames.increment(1);
    HOT.received_bytes.increment(bytes as u64);
}

/// A batch went to a socket.
pub(crate) fn sent(frames: usize, bytes: usize) {
    HOT.sent.increment(frames as u64);
    HOT.sent_bytes.increment(bytes as u64);
}

/// So much was dropped on its way to a receiver.
pub(crate) fn dropped(queue: &'static str, cause: &'static str, count: u64) {
    counter!("pulse_dropped_total", "queue" => queue, "cause" => cause).increment(count);
}

/// A media frame was dropped before its room.
pub(crate) fn inbox_full() {
    dropped("room_inbox", "full", 1);
}

/// A client was refused something.
pub(crate) fn error(code: ErrorCode) {
    counter!("pulse_errors_total", "error" => code.name()).increment(1);
}

/// This edge ended a connection.
pub(crate) fn closed(code: ErrorCode) {
    counter!("pulse_closed_total", "error" => code.name()).increment(1);
}

/// A keyframe request went out.
pub(crate) fn keyframe_request() {
    counter!("pulse_keyframe_requests_total").increment(1);
}

/// A publisher was told who wants a track.
pub(crate) fn demand() {
    counter!("pulse_demands_total").increment(1);
}

/// A participant said something about itself.
pub(crate) fn update() {
    counter!("pulse_updates_total").increment(1);
}

/// A publisher cannot go on sending a track.
pub(crate) fn interruption(cause: Interruption) {
    counter!("pulse_interruptions_total", "cause" => cause.name()).increment(1);
}

/// So many chunks were of layers that their receivers do not want.
pub(crate) fn thinned(count: u64) {
    if count > 0 {
        HOT.thinned.increment(count);
    }
}

/// So many more or fewer tracks are paused for receivers that do not carry them.
pub(crate) fn paused_tracks(change: f64) {
    gauge!("pulse_paused_tracks").increment(change);
}

/// It was decided what a receiver's link carries: `pause`, `resume`, `reduce`, `restore`.
pub(crate) fn constrained(step: &'static str) {
    counter!("pulse_constrained_total", "step" => step, "cause" => "bandwidth").increment(1);
}

/// A link was probed: `in_time`, `late`, or `unknown` when this machine looked too late.
pub(crate) fn probed(answer: &'static str) {
    counter!("pulse_probes_total", "answer" => answer).increment(1);
}

/// Counts TCP connections with this congestion control.
pub(crate) fn tcp_connections(congestion: &str) -> Gauge {
    gauge!("pulse_tcp_connections", "congestion" => congestion.to_owned())
}

/// A connection was refused before it spoke HTTP.
pub(crate) fn refused(cause: &'static str) {
    counter!("pulse_http_refused_total", "cause" => cause).increment(1);
}

/// Core told what it holds of a room.
pub(crate) fn core_view() {
    counter!("pulse_core_views_total").increment(1);
}

/// The oldest messages of one flush: control, audio, video, v1.
pub(crate) fn leaving(ages: [Option<Duration>; 4]) {
    for (histogram, age) in HOT.leaving.iter().zip(ages) {
        if let Some(age) = age {
            histogram.record(age.as_secs_f64());
        }
    }
}

/// What is known of the link to one receiver: bytes a second, and the round trip.
pub(crate) fn link(rate: f64, rtt: Duration) {
    HOT.link_rate.record(rate);
    HOT.link_rtt.record(rtt.as_secs_f64());
}

/// A media frame took so long from its socket to the outboxes.
pub(crate) fn forwarded(seconds: f64) {
    HOT.forward.record(seconds);
}
