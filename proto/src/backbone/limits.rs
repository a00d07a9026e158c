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

/// A frame waits so long at most for others to share its datagram. With it 40 speakers at random phases
/// share five to a datagram and cost 1.30 times their own bytes on the wire, alone 1.68 times.
pub const MAX_HOLD: Duration = Duration::from_millis(2);

/// Datagrams that are open at once, one for each (hops, epoch): what members here send, what is passed on
/// for the first and the second time, and one of the tree before.
pub const MAX_OPEN: usize = 4;

/// A datagram with less room than this leaves at once: the record of a voice is 7 + 20 + 60 bytes at least
/// while somebody speaks, and nothing else is as short.
pub const FULL_ENOUGH: usize = 87;

/// Datagrams are cut from pieces of memory of this size: 14 of the longest, so that one allocation serves 14,
/// and one that is still on its way keeps no more than this alive.
pub const PACKING_BUFFER: usize = 16 * 1024;

/// Short names of one connection and direction: 64 rooms of 255 participants. With about 200 bytes each,
/// 3.3 MB. Beyond it media goes in the long form, which costs bandwidth and nothing else.
pub const MAX_ALIASES: usize = 16_384;

/// How long media under an unknown name is kept for it: the name left before the media and is late by one
/// retransmission at most.
pub const UNKNOWN_HOLD: Duration = Duration::from_millis(100);

/// Frames kept so: what five new participants with a camera send in 100 ms, 5 × (5 + 40) = 225.
pub const MAX_UNKNOWN: usize = 256;

/// Their bytes: 256 × 963 are never reached in practice; 128 KiB hold 130 full chunks.
pub const MAX_UNKNOWN_BYTES: usize = 128 * 1024;

/// A link sequence that jumps by more than this is a new beginning and not a loss: 65,536 datagrams are
/// 75 MB, more than any link loses before it is given up.
pub const MAX_GAP: u32 = 65_536;

/// Codec frames that a duplicate window remembers: 1.28 s of voice, 1 s of a camera at 60 a second. Ages end
/// at 510 ms, so that no copy that is worth forwarding comes later.
pub const WINDOW_FRAMES: u32 = 64;

/// A frame so far behind the newest is no copy but a publisher that counts anew: 4,096 frames are 68 s of
/// video and 82 s of voice, and nothing stays on the way so long.
pub const WINDOW_RESTART: u32 = 4_096;
