//! How much of an encoded clip goes out where the uplink does not carry all of it: upper temporal layers
//! go first, then all but keyframes; never sound. Pure: time is an argument. Down at once to what was
//! carried, as far as the clip has a step there; up to below where trouble began, then beyond it by probing.

use std::time::Duration;

use pulse_proto::media::MediaHeader;
use serde::Serialize;

use super::message_bytes;
use crate::{
    limits::{
        LADDER_DOWN_AFTER, LADDER_DOWN_FACTOR, LADDER_DOWN_LEAST, LADDER_MAX_PROBE_AFTER,
        LADDER_PROBE_AFTER, LADDER_PROBE_RARER, LADDER_START, LADDER_UP_AFTER,
    },
    media::{Clip, Packet},
};

/// Which frames of a picture are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Pictures {
    /// All of them.
    #[default]
    All,
    /// Those up to this temporal layer.
    UpToLayer(u8),
    /// Those that need no other.
    Keyframes,
}

impl Pictures {
    /// Whether this frame is among them.
    pub(crate) const fn include(self, header: &MediaHeader) -> bool {
        match self {
            Self::All => true,
            Self::UpToLayer(temporal) => header.temporal <= temporal,
            Self::Keyframes => header.keyframe(),
        }
    }
}

/// Why less is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What arrives at the edge has waited on the way.
    Late,
    /// Pictures waited here for longer than they should, and the path has a queue.
    Waiting,
}

/// Steps so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Steps {
    /// Down, because what arrived at the edge was late.
    pub down_late: u64,
    /// Down, because pictures waited for room.
    pub down_waiting: u64,
    /// Up.
    pub up: u64,
    /// Steps up to where there was trouble before.
    pub probes: u64,
    /// Probes that met it again.
    pub failed_probes: u64,
}

/// How the path is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) trouble: Option<Cause>,
    /// Whether nothing is queued on it at all.
    pub(crate) clear: bool,
    /// What it carries of pictures, as far as is known.
    pub(crate) carried_bits_per_s: f64,
}

#[derive(Clone, Copy, Debug)]
struct Rung {
    pictures: Pictures,
    bits_per_s: f64,
}

/// One clip's.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// Everything first.
    rungs: Vec<Rung>,
    at: usize,
    changed_at: Duration,
    trouble_at: Duration,
    /// The rung on which trouble began.
    ceiling: Option<usize>,
    probing: bool,
    probe_after: Duration,
    steps: Steps,
}

impl Ladder {
    pub(crate) fn new(clip: &Clip) -> Self {
        let top = clip.packets.iter().map(|packet| packet.temporal).max();
        let lower = (0..top.unwrap_or_default()).rev();
        let kinds = [Pictures::All]
            .into_iter()
            .chain(lower.map(Pictures::UpToLayer))
            .chain([Pictures::Keyframes]);
        Self {
            rungs: kinds.map(|pictures| rung(clip, pictures)).collect(),
            at: 0,
            changed_at: Duration::ZERO,
            trouble_at: Duration::ZERO,
            ceiling: None,
            probing: false,
            probe_after: LADDER_PROBE_AFTER,
            steps: Steps::default(),
        }
    }

    /// What is sent now.
    pub(crate) fn pictures(&self) -> Pictures {
        let rung = self.rungs.get(self.at);
        rung.map_or(Pictures::All, |rung| rung.pictures)
    }

    pub(crate) const fn steps(&self) -> Steps {
        self.steps
    }

    /// A new connection, of whose path nothing is known.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.at = self.first_within(0, LADDER_START);
        self.changed_at = now;
        self.trouble_at = now;
        self.ceiling = None;
        self.probing = false;
        self.probe_after = LADDER_PROBE_AFTER;
    }

    /// Says whether [`Ladder::pictures`] has changed.
    pub(crate) fn update(&mut self, now: Duration, path: Path) -> bool {
        let since_change = now.saturating_sub(self.changed_at);
        let Some(cause) = path.trouble else {
            return path.clear && self.climb(now, since_change);
        };
        self.trouble_at = now;
        let lowest = self.rungs.len().saturating_sub(1);
        if since_change < LADDER_DOWN_AFTER || self.at >= lowest {
            return false;
        }
        self.probe_after = if self.probing {
            self.steps.failed_probes += 1;
            let rarer = self.probe_after.mul_f64(LADDER_PROBE_RARER);
            rarer.min(LADDER_MAX_PROBE_AFTER)
        } else {
            LADDER_PROBE_AFTER
        };
        self.probing = false;
        self.ceiling = Some(self.at);
        match cause {
            Cause::Late => self.steps.down_late += 1,
            Cause::Waiting => self.steps.down_waiting += 1,
        }
        let used = self.rungs.get(self.at).map_or(0.0, |rung| rung.bits_per_s);
        let target = path.carried_bits_per_s.max(used * LADDER_DOWN_LEAST);
        let target = target.min(used * LADDER_DOWN_FACTOR);
        self.at = self.first_within(self.at + 1, target);
        self.changed_at = now;
        true
    }

    fn climb(&mut self, now: Duration, since_change: Duration) -> bool {
        if self.at == 0 {
            return false;
        }
        let calm = since_change.min(now.saturating_sub(self.trouble_at));
        if self.probing && calm >= LADDER_UP_AFTER {
            // It carries more than it did; what the next rung needs is far from that and a probe again.
            self.probing = false;
            self.probe_after = LADDER_PROBE_AFTER;
            self.ceiling = Some(self.at - 1);
        }
        let next = self.at - 1;
        let free = self.ceiling.is_none_or(|ceiling| next > ceiling);
        let needed = if free {
            LADDER_UP_AFTER
        } else {
            self.probe_after
        };
        if calm < needed {
            return false;
        }
        self.probing |= !free;
        self.steps.probes += u64::from(!free);
        self.steps.up += 1;
        self.at = next;
        self.changed_at = now;
        true
    }

    /// The first rung from this one on that needs no more, or the last.
    fn first_within(&self, from: usize, bits_per_s: f64) -> usize {
        let mut rest = self.rungs.iter().enumerate().skip(from);
        let found = rest.find(|(_, rung)| rung.bits_per_s <= bits_per_s);
        found.map_or(self.rungs.len().saturating_sub(1), |(index, _)| index)
    }
}

fn rung(clip: &Clip, pictures: Pictures) -> Rung {
    let sent = |packet: &Packet| match pictures {
        Pictures::All => true,
        Pictures::UpToLayer(temporal) => packet.temporal <= temporal,
        Pictures::Keyframes => packet.reference == 0,
    };
    Rung {
        pictures,
        bits_per_s: bits_per_second(clip, sent),
    }
}

/// What these packets of a clip need, the headers of their messages included.
pub(super) fn bits_per_second(clip: &Clip, sent: impl Fn(&Packet) -> bool) -> f64 {
    let packets = clip.packets.iter().filter(|packet| sent(packet));
    let bytes: u64 = packets
        .map(|packet| message_bytes(packet.payload.len()))
        .sum();
    let clip_s = f64::from(clip.packet_us) * clip.packets.len() as f64 / 1e6;
    bytes as f64 * 8.0 / clip_s.max(1e-3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::clip;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const CALM: Path = Path {
        trouble: None,
        clear: true,
        carried_bits_per_s: 0.0,
    };

    const fn trouble(carried_bits_per_s: f64) -> Path {
        Path {
            trouble: Some(Cause::Late),
            clear: false,
            carried_bits_per_s,
        }
    }

    #[test]
    fn the_rungs_are_those_of_the_clip() {
        let ladder = Ladder::new(&clip().unwrap());
        let kbit_per_s: Vec<u64> = ladder
            .rungs
            .iter()
            .map(|rung| rung.bits_per_s as u64 / 1_000)
            .collect();
        assert_eq!(kbit_per_s, [152, 94, 63, 7]);
        let kinds: Vec<Pictures> = ladder.rungs.iter().map(|rung| rung.pictures).collect();
        let layers = [Pictures::UpToLayer(1), Pictures::UpToLayer(0)];
        assert_eq!(
            kinds,
            [Pictures::All, layers[0], layers[1], Pictures::Keyframes]
        );
    }

    #[test]
    fn down_to_what_was_carried_and_up_to_where_trouble_began_before_it_probes() {
        let mut ladder = Ladder::new(&clip().unwrap());
        assert!(!ladder.update(ms(0), CALM));
        assert!(ladder.update(ms(1_000), trouble(80_000.0)));
        assert_eq!(ladder.pictures(), Pictures::UpToLayer(0));
        assert!(!ladder.update(ms(1_100), trouble(0.0)));
        assert!(ladder.update(ms(1_500), trouble(0.0)));
        assert_eq!(ladder.pictures(), Pictures::Keyframes);
        assert!(!ladder.update(ms(9_000), trouble(0.0)));

        // The trouble was on the base layer: even that is a probe now.
        assert!(!ladder.update(ms(11_400), CALM));
        assert!(ladder.update(ms(11_500), CALM));
        assert_eq!(
            (ladder.pictures(), ladder.steps.probes),
            (Pictures::UpToLayer(0), 1)
        );
        assert!(!ladder.update(ms(12_200), CALM));
        assert!(ladder.update(ms(14_000), CALM));
        assert!(!ladder.update(ms(14_700), CALM));
        assert!(ladder.update(ms(16_500), CALM));
        assert_eq!(ladder.pictures(), Pictures::All);
        assert_eq!((ladder.steps.up, ladder.steps.probes), (3, 3));
    }

    #[test]
    fn probes_that_fail_become_rarer() {
        let mut ladder = Ladder::new(&clip().unwrap());
        let mut now = ms(1_000);
        assert!(ladder.update(now, trouble(100_000.0)));
        let mut waits = Vec::new();
        for _ in 0..4 {
            let since = now;
            while !ladder.update(now, CALM) {
                now += ms(50);
            }
            waits.push((now - since).as_millis());
            now += ms(500);
            assert!(ladder.update(now, trouble(100_000.0)));
        }
        assert_eq!(waits, [2_500, 3_750, 5_000, 5_000]);
        assert_eq!((ladder.steps.probes, ladder.steps.failed_probes), (4, 4));
        assert_eq!(ladder.steps.down_late, 5);
    }

    proptest! {
        /// Steps up and down are one apart from where it stands; calm always brings everything back.
        #[test]
        fn calm_brings_everything_back(turns in prop::collection::vec((0..2_000_u64, 0..4_u8, 0.0..300_000.0), 0..200)) {
            let mut ladder = Ladder::new(&clip().unwrap());
            let mut now = Duration::ZERO;
            for (wait_ms, kind, carried) in turns {
                now += ms(wait_ms);
                let before = ladder.at;
                let path = if kind == 0 { trouble(carried) } else { CALM };
                let changed = ladder.update(now, path);
                prop_assert_eq!(changed, ladder.at != before);
                prop_assert!(ladder.at < ladder.rungs.len() && ladder.at + 1 >= before);
                prop_assert!(!changed || (kind == 0) == (ladder.at > before));
            }
            for _ in 0..400 {
                now += ms(100);
                ladder.update(now, CALM);
            }
            prop_assert_eq!(ladder.pictures(), Pictures::All);
        }
    }
}
