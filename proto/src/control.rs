//! Control messages: JSON payloads with every bound of PROTOCOL.md section 4. Parsing is strict
//! about the fields it knows (type, range, named once) and ignores the others.

mod alternates;
mod chat;
mod constrained;
mod track;
mod update;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    PROTOCOL_VERSION,
    code::{ErrorCode, Rejection},
    frame::{Frame, FrameType},
    id::{DisplayName, ParticipantId, RoomName},
    limits::{MAX_CONTROL, MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS, MAX_TRACKS},
};

pub use self::{
    alternates::{Alternate, Alternates},
    chat::{Chat, ChatSend, ImageRef},
    constrained::{Constrained, ConstrainedTrack, ConstraintReason},
    track::{CodecConfig, ColorSpace, Demand, Interruption, Source, TrackConfig, TrackStop},
    update::{Quality, Update},
};

/// A client's feature: it plays the types of v1 members.
pub const FEATURE_V1_BRIDGE: &str = "v1-bridge";
/// Chat messages may hold images.
pub const FEATURE_IMAGES: &str = "images";
/// An edge's feature: it honours `resume`.
pub const FEATURE_RESUME: &str = "resume";
/// A client takes DEMAND, an edge sends it.
pub const FEATURE_DEMAND: &str = "demand";
/// An edge's feature: it takes UPDATE.
pub const FEATURE_UPDATE: &str = "update";
/// A client takes CONSTRAINED, an edge sends it.
pub const FEATURE_CONSTRAINED: &str = "constrained";
/// A client's feature: it takes ALTERNATES.
pub const FEATURE_ALTERNATES: &str = "alternates";
/// What a client may decode beside what every client decodes: its feature, and its name in DEMAND.
pub const OPTIONAL_CODECS: [(&str, &str); 3] = [
    ("decode-vp9", "vp9"),
    ("decode-av1", "av1"),
    ("decode-h264", "h264"),
];

const MAX_FEATURES: usize = 32;
const MAX_FEATURE_CHARS: usize = 32;
const MAX_AGENT_CHARS: usize = 64;
const MAX_TOKEN_CHARS: usize = 64;
const MAX_PAUSED: usize = 256;

/// A payload that PROTOCOL.md bounds beyond its JSON types.
pub trait Control: DeserializeOwned {
    /// Its type on the wire.
    const KIND: FrameType;

    /// The bounds that types alone do not express.
    ///
    /// # Errors
    /// The code that its sender is told.
    fn check(&self) -> Result<(), Rejection> {
        Ok(())
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`ErrorCode::BadJson`], or the code that [`Control::check`] finds.
    fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > MAX_CONTROL {
            return Err(bad_json("over 32 KiB"));
        }
        let message: Self = read_object(payload)?;
        message.check()?;
        Ok(message)
    }
}

/// Reads one JSON object. Serde alone would also read a struct from an array, and pass over bytes
/// in unknown fields that are not UTF-8.
fn read_object<M: DeserializeOwned>(payload: &[u8]) -> Result<M, Rejection> {
    let text = std::str::from_utf8(payload).map_err(|_| bad_json("not UTF-8"))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(bad_json("not a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        // The text of serde's error may repeat what was sent; its place and kind do not.
        bad_json(match error.classify() {
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
                "not a JSON object"
            }
            serde_json::error::Category::Data | serde_json::error::Category::Io => {
                "a field is missing, doubled, or has the wrong type or range"
            }
        })
    })
}

fn bad_json(detail: &'static str) -> Rejection {
    Rejection::new(ErrorCode::BadJson, detail)
}

fn at_most(text: &str, chars: usize, detail: &'static str) -> Result<(), Rejection> {
    if text.chars().count() > chars {
        Err(bad_json(detail))
    } else {
        Ok(())
    }
}

/// Reads a field that may be missing but not null, which serde alone takes for the same.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Builds the frame of a control message.
pub fn encode<M: Control + Serialize>(sender: ParticipantId, message: &M) -> Frame {
    // Serialising these types cannot fail: their keys are strings and their writer is memory.
    let payload = serde_json::to_vec(message).unwrap_or_default();
    Frame::new(sender, M::KIND, &payload)
}

/// What a peer speaks. Another version is refused before anything else is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// 2.
    pub version: u8,
    /// Optional features it understands.
    pub features: Vec<String>,
    /// Its name and version, for people.
    pub agent: String,
}

impl Hello {
    /// Whether it lists a feature.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    fn check(&self) -> Result<(), Rejection> {
        if self.version != PROTOCOL_VERSION {
            return Err(ErrorCode::BadVersion.into());
        }
        if self.features.len() > MAX_FEATURES {
            return Err(bad_json("too many features"));
        }
        self.features
            .iter()
            .try_for_each(|feature| at_most(feature, MAX_FEATURE_CHARS, "a feature too long"))?;
        at_most(&self.agent, MAX_AGENT_CHARS, "agent too long")
    }
}

/// 4.1 JOIN, as it stands on the wire; [`Join::names`] parses what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// What the client speaks.
    pub hello: Hello,
    /// The room's name.
    pub room: String,
    /// The participant's name.
    pub name: String,
    /// The token of an earlier welcome.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resume: Option<String>,
}

impl Join {
    /// The room and the name that a checked join asks for.
    ///
    /// # Errors
    /// [`ErrorCode::BadRoom`], [`ErrorCode::BadName`].
    pub fn names(&self) -> Result<(RoomName, DisplayName), ErrorCode> {
        Ok((
            RoomName::parse(&self.room)?,
            DisplayName::parse(&self.name)?,
        ))
    }
}

impl Control for Join {
    const KIND: FrameType = FrameType::Join;

    fn check(&self) -> Result<(), Rejection> {
        self.hello.check()?;
        self.names()?;
        at_most(
            self.resume.as_deref().unwrap_or_default(),
            MAX_TOKEN_CHARS,
            "resume too long",
        )
    }
}

/// Which wire a participant speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// The original.
    V1,
    /// This one.
    V2,
}

/// Somebody in the room, as others see them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Participant {
    /// Their id.
    pub id: ParticipantId,
    /// Their name.
    pub name: DisplayName,
    /// Which wire they speak.
    pub protocol: Protocol,
    /// Their connection is lost and may yet resume.
    pub away: bool,
    /// What they publish.
    pub tracks: Vec<TrackConfig>,
    /// When their hand went up, in ms since 1970.
    #[serde(default)]
    pub hand: Option<u64>,
    /// How good their connection is, as they say.
    #[serde(default)]
    pub quality: Option<Quality>,
}

/// Everybody in the room but the one who is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RosterSnapshot {
    /// The number that the next ROSTER adds one to.
    pub epoch: u64,
    /// The others.
    pub participants: Vec<Participant>,
}

/// 4.2 WELCOME.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// What the edge speaks.
    pub hello: Hello,
    /// The client's id from now on.
    pub id: ParticipantId,
    /// What a later JOIN resumes with.
    pub resume: String,
    /// Whether this one resumed.
    pub resumed: bool,
    /// The bearer token for chat images.
    pub uploads: String,
    /// Who is there.
    pub roster: RosterSnapshot,
    /// Where the edge stands.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub region: Option<String>,
    /// Where to go when this edge is gone; ALTERNATES replaces it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternates: Vec<Alternate>,
}

impl Control for Welcome {
    const KIND: FrameType = FrameType::Welcome;

    fn check(&self) -> Result<(), Rejection> {
        self.hello.check()?;
        self.region
            .as_deref()
            .map_or(Ok(()), alternates::check_region)?;
        alternates::check(&self.alternates)
    }

    /// As [`Control::parse`], without the 32-KiB bound: the server is as long as its room.
    fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        let welcome: Self = read_object(payload)?;
        welcome.check()?;
        Ok(welcome)
    }
}

/// Why somebody left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaveReason {
    /// They went.
    Left,
    /// Their connection was lost and did not come back.
    Lost,
    /// The edge ended their connection.
    Removed,
}

/// Somebody who is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Who.
    pub id: ParticipantId,
    /// Why.
    pub reason: LeaveReason,
}

/// 4.3 ROSTER: what changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    /// One more than the last.
    pub epoch: u64,
    /// New participants, with their tracks.
    pub joined: Vec<Participant>,
    /// Changed participants, without their tracks.
    pub updated: Vec<Participant>,
    /// Participants who are no longer there.
    pub left: Vec<Gone>,
}

impl Control for Roster {
    const KIND: FrameType = FrameType::Roster;
}

/// 4.6 KEYFRAME_REQUEST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyframeRequest {
    /// Whose track.
    pub participant: ParticipantId,
    /// Which.
    pub track: u8,
    /// Its spatial layer.
    pub layer: u8,
}

impl Control for KeyframeRequest {
    const KIND: FrameType = FrameType::KeyframeRequest;

    fn check(&self) -> Result<(), Rejection> {
        if self.track >= MAX_TRACKS || self.layer >= MAX_SPATIAL_LAYERS {
            return Err(bad_json("track is 0 to 15, layer 0 to 2"));
        }
        Ok(())
    }
}

/// What arrived of one (track, spatial layer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The track.
    pub track: u8,
    /// Its spatial layer.
    pub layer: u8,
    /// The newest sequence number.
    pub seq: u32,
}

/// 4.7 PUBLISHER_ACK.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublisherAck {
    /// The newest frame of each layer.
    pub acks: Vec<Ack>,
    /// All media bytes received on this connection.
    pub bytes: u64,
    /// How much later the newest frame arrived than the fastest one, both against capture time.
    pub delay_ms: u64,
}

impl Control for PublisherAck {
    const KIND: FrameType = FrameType::PublisherAck;
}

/// 4.8 PING.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ping {
    /// Whatever the sender likes to get back.
    pub t: serde_json::Number,
}

impl Control for Ping {
    const KIND: FrameType = FrameType::Ping;
}

/// 4.8 PONG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pong {
    /// What the ping held.
    pub t: serde_json::Number,
}

impl Control for Pong {
    const KIND: FrameType = FrameType::Pong;
}

/// Section 8: ERROR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorMessage {
    /// The code.
    pub code: u16,
    /// Its name.
    pub name: String,
    /// The sentence for a person.
    pub message: String,
    /// Whether the connection ends with it.
    pub ends: bool,
}

impl ErrorMessage {
    /// The message that tells a code.
    pub fn new(code: ErrorCode, ends: bool) -> Self {
        Self {
            code: code.number(),
            name: code.name().to_owned(),
            message: code.sentence().to_owned(),
            ends,
        }
    }
}

impl Control for ErrorMessage {
    const KIND: FrameType = FrameType::Error;
}

/// One track of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrackRef {
    /// Whose.
    pub participant: ParticipantId,
    /// Which.
    pub track: u8,
}

/// 4.9 SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribe {
    /// Audio at all.
    pub audio: bool,
    /// Video at all.
    pub video: bool,
    /// Tracks that are not wanted.
    pub paused: Vec<TrackRef>,
    /// The highest temporal layer that is wanted of any video track.
    #[serde(
        default = "Subscribe::every_layer",
        skip_serializing_if = "Subscribe::is_every_layer"
    )]
    pub max_temporal: u8,
}

impl Subscribe {
    /// What a client gets that never asked.
    pub const fn everything() -> Self {
        Self {
            audio: true,
            video: true,
            paused: Vec::new(),
            max_temporal: Self::every_layer(),
        }
    }

    const fn every_layer() -> u8 {
        MAX_TEMPORAL_LAYERS - 1
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    const fn is_every_layer(layer: &u8) -> bool {
        *layer == Self::every_layer()
    }
}

impl Control for Subscribe {
    const KIND: FrameType = FrameType::Subscribe;

    fn check(&self) -> Result<(), Rejection> {
        if self.paused.len() > MAX_PAUSED {
            return Err(bad_json("over 256 paused tracks"));
        }
        if self.max_temporal >= MAX_TEMPORAL_LAYERS {
            return Err(bad_json("maxTemporal is 0 to 3"));
        }
        Ok(())
    }
}

/// LEAVE: `{}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leave {}

impl Control for Leave {
    const KIND: FrameType = FrameType::Leave;
}

#[cfg(test)]
mod tests;
