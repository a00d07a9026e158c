//! What a bot says about itself each second and at the end, as text or as one JSON object a line.
//! Numbers of a report are sums since the start; rates are of the time since the report before.

use std::{collections::BTreeMap, fmt, time::Duration};

use pulse_proto::control::Source;
use serde::Serialize;

use crate::{
    receiver::{Receiver, StreamKey},
    roster::Members,
    send::{LeftOut, Pictures, Steering},
};

/// Delays in ms behind the fastest frame of the same participant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Delay {
    /// Half of the frames came sooner.
    pub p50: f64,
    /// 95 % of the frames came sooner.
    pub p95: f64,
    /// The slowest one.
    pub max: f64,
}

/// One received stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Whose.
    pub participant: String,
    /// What they are called.
    pub name: String,
    /// The track's number.
    pub track: u8,
    /// Its spatial layer.
    pub layer: u8,
    /// What it shows; missing if its config never came.
    pub source: Option<Source>,
    /// Whether it is published right now.
    pub live: bool,
    /// Whole codec frames.
    pub frames: u64,
    /// Keyframes among them.
    pub keyframes: u64,
    /// Codec frames missing between others.
    pub lost: u64,
    /// Frames that need one which was not decoded.
    pub undecodable: u64,
    /// Bytes of messages.
    pub bytes: u64,
    /// Frames a second.
    pub fps: f64,
    /// Thousands of bits a second.
    pub kbps: f64,
    /// How late they came.
    pub delay_ms: Delay,
}

/// What the bot itself did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Codec frames sent.
    pub frames: u64,
    /// Messages' bytes.
    pub bytes: u64,
    /// Codec frames left out because the uplink did not carry them.
    pub dropped: u64,
    /// Why they were.
    pub left_out: LeftOut,
    /// How the uplink is and what is sent on it.
    pub steering: Steering,
    /// Keyframes that others asked for.
    pub keyframe_requests: u64,
    /// Keyframes that it asked others for.
    pub keyframes_asked: u64,
    /// ERROR messages it got.
    pub errors: u64,
    /// Attempts to come back after a connection was lost.
    pub reconnects: u64,
    /// The last round trip of a PING.
    pub round_trip_ms: Option<f64>,
    /// How late the edge finds our newest frame.
    pub uplink_delay_ms: Option<u64>,
}

/// The state of things at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Seconds since the bot began.
    pub at: f64,
    /// Whether it is the last one.
    pub last: bool,
    /// Whether there is a connection.
    pub connected: bool,
    /// The others in the room.
    pub participants: usize,
    /// What the bot did.
    pub sent: Sent,
    /// What it received.
    pub received: Vec<Received>,
}

/// Makes reports, remembering the last one's sums for the rates.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    at: Duration,
    sums: BTreeMap<StreamKey, (u64, u64)>,
}

impl Reporter {
    /// The report of this moment; the last one's rates are over everything.
    pub(crate) fn report(
        &mut self,
        now: Duration,
        last: bool,
        connected: bool,
        members: &Members,
        sent: Sent,
        receiver: &Receiver,
    ) -> Report {
        let begin = if last { Duration::ZERO } else { self.at };
        let seconds = now.saturating_sub(begin).as_secs_f64().max(1e-3);
        let mut received = Vec::new();
        for (key, stats) in receiver.streams() {
            let before = self.sums.insert(*key, (stats.frames, stats.bytes));
            let (frames, bytes) = if last {
                (0, 0)
            } else {
                before.unwrap_or_default()
            };
            let millis = |us: u64| us as f64 / 1e3;
            received.push(Received {
                participant: key.participant.as_str().to_owned(),
                name: members.name_of(key.participant).to_owned(),
                track: key.track,
                layer: key.layer,
                source: members.source_of(key.participant, key.track),
                live: members.publishes(key.participant, key.track),
                frames: stats.frames,
                keyframes: stats.keyframes,
                lost: stats.lost,
                undecodable: stats.undecodable,
                bytes: stats.bytes,
                fps: (stats.frames - frames) as f64 / seconds,
                kbps: (stats.bytes - bytes) as f64 * 8.0 / 1e3 / seconds,
                delay_ms: Delay {
                    p50: millis(stats.delay_us.value_at_quantile(0.5)),
                    p95: millis(stats.delay_us.value_at_quantile(0.95)),
                    max: millis(stats.delay_us.max()),
                },
            });
        }
        self.at = now;
        Report {
            at: now.as_secs_f64(),
            last,
            connected,
            participants: members.count(),
            sent,
            received,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.last, self.connected) {
            (true, _) => "in all",
            (false, true) => "in the room",
            (false, false) => "reconnecting",
        };
        write!(
            f,
            "{:5.0} s  {state}, others: {}",
            self.at, self.participants
        )?;
        let Sent {
            frames,
            bytes,
            dropped,
            ..
        } = self.sent;
        write!(f, "; sent {frames} frames, {} kB", bytes / 1_000)?;
        if dropped > 0 {
            write!(f, ", left out {dropped}")?;
            causes(f, &self.sent.left_out)?;
        }
        let carried = self.sent.steering.carried_kbps;
        match self.sent.steering.pictures {
            Pictures::All => {}
            Pictures::UpToLayer(temporal) => {
                let layers = u16::from(temporal) + 1;
                write!(f, "; {carried} kbit/s carry {layers} of its layers")?;
            }
            Pictures::Keyframes => write!(f, "; {carried} kbit/s carry its keyframes")?,
        }
        if let Some(millis) = self.sent.round_trip_ms {
            write!(f, "; round trip {millis:.1} ms")?;
        }
        // A report while it goes on shows what is live, the last one everything.
        for stream in self.received.iter().filter(|one| self.last || one.live) {
            let source = match stream.source {
                Some(Source::Microphone) => "microphone",
                Some(Source::Camera) => "camera",
                Some(Source::Screen) => "screen",
                Some(Source::ScreenAudio) => "screen audio",
                None => "unknown",
            };
            write!(
                f,
                "\n         {:<20.20} {source:<12} {:5.1} fps {:6.0} kbit/s  frames {}, lost {}, \
                 undecodable {}; delay p50 {:.1} p95 {:.1} max {:.1} ms",
                stream.name,
                stream.fps,
                stream.kbps,
                stream.frames,
                stream.lost,
                stream.undecodable,
                stream.delay_ms.p50,
                stream.delay_ms.p95,
                stream.delay_ms.max,
            )?;
        }
        Ok(())
    }
}

/// Why frames were left out.
fn causes(f: &mut fmt::Formatter<'_>, left_out: &LeftOut) -> fmt::Result {
    let causes = [
        (left_out.layers, "upper layers"),
        (left_out.between_keyframes, "between keyframes"),
        (left_out.reference, "need another"),
        (left_out.queue, "behind a queue"),
        (left_out.stale, "waited too long"),
        (left_out.sound, "sound"),
    ];
    let mut before = " (";
    for (count, cause) in causes.into_iter().filter(|(count, _)| *count > 0) {
        write!(f, "{before}{count} {cause}")?;
        before = ", ";
    }
    f.write_str(if before == ", " { ")" } else { "" })
}

#[cfg(test)]
mod tests {
    use pulse_proto::{
        ParticipantId,
        media::{LEVEL_SILENT, MediaHeader},
    };

    use super::*;

    #[test]
    fn rates_are_of_the_time_between_and_at_the_end_of_all() {
        let mut receiver = Receiver::default();
        let mut reporter = Reporter::default();
        let members = Members::default();
        let mut fps = Vec::new();
        for second in 1..=3_u32 {
            for sequence in 0..10 * second {
                let header = MediaHeader {
                    track: 0,
                    config: 0,
                    discardable: false,
                    last: true,
                    spatial: 0,
                    temporal: 0,
                    reference: 0,
                    level: LEVEL_SILENT,
                    chunk: 0,
                    sequence: second * 100 + sequence,
                    captured_us: 0,
                };
                let frame = header.encode(ParticipantId::ZERO, b"x");
                receiver.media(Duration::ZERO, ParticipantId::ZERO, &header, &frame);
            }
            let now = Duration::from_secs(second.into());
            let report =
                reporter.report(now, second == 3, true, &members, Sent::default(), &receiver);
            assert!(serde_json::to_string(&report).unwrap().contains("\"fps\":"));
            fps.push(report.received[0].fps);
        }
        assert_eq!(fps, [10.0, 20.0, 20.0]);
    }

    #[test]
    fn what_is_left_out_is_told_with_its_causes() {
        let left_out = LeftOut {
            layers: 30,
            stale: 2,
            ..LeftOut::default()
        };
        let steering = Steering {
            pictures: Pictures::UpToLayer(0),
            carried_kbps: 140.0,
            ..Steering::default()
        };
        let sent = Sent {
            dropped: left_out.total(),
            left_out,
            steering,
            ..Sent::default()
        };
        let (members, receiver) = (Members::default(), Receiver::default());
        let mut reporter = Reporter::default();
        let report = reporter.report(Duration::ZERO, false, true, &members, sent, &receiver);
        let text = report.to_string();
        let told =
            "left out 32 (30 upper layers, 2 waited too long); 140 kbit/s carry 1 of its layers";
        assert!(text.contains(told), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["sent"]["leftOut"]["layers"], 30);
        assert_eq!(json["sent"]["steering"]["pictures"]["upToLayer"], 0);
    }
}
