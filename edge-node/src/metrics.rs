//! Every metric of an edge: its name, its help, and the function that counts it. No label holds a
//! participant, a room or an address. What is counted for every frame keeps its handle, so that no name
//! is looked up on the way of media.

use std::sync::LazyLock;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use pulse_proto::{ErrorCode, FrameType, control::Interruption};

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
        thinned: counter!("pulse_dropped_total", "queue" => "video", "cause" => "thinned"),
    }
});

/// Describes every metric; the README lists the same.
pub(crate) fn describe() {
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
    // What has not happened yet is 0, not absent.
    for protocol in ["v1", "v2"] {
        gauge!("pulse_connections", "protocol" => protocol).set(0.0);
    }
    for name in ["pulse_rooms", "pulse_participants", "pulse_held_bytes"] {
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

/// A connection was refused before it spoke HTTP.
pub(crate) fn refused(cause: &'static str) {
    counter!("pulse_http_refused_total", "cause" => cause).increment(1);
}

/// Core told what it holds of a room.
pub(crate) fn core_view() {
    counter!("pulse_core_views_total").increment(1);
}

/// A media frame took so long from its socket to the outboxes.
pub(crate) fn forwarded(seconds: f64) {
    HOT.forward.record(seconds);
}
