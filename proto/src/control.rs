//! Control messages: JSON payloads with every bound of PROTOCOL.md section 4. Parsing is strict
//! about the fields it knows (type, range, named once) and ignores the others.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    PROTOCOL_VERSION,
    code::{ErrorCode, Rejection},
    frame::{Frame, FrameType},
    id::{DisplayName, ParticipantId, RoomName},
    limits::{MAX_CHAT, MAX_CONTROL, MAX_SPATIAL_LAYERS, MAX_TRACKS},
};

/// A client's feature: it plays the types of v1 members.
pub const FEATURE_V1_BRIDGE: &str = "v1-bridge";
/// Chat messages may hold images.
pub const FEATURE_IMAGES: &str = "images";
/// An edge's feature: it honours `resume`.
pub const FEATURE_RESUME: &str = "resume";

const MAX_FEATURES: usize = 32;
const MAX_FEATURE_CHARS: usize = 32;
const MAX_AGENT_CHARS: usize = 64;
const MAX_TOKEN_CHARS: usize = 64;
const MAX_NONCE_CHARS: usize = 64;
const MAX_CODEC_CHARS: usize = 64;
const MAX_COLOR_CHARS: usize = 16;
const MAX_DESCRIPTION_DIGITS: usize = 2_048;
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
}

impl Control for Welcome {
    const KIND: FrameType = FrameType::Welcome;

    fn check(&self) -> Result<(), Rejection> {
        self.hello.check()
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

/// What a track shows or lets hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A voice.
    Microphone,
    /// A face.
    Camera,
    /// A screen, a window or a tab.
    Screen,
    /// What that one plays.
    ScreenAudio,
}

impl Source {
    /// Whether it is heard rather than seen.
    pub const fn is_audio(self) -> bool {
        matches!(self, Self::Microphone | Self::ScreenAudio)
    }
}

/// How decoded samples become colours, in WebCodecs' own names; null is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColorSpace {
    /// The colours of the primaries, such as `bt709`.
    #[serde(deserialize_with = "present")]
    pub primaries: Option<String>,
    /// The transfer function, such as `iec61966-2-1`.
    #[serde(deserialize_with = "present")]
    pub transfer: Option<String>,
    /// The matrix from YUV to RGB, such as `smpte170m`.
    #[serde(deserialize_with = "present")]
    pub matrix: Option<String>,
    /// Whether samples use all of their range.
    #[serde(deserialize_with = "present")]
    pub full_range: Option<bool>,
}

/// Reads a field that may be null but not missing, which serde alone takes for the same.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

/// What a decoder needs, in WebCodecs' own field names. Audio has a sample rate and channels, video
/// a coded size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodecConfig {
    /// WebCodecs' codec string.
    pub codec: String,
    /// Hz, 8,000..=192,000.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sample_rate: Option<u32>,
    /// 1..=8.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number_of_channels: Option<u32>,
    /// Pixels, 16..=8,192.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coded_width: Option<u32>,
    /// Pixels, 16..=8,192.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coded_height: Option<u32>,
    /// Frames a second, 1..=240.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub framerate: Option<f64>,
    /// Bits a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bitrate: Option<u64>,
    /// WebCodecs' name of the layering, such as `L1T3`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scalability_mode: Option<String>,
    /// How to read the decoded samples.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub color_space: Option<Box<ColorSpace>>,
    /// The init segment, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
}

impl CodecConfig {
    fn check(&self, audio: bool) -> Result<(), Rejection> {
        let bad = |detail| Err(Rejection::new(ErrorCode::BadConfig, detail));
        let within = |value: Option<u32>, low: u32, high: u32| {
            value.is_some_and(|value| (low..=high).contains(&value))
        };
        if self.codec.is_empty() || self.codec.chars().count() > MAX_CODEC_CHARS {
            return bad("codec has 1 to 64 characters");
        }
        if audio {
            if !within(self.sample_rate, 8_000, 192_000) {
                return bad("sampleRate is 8,000 to 192,000");
            }
            if !within(self.number_of_channels, 1, 8) {
                return bad("numberOfChannels is 1 to 8");
            }
        } else if !within(self.coded_width, 16, 8_192) || !within(self.coded_height, 16, 8_192) {
            return bad("codedWidth and codedHeight are 16 to 8,192");
        }
        if self
            .framerate
            .is_some_and(|rate| !(1.0..=240.0).contains(&rate))
        {
            return bad("framerate is 1 to 240");
        }
        let bitrate_max = if audio { 1_000_000 } else { 100_000_000 };
        if self.bitrate.is_some_and(|rate| rate > bitrate_max) {
            return bad("bitrate is too high");
        }
        if self
            .scalability_mode
            .as_ref()
            .is_some_and(|mode| mode.chars().count() > 16)
        {
            return bad("scalabilityMode has up to 16 characters");
        }
        if self.color_space.as_ref().is_some_and(|space| {
            [&space.primaries, &space.transfer, &space.matrix]
                .into_iter()
                .flatten()
                .any(|name| name.chars().count() > MAX_COLOR_CHARS)
        }) {
            return bad("the names of a colorSpace have up to 16 characters");
        }
        if self.description.as_ref().is_some_and(|hex| {
            hex.len() > MAX_DESCRIPTION_DIGITS
                || hex.len() % 2 != 0
                || !hex.bytes().all(|digit| digit.is_ascii_hexdigit())
        }) {
            return bad("description is up to 2,048 hexadecimal digits");
        }
        Ok(())
    }
}

/// 4.4 TRACK_CONFIG.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackConfig {
    /// The publisher's number for the track.
    pub track: u8,
    /// What it shows.
    pub source: Source,
    /// Version of `config`; frames name the one they need.
    pub version: u8,
    /// Published, but silent or dark for now.
    pub muted: bool,
    /// What a decoder needs.
    pub config: CodecConfig,
}

impl Control for TrackConfig {
    const KIND: FrameType = FrameType::TrackConfig;

    fn check(&self) -> Result<(), Rejection> {
        if self.track >= MAX_TRACKS {
            return Err(Rejection::new(ErrorCode::BadConfig, "track is 0 to 15"));
        }
        self.config.check(self.source.is_audio())
    }
}

/// 4.4 TRACK_STOP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackStop {
    /// The publisher's number for the track.
    pub track: u8,
}

impl Control for TrackStop {
    const KIND: FrameType = FrameType::TrackStop;
}

/// 4.5 CHAT, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatSend {
    /// The client's own name for the message; the echo repeats it.
    pub nonce: String,
    /// A text, or
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// the reference of an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
}

impl Control for ChatSend {
    const KIND: FrameType = FrameType::Chat;

    fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > MAX_CHAT {
            return Err(ErrorCode::ChatTooLong.into());
        }
        let message: Self = read_object(payload)?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), Rejection> {
        at_most(&self.nonce, MAX_NONCE_CHARS, "nonce too long")?;
        match (&self.text, &self.image) {
            (Some(text), None) if !text.is_empty() => Ok(()),
            (None, Some(image)) => at_most(image, MAX_TOKEN_CHARS, "image too long"),
            _ => Err(bad_json("a chat has a text or an image")),
        }
    }
}

/// An image that a chat refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// What to ask `/v2/images/` for.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its MIME type.
    pub mime: String,
    /// Its size.
    pub bytes: u64,
}

/// 4.5 CHAT, as an edge sends it to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The sender's own name for it; empty for a v1 member's.
    pub nonce: String,
    /// Its number in the room.
    pub seq: u64,
    /// ms since 1970.
    pub at: u64,
    /// A text, or
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<ImageRef>,
}

impl Control for Chat {
    const KIND: FrameType = FrameType::Chat;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TrackRef {
    /// Whose.
    pub participant: ParticipantId,
    /// Which.
    pub track: u8,
}

/// 4.9 SUBSCRIBE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// Audio at all.
    pub audio: bool,
    /// Video at all.
    pub video: bool,
    /// Tracks that are not wanted.
    pub paused: Vec<TrackRef>,
}

impl Subscribe {
    /// What a client gets that never asked.
    pub const fn everything() -> Self {
        Self {
            audio: true,
            video: true,
            paused: Vec::new(),
        }
    }
}

impl Control for Subscribe {
    const KIND: FrameType = FrameType::Subscribe;

    fn check(&self) -> Result<(), Rejection> {
        if self.paused.len() > MAX_PAUSED {
            return Err(bad_json("over 256 paused tracks"));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code<M: Control + std::fmt::Debug>(json: &str) -> ErrorCode {
        M::parse(json.as_bytes()).unwrap_err().code
    }

    #[test]
    fn known_fields_are_strict_and_unknown_ones_ignored() {
        assert!(Ping::parse(br#"{"t": 1.5, "later": true}"#).is_ok());
        assert_eq!(code::<Ping>(r#"{"t": 1, "t": 2}"#), ErrorCode::BadJson);
        assert_eq!(code::<Ping>(r#"{"t": "1"}"#), ErrorCode::BadJson);
        assert_eq!(code::<Ping>("{}"), ErrorCode::BadJson);
        assert_eq!(code::<Ping>("[1]"), ErrorCode::BadJson);
        assert_eq!(code::<TrackStop>(r#"{"track": 256}"#), ErrorCode::BadJson);
    }

    #[test]
    fn joins_name_what_is_wrong() {
        let join = |version: u8, room: &str, name: &str| {
            format!(
                r#"{{"hello":{{"version":{version},"features":[],"agent":"t"}},"room":"{room}","name":"{name}"}}"#
            )
        };
        assert!(Join::parse(join(2, "r", "Ada").as_bytes()).is_ok());
        assert_eq!(code::<Join>(&join(3, "r", "Ada")), ErrorCode::BadVersion);
        assert_eq!(code::<Join>(&join(2, "a b", "Ada")), ErrorCode::BadRoom);
        assert_eq!(code::<Join>(&join(2, "r", " ")), ErrorCode::BadName);
    }

    #[test]
    fn configs_are_bounded() {
        let camera = |config: &str| {
            format!(
                r#"{{"track":1,"source":"camera","version":0,"muted":false,"config":{config}}}"#
            )
        };
        let good = r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"framerate":29.97}"#;
        assert!(TrackConfig::parse(camera(good).as_bytes()).is_ok());
        for bad in [
            r#"{"codec":"vp8"}"#,
            r#"{"codec":"","codedWidth":640,"codedHeight":360}"#,
            r#"{"codec":"vp8","codedWidth":9000,"codedHeight":360}"#,
            r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"framerate":0}"#,
            r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"description":"zz"}"#,
        ] {
            assert_eq!(code::<TrackConfig>(&camera(bad)), ErrorCode::BadConfig);
        }
    }

    #[test]
    fn colours_are_named_or_null() {
        let camera = |space: &str| {
            format!(
                r#"{{"track":1,"source":"camera","version":0,"muted":false,"config":{{"codec":"vp8","codedWidth":640,"codedHeight":360,"colorSpace":{space}}}}}"#
            )
        };
        let known =
            r#"{"primaries":"smpte170m","transfer":null,"matrix":"smpte170m","fullRange":false}"#;
        let config = TrackConfig::parse(camera(known).as_bytes()).unwrap().config;
        let space = config.color_space.unwrap();
        assert_eq!(space.matrix.as_deref(), Some("smpte170m"));
        assert_eq!(space.transfer, None);
        assert_eq!(space.full_range, Some(false));
        let long = known.replace("null", r#""aaaaaaaaaaaaaaaaa""#);
        assert_eq!(code::<TrackConfig>(&camera(&long)), ErrorCode::BadConfig);
        for bad in [
            known.replace("false", "0"),
            known.replace(r#""transfer":null,"#, ""),
            r#""bt709""#.to_owned(),
        ] {
            assert_eq!(code::<TrackConfig>(&camera(&bad)), ErrorCode::BadJson);
        }
    }

    #[test]
    fn chats_hold_one_thing() {
        assert!(ChatSend::parse(br#"{"nonce":"1","text":"hi"}"#).is_ok());
        assert_eq!(code::<ChatSend>(r#"{"nonce":"1"}"#), ErrorCode::BadJson);
        assert_eq!(
            code::<ChatSend>(r#"{"nonce":"1","text":""}"#),
            ErrorCode::BadJson
        );
        assert_eq!(
            code::<ChatSend>(r#"{"nonce":"1","text":"a","image":"b"}"#),
            ErrorCode::BadJson
        );
        let long = format!(r#"{{"nonce":"1","text":"{}"}}"#, "a".repeat(MAX_CHAT));
        assert_eq!(code::<ChatSend>(&long), ErrorCode::ChatTooLong);
    }

    #[test]
    fn the_number_of_a_ping_keeps_its_value() {
        let json = br#"{"t":22222222222222222222222222222222222222222222222222222222000128102.89400760774}"#;
        let ping = Ping::parse(json).unwrap();
        let again = encode(ParticipantId::ZERO, &ping);
        assert_eq!(Ping::parse(again.payload()).unwrap(), ping);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Join::parse(&bytes);
            let _ = TrackConfig::parse(&bytes);
            let _ = ChatSend::parse(&bytes);
            let _ = Subscribe::parse(&bytes);
        }
    }
}
