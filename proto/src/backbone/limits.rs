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

/// A frame that comes when nothing has left for so long leaves at once: half of a voice's interval, so that one
/// who speaks alone never waits, and of several nearly every frame meets another. With 10 speakers 2.2 frames
/// share a datagram; if they left at once 2 ms after the last one already, 1.5 would.
pub const IDLE: Duration = Duration::from_millis(10);

/// After a datagram has left, frames gather for so long at least, which is part of [`MAX_HOLD`]: several datagrams
/// then leave in one call of the kernel and arrive in one.
pub const GATHER: Duration = Duration::from_millis(1);

/// But not more than these, four datagrams: what gathers in 1 ms at 37 Mbit/s, and half of what QUIC takes at once.
pub const GATHER_BYTES: usize = 4 * MAX_DATAGRAM;

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

/// What a datagram weighs beside itself: UDP and IP 28 bytes, QUIC 38 of the 1,200.
pub const DATAGRAM_OVERHEAD: usize = 66;

/// Bytes a second that a link begins with: 4 Mbit/s, a room with two cameras. A path that carries less shows a
/// queue within one round trip.
pub const RATE_FIRST: f64 = 4_000_000.0 / 8.0;

/// No path is believed to carry less: 256 kbit/s are four voices with all that they weigh.
pub const RATE_FLOOR: f64 = 256_000.0 / 8.0;

/// No path is believed to carry more: 1 Gbit/s.
pub const RATE_MAX: f64 = 1_000_000_000.0 / 8.0;

/// The rate stays below what was delivered of late, so many times.
pub const RATE_HEADROOM: f64 = 2.0;

/// Growth a second while something waits and no queue shows, on a path with a round trip of up to 50 ms: from 2
/// to 5 Mbit/s in ln 2.5 ÷ 0.5 = 1.8 s. The queue that it makes before it is noticed, after t = √(2 × 25 ms ÷ 0.5)
/// and a report's time of 80 ms, is ½ × 0.5 × 0.4² = 40 ms.
pub const GROWTH: f64 = 0.5;

/// On longer paths it is slower by as much as news of a queue are late: this over (round trip + 100 ms).
pub const GROWTH_LATENCY: Duration = Duration::from_millis(150);

/// The queue that a full link is kept at: long enough that no capacity is lost between two reports, short
/// enough that nobody hears it.
pub const QUEUE_TARGET: Duration = Duration::from_millis(25);

/// No queue worth speaking of: below it the rate grows. Two of the longest datagrams at 2 Mbit/s are 10 ms.
pub const QUEUE_LOW: Duration = Duration::from_millis(8);

/// A queue above this is drained before anything else is tried.
pub const QUEUE_HIGH: Duration = Duration::from_millis(50);

/// A link is drained at this part of what it delivers.
pub const DRAIN: f64 = 0.5;

/// A queue that has grown by so much while half was sent is ours: the path carries less than half of what it did.
pub const DRAIN_GROWN: f64 = 1.2;

/// This part of what a path delivered is sent when its queue is empty again, or when it has lost too much.
pub const AFTER_CUT: f64 = 0.95;

/// How fast a queue is steered to its target: rate = delivered × (1 + this × (target − queue)), a second. Slower
/// where news are late, or it swings: at most 0.5 ÷ (round trip + 100 ms).
pub const STEER: f64 = 4.0;

/// Bytes a second that each link adds on top when it steers: 40 kbit/s. It is more for who has less, and by it
/// links that share a bottleneck come to have the same.
pub const STEER_SHARE: f64 = 40_000.0 / 8.0;

/// The part of the way to the rate it steers to that one report takes it: what is measured over few datagrams is
/// off by a third, in both directions alike.
pub const STEER_STEP: f64 = 0.25;

/// The lowest delay is that of the last 5 to 10 s: a longer route is believed after 10, and clocks that drift
/// apart by 200 ppm seem a queue of 2 ms.
pub const LOWEST_SPAN: Duration = Duration::from_secs(5);

/// A full link whose queue was never empty for so long is drained once, or its lowest delay is forgotten: it must
/// happen within [`LOWEST_SPAN`].
pub const EMPTY_EVERY: Duration = Duration::from_secs(4);

/// A delay that jumps by more is a clock that was set. No queue grows so fast between two reports.
pub const CLOCK_STEP: Duration = Duration::from_secs(1);

/// One way is late by this much more than the round trip is: the receiver's clock, and no queue.
pub const CLOCK_SLACK: Duration = Duration::from_millis(20);

/// What is delivered is measured over so long: four reports, 20 datagrams at 2 Mbit/s.
pub const DELIVERY_SPAN: Duration = Duration::from_millis(100);

/// And over so many datagrams, where they are rarer: one more or less is 8 %.
pub const DELIVERY_DATAGRAMS: u64 = 12;

/// A measurement over more than this spans a pause and says nothing.
pub const DELIVERY_SPAN_MAX: Duration = Duration::from_millis(500);

/// Loss is measured over so long and so many datagrams at least.
pub const LOSS_SPAN: Duration = Duration::from_millis(250);

/// See [`LOSS_SPAN`]: with 5 % loss fewer than 1 of 10,000 such windows show 20 %.
pub const LOSS_DATAGRAMS: u64 = 50;

/// Two windows in a row with this loss are a bottleneck that drops at once, and no bad luck.
pub const LOSS_HIGH: f64 = 0.2;

/// After a cut for loss, loss that is higher by this than what remained is the bottleneck again.
pub const LOSS_MARGIN: f64 = 0.05;

/// Loss that a cut has lessened by no more than to this part of it was no bottleneck's: the rate before is
/// taken up again, and only loss that is higher by [`LOSS_HIGH`] once more is another's.
pub const LOSS_VAIN: f64 = 0.75;

/// While a cut for loss is remembered the rate grows by this part of [`GROWTH`], 10 % a second.
pub const GROWTH_LOSSY: f64 = 0.2;

/// So many times the rate at which there was loss, without loss: the bottleneck is gone.
pub const LOSS_OVER: f64 = 1.25;

/// For how long what a cut for loss has taught is remembered.
pub const LOSS_MEMORY: Duration = Duration::from_secs(20);

/// A silence of this and two round trips, while datagrams leave, halves the rate.
pub const SILENCE: Duration = Duration::from_millis(250);

/// Before the first report the round trip is believed to be this.
pub const RTT_FIRST: Duration = Duration::from_millis(400);

/// Datagrams that must be unanswered for a silence: one alone may be lost, five are with 5 % loss once in
/// three million.
pub const SILENCE_DATAGRAMS: u32 = 5;

/// After a silence this part of the rate before it is tried.
pub const AFTER_SILENCE: f64 = 0.5;

/// What may leave at once after a pause: 5 ms of the rate, two datagrams at least.
pub const BURST: Duration = Duration::from_millis(5);

/// What left beyond the budget is remembered up to this time of the rate.
pub const DEBT: Duration = Duration::from_millis(250);

/// Datagrams whose departure is remembered until they are reported: 16,384 are 1 s at 150 Mbit/s, and with 32
/// bytes each 512 KiB.
pub const MAX_UNREPORTED: usize = 16_384;
