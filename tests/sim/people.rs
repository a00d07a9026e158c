//! The people: what each wants to do next, the connection it has, and what it publishes on it.

use std::{collections::BTreeMap, time::Duration};

use edge_node::simulation::SimulatedMember;
use pulse_proto::{
    DisplayName, Frame, ParticipantId,
    control::{CodecConfig, Source, TrackConfig},
    media::{LEVEL_SILENT, MediaHeader, chunks, codec_bytes},
};
use tokio::time::Instant;

use crate::{random::Random, view::View};

/// A voice speaks so often.
const VOICE: Duration = Duration::from_millis(40);
/// A camera shows so many pictures.
const PICTURE: Duration = Duration::from_millis(200);
/// And as often one that needs no other.
const KEYFRAME: Duration = Duration::from_secs(4);

pub(crate) const MICROPHONE: u8 = 0;
pub(crate) const CAMERA: u8 = 1;

/// How much of somebody's voice should have come, and did, since some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) from: Instant,
    pub(crate) said: u32,
    pub(crate) came: u32,
}

/// A connection.
pub(crate) struct Seat {
    pub(crate) edge: usize,
    pub(crate) member: SimulatedMember,
    pub(crate) view: View,
    pub(crate) since: Instant,
    pub(crate) heard: BTreeMap<ParticipantId, Heard>,
    pub(crate) wants_video: bool,
}

/// One track that is published.
#[derive(Debug)]
struct Track {
    sequence: u32,
    until: Instant,
    next_at: Instant,
    keyframe_at: Instant,
}

/// Somebody.
pub(crate) struct Person {
    pub(crate) number: usize,
    pub(crate) name: DisplayName,
    pub(crate) room: usize,
    pub(crate) seat: Option<Seat>,
    pub(crate) id: Option<ParticipantId>,
    pub(crate) token: Option<String>,
    /// When it comes next.
    pub(crate) comes_at: Option<Instant>,
    pub(crate) moved_at: Option<Instant>,
    pub(crate) said: u32,
    pub(crate) hand: bool,
    pub(crate) camera: bool,
    voice: Track,
    picture: Track,
}

impl Person {
    pub(crate) fn new(number: usize, room: usize, random: &mut Random) -> Self {
        let now = Instant::now();
        let mut track = || Track {
            // Wraps after some seconds.
            sequence: u32::MAX - u32::try_from(random.below(300)).unwrap(),
            until: now,
            next_at: now,
            keyframe_at: now,
        };
        Self {
            number,
            name: DisplayName::parse(&format!("person {number}")).unwrap(),
            room,
            seat: None,
            id: None,
            token: None,
            comes_at: None,
            moved_at: None,
            said: 0,
            hand: false,
            camera: false,
            voice: track(),
            picture: track(),
        }
    }

    /// Speaks for a while.
    pub(crate) fn speak(&mut self, now: Instant, lasting: Duration) {
        if self.voice.until < now {
            self.voice.next_at = now;
            self.voice.until = now + lasting;
        }
    }

    /// Somebody needs a keyframe.
    pub(crate) const fn show_anew(&mut self, now: Instant) {
        self.picture.keyframe_at = now;
    }

    /// Whether it has something to send soon.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        self.seat.is_some() && (self.voice.until > now || self.camera)
    }

    /// Sends what is due; whether it spoke.
    pub(crate) fn publish(&mut self, now: Instant, time_us: u64) -> bool {
        let Some(seat) = &self.seat else {
            return false;
        };
        let mark = Mark {
            person: self.number,
            room: self.room,
        };
        let header = |track, sequence, reference| MediaHeader {
            track,
            config: 1,
            discardable: track == MICROPHONE,
            last: true,
            spatial: 0,
            temporal: 0,
            reference,
            level: if track == MICROPHONE {
                30
            } else {
                LEVEL_SILENT
            },
            chunk: 0,
            sequence,
            captured_us: time_us,
        };
        let spoke = self.voice.until > now && self.voice.next_at <= now;
        if spoke {
            self.voice.next_at = now + VOICE;
            self.voice.sequence = self.voice.sequence.wrapping_add(1);
            send(seat, header(MICROPHONE, self.voice.sequence, 0), mark, 60);
        }
        if self.camera && self.picture.next_at <= now {
            self.picture.next_at = now + PICTURE;
            self.picture.sequence = self.picture.sequence.wrapping_add(1);
            let keyframe = self.picture.keyframe_at <= now;
            if keyframe {
                self.picture.keyframe_at = now + KEYFRAME;
            }
            let (reference, bytes) = if keyframe { (0, 2_500) } else { (1, 400) };
            send(
                seat,
                header(CAMERA, self.picture.sequence, reference),
                mark,
                bytes,
            );
        }
        spoke
    }

    /// What it announces.
    pub(crate) fn config(&self, track: u8) -> TrackConfig {
        let audio = track == MICROPHONE;
        TrackConfig {
            track,
            source: if audio {
                Source::Microphone
            } else {
                Source::Camera
            },
            version: 1,
            muted: false,
            interrupted: None,
            config: CodecConfig {
                codec: if audio { "opus" } else { "vp8" }.to_owned(),
                sample_rate: audio.then_some(48_000),
                number_of_channels: audio.then_some(1),
                coded_width: (!audio).then_some(640),
                coded_height: (!audio).then_some(360),
                framerate: None,
                bitrate: None,
                scalability_mode: None,
                color_space: None,
                description: None,
            },
        }
    }
}

/// What every chunk says of its publisher in the bytes that edges do not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) person: usize,
    pub(crate) room: usize,
}

impl Mark {
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        let [person, room] = *codec_bytes(frame).first_chunk()?;
        Some(Self {
            person: usize::from(person),
            room: usize::from(room),
        })
    }
}

fn send(seat: &Seat, header: MediaHeader, mark: Mark, bytes: usize) {
    let mut codec = vec![0; bytes];
    // Each chunk begins with it.
    for chunk in codec.chunks_mut(pulse_proto::limits::MAX_CHUNK_PAYLOAD) {
        chunk[0] = u8::try_from(mark.person).unwrap();
        chunk[1] = u8::try_from(mark.room).unwrap();
    }
    for frame in chunks(seat.member.id(), header, &codec).unwrap() {
        let header = MediaHeader::parse(&frame).unwrap();
        seat.member.publish(header, frame);
    }
}
