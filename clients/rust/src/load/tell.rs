//! The texts of a load test: a line each second, and the table at the end.

use std::fmt;

use super::outcome::{Outcome, Progress};

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:5.0} s  joined {}, sent {} frames, {:.0} deliveries/s, {:.1} Mbit/s",
            self.at,
            self.joined,
            self.sent,
            self.deliveries_per_second,
            self.bytes_per_second * 8.0 / 1e6
        )?;
        for (name, delays) in [("audio", self.audio_ms), ("video", self.video_ms)] {
            if delays.max > 0.0 {
                write!(f, "; {name} p50 {:.2} p99 {:.2} ms", delays.p50, delays.p99)?;
            }
        }
        if self.failed_joins > 0 {
            write!(f, "; {} could not join", self.failed_joins)?;
        }
        if self.corrupt > 0 {
            write!(f, "; {} CORRUPT", self.corrupt)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<7}{:>9}{:>12}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "", "sent", "expected", "delivered", "lost %", "p50 ms", "p90", "p99", "p99.9", "max"
        )?;
        let classes = [("audio", &self.audio), ("video", &self.video)];
        for (name, class) in classes {
            if class.sent + class.unsent == 0 {
                continue;
            }
            let delays = class.latency_ms;
            writeln!(
                f,
                "{name:<7}{:>9}{:>12}{:>12}{:>9.3}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9.2}",
                class.sent,
                class.expected,
                class.delivered,
                class.lost_percent,
                delays.p50,
                delays.p90,
                delays.p99,
                delays.p999,
                delays.max
            )?;
            for (cause, count) in [
                ("dropped on the way", class.lost.dropped),
                ("came in part", class.lost.incomplete),
                ("connection over", class.lost.closed),
                ("not yet there at the end", class.lost.unfinished),
                ("undecodable", class.undecodable),
                ("came again", class.duplicates),
                ("out of order", class.reordered),
                ("not asked for", class.unwanted),
                ("not sent, the socket was full", class.unsent),
            ] {
                if count > 0 {
                    writeln!(f, "       {count} {cause}")?;
                }
            }
        }
        let bytes = self.audio.bytes + self.video.bytes;
        writeln!(
            f,
            "{} joined; {:.0} deliveries/s, {:.1} Mbit/s over {:.1} s; {} corrupt",
            self.joined,
            self.deliveries_per_second,
            bytes as f64 * 8.0 / 1e6 / self.seconds,
            self.seconds,
            self.corrupt
        )?;
        if let Some(failure) = &self.first_failure {
            writeln!(
                f,
                "{} could not join, the first: {failure}",
                self.failed_joins
            )?;
        }
        if let Some(close) = &self.first_close {
            writeln!(
                f,
                "{} connections ended too soon, the first: {close}",
                self.closed
            )?;
        }
        for (what, count) in [
            ("messages of somebody else in the room", self.foreign),
            ("messages were refused", self.errors),
            ("keyframes were asked for", self.keyframe_requests),
        ] {
            if count > 0 {
                writeln!(f, "{count} {what}")?;
            }
        }
        let generator = self.generator;
        write!(
            f,
            "generator: frames left {:.2} ms late (p99, max {:.2}), sockets waited {:.2} ms (p99, max {:.2})",
            generator.late_ms.p99,
            generator.late_ms.max,
            generator.turn_ms.p99,
            generator.turn_ms.max
        )?;
        if let Some(used) = generator.cores_used {
            write!(f, ", {used:.2} of {} cores", generator.cores)?;
        }
        if generator.was_the_limit {
            write!(
                f,
                "\nThe generator was the limit: these figures say nothing about the server. Use more cores \
                 (--threads), or less load."
            )?;
        }
        Ok(())
    }
}
