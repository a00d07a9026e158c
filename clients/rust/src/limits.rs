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

/// A source this late starts its schedule anew instead of sending a burst of old frames.
pub(crate) const SOURCE_LATE: Duration = Duration::from_millis(500);

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
