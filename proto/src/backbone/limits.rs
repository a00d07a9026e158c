//! Every bound of the backbone's datagrams, with its arithmetic. PROTOCOL.md section 10 lists what
//! travels.

use std::time::Duration;

use crate::{
    id::ID_LEN,
    limits::{FRAME_HEADER, MAX_MEDIA_FRAME, MAX_ROOM_CHARS},
};

/// A datagram. QUIC sends packets of 1,200 bytes without asking the path; flags 1, connection id 5, packet
/// number 4, frame type and length 3, seal 16, and 9 to spare for longer connection ids: 1,200 − 38.
pub const MAX_DATAGRAM: usize = 1_162;

/// Version and kind, hops, epoch, link sequence: 1 + 1 + 2 + 4.
pub const DATAGRAM_HEADER: usize = 8;

/// Length, alias, age: 2 + 4 + 1.
pub const RECORD_HEADER: usize = 7;

/// A media frame without its id and type: 1,000 − 37.
pub const MAX_RECORD_PAYLOAD: usize = MAX_MEDIA_FRAME - FRAME_HEADER;

/// What the long form of a record holds at most before the payload: 36 + 1 + 64.
pub const MAX_LONG_FORM: usize = ID_LEN + 1 + MAX_ROOM_CHARS;

// The largest record must fit a datagram of its own: 8 + 7 + 101 + 963 = 1,079.
const _: () =
    assert!(DATAGRAM_HEADER + RECORD_HEADER + MAX_LONG_FORM + MAX_RECORD_PAYLOAD <= MAX_DATAGRAM);

/// Edges that may have passed a datagram's frames on. Trees are two levels deep; the rest is for the
/// moment in which two trees overlap.
pub const MAX_HOPS: u8 = 4;

/// What one step of an age stands for: 255 steps are 510 ms, older than any frame that is still played.
pub const AGE_UNIT: Duration = Duration::from_millis(2);

/// A receiver reports this often while anything arrives: 40 reports a second with about 90 bytes of packet
/// are 29 kbit/s, and a queue that grows by the whole rate of a link is known of before it is 50 ms long.
pub const FEEDBACK_INTERVAL: Duration = Duration::from_millis(25);

/// A report behind its header: highest 4, arrived 4, held 2, datagrams 4, bytes 4.
pub const FEEDBACK_LEN: usize = 18;
