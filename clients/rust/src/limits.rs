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
