//! What one direction of a link does to packets. Plain values; `spec.rs` reads and prints them,
//! `link.rs` carries them out.

use std::time::Duration;

use crate::limits::{DEFAULT_QUEUE, MAX_PACKET_BYTES, MIN_DEFAULT_QUEUE_BYTES};

/// One direction of a link. The default passes everything at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Time on the way, for every packet.
    pub delay: Duration,
    /// Up to this much more, evenly spread. Packets keep their order, so a slow one holds up those
    /// behind it.
    pub jitter: Duration,
    /// What gets lost on the way, after it has used the rate.
    pub loss: Loss,
    /// The share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// The share of packets that later ones overtake, 0 to 1.
    pub reorder: f64,
    /// How much longer an overtaken packet takes.
    pub reorder_by: Duration,
    /// Bits a second, IP headers included; `None` is without limit.
    pub rate_bps: Option<u64>,
    /// Bytes that may wait for the rate, the one being sent included. More is dropped from the tail,
    /// but an empty queue takes any packet. `None` is `queue_bytes()`'s default.
    pub queue_bytes: Option<usize>,
    /// Longer packets are dropped.
    pub mtu: usize,
    /// Whether the sender of one is told (ICMP "fragmentation needed"), as it should be.
    pub mtu_told: bool,
    /// A schedule of absence.
    pub flap: Option<Flap>,
}

/// How packets get lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Each on its own, with this probability.
    Uniform(f64),
    /// In bursts, by two states (Gilbert-Elliott). All are probabilities for each packet.
    Bursts {
        /// That a burst begins.
        enter: f64,
        /// That it ends.
        leave: f64,
        /// Of loss within.
        inside: f64,
        /// Of loss without.
        outside: f64,
    },
}

impl Loss {
    /// Bursts of `length` packets on average that lose `share` of all packets in the long run.
    pub fn bursts(share: f64, length: f64) -> Self {
        let leave = 1.0 / length.max(1.0);
        let enter = if share < 1.0 {
            (leave * share / (1.0 - share)).min(1.0)
        } else {
            1.0
        };
        Self::Bursts {
            enter,
            leave,
            inside: 1.0,
            outside: 0.0,
        }
    }
}

/// There for `up`, away for `down`, and again. Begins with `up` when it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flap {
    /// Time in which packets pass.
    pub up: Duration,
    /// Time in which none does.
    pub down: Duration,
}

impl Flap {
    /// Whether the link is away, so long after the schedule began.
    pub fn is_away(&self, since: Duration) -> bool {
        let cycle = (self.up + self.down).as_nanos();
        cycle > 0 && since.as_nanos() % cycle >= self.up.as_nanos()
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::Uniform(0.0),
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            rate_bps: None,
            queue_bytes: None,
            mtu: MAX_PACKET_BYTES,
            mtu_told: true,
            flap: None,
        }
    }
}

impl Shape {
    /// The bound of the queue: what was set, or `DEFAULT_QUEUE` of the rate.
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes.unwrap_or_else(|| {
            let bits = u128::from(self.rate_bps.unwrap_or(0)) * DEFAULT_QUEUE.as_millis() / 1_000;
            usize::try_from(bits / 8)
                .unwrap_or(usize::MAX)
                .max(MIN_DEFAULT_QUEUE_BYTES)
        })
    }

    /// How long the rate takes for so many bytes.
    pub fn sending_time(&self, bytes: usize) -> Duration {
        let Some(rate) = self.rate_bps.filter(|rate| *rate > 0) else {
            return Duration::ZERO;
        };
        let nanos = (bytes as u128) * 8 * 1_000_000_000 / u128::from(rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
