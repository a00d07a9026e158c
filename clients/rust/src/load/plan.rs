//! What a load test shall do: who, how many, how large and how often. Pure; it refuses in one
//! sentence what cannot be done.

use std::{fmt, str::FromStr, time::Duration};

use pulse_proto::{
    DisplayName, RoomName,
    limits::{MAX_CHUNK_PAYLOAD, MAX_CHUNKS},
};

use super::{LoadError, stamp::STAMP};
use crate::{address::Address, connection::SocketOptions};

/// The largest codec frame of the wire, in bytes.
const MAX_FRAME_BYTES: f64 = MAX_CHUNKS as f64 * MAX_CHUNK_PAYLOAD as f64;

/// Frames a second of one track: more is no camera and no voice.
const MAX_RATE: f64 = 1_000.0;

/// What every audio publisher sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceShape {
    /// Bytes of each packet, 20 to 943.
    pub frame_bytes: usize,
    /// Packets a second.
    pub rate: f64,
}

/// What every video publisher sends.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureShape {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The codec it says it is.
    pub codec: String,
    /// Pictures a second.
    pub fps: f64,
    /// Bits a second, keyframes included.
    pub bitrate: f64,
    /// Time from one keyframe to the next.
    pub keyframe_interval: Duration,
}

/// Whose pictures a subscriber takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Everybody's.
    All,
    /// Those of the first so many publishers; the others' are paused.
    First(usize),
}

impl Layout {
    /// Whether the picture of the publisher with this number is taken.
    pub const fn shows(self, publisher: usize) -> bool {
        match self {
            Self::All => true,
            Self::First(count) => publisher < count,
        }
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "speaker" => Ok(Self::First(1)),
            "3x3" => Ok(Self::First(9)),
            "4x4" => Ok(Self::First(16)),
            "5x5" => Ok(Self::First(25)),
            _ => Err("a layout is all, speaker, 3x3, 4x4 or 5x5".to_owned()),
        }
    }
}

/// Subscribers whose network does not carry what they want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow {
    /// How many of each room's subscribers.
    pub subscribers: usize,
    /// What each of them reads; 0 reads nothing.
    pub bytes_per_second: u64,
    /// From when on, counted from the first due frame.
    pub after: Duration,
    /// For how long; to the end, if missing.
    pub lasting: Option<Duration>,
}

/// A load test. Numbers of participants are of one room.
#[derive(Clone)]
pub struct Plan {
    /// Where the server is.
    pub address: Address,
    /// The room; of several, what their names begin with.
    pub room: String,
    /// How many rooms.
    pub rooms: usize,
    /// Participants with a camera. The first participants have both.
    pub video_publishers: usize,
    /// Participants with a microphone.
    pub audio_publishers: usize,
    /// Participants who receive. Publishers receive nothing.
    pub subscribers: usize,
    /// How long media is sent; until stopped, if missing.
    pub duration: Option<Duration>,
    /// Joins a second, of all rooms together.
    pub joins_per_second: f64,
    /// What microphones send.
    pub voice: VoiceShape,
    /// What cameras send.
    pub picture: PictureShape,
    /// Whose pictures are taken.
    pub layout: Layout,
    /// One participant of a room speaks at a time; without it all do.
    pub simulate_speakers: bool,
    /// Where each track's phase, the sizes of pictures and speakers are drawn from.
    pub seed: u64,
    /// Threads that receive. One more sends.
    pub threads: usize,
    /// What participants' names begin with.
    pub identity_prefix: String,
    /// Some receive slowly.
    pub slow: Option<Slow>,
    /// Keep the ages of each subscriber's audio, about 10 kB each.
    pub per_subscriber: bool,
    /// How sockets are made.
    pub socket: SocketOptions,
}

/// Room names are secrets.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("rooms", &self.rooms)
            .field("video_publishers", &self.video_publishers)
            .field("audio_publishers", &self.audio_publishers)
            .field("subscribers", &self.subscribers)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// One room with so many speakers and listeners: packets of 120 bytes, 50 a second, for as long
    /// as it is not stopped. Everything else is for the caller to change.
    pub fn new(address: Address, room: impl Into<String>) -> Self {
        Self {
            address,
            room: room.into(),
            rooms: 1,
            video_publishers: 0,
            audio_publishers: 0,
            subscribers: 0,
            duration: None,
            joins_per_second: 50.0,
            voice: VoiceShape {
                frame_bytes: 120,
                rate: 50.0,
            },
            picture: PictureShape {
                width: 1_280,
                height: 720,
                codec: "vp8".to_owned(),
                fps: 30.0,
                bitrate: 1_500_000.0,
                keyframe_interval: Duration::from_secs(4),
            },
            layout: Layout::All,
            simulate_speakers: false,
            seed: 1,
            threads: 1,
            identity_prefix: "load".to_owned(),
            slow: None,
            per_subscriber: false,
            socket: SocketOptions::default(),
        }
    }

    /// Participants of a room who publish.
    pub(crate) fn publishers(&self) -> usize {
        self.video_publishers.max(self.audio_publishers)
    }

    /// Tracks of a room.
    pub(crate) const fn streams(&self) -> usize {
        self.video_publishers + self.audio_publishers
    }

    /// Everybody.
    pub(crate) fn participants(&self) -> usize {
        self.rooms * (self.publishers() + self.subscribers)
    }

    /// The name of a room.
    pub(crate) fn room_name(&self, room: usize) -> String {
        if self.rooms == 1 {
            self.room.clone()
        } else {
            format!("{}-{}", self.room, room + 1)
        }
    }

    /// What the participants of a room are called.
    pub(crate) fn name(&self, role: &str, number: usize) -> String {
        format!("{} {role} {}", self.identity_prefix, number + 1)
    }

    /// Bytes of a codec frame as they are sent: each chunk needs place for its stamp.
    pub(crate) const fn fitting(bytes: usize) -> usize {
        let rest = bytes % MAX_CHUNK_PAYLOAD;
        if rest < STAMP && (rest > 0 || bytes == 0) {
            bytes - rest + STAMP
        } else {
            bytes
        }
    }

    /// Refuses what cannot be done.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let within = |value: f64, least: f64, most: f64, refusal| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(LoadError::Plan(refusal))
            }
        };
        let refuse = |wrong: bool, refusal| {
            if wrong {
                Err(LoadError::Plan(refusal))
            } else {
                Ok(())
            }
        };
        refuse(
            RoomName::parse(&self.room_name(self.rooms.max(1) - 1)).is_err(),
            "A room's name has 1 to 64 letters, digits, - or _; several rooms add their number.",
        )?;
        refuse(
            DisplayName::parse(&self.name("subscriber", self.subscribers)).is_err(),
            "--identity-prefix is too long, or holds what no name holds.",
        )?;
        refuse(self.rooms == 0, "--rooms is 1 or more.")?;
        refuse(
            self.publishers() == 0,
            "Somebody must send: give --audio-publishers or --video-publishers.",
        )?;
        refuse(
            self.subscribers == 0,
            "Somebody must receive: give --subscribers.",
        )?;
        refuse(self.threads == 0, "--threads is 1 or more.")?;
        within(
            self.joins_per_second,
            0.1,
            1e5,
            "--num-per-second is 0.1 to 100,000.",
        )?;
        within(
            self.voice.frame_bytes as f64,
            STAMP as f64,
            MAX_CHUNK_PAYLOAD as f64,
            "--frame-bytes is 20 to 943: a packet of voice is one message.",
        )?;
        within(
            self.voice.rate,
            1.0,
            MAX_RATE,
            "--rate is 1 to 1,000 packets a second.",
        )?;
        within(self.picture.fps, 1.0, 240.0, "--fps is 1 to 240.")?;
        within(
            self.picture.keyframe_interval.as_secs_f64(),
            1.0 / self.picture.fps,
            1e6,
            "--keyframe-interval is at least one picture.",
        )?;
        within(
            self.picture.bitrate,
            8_000.0,
            // A keyframe, some times the mean, must still be one codec frame.
            (MAX_FRAME_BYTES / 10.0 * 8.0 * self.picture.fps).min(1e8),
            "--bitrate is 8,000 to 100,000,000 bits a second, and less than 770 kbit a picture.",
        )?;
        refuse(
            self.slow
                .is_some_and(|slow| slow.subscribers > self.subscribers),
            "--slow-subscribers is at most --subscribers.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let address = Address::parse("http://localhost:1").unwrap();
        Plan {
            audio_publishers: 1,
            subscribers: 1,
            ..Plan::new(address, "room")
        }
    }

    #[test]
    fn wrong_plans_get_a_sentence() {
        assert!(plan().check().is_ok());
        type Change = fn(&mut Plan);
        let wrong: [(Change, &str); 8] = [
            (|plan| plan.room = "a b".into(), "room's name"),
            (|plan| plan.audio_publishers = 0, "--audio-publishers"),
            (|plan| plan.subscribers = 0, "--subscribers"),
            (|plan| plan.voice.frame_bytes = 8, "--frame-bytes"),
            (|plan| plan.voice.rate = f64::NAN, "--rate"),
            (|plan| plan.picture.bitrate = 1e9, "--bitrate"),
            (|plan| plan.identity_prefix = "x".repeat(64), "--identity"),
            (
                |plan| {
                    plan.slow = Some(Slow {
                        subscribers: 2,
                        bytes_per_second: 0,
                        after: Duration::ZERO,
                        lasting: None,
                    });
                },
                "--slow-subscribers",
            ),
        ];
        for (change, sentence) in wrong {
            let mut plan = plan();
            change(&mut plan);
            let error = plan.check().unwrap_err().to_string();
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn every_chunk_has_place_for_its_stamp() {
        for bytes in 1..4_000 {
            let fitting = Plan::fitting(bytes);
            let last = fitting % MAX_CHUNK_PAYLOAD;
            assert!(fitting >= bytes && fitting < bytes + STAMP);
            assert!(last == 0 || last >= STAMP, "{bytes} became {fitting}");
        }
    }

    #[test]
    fn rooms_are_told_apart() {
        let mut plan = plan();
        assert_eq!(plan.room_name(0), "room");
        plan.rooms = 2;
        assert_eq!(plan.room_name(1), "room-2");
    }
}
