//! A bot's camera or microphone as a pure schedule: which codec frame is due at which time. Time is
//! what the caller says it is, counted from the start of the participant's own clock.

use std::time::Duration;

use bytes::Bytes;
use pulse_proto::media::MediaHeader;

use crate::{limits::SOURCE_LATE, media::Clip};

/// A codec frame to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The header of its chunks.
    pub header: MediaHeader,
    /// The codec's bytes.
    pub payload: Bytes,
}

/// A clip that is played in a loop on one track.
#[derive(Clone, Debug)]
pub struct Source {
    clip: Clip,
    track: u8,
    position: usize,
    sequence: u32,
    due_at: Duration,
    skipped: Duration,
}

impl Source {
    /// A source whose first frame is due at `start`.
    pub const fn new(clip: Clip, track: u8, start: Duration) -> Self {
        Self {
            clip,
            track,
            position: 0,
            sequence: 0,
            due_at: start,
            skipped: Duration::ZERO,
        }
    }

    /// Goes on as if it had begun so much earlier, with the keyframe that is next.
    #[must_use]
    pub fn begun_earlier(mut self, by: Duration) -> Self {
        let packet_us = u128::from(self.clip.packet_us.max(1));
        let packets = self.clip.packets.len().max(1) as u128;
        let (behind, part) = (by.as_micros() / packet_us, by.as_micros() % packet_us);
        self.position = usize::try_from(behind % packets).unwrap_or_default();
        self.due_at += Duration::from_micros(u64::try_from(part).unwrap_or_default());
        self.request_keyframe();
        self
    }

    /// The track's number.
    pub const fn track(&self) -> u8 {
        self.track
    }

    /// When the next frame is due.
    pub const fn due_at(&self) -> Duration {
        self.due_at
    }

    /// Time left out because nobody asked while frames were due.
    pub const fn skipped(&self) -> Duration {
        self.skipped
    }

    /// The frame that is due, if one is. Ask again until there is none.
    pub fn take(&mut self, now: Duration) -> Option<Due> {
        if now < self.due_at {
            return None;
        }
        let late = now - self.due_at;
        if late > SOURCE_LATE {
            // Whole packets: what was out of step with others stays so.
            let packet_us = u128::from(self.clip.packet_us.max(1));
            let part = Duration::from_micros((late.as_micros() % packet_us) as u64);
            self.skipped += late - part;
            self.due_at = now - part;
        }
        let packet = self.clip.packets.get(self.position)?;
        let due = Due {
            header: MediaHeader {
                track: self.track,
                config: 0,
                discardable: packet.discardable,
                last: true,
                spatial: 0,
                temporal: packet.temporal,
                reference: packet.reference,
                level: packet.level,
                chunk: 0,
                sequence: self.sequence,
                captured_us: u64::try_from(self.due_at.as_micros()).unwrap_or(u64::MAX),
            },
            payload: packet.payload.clone(),
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.position = (self.position + 1) % self.clip.packets.len().max(1);
        self.due_at += Duration::from_micros(self.clip.packet_us.into());
        Some(due)
    }

    /// Goes on with the clip's next keyframe: it was asked for one, or a frame that others need was
    /// not sent.
    pub fn request_keyframe(&mut self) {
        let ahead = self.clip.packets.iter().skip(self.position);
        // Behind the last keyframe the next one is the clip's first.
        self.position = match ahead.take_while(|packet| packet.reference != 0).count() {
            rest if self.position + rest == self.clip.packets.len() => 0,
            distance => self.position + distance,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::media::{clip, tone};

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Everything that is due up to a time, asked every 10 ms.
    fn play(source: &mut Source, from: u64, to: u64) -> Vec<Due> {
        let mut all = Vec::new();
        for now in (from..=to).step_by(10) {
            all.extend(std::iter::from_fn(|| source.take(millis(now))));
        }
        all
    }

    #[test]
    fn frames_come_at_their_rate_with_one_number_each() {
        let mut source = Source::new(clip().unwrap(), 1, millis(40));
        assert_eq!(source.take(millis(39)), None);
        let all = play(&mut source, 40, 20_030);
        assert_eq!(all.len(), 300);
        for (index, due) in all.iter().enumerate() {
            assert_eq!(due.header.sequence as usize, index);
            assert_eq!(due.header.captured_us, 40_000 + 66_667 * index as u64);
        }
    }

    #[test]
    fn every_frame_is_decodable_over_loops_and_requests() {
        let mut source = Source::new(clip().unwrap(), 1, Duration::ZERO);
        let mut decoded = HashSet::new();
        let mut since_keyframe = 0;
        for second in 0..60_u64 {
            if second % 7 == 3 {
                source.request_keyframe();
                let next = source.clip.packets[source.position].reference;
                assert_eq!(next, 0);
            }
            for due in play(&mut source, second * 1_000, second * 1_000 + 990) {
                let header = due.header;
                since_keyframe = if header.keyframe() {
                    0
                } else {
                    since_keyframe + 1
                };
                assert!(since_keyframe < 32);
                assert!(
                    header.keyframe()
                        || decoded.contains(&(header.sequence - u32::from(header.reference)))
                );
                decoded.insert(header.sequence);
            }
        }
        assert_eq!(decoded.len(), 900);
    }

    #[test]
    fn sources_are_out_of_step_and_stay_so() {
        let mut source = Source::new(clip().unwrap(), 1, Duration::ZERO)
            .begun_earlier(Duration::from_micros(40 * 66_667 + 30_000));
        assert_eq!((source.due_at(), source.position), (millis(30), 64));
        let first = play(&mut source, 0, 100);
        assert_eq!(first.len(), 2);
        assert!(first[0].header.keyframe());
        let late = source.take(millis(7_000)).unwrap();
        assert_eq!((late.header.captured_us - 30_000) % 66_667, 0);
        let mut speech = Source::new(tone().unwrap(), 0, Duration::ZERO)
            .begun_earlier(Duration::from_micros(2_017_000));
        assert_eq!((speech.due_at(), speech.position), (millis(17), 0));
        assert_eq!(play(&mut speech, 0, 100).len(), 5);
    }

    #[test]
    fn a_late_source_skips_instead_of_bursting() {
        let mut source = Source::new(tone().unwrap(), 0, Duration::ZERO);
        assert_eq!(play(&mut source, 0, 100).len(), 6);
        // 400 ms late: all of them are sent.
        assert_eq!(play(&mut source, 500, 500).len(), 20);
        let late = play(&mut source, 5_000, 5_000);
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].header.captured_us, 5_000_000);
        assert_eq!(late[0].header.sequence, 26);
        assert_eq!(source.skipped(), millis(4_480));
    }
}
