//! What a frame costs the processor on its way over a link, several to a datagram and alone.

use pulse_core::quic::Congestion;

use super::{
    ends::{Due, Outcome, Plan, run},
    named,
    place::Place,
    quantile_ms,
    servers::Papers,
};
use crate::call::{
    Failure,
    figures::Row,
    schedule::{Random, VOICE_BYTES},
};

/// 400 voices: 20,000 frames a second.
const VOICES: usize = 400;

const WARM_UP_US: u64 = 4_000_000;

/// Sending and receiving a frame.
const FRAME_US: f64 = 8.0;
/// How many times as much it costs alone.
const PACKING: f64 = 2.5;

pub fn measure(window_s: u64) -> Result<Vec<Row>, Failure> {
    let papers = Papers::new()?;
    let mut rows = Vec::new();
    let mut costs_us = Vec::new();
    for (name, packed) in [("cpu_packed", true), ("cpu_alone", false)] {
        let outcome = carry(&papers, packed, window_s)?;
        let each_us =
            |used: std::time::Duration, frames: u64| used.as_secs_f64() * 1e6 / frames as f64;
        let sender_us = each_us(outcome.sender_cpu, outcome.due);
        let receiver_us = each_us(outcome.receiver_cpu, outcome.ages_us.len());
        let both = named(name, "frame", sender_us + receiver_us, "µs");
        let lost = 100.0 - outcome.ages_us.len() as f64 * 100.0 / outcome.due as f64;
        rows.extend([
            if packed { both.at_most(FRAME_US) } else { both },
            named(name, "frame_sender", sender_us, "µs"),
            named(name, "frame_receiver", receiver_us, "µs"),
            named(name, "frames", outcome.due as f64 / window_s as f64, "/s"),
            named(
                name,
                "datagrams",
                outcome.datagrams as f64 / window_s as f64,
                "/s",
            ),
            named(name, "wakes", outcome.wakes as f64 / window_s as f64, "/s"),
            named(
                name,
                "frame_late_p99",
                quantile_ms(&outcome.late_us, 0.99),
                "ms",
            ),
            named(name, "age_p50", quantile_ms(&outcome.ages_us, 0.5), "ms"),
            named(name, "lost", lost, "%"),
            named(name, "given_up", outcome.stale as f64, "frames"),
        ]);
        costs_us.push(sender_us + receiver_us);
    }
    if let [packed, alone] = costs_us[..] {
        let ratio = Row::new("cpu_alone_by_packed", alone / packed, "");
        rows.push(ratio.at_least(PACKING));
    }
    Ok(rows)
}

fn carry(papers: &Papers, packed: bool, window_s: u64) -> Result<Outcome, Failure> {
    let end_us = WARM_UP_US + window_s * 1_000_000;
    let plan = Plan {
        schedule: voices(VOICES, end_us, 1),
        participants: VOICES,
        frame_bytes: VOICE_BYTES,
        voices: true,
        packed,
        congestion: Congestion::Sender,
        window_us: WARM_UP_US..end_us,
    };
    // On threads of the system's choice: one core each if it has two.
    run(papers, [Place::Loopback; 2], false, &plan)
}

/// A frame each 20 ms of so many voices; each second each voice has another phase.
pub fn voices(count: usize, end_us: u64, seed: u64) -> Vec<Due> {
    let mut random = Random(seed);
    let mut all = Vec::new();
    for second_us in (0..end_us).step_by(1_000_000) {
        for who in 0..count {
            let phase_us = second_us + random.below(20_000);
            all.extend((0..50).map(|frame| (phase_us + frame * 20_000, who)));
        }
    }
    all.retain(|(at_us, _)| *at_us < end_us);
    all.sort_unstable();
    all
}
