//! One direction of one link: takes a packet at a time, says which packets come out when. Pure: the
//! time is an argument and the randomness is seeded, so the same packets at the same times meet the
//! same fate. Reads nothing of a packet but its length.
//!
//! A packet waits for the rate (bounded queue), then meets what the way has for it (absence, loss,
//! duplication), then flies for the delay. Each packet on the way takes five numbers from the stream,
//! whatever is switched on: changing one setting leaves the others' decisions as they were.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::Serialize;

use crate::{
    limits::MAX_FLIGHT_BYTES,
    shape::{Loss, Shape},
};

/// One IP packet.
pub type Packet = Vec<u8>;

/// What has happened to packets so far. `offered + duplicated` is `delivered`, the dropped, and what
/// is still held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Packets that came in.
    pub offered: u64,
    /// Bytes of them.
    pub offered_bytes: u64,
    /// Packets that came out.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
    /// Second copies that the link made.
    pub duplicated: u64,
    /// Packets that others may overtake.
    pub reordered: u64,
    /// Dropped: the queue before the rate was full.
    pub dropped_queue: u64,
    /// Dropped: by chance.
    pub dropped_loss: u64,
    /// Dropped: the link was away, by schedule or by command.
    pub dropped_away: u64,
    /// Dropped: longer than the link's MTU.
    pub dropped_mtu: u64,
    /// Dropped: more on the way than `MAX_FLIGHT_BYTES`.
    pub dropped_flight: u64,
    /// Packets held now, waiting or on the way.
    pub held: u64,
}

/// A packet longer than the link takes, whose sender is to be told.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The packet, which is dropped and counted.
    pub packet: Packet,
    /// What would have passed.
    pub mtu: usize,
}

/// One direction.
#[derive(Debug)]
pub struct Link {
    shape: Shape,
    /// When `shape` was set: schedules begin here.
    shaped_at: Duration,
    away_until: Duration,
    rng: ChaCha8Rng,
    in_burst: bool,
    queue: VecDeque<Packet>,
    queued_bytes: usize,
    /// When the first of the queue has been sent.
    sent_at: Option<Duration>,
    flying: BinaryHeap<Reverse<Flying>>,
    flying_bytes: usize,
    /// No packet comes out before this, unless it is one that others overtake.
    last_due: Duration,
    next_number: u64,
    counters: Counters,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    due: Duration,
    number: u64,
    packet: Packet,
}

/// The numbers that one packet takes from the stream.
struct Draws {
    burst: f64,
    loss: f64,
    duplicate: f64,
    reorder: f64,
    jitter: f64,
}

impl Link {
    /// A link whose decisions follow from the world's `seed` and its own `stream`.
    pub fn new(shape: Shape, seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self {
            shape,
            shaped_at: Duration::ZERO,
            away_until: Duration::ZERO,
            rng,
            in_burst: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent_at: None,
            flying: BinaryHeap::new(),
            flying_bytes: 0,
            last_due: Duration::ZERO,
            next_number: 0,
            counters: Counters::default(),
        }
    }

    /// What it does.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Does something else from now on. What waits goes on at the new rate; what flies keeps its time
    /// of arrival, and what follows stays behind it.
    pub fn set_shape(&mut self, now: Duration, shape: Shape) {
        self.send_until(now);
        if let Some(sent_at) = self.sent_at {
            let left = sent_at.saturating_sub(now);
            self.sent_at = Some(now + rescale(left, self.shape.rate_bps, shape.rate_bps));
        }
        self.shape = shape;
        self.shaped_at = now;
        self.send_until(now);
    }

    /// Passes nothing until then, beside what flies already. A time that is over ends it.
    pub fn set_away_until(&mut self, now: Duration, until: Duration) {
        self.send_until(now);
        self.away_until = until;
    }

    /// Counts so far.
    pub fn counters(&self) -> Counters {
        Counters {
            held: (self.queue.len() + self.flying.len()) as u64,
            ..self.counters
        }
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// Gives it back when its sender is to be told that it is too long.
    pub fn handle(&mut self, now: Duration, packet: Packet) -> Result<(), TooLong> {
        self.send_until(now);
        self.counters.offered += 1;
        self.counters.offered_bytes += packet.len() as u64;
        if packet.len() > self.shape.mtu {
            self.counters.dropped_mtu += 1;
            let mtu = self.shape.mtu;
            return if self.shape.mtu_told {
                Err(TooLong { packet, mtu })
            } else {
                Ok(())
            };
        }
        if self.shape.rate_bps.is_none() && self.queue.is_empty() {
            self.travel(now, packet);
            return Ok(());
        }
        let queued_bytes = self.queued_bytes + packet.len();
        if !self.queue.is_empty() && queued_bytes > self.shape.queue_bytes() {
            self.counters.dropped_queue += 1;
            return Ok(());
        }
        if self.queue.is_empty() {
            self.sent_at = Some(now + self.shape.sending_time(packet.len()));
        }
        self.queued_bytes = queued_bytes;
        self.queue.push_back(packet);
        Ok(())
    }

    /// When `poll` has something to do next.
    pub fn next_timeout(&self) -> Option<Duration> {
        let due = self.flying.peek().map(|Reverse(flying)| flying.due);
        [self.sent_at, due].into_iter().flatten().min()
    }

    /// Appends every packet that is out by now, in the order of arrival.
    pub fn poll(&mut self, now: Duration, out: &mut Vec<Packet>) {
        self.send_until(now);
        while self
            .flying
            .peek()
            .is_some_and(|Reverse(flying)| flying.due <= now)
        {
            let Some(Reverse(Flying { packet, .. })) = self.flying.pop() else {
                break;
            };
            self.flying_bytes = self.flying_bytes.saturating_sub(packet.len());
            self.counters.delivered += 1;
            self.counters.delivered_bytes += packet.len() as u64;
            out.push(packet);
        }
    }

    /// Moves what the rate has let through by now onto the way, each at its own time.
    fn send_until(&mut self, now: Duration) {
        while let Some(sent_at) = self.sent_at.filter(|sent_at| *sent_at <= now) {
            let Some(packet) = self.queue.pop_front() else {
                self.sent_at = None;
                return;
            };
            self.queued_bytes = self.queued_bytes.saturating_sub(packet.len());
            self.sent_at = self
                .queue
                .front()
                .map(|next| sent_at + self.shape.sending_time(next.len()));
            self.travel(sent_at, packet);
        }
    }

    fn travel(&mut self, at: Duration, packet: Packet) {
        let draws = self.draw();
        let lost = self.is_lost(&draws);
        if self.is_away(at) {
            self.counters.dropped_away += 1;
            return;
        }
        if lost {
            self.counters.dropped_loss += 1;
            return;
        }
        let mut due = at + self.shape.delay + self.shape.jitter.mul_f64(draws.jitter);
        if draws.reorder < self.shape.reorder {
            self.counters.reordered += 1;
            due += self.shape.reorder_by;
        } else {
            due = due.max(self.last_due);
            self.last_due = due;
        }
        let again = (draws.duplicate < self.shape.duplicate).then(|| packet.clone());
        self.fly(due, packet);
        if let Some(copy) = again {
            self.counters.duplicated += 1;
            self.fly(due, copy);
        }
    }

    fn fly(&mut self, due: Duration, packet: Packet) {
        if self.flying_bytes + packet.len() > MAX_FLIGHT_BYTES {
            self.counters.dropped_flight += 1;
            return;
        }
        self.flying_bytes += packet.len();
        let number = self.next_number;
        self.next_number += 1;
        self.flying.push(Reverse(Flying {
            due,
            number,
            packet,
        }));
    }

    fn is_away(&self, at: Duration) -> bool {
        let scheduled = |flap: crate::Flap| flap.is_away(at.saturating_sub(self.shaped_at));
        at < self.away_until || self.shape.flap.is_some_and(scheduled)
    }

    fn is_lost(&mut self, draws: &Draws) -> bool {
        match self.shape.loss {
            Loss::Uniform(share) => draws.loss < share,
            Loss::Bursts {
                enter,
                leave,
                inside,
                outside,
            } => {
                let turns = draws.burst < if self.in_burst { leave } else { enter };
                self.in_burst ^= turns;
                draws.loss < if self.in_burst { inside } else { outside }
            }
        }
    }

    fn draw(&mut self) -> Draws {
        let mut next = || f64::from(self.rng.next_u32()) / (f64::from(u32::MAX) + 1.0);
        Draws {
            burst: next(),
            loss: next(),
            duplicate: next(),
            reorder: next(),
            jitter: next(),
        }
    }
}

/// What is left of a sending time when the rate changes.
fn rescale(left: Duration, old_bps: Option<u64>, new_bps: Option<u64>) -> Duration {
    match (old_bps, new_bps) {
        (Some(old), Some(new)) if new > 0 => {
            let nanos = left.as_nanos() * u128::from(old) / u128::from(new);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        }
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
