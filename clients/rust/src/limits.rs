//! Every number of this client that can be tuned, with its reason.

use std::time::Duration;

use pulse_proto::limits::MAX_MESSAGE;

/// Connecting, the handshake and the wait for WELCOME, each.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a leaving client waits for the other side's close.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// PROTOCOL.md 4.8.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Messages read but not yet taken. When it is full nothing more is read, so that the kernel's
/// buffers fill and the edge sees a slow receiver.
pub(crate) const INCOMING_MESSAGES: usize = 1_024;

/// Messages given but not yet written. When it is full senders wait; media may look first.
pub(crate) const OUTGOING_MESSAGES: usize = 256;

/// Messages that go out in one flush.
pub(crate) const FLUSH_MESSAGES: usize = 64;

/// One read from the socket: sixteen media messages.
pub(crate) const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Written to the socket at the latest when so much has gathered.
pub(crate) const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// A write buffer this full refuses messages: a flush of the largest ones a test may send.
pub(crate) const MAX_WRITE_BUFFER_BYTES: usize = 8 * MAX_MESSAGE;

/// The largest message an edge may send: a WELCOME to a full room stays far below.
pub(crate) const MAX_INCOMING_BYTES: usize = 2 * MAX_MESSAGE;

/// The bot's first wait before it connects again; each further one is twice as long.
pub(crate) const RECONNECT_FIRST: Duration = Duration::from_millis(250);

/// The bot's longest wait before it connects again.
pub(crate) const RECONNECT_LONGEST: Duration = Duration::from_secs(5);

/// Nothing came from an edge for so long: it is asked for a word. In a call something comes every 20 ms.
pub(crate) const STAY_ASK: Duration = Duration::from_secs(1);

/// Nothing for so long, the question's answer included: it is gone, and 1.5 s are left of the 4 s in which
/// everybody is to hear again. The browser's client waits as long.
pub(crate) const STAY_SILENT: Duration = Duration::from_millis(2_500);

/// An attempt at another edge may take so long, which is three round trips of 300 ms; then the next is tried.
pub(crate) const STAY_ATTEMPT: Duration = Duration::from_millis(1_000);

/// When every edge was tried: the pause before the next round, longer by as much each time, and the longest.
pub(crate) const STAY_PAUSE_FIRST: Duration = Duration::from_millis(250);
pub(crate) const STAY_PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// A place is kept for 10 s; whoever finds an edge after that joins anew, and after a minute nobody waits for it.
pub(crate) const STAY_GIVE_UP: Duration = Duration::from_secs(60);

/// A source this late starts its schedule anew instead of sending a burst of old frames.
pub(crate) const SOURCE_LATE: Duration = Duration::from_millis(500);

/// Places among the outgoing messages that pictures leave to sound and control: 64 are 1.3 s of sound.
pub(crate) const OUTGOING_RESERVED: usize = 64;

/// Under way at most on a path that has shown no queue: two keyframes of a camera. This and what follows
/// are the browser's numbers (`uplink`, `pacer` and `rate` of its defaults).
pub(crate) const UPLINK_START_BYTES: u64 = 65_536;

/// On a path that has shown one: three chunks, beyond what it carries.
pub(crate) const UPLINK_FLOOR_BYTES: u64 = 3_000;

/// What may be under way beyond one round trip; sound waits behind it.
pub(crate) const UPLINK_SLACK: Duration = Duration::from_millis(150);

/// A longer round trip is a queue's, and one that nobody has measured is taken for this.
pub(crate) const UPLINK_MAX_ROUND_TRIP: Duration = Duration::from_millis(1_000);

/// When even the fastest of the last frames was this late, the path queues, and is taken for narrow for a
/// while after.
pub(crate) const UPLINK_DELAY_LIMIT_MS: u64 = 100;
pub(crate) const UPLINK_NARROW: Duration = Duration::from_secs(60);

/// A path without a queue, but for the wobble of busy machines.
pub(crate) const UPLINK_CLEAR_MS: u64 = 50;

/// Acknowledgements come each 100 ms; so long after one was due the path stands still.
pub(crate) const UPLINK_SILENT: Duration = Duration::from_millis(400);

/// Measured over less, a rate is that of a burst. A lower one is believed by `UPLINK_BELIEVE_LOWER` at a time.
pub(crate) const UPLINK_RATE_WINDOW: Duration = Duration::from_millis(400);
pub(crate) const UPLINK_BELIEVE_LOWER: f64 = 0.7;

/// By this with each acknowledgement, 2 % a second, the round trip is believed to have grown.
pub(crate) const UPLINK_FORGET_ROUND_TRIP: f64 = 1.002;

/// Acknowledgements remembered: 400 ms of one for each 32 KiB at 160 Mbit/s. Of more the oldest is forgotten,
/// and no rate is measured.
pub(crate) const UPLINK_MAX_ACKS: usize = 256;

/// Frames under way that are told apart: 15 s of sound and pictures. Of more the oldest is forgotten; the
/// next one stands for it.
pub(crate) const UPLINK_MAX_MARKS: usize = 1_024;

/// Pictures are left out before they wait longer.
pub(crate) const PACER_QUEUE: Duration = Duration::from_millis(100);

/// What a path that stands still has kept for so long is of no use.
pub(crate) const PACER_MAX_WAIT: Duration = Duration::from_millis(1_000);

/// Pictures that wait: 1 s at 1 Mbit/s, six times what the clip has.
pub(crate) const PACER_MAX_BYTES: u64 = 128 * 1024;

/// What pictures may use at first, in bits a second.
pub(crate) const LADDER_START: f64 = 600_000.0;

/// Down to this share of what was carried beside sound: a queue needs the rest to empty. By `LADDER_DOWN_FACTOR` at
/// least and, where there is a step between, not further than `LADDER_DOWN_LEAST` at once.
pub(crate) const LADDER_CARRIED_SHARE: f64 = 0.75;
pub(crate) const LADDER_DOWN_FACTOR: f64 = 0.85;
pub(crate) const LADDER_DOWN_LEAST: f64 = 0.5;
pub(crate) const LADDER_DOWN_AFTER: Duration = Duration::from_millis(500);

/// A frame of the clip's base layer has up to 3 kB, which is a queue of 160 ms at 150 kbit/s each 267 ms: only
/// what is late for longer than from one to the next is more than such a burst.
pub(crate) const LADDER_BURST: Duration = Duration::from_millis(270);

/// Up to below where trouble began; from there by probes, a rung each, rarer by `LADDER_PROBE_RARER` each time
/// that one fails.
pub(crate) const LADDER_UP_AFTER: Duration = Duration::from_millis(700);
pub(crate) const LADDER_PROBE_AFTER: Duration = Duration::from_millis(2_500);
pub(crate) const LADDER_PROBE_RARER: f64 = 1.5;
pub(crate) const LADDER_MAX_PROBE_AFTER: Duration = Duration::from_millis(5_000);

/// Frames that leave this late arrive late, which is no word against the path for `SEND_LAG_MEMORY`.
pub(crate) const SEND_LAG: Duration = Duration::from_millis(50);
pub(crate) const SEND_LAG_MEMORY: Duration = Duration::from_millis(500);

/// A receiver asks for one keyframe a track in this time.
pub(crate) const KEYFRAME_REQUEST_INTERVAL: Duration =
    pulse_proto::limits::KEYFRAME_REQUEST_INTERVAL;

/// (track, spatial layer) streams a receiver keeps state of: a full room of four each.
pub(crate) const MAX_STREAMS: usize = 1_024;

/// The largest delay a report can hold, in µs; longer ones count as this.
pub(crate) const MAX_DELAY_US: u64 = 60_000_000;

/// How often the bot says what it receives.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// One read of a load test's receiving thread: some forty messages of voice for each of a thousand reads
/// a second, and all that a server sends to one receiver in one go.
pub(crate) const LOAD_READ_BYTES: usize = 64 * 1024;

/// One read of a subscriber that reads slowly, and the kernel's buffer in front of it: a phone's.
pub(crate) const SLOW_READ_BYTES: usize = 2 * 1024;
pub(crate) const SLOW_RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

/// A publisher whose socket takes nothing holds so much, a second at 2 Mbit/s, and sends no more.
pub(crate) const MAX_UNSENT_BYTES: usize = 256 * 1024;

/// How often a load test's publishers read and ping.
pub(crate) const LOAD_SERVICE_INTERVAL: Duration = Duration::from_millis(2);

/// A frame due within this is not slept for: waking up takes as long.
pub(crate) const LOAD_LEAVE_AHEAD: Duration = Duration::from_micros(20);

/// How often a receiving thread looks how late it is.
pub(crate) const LOAD_TURN_INTERVAL: Duration = Duration::from_millis(10);

/// From the last join to the first frame: the roster's news have arrived.
pub(crate) const LOAD_SETTLE: Duration = Duration::from_millis(500);

/// After the last frame: nothing came for so long, or it went on for so long.
pub(crate) const LOAD_QUIET: Duration = Duration::from_millis(500);
pub(crate) const LOAD_DRAIN: Duration = Duration::from_secs(5);

/// How often a load test looks whether something is over.
pub(crate) const LOAD_LOOK: Duration = Duration::from_millis(20);

/// Voice that is older is of no use to a conversation; a picture may be a bit older.
pub(crate) const FRESH_VOICE: Duration = Duration::from_millis(200);
pub(crate) const FRESH_PICTURE: Duration = Duration::from_millis(500);

/// A generator whose 99th percentile of lateness is above this, a quarter of the time between two packets
/// of voice, offers another load than the one asked for.
pub(crate) const LIMIT_LATE: Duration = Duration::from_millis(5);

/// A receiving thread whose sockets wait so long for their turn in one of a hundred cases measures itself.
pub(crate) const LIMIT_TURN: Duration = Duration::from_millis(50);

/// A process that uses more of its cores has nothing left.
pub(crate) const LIMIT_CPU: f64 = 0.95;
