//! Every bound of the wire, with its reason. PROTOCOL.md section 9 lists the same values.

use std::time::Duration;

/// Bytes of participant id and type before every payload: 36 + 1.
pub const FRAME_HEADER: usize = 37;

/// A whole MEDIA message. One fits a QUIC datagram at the smallest MTU in use (1,200 bytes) beside
/// the framing of a link, and holds a 256-kbit/s receiver up for 31 ms at most.
pub const MAX_MEDIA_FRAME: usize = 1_000;

/// Bytes of the media header behind the 37.
pub const MEDIA_HEADER: usize = 20;

/// Codec bytes in one chunk: 1,000 − 37 − 20.
pub const MAX_CHUNK_PAYLOAD: usize = MAX_MEDIA_FRAME - FRAME_HEADER - MEDIA_HEADER;

/// Chunks of one codec frame: 1,024 × 943 = 965,632 bytes, four times a 4K screen keyframe.
pub const MAX_CHUNKS: u16 = 1_024;

/// Payload of a control message. The largest honest one is a SUBSCRIBE with 256 entries of about
/// 70 bytes, 18 KB.
pub const MAX_CONTROL: usize = 32 * 1024;

/// Payload of a CHAT message, v1's and v2's.
pub const MAX_CHAT: usize = 16 * 1024;

/// Bytes of one chat image.
pub const MAX_IMAGE: usize = 1024 * 1024;

/// Payload of a v1 AUDIO message: twice the 16,384 samples × 2 bytes that the original sends.
pub const MAX_V1_AUDIO: usize = 64 * 1024;

/// Payload of a v1 SCREEN_SHARE message: 500 ms at 32 Mbit/s.
pub const MAX_V1_SHARE_CHUNK: usize = 2 * 1024 * 1024;

/// Payload of a v1 SCREEN_SHARE_START, a MIME type.
pub const MAX_V1_MIME: usize = 128;

/// The largest message a client may send, whatever its type: a v1 share chunk with its header.
pub const MAX_MESSAGE: usize = MAX_V1_SHARE_CHUNK + FRAME_HEADER;

/// Characters of a participant's name.
pub const MAX_NAME_CHARS: usize = 64;

/// Characters of a room's name.
pub const MAX_ROOM_CHARS: usize = 64;

/// Track numbers a participant may use: 0..=15.
pub const MAX_TRACKS: u8 = 16;

/// Spatial layers of a track: 0..=2.
pub const MAX_SPATIAL_LAYERS: u8 = 3;

/// Temporal layers of a track: 0..=3.
pub const MAX_TEMPORAL_LAYERS: u8 = 4;

/// Participants of a room at most: a v1 user list counts them in one byte.
pub const MAX_PARTICIPANTS: usize = 255;

/// How long a connection may stay silent before its join.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a joined connection may stay silent: five pings of 2 s.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a participant whose connection was lost may resume.
pub const RESUME_GRACE: Duration = Duration::from_secs(10);

/// Errors that a connection may make at once; one more is forgiven each second.
pub const ERROR_BURST: u32 = 20;

/// Updates that a client may send of itself at once: a hand that goes up and down a few times.
pub const UPDATE_BURST: u32 = 10;

/// Updates a second beyond the burst.
pub const UPDATES_PER_SECOND: u32 = 2;

/// A publisher hears of changed demand for a track at most once in this time: a page that scrolls through
/// a grid pauses and resumes several tracks in one go.
pub const DEMAND_INTERVAL: Duration = Duration::from_millis(100);

/// Above so many members only what every client decodes is asked for: somebody new would make it
/// switch all the time.
pub const MAX_DECODE_ROOM: usize = 16;

/// Tracks that one CONSTRAINED names: 256 entries of about 100 bytes are 26 KB.
pub const MAX_CONSTRAINED: usize = 256;

/// Other edges that a client is told of: one may be gone for the same reason as its own.
pub const MAX_ALTERNATES: usize = 2;

/// The publisher hears of what arrived at least this often while it sends.
pub const ACK_INTERVAL: Duration = Duration::from_millis(100);

/// A publisher's media is acknowledged at once when so many bytes of it are not: half of what a browser has
/// under way on a path that it does not know.
pub const ACK_BYTES: u64 = 32 * 1024;

/// One keyframe request per (track, layer) goes to a publisher in this time.
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_secs(2);
