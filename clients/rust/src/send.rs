//! What leaves a bot, and in which order: sound at once, pictures where the uplink has room for them, and
//! as many of their frames as it carries. Pure: time is an argument; whoever holds it writes to the socket.

mod ladder;
mod pacer;
mod references;
mod uplink;

use std::time::Duration;

use pulse_proto::{
    Frame, ParticipantId,
    control::PublisherAck,
    limits::{FRAME_HEADER, MAX_CHUNK_PAYLOAD, MEDIA_HEADER},
    media::{MediaHeader, chunks},
};
use serde::Serialize;

pub use self::ladder::{Pictures, Steps};
use self::{
    ladder::{Cause, Ladder, Path, bits_per_second},
    pacer::{Chunk, Pacer},
    references::References,
    uplink::Uplink,
};
use crate::{
    limits::{LADDER_BURST, LADDER_CARRIED_SHARE, PACER_QUEUE, SEND_LAG, SEND_LAG_MEMORY},
    media::Clip,
    source::Due,
};

/// Codec frames that were not sent, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Pictures of upper temporal layers, while the uplink does not carry all.
    pub layers: u64,
    /// Pictures between keyframes, while it carries no more than those.
    pub between_keyframes: u64,
    /// Pictures that need one which was left out.
    pub reference: u64,
    /// Pictures that others waited in front of.
    pub queue: u64,
    /// Pictures that had waited too long.
    pub stale: u64,
    /// Sound that found no place among the connection's messages.
    pub sound: u64,
}

impl LeftOut {
    /// All of them.
    pub const fn total(&self) -> u64 {
        let pictures = self.layers + self.between_keyframes + self.reference;
        pictures + self.queue + self.stale + self.sound
    }
}

/// How the uplink is and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Steering {
    /// Which pictures are sent.
    pub pictures: Pictures,
    /// Steps to less and to more.
    pub steps: Steps,
    /// Thousands of bits a second that the uplink carries at least.
    pub carried_kbps: f64,
    /// Bytes under way that are not acknowledged.
    pub unacked_bytes: u64,
    /// Bytes of pictures that wait for room.
    pub waiting_bytes: u64,
}

/// What a source of pictures does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoesOn,
    /// What comes needs something that was not sent: better the next keyframe.
    Keyframe,
}

/// All that a bot sends: any sound, and the pictures of one track.
#[derive(Debug)]
pub(crate) struct Sender {
    uplink: Uplink,
    pacer: Pacer,
    ladder: Ladder,
    references: References,
    /// What sound takes.
    sound_bits_per_s: f64,
    left_out: LeftOut,
    /// Since when every acknowledgement tells of a queue.
    late_since: Option<Duration>,
    /// Whether pictures found a queue here since the last acknowledgement.
    skipped: bool,
    /// Whether what waited was dropped and no keyframe has followed yet.
    begins_anew: bool,
    lagged_until: Duration,
}

impl Sender {
    /// For the pictures of one clip, beside this sound.
    pub(crate) fn new(picture: &Clip, sound: Option<&Clip>) -> Self {
        Self {
            uplink: Uplink::default(),
            pacer: Pacer::default(),
            ladder: Ladder::new(picture),
            references: References::default(),
            sound_bits_per_s: sound.map_or(0.0, |sound| bits_per_second(sound, |_| true)),
            left_out: LeftOut::default(),
            late_since: None,
            skipped: false,
            begins_anew: false,
            lagged_until: Duration::ZERO,
        }
    }

    /// A new connection has no debt, and pictures begin with a keyframe.
    pub(crate) fn restart(&mut self, now: Duration) {
        self.uplink = Uplink::default();
        self.left_out.stale += self.pacer.clear();
        self.references.forget();
        self.late_since = None;
        self.skipped = false;
        self.ladder.begin(now);
    }

    /// Messages of sound, to be written now; none if there is no `room` for so many.
    pub(crate) fn sound(
        &mut self,
        now: Duration,
        id: ParticipantId,
        due: &Due,
        room: usize,
    ) -> Vec<Frame> {
        self.note_lag(now, &due.header);
        let Some(frames) = chunks(id, due.header, &due.payload)
            .ok()
            .map(Iterator::collect::<Vec<_>>)
            .filter(|frames| frames.len() <= room)
        else {
            self.left_out.sound += 1;
            return Vec::new();
        };
        let MediaHeader {
            track, sequence, ..
        } = due.header;
        for (index, frame) in frames.iter().enumerate() {
            self.uplink
                .sent(now, track, sequence, frame.len(), index == 0);
        }
        frames
    }

    /// A picture, which waits or is left out.
    pub(crate) fn picture(&mut self, now: Duration, id: ParticipantId, due: &Due) -> Next {
        self.note_lag(now, &due.header);
        self.drop_stale(now);
        let header = self.admit(due);
        self.references.note(due.header.sequence, header.is_some());
        let Some(header) = header else {
            // Only a keyframe mends the base layer; what hangs on it costs more than the keyframe does.
            let broken = self.ladder.pictures() != Pictures::Keyframes
                && due.header.temporal == 0
                && self.references.resolve(&due.header).is_none();
            let anew = std::mem::take(&mut self.begins_anew);
            return if anew || broken {
                Next::Keyframe
            } else {
                Next::GoesOn
            };
        };
        self.begins_anew = false;
        let MediaHeader {
            track, sequence, ..
        } = header;
        for (index, frame) in chunks(id, header, &due.payload)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let chunk = Chunk {
                track,
                sequence,
                first: index == 0,
                last: (index + 1) * MAX_CHUNK_PAYLOAD >= due.payload.len(),
                frame,
            };
            self.pacer.push(now, chunk);
        }
        Next::GoesOn
    }

    /// The next message of a picture, if there is room for it on the uplink.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Chunk> {
        self.drop_stale(now);
        if self.pacer.bytes() == 0 || !self.uplink.has_room(now) {
            return None;
        }
        let chunk = self.pacer.take()?;
        self.uplink.sent(
            now,
            chunk.track,
            chunk.sequence,
            chunk.frame.len(),
            chunk.first,
        );
        Some(chunk)
    }

    /// The edge has said what arrived. Says whether other pictures are sent from now on.
    pub(crate) fn acknowledged(
        &mut self,
        now: Duration,
        ack: &PublisherAck,
        round_trip: Option<Duration>,
    ) -> bool {
        self.uplink.acknowledged(now, ack, round_trip);
        let (skipped, lagged) = (self.skipped, now < self.lagged_until);
        self.skipped = false;
        let cause = if self.uplink.is_late(now) {
            let since = *self.late_since.get_or_insert(now);
            (now.saturating_sub(since) >= LADDER_BURST).then_some(Cause::Late)
        } else {
            self.late_since = None;
            (skipped && !self.uplink.is_clear()).then_some(Cause::Waiting)
        };
        let left_by_sound = self.uplink.bits_per_second() - self.sound_bits_per_s;
        let path = Path {
            trouble: cause.filter(|_| !lagged),
            clear: self.uplink.is_clear() && !skipped,
            carried_bits_per_s: left_by_sound * LADDER_CARRIED_SHARE,
        };
        self.ladder.update(now, path)
    }

    pub(crate) const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    pub(crate) fn steering(&self) -> Steering {
        Steering {
            pictures: self.ladder.pictures(),
            steps: self.ladder.steps(),
            carried_kbps: (self.uplink.bits_per_second() / 1e3).round(),
            unacked_bytes: self.uplink.unacked_bytes(),
            waiting_bytes: self.pacer.bytes(),
        }
    }

    /// The header under which a picture goes out, if it does.
    fn admit(&mut self, due: &Due) -> Option<MediaHeader> {
        let left_out = &mut self.left_out;
        let pictures = self.ladder.pictures();
        if !pictures.include(&due.header) {
            *match pictures {
                Pictures::Keyframes => &mut left_out.between_keyframes,
                Pictures::All | Pictures::UpToLayer(_) => &mut left_out.layers,
            } += 1;
            return None;
        }
        let Some(header) = self.references.resolve(&due.header) else {
            left_out.reference += 1;
            return None;
        };
        let bytes = message_bytes(due.payload.len());
        if self.uplink.time_for(self.pacer.bytes()) > PACER_QUEUE || !self.pacer.takes(bytes) {
            left_out.queue += 1;
            self.skipped = true;
            return None;
        }
        Some(header)
    }

    fn drop_stale(&mut self, now: Duration) {
        let stale = self.pacer.take_stale(now);
        if stale > 0 {
            self.left_out.stale += stale;
            self.references.forget();
            self.begins_anew = true;
        }
    }

    fn note_lag(&mut self, now: Duration, header: &MediaHeader) {
        if now.saturating_sub(Duration::from_micros(header.captured_us)) > SEND_LAG {
            self.lagged_until = now + SEND_LAG_MEMORY;
        }
    }
}

/// The bytes of a codec frame's messages.
const fn message_bytes(payload: usize) -> u64 {
    (payload + payload.div_ceil(MAX_CHUNK_PAYLOAD) * (FRAME_HEADER + MEDIA_HEADER)) as u64
}

#[cfg(test)]
mod tests;
