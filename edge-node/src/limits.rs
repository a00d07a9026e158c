//! Every bound inside an edge, with its arithmetic. What the wire bounds is in `pulse_proto::limits`.

use std::time::Duration;

use pulse_proto::limits::MAX_MESSAGE;

/// Inputs a room may be behind: at 1,000 frames a second, one second. Media beyond is dropped and
/// counted; control waits, which holds up its sender alone.
pub(crate) const ROOM_INBOX: usize = 1_024;

/// Inputs a room handles before it lets others run.
pub(crate) const ROOM_BATCH: usize = 64;

/// Control messages that may wait for one receiver. A roster change is the most frequent: 256 of them
/// is a whole room joining at once.
pub(crate) const MAX_CONTROL_MESSAGES: usize = 512;

/// Bytes of them, beside one that may be longer (a welcome, an image for a v1 member).
pub(crate) const MAX_CONTROL_BYTES: usize = 512 * 1024;

/// Audio older than this is of no use to a conversation.
pub(crate) const MAX_AUDIO_AGE: Duration = Duration::from_millis(200);

/// 200 ms of 16 speakers at 50 packets of 180 bytes a second.
pub(crate) const MAX_AUDIO_BYTES: usize = 32 * 1024;

/// Video older than this is dropped to the next keyframe.
pub(crate) const MAX_VIDEO_AGE: Duration = Duration::from_millis(500);

/// A keyframe that has waited for so long makes way for the next one: three pictures at 30 a second, and more than any
/// link in order lets one wait.
pub(crate) const KEYFRAME_LATE: Duration = Duration::from_millis(100);

/// A keyframe that is on its way may finish within this: 300 KB at 1.2 Mbit/s.
pub(crate) const MAX_LEAVING_KEYFRAME_AGE: Duration = Duration::from_secs(2);

/// One screen keyframe and what follows it; with audio's 32 KiB and a batch of 16 KiB a stalled
/// receiver holds less than 256 KiB.
pub(crate) const MAX_VIDEO_BYTES: usize = 192 * 1024;

/// What may wait beside a keyframe that alone comes near `MAX_VIDEO_BYTES` or exceeds it (a detailed
/// screen): with it the lane holds at most 965,632 + 65,536 bytes, for `MAX_VIDEO_AGE`.
pub(crate) const BESIDE_A_KEYFRAME: usize = 64 * 1024;

/// v1 audio messages (33 KB, 372 ms each) that may wait for one receiver.
pub(crate) const MAX_V1_AUDIO_MESSAGES: usize = 3;

/// How soon a receiver that can decode nothing of a track is offered its cache and a keyframe asked a
/// second time. Each time that follows within `STARVED_MEMORY` waits twice as long, for one slow
/// receiver makes a publisher send keyframes to a whole room: a keyframe of 20 KB each 16 s is 0.7 % of
/// 1.5 Mbit/s. A camera's own keyframes, each 4 s, serve it in between.
pub(crate) const STARVED_RETRY: Duration = Duration::from_secs(1);
/// The longest such wait.
pub(crate) const STARVED_RETRY_MAX: Duration = Duration::from_secs(16);
/// A receiver that was fed for so long is helped at once again.
pub(crate) const STARVED_MEMORY: Duration = Duration::from_secs(20);
/// A track that is tried again begins with its cached keyframe; what carries that within this is worth a new
/// one. At 256 kbit/s one of 20 KB takes longer.
pub(crate) const RETRY_PATIENCE: Duration = Duration::from_secs(1);

/// The same where a probe has found that the link carries it: longer than a still stands in the lane there.
pub(crate) const PROBED_PATIENCE: Duration = Duration::from_millis(20);

/// How often a link is probed while a track is paused, and by how many bytes: one segment, for a second one
/// waits for the kernel's pace. With the 60 bytes of TLS, TCP and IP about it 5.3 KB a second, 17 % of a
/// link of 256 kbit/s. A longer list is followed by a longer pause.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes of one probe.
pub(crate) const PROBE_BYTES: usize = 1_000;
/// Lists of more paused tracks (28) are not sent as probes: voices would stand behind them for longer
/// than behind the pictures that may be unacknowledged.
pub(crate) const PROBE_BYTES_MAX: usize = OUTSTANDING_MIN as usize;

/// An acknowledgement may take this much longer than the path whatever the rate that is sought: what
/// receivers and kernels wait for. 256 kbit/s take 33 ms for a probe.
pub(crate) const PROBE_SLACK: Duration = Duration::from_millis(15);

/// Who looks for the answer so much after it was due cannot tell when it came.
pub(crate) const PROBE_LATE: Duration = Duration::from_millis(5);

/// How often a link with another edge is looked at for what it carries beside what is sent.
pub(crate) const LINK_MORE_LOOK: Duration = Duration::from_millis(200);
/// After a queue has shown no copies are sent for so long. The budget grows by half a second: a path that carries
/// 5 Mbit/s again after 2 is known for that 0.5 + ln 2.75 ÷ 0.5 = 2.5 s later.
pub(crate) const LINK_MORE_PAUSE: Duration = Duration::from_millis(500);
/// The part of the budget that may be filled: what the frames weigh beside themselves, and what the seconds of
/// a camera differ by.
pub(crate) const LINK_MORE_SHARE: f64 = 0.9;
/// So much more than what is left out is looked for.
pub(crate) const LINK_MORE_MARGIN: f64 = 1.1;

/// How often it is decided what a receiver's link carries.
pub(crate) const CARRY_REVIEW: Duration = Duration::from_secs(1);

/// Looks, of the last four, that found frames dropped which others need, before a track is paused: one is an
/// incident.
pub(crate) const CARRY_SHORT: u32 = 2;

/// Looks without an offer after which a track is forgotten: a static screen offers a frame each second.
pub(crate) const CARRY_IDLE: u32 = 10;

/// A receiver that acknowledges less than this between two looks has stopped rather than being slow: 8 kbit/s,
/// less than one voice.
pub(crate) const CARRY_STALL: u64 = 1_000;

/// A paused track is tried again after this, then after twice as long each time, up to the second.
pub(crate) const CARRY_RETRY_MIN: Duration = Duration::from_secs(2);
/// The longest pause between two tries.
pub(crate) const CARRY_RETRY_MAX: Duration = Duration::from_secs(30);

/// A track that was tried again counts as carried after this: two keyframes of a camera.
pub(crate) const CARRY_TRIAL: Duration = Duration::from_secs(8);

/// A track that a probe brought back and that fails within this was not carried: two looks, and what may wait.
/// One that fails later was, and the link has become narrow again.
pub(crate) const CARRY_MISLED: Duration = Duration::from_secs(3);

/// Bytes handed to a socket between two looks at the lanes: 32 ms at 4 Mbit/s.
pub(crate) const WRITE_BATCH: usize = 16 * 1024;

/// Bytes that a client does not acknowledge for this long, or a window that it keeps shut, end the
/// connection (TCP_USER_TIMEOUT): the network is gone, or nobody reads. Longer than `IDLE_TIMEOUT`, so
/// that who has simply gone is away with a reason; shorter than it takes TCP by itself, a quarter of an hour.
pub(crate) const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(15);

/// A flush that makes no progress for this long ends the connection.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Unsent bytes the kernel may hold for one receiver (TCP_NOTSENT_LOWAT): what it holds can no longer
/// be dropped. `NOTSENT_TIME` of what the receiver takes, between 4 KiB (128 ms at 256 kbit/s; two full
/// segments, below which Linux stutters) and 16 KiB (13 ms at 10 Mbit/s).
pub(crate) const NOTSENT_LOWAT_MAX: u32 = 16 * 1024;
/// The least of it.
pub(crate) const NOTSENT_LOWAT_MIN: u32 = 4 * 1024;
/// Longer than a busy machine takes to come back to a socket.
pub(crate) const NOTSENT_TIME: Duration = Duration::from_millis(50);

/// How long a voice may stand behind what is unacknowledged of pictures: that many ms of the
/// receiver's rate are in flight at most, beside what fills its path. At 256 kbit/s and 20 ms:
/// 32,000 × 0.08 = 2,560 bytes.
pub(crate) const QUEUE_TARGET: Duration = Duration::from_millis(60);

/// Bytes that may be unacknowledged whatever the rate: three chunks. Fewer would leave links of some
/// hundred kbit/s idle between two looks.
pub(crate) const OUTSTANDING_MIN: u64 = 3_000;

/// Bytes in flight to a receiver before any of them came back in time, and the least that a link without
/// trouble is given: one flush. A link that becomes 256 kbit/s is rid of them after half a second.
pub(crate) const BURST_FIRST: u64 = WRITE_BATCH as u64;

/// On a path shorter than this what is in flight comes back sooner than a timer would let the rest go, so it is not
/// counted there.
pub(crate) const NEAR_PATH: Duration = Duration::from_millis(5);

/// Who had room for everything for this long is given no more at once than its flow needs.
pub(crate) const BURST_REST: Duration = Duration::from_secs(1);

/// What flows to a receiver is counted over this: some pictures.
pub(crate) const FLOW_WINDOW: Duration = Duration::from_millis(500);

/// How long what leaves alone takes is measured over this: some fifty voices.
pub(crate) const LATE_REST: Duration = Duration::from_secs(1);

/// Times at which something left are told apart by this, and so many are remembered: 320 ms of a stream
/// without pauses, more than a second of voices. Who is late by that much is late.
pub(crate) const SENT_GRAIN: Duration = Duration::from_millis(5);
/// How many.
pub(crate) const SENT_MARKS: usize = 64;

/// A path of this length or more is long: who finds its congestion window full waits for a part of that.
pub(crate) const LONG_PATH: Duration = Duration::from_millis(50);

/// A path that had to repeat something within this loses: at 3 % and 50 voices a second it does so all the time.
pub(crate) const LOSS_MEMORY: Duration = Duration::from_secs(2);

/// Segments of a congestion window that pictures leave to voices there: the next 80 ms.
pub(crate) const VOICE_SEGMENTS: u32 = 4;

/// Bytes of a segment on most paths.
pub(crate) const SEGMENT: u64 = 1_448;

/// What control may add to the bound of pictures before it waits: 128 ms at 256 kbit/s. Beyond it a voice
/// would stand behind a roster.
pub(crate) const CONTROL_BESIDE: i64 = 4 * 1024;

/// Control that leaves before voices in one flush: some answers and changes, no roster of many.
pub(crate) const CONTROL_FIRST: usize = 4 * 1024;

/// So much that is unacknowledged beyond the path is a queue, not the wobble of acknowledgements.
pub(crate) const STANDING_QUEUE: Duration = Duration::from_millis(20);

/// Receivers delay an acknowledgement by so much; it is no longer path.
pub(crate) const DELAYED_ACK: Duration = Duration::from_millis(40);

/// The rate of a receiver of whom nothing is known, in bytes a second: 256 kbit/s, the least that
/// pictures are meant for. A fast one is known after some round trips, for it doubles in each.
pub(crate) const RATE_FIRST: f64 = 32_000.0;

/// The least rate that is believed, in bytes a second: 128 kbit/s. A receiver that stops altogether is
/// live again after a few doublings from there.
pub(crate) const RATE_MIN: f64 = 16_000.0;

/// A rate is measured over this, or a round trip where that is longer: shorter ones see bursts.
pub(crate) const RATE_WINDOW: Duration = Duration::from_millis(20);

/// A lower rate counts fully after this long: eight round trips of 50 ms.
pub(crate) const LOWER_OVER: Duration = Duration::from_millis(400);

/// A link that had room for everything for this long has no queue of ours in it.
pub(crate) const PATH_REST: Duration = Duration::from_secs(2);

/// A path may be this much longer than the shortest round trip the kernel remembers: from a cable to a
/// far mobile cell. More is somebody's queue.
pub(crate) const PATH_CHANGE_MAX: Duration = Duration::from_millis(300);

/// Looks at the kernel while something is held back: at most each ms (what a timer can do), at least each
/// 50 ms (a link that has become free is used soon).
pub(crate) const LOOK_MIN: Duration = Duration::from_millis(1);
/// The least while the link is late.
pub(crate) const LOOK_LATE: Duration = Duration::from_millis(10);
/// The longest time between two of them.
pub(crate) const LOOK_MAX: Duration = Duration::from_millis(50);

/// How often a receiver's rate and round trip enter their histograms, at most.
pub(crate) const LINK_REPORT: Duration = Duration::from_secs(1);

/// The read buffer of one WebSocket. Most messages are below 1,000 bytes.
pub(crate) const READ_BUFFER: usize = 8 * 1024;

/// Connections that are not (yet) a WebSocket: a page load opens six for a second. When all are taken, the one
/// that has gone longest without a request makes way: who opens 10,000 a second and sends nothing leaves
/// everybody else 200 ms for theirs.
pub(crate) const MAX_HTTP_CONNECTIONS: usize = 2_048;

/// Time for the body of an upload: 1 MiB at 350 kbit/s.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(25);

/// Time for TLS, and for the head of an HTTP request.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Samples of histograms wait for this long before they are summed up: 5,000 a second of 8 bytes are 200 KB.
pub(crate) const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// A connection that makes way for another is gone within this.
pub(crate) const DISPLACE_TIMEOUT: Duration = Duration::from_secs(1);

/// Edges that a page's policy names: 16 of 2 × 45 bytes are 1.4 KB of header, which every proxy takes. Beyond
/// it names none of them.
pub(crate) const MAX_NAMED_EDGES: usize = 16;

/// At shutdown clients go to other edges one after the other, so that those are not met by all of them at
/// once: 10,000 within 3 s are 3,300 handshakes a second.
pub(crate) const DRAIN_PACE: Duration = Duration::from_micros(300);
/// The last of them goes by then.
pub(crate) const DRAIN_SPREAD: Duration = Duration::from_secs(3);

/// The clients have this long to take their close frames at shutdown; what they leave has as long to end.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How often v1 connections are pinged: twice within `IDLE_TIMEOUT`.
pub(crate) const V1_PING_INTERVAL: Duration = Duration::from_secs(4);

/// Media bytes a second of one publisher: screen at 8 Mbit/s, camera at 4, v1 PCM at 0.7, and as
/// much again.
pub(crate) const MEDIA_BYTES_PER_SECOND: f64 = 3_000_000.0;

/// What it may send at once: a v1 share chunk and a keyframe.
pub(crate) const MEDIA_BYTES_BURST: f64 = 4_000_000.0;

/// Control messages a second of one client, and at once.
pub(crate) const CONTROL_PER_SECOND: f64 = 20.0;
/// Joining with 16 tracks and a few keyframe requests for each of 40 others.
pub(crate) const CONTROL_BURST: f64 = 150.0;

/// Chat images a second of one client, and at once.
pub(crate) const IMAGES_PER_SECOND: f64 = 0.5;
/// A handful pasted in a row.
pub(crate) const IMAGES_BURST: f64 = 5.0;

/// Bytes of chat images that a room keeps.
pub(crate) const MAX_ROOM_IMAGES: usize = 16 * 1024 * 1024;

/// A late joiner's cache, per track: time since the last keyframe, and bytes.
pub(crate) const MAX_CACHE_AGE: Duration = Duration::from_secs(5);
/// Two of the largest codec frames.
pub(crate) const MAX_CACHE_BYTES: usize = 2 * 1024 * 1024;

/// A cache that spans more than this is not played to a late joiner; its keyframe alone is.
pub(crate) const CACHE_PLAY: Duration = Duration::from_millis(500);

/// An acknowledgement is made this much before its bound: a timer fires up to a millisecond late, and its
/// task runs a little after that.
pub(crate) const ACK_MARGIN: Duration = Duration::from_millis(10);

/// How long the fastest frame of a publisher counts as what its path can do, at least, and twice as long at
/// most: clocks that drift apart by 200 µs a second come to 24 ms in it.
pub(crate) const ACK_BASE_PERIOD: Duration = Duration::from_secs(60);

/// How hard brotli tries (0..=11), once for each file: at 9 a release takes some milliseconds for one. A debug
/// build, fifty times as slow, serves files that change anyway.
pub(crate) const BROTLI_QUALITY: i32 = if cfg!(debug_assertions) { 1 } else { 9 };

/// brotli's window, as a power of two: 256 KiB is more than the largest file.
pub(crate) const BROTLI_WINDOW: i32 = 18;

/// tungstenite holds at most this much unsent before it refuses: the largest message and a batch.
pub(crate) const MAX_WRITE_BUFFER: usize = 2 * MAX_MESSAGE;

/// Operators' connections at once: a few scrapers.
pub(crate) const MAX_OPS_CONNECTIONS: usize = 64;

/// Files that are open beside connections: listeners, the runtime's, logs.
pub(crate) const OTHER_FILES: usize = 64;

/// After an accept that failed for want of a descriptor or memory, others get time to end.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What core was told is told again after this long without its answer.
pub(crate) const REDECLARE_INTERVAL: Duration = Duration::from_secs(1);

/// An init segment of Chromium has about 200 bytes; a v1 share that shows no Cluster in 64 KiB is not
/// understood, and its first bytes serve as init segment.
pub(crate) const MAX_INIT_SEGMENT: usize = 64 * 1024;

/// A v1 audio message holds 372 ms: one that waited for two more of them is stale.
pub(crate) const MAX_V1_AUDIO_AGE: Duration = Duration::from_millis(750);

/// Media that has overtaken what announces it waits for so long: half a round trip between continents, and a
/// lost packet of the control stream sent again.
pub(crate) const MAX_EARLY_AGE: Duration = Duration::from_millis(100);
/// Chunks of it in one room: a keyframe of 60 KB, and 100 ms of a hundred voices.
pub(crate) const MAX_EARLY: usize = 64 + 512;

/// Messages that may wait for one other edge: a thousand rooms that are told of at once, four each. More ends
/// the link, and the next one begins with what holds then.
pub(crate) const LINK_CONTROL: usize = 4_096;

/// v1 frames (33 to 500 KB) and chat images that may wait for one other edge: 3 s of a voice and a share.
pub(crate) const LINK_LARGE: usize = 16;
/// v1 frames that may wait for one stream of it: as for a slow v1 receiver.
pub(crate) const LINK_STREAM: usize = 3;
/// A stream ends when nothing came for so long; the next frame opens another.
pub(crate) const LINK_STREAM_IDLE: Duration = Duration::from_secs(30);
/// v1 senders with a voice and a share each, at one edge: 128.
pub(crate) const LINK_STREAMS: u32 = 256;

/// Bytes that are read from a stream of a link at once.
pub(crate) const LINK_READ: usize = 64 * 1024;

/// Reports and names that may wait for the sending half of a link: a second of reports, and a room that joins at
/// once.
pub(crate) const LINK_HEARD: usize = 512;

/// Another edge says hello within this, or is none.
pub(crate) const LINK_HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// An edge that cannot be reached is dialled again after this, then after twice as long each time, up to the second.
pub(crate) const LINK_RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest pause. An edge that is back is linked with within it.
pub(crate) const LINK_RETRY_MAX: Duration = Duration::from_secs(2);

/// Voices that may wait for one other edge: 200 ms of 400 speakers at 50 packets of 180 bytes a second are 720 KB.
pub(crate) const LINK_AUDIO_BYTES: usize = 1024 * 1024;
/// Pictures that may: `LINK_VIDEO_AGE` of 100 Mbit/s are 3.1 MB.
pub(crate) const LINK_VIDEO_BYTES: usize = 4 * 1024 * 1024;
/// A picture that waits longer for a link is dropped with what needs it: a keyframe of 60 KB takes 240 ms at
/// 2 Mbit/s.
pub(crate) const LINK_VIDEO_AGE: Duration = Duration::from_millis(250);

/// How often rooms are told what a link does not carry: it is decided once a second.
pub(crate) const LINK_PAUSED_LOOK: Duration = Duration::from_secs(1);

/// How often it is looked at whether anything has come from another edge.
pub(crate) const LINK_LIFE: Duration = Duration::from_millis(250);
/// An edge that was silent for so long is not reported as alive: keep-alives leave each second.
pub(crate) const LINK_HEARD_OF: Duration = Duration::from_secs(2);
/// How often what core is told of this edge is brought up to date.
pub(crate) const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// Messages of one room that may wait for core to number them: each participant of a full one says something, and
/// more is said while core is gone for long.
pub(crate) const CHATS_WAITING: usize = 256;
/// Numbered ones that are remembered, for core may say one twice.
pub(crate) const CHATS_KNOWN: usize = 512;
