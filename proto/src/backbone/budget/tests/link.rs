//! A path with a bottleneck, and senders behind it. Time goes in steps of a quarter of a ms; what is lost comes
//! from a seed.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::super::Budget;
use crate::backbone::{
    feedback::{Feedback, Reporter},
    limits::{DATAGRAM_OVERHEAD, MAX_DATAGRAM},
    testing::start,
};

const STEP_US: u64 = 250;

/// How long a sender keeps a picture that waits.
const VIDEO_KEPT_US: u64 = 500_000;
const AUDIO_KEPT_US: u64 = 200_000;

/// What the path is like. It may change while a test runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    pub(super) mbit: f64,
    pub(super) rtt_ms: u64,
    pub(super) queue_ms: f64,
    pub(super) loss: f64,
    pub(super) jitter_ms: u64,
}

impl Path {
    pub(super) const CLEAN: Self = Self {
        mbit: 100.0,
        rtt_ms: 30,
        queue_ms: 100.0,
        loss: 0.0,
        jitter_ms: 0,
    };
}

/// One datagram.
#[derive(Clone, Copy, Debug)]
struct Packet {
    flow: usize,
    sequence: u32,
    bytes: usize,
    /// The era in which this voice was offered.
    audio: Option<usize>,
}

/// A clock of the receiver: how fast it goes and by how much it is off, in µs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) speed: f64,
    pub(super) offset_us: i64,
}

/// A sender, its receiver and what was counted.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) budget: Budget,
    reporter: Reporter,
    pub(super) clock: Clock,
    pub(super) audio_mbit: f64,
    pub(super) video_mbit: f64,
    /// Whether its audio and video may leave at all, in ms.
    pub(super) from_ms: u64,
    /// (since, era); since.
    audio: VecDeque<(u64, usize)>,
    video: VecDeque<u64>,
    audio_credit: f64,
    video_credit: f64,
    sequence: u32,
    /// Bytes: offered, left, arrived.
    pub(super) offered: f64,
    pub(super) left: f64,
    pub(super) arrived: f64,
    /// Voices, by the era in which they were offered: how many, and how many have arrived.
    pub(super) voices: Vec<(u64, u64)>,
    /// Changes a report before it is read.
    pub(super) lie: fn(Feedback) -> Feedback,
}

/// The simulation.
#[derive(Debug)]
pub(super) struct Link {
    begin: Instant,
    pub(super) at_us: u64,
    pub(super) path: Path,
    pub(super) flows: Vec<Flow>,
    queue: VecDeque<Packet>,
    queued: f64,
    credit: f64,
    /// By when it arrives, and the order in which it left the bottleneck.
    on_the_way: BTreeMap<(u64, u64), Packet>,
    carried: u64,
    /// (arrives at, flow, report).
    reports: VecDeque<(u64, usize, Feedback)>,
    random: u64,
    /// The queue at each step, in ms, since the last look.
    pub(super) queues_ms: Vec<f64>,
    /// No report comes through.
    pub(super) deaf: bool,
}

const AUDIO_BYTES: usize = 300 - DATAGRAM_OVERHEAD;

impl Link {
    pub(super) fn new(path: Path, seed: u64) -> Self {
        Self {
            begin: start(),
            at_us: 0,
            path,
            flows: Vec::new(),
            queue: VecDeque::new(),
            queued: 0.0,
            credit: 0.0,
            on_the_way: BTreeMap::new(),
            carried: 0,
            reports: VecDeque::new(),
            random: seed.wrapping_mul(2) + 1,
            queues_ms: Vec::new(),
            deaf: false,
        }
    }

    /// Adds a sender that begins at this time.
    pub(super) fn add(&mut self, audio_mbit: f64, video_mbit: f64, from_ms: u64) -> usize {
        self.flows.push(Flow {
            budget: Budget::new(self.begin + Duration::from_millis(from_ms)),
            reporter: Reporter::new(self.begin),
            clock: Clock {
                speed: 1.0,
                offset_us: 0,
            },
            audio_mbit,
            video_mbit,
            from_ms,
            audio: VecDeque::new(),
            video: VecDeque::new(),
            audio_credit: 0.0,
            video_credit: 0.0,
            sequence: u32::MAX - 100,
            offered: 0.0,
            left: 0.0,
            arrived: 0.0,
            voices: vec![(0, 0)],
            lie: |report| report,
        });
        self.flows.len() - 1
    }

    pub(super) fn now(&self) -> Instant {
        self.begin + Duration::from_micros(self.at_us)
    }

    /// Counts begin anew, and an era does.
    pub(super) fn look(&mut self) {
        self.queues_ms.clear();
        for flow in &mut self.flows {
            (flow.offered, flow.left, flow.arrived) = (0.0, 0.0, 0.0);
            flow.voices.push((0, 0));
        }
    }

    pub(super) fn run(&mut self, ms: u64) {
        let until = self.at_us + ms * 1_000;
        while self.at_us < until {
            self.at_us += STEP_US;
            self.carry();
            self.receive();
            for index in 0..self.flows.len() {
                self.send(index);
            }
        }
    }

    /// The part of the voices offered since the last look that arrived; looks, and waits for what is on the way.
    pub(super) fn voices(&mut self, flow: usize) -> f64 {
        let era = self.flows[flow].voices.len() - 1;
        self.look();
        self.run(600);
        let (offered, arrived) = self.flows[flow].voices[era];
        arrived as f64 / offered as f64
    }

    /// The part of what was offered since the last look that left.
    pub(super) fn left(&self, flow: usize) -> f64 {
        self.flows[flow].left / self.flows[flow].offered
    }

    /// How long the queue was in the part `quantile` of all steps at most, in ms.
    pub(super) fn queue_quantile(&self, quantile: f64) -> f64 {
        let mut sorted = self.queues_ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * quantile) as usize]
    }

    /// 0 to 1, by xorshift.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn one_way_us(&mut self) -> u64 {
        let jitter = self.chance() * self.path.jitter_ms as f64 * 1_000.0;
        self.path.rtt_ms * 500 + jitter as u64
    }

    /// The bottleneck takes what it can.
    fn carry(&mut self) {
        let bytes_per_us = self.path.mbit / 8.0;
        self.credit += bytes_per_us * STEP_US as f64;
        while let Some(packet) = self.queue.front().copied() {
            let weight = (packet.bytes + DATAGRAM_OVERHEAD) as f64;
            if weight > self.credit {
                break;
            }
            self.credit -= weight;
            self.queued -= weight;
            self.queue.pop_front();
            if self.chance() >= self.path.loss {
                let arrives = self.at_us + self.one_way_us();
                self.carried += 1;
                self.on_the_way.insert((arrives, self.carried), packet);
            }
        }
        if self.queue.is_empty() {
            self.credit = self.credit.min(bytes_per_us * STEP_US as f64);
        }
        self.queues_ms.push(self.queued / bytes_per_us / 1_000.0);
    }

    fn receive(&mut self) {
        let now_us = self.at_us;
        while let Some(first) = self.on_the_way.first_entry() {
            if first.key().0 > now_us {
                break;
            }
            let packet = first.remove();
            let now = self.now();
            let flow = &mut self.flows[packet.flow];
            flow.reporter.on_arrival(now, packet.sequence, packet.bytes);
            flow.arrived += (packet.bytes + DATAGRAM_OVERHEAD) as f64;
            if let Some(era) = packet.audio {
                flow.voices[era].1 += 1;
            }
        }
        for index in 0..self.flows.len() {
            let now = self.now();
            if let Some(mut report) = self.flows[index].reporter.report(now) {
                let clock = self.flows[index].clock;
                let off = (self.at_us as f64 * (clock.speed - 1.0)) as i64 + clock.offset_us;
                report.arrived_us = report.arrived_us.wrapping_add(off as u32);
                let report = (self.flows[index].lie)(report);
                let lost = self.deaf || self.chance() < self.path.loss;
                let arrives = self.at_us + self.one_way_us();
                if !lost {
                    self.reports.push_back((arrives, index, report));
                }
            }
        }
        while self.reports.front().is_some_and(|(at, ..)| *at <= now_us) {
            if let Some((_, index, report)) = self.reports.pop_front() {
                let now = self.now();
                self.flows[index].budget.on_feedback(now, &report);
            }
        }
    }

    /// As a link's driver does it: voices first, both only with room, what is too old not at all.
    fn send(&mut self, index: usize) {
        let (now, now_us) = (self.now(), self.at_us);
        let flow = &mut self.flows[index];
        if now_us < flow.from_ms * 1_000 {
            return;
        }
        flow.audio_credit += flow.audio_mbit / 8.0 * STEP_US as f64;
        flow.video_credit += flow.video_mbit / 8.0 * STEP_US as f64;
        let weight = |bytes: usize| (bytes + DATAGRAM_OVERHEAD) as f64;
        while flow.audio_credit >= weight(AUDIO_BYTES) {
            flow.audio_credit -= weight(AUDIO_BYTES);
            flow.offered += weight(AUDIO_BYTES);
            let era = flow.voices.len() - 1;
            flow.voices[era].0 += 1;
            flow.audio.push_back((now_us, era));
        }
        while flow.video_credit >= weight(MAX_DATAGRAM) {
            flow.video_credit -= weight(MAX_DATAGRAM);
            flow.offered += weight(MAX_DATAGRAM);
            flow.video.push_back(now_us);
        }
        let (audio, video) = (&mut flow.audio, &mut flow.video);
        while audio
            .front()
            .is_some_and(|(at, _)| at + AUDIO_KEPT_US < now_us)
        {
            audio.pop_front();
        }
        while video.front().is_some_and(|at| at + VIDEO_KEPT_US < now_us) {
            video.pop_front();
        }
        if flow.budget.next_timeout().is_some_and(|at| at <= now) {
            flow.budget.on_timeout(now);
            assert!(flow.budget.next_timeout().is_none_or(|at| at > now));
        }
        loop {
            let flow = &mut self.flows[index];
            if flow.budget.room(now) <= 0 {
                assert!(flow.budget.room_at(now) > now);
                flow.budget
                    .set_waiting(!flow.audio.is_empty() || !flow.video.is_empty());
                return;
            }
            assert_eq!(flow.budget.room_at(now), now);
            let audio = flow.audio.pop_front().map(|(_, era)| era);
            if audio.is_none() && flow.video.pop_front().is_none() {
                flow.budget.set_waiting(false);
                return;
            }
            let bytes = if audio.is_some() {
                AUDIO_BYTES
            } else {
                MAX_DATAGRAM
            };
            flow.budget.on_sent(now, flow.sequence, bytes);
            flow.left += weight(bytes);
            let packet = Packet {
                flow: index,
                sequence: flow.sequence,
                bytes,
                audio,
            };
            flow.sequence = flow.sequence.wrapping_add(1);
            let longest = self.path.mbit / 8.0 * self.path.queue_ms * 1_000.0;
            if self.queued + weight(bytes) <= longest {
                self.queued += weight(bytes);
                self.queue.push_back(packet);
            }
        }
    }
}
