//! Every bound of the lab, with its arithmetic.

use std::time::Duration;

/// Bytes of an IP packet on every device, as on Ethernet. A link's `mtu` can only be smaller.
pub const MAX_PACKET_BYTES: usize = 1_500;

/// The smallest `mtu` of a link: what every IPv4 host must take (RFC 791).
pub const MIN_MTU: usize = 576;

/// 10.77.0.1 to 10.77.3.250. Each is two descriptors and one namespace.
pub const MAX_HOSTS: usize = 1_000;

/// Hosts in one block of addresses: 10.77.x.1 to 10.77.x.250.
pub const HOSTS_PER_BLOCK: usize = 250;

/// A link with a rate and no `queue` holds this much of its rate, as a modest modem does.
pub const DEFAULT_QUEUE: Duration = Duration::from_millis(100);

/// And never less than this: 21 full packets, two initial windows of TCP.
pub const MIN_DEFAULT_QUEUE_BYTES: usize = 32 * 1024;

/// Bytes on their way through one direction of one link: 1 Gbit/s for 500 ms is 62.5 MB.
pub const MAX_FLIGHT_BYTES: usize = 64 * 1024 * 1024;

/// Packets read from one device before timers and the other devices have their turn: at 4 µs each
/// a quarter of a millisecond.
pub(crate) const READ_BATCH: usize = 64;

/// Packets that wait in a device for the router: 49 ms of 1 Gbit/s. What finds no place is dropped
/// by the kernel and shows up in the device's counters.
pub(crate) const DEVICE_QUEUE_PACKETS: u32 = 4_096;

/// Packet buffers kept for reuse: 6 MiB.
pub(crate) const POOL_BUFFERS: usize = 4_096;

/// The longest delay, jitter, time of a schedule: a day is no network.
pub const MAX_TIME: Duration = Duration::from_secs(3_600);

/// A line of the control language.
pub const MAX_LINE_BYTES: usize = 4_096;

/// Lines that wait for the one who carries them out; who sends more waits.
pub const MAX_PENDING_LINES: usize = 64;

/// How long a program on the control socket may take for its line.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
