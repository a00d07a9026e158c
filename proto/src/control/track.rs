//! Tracks: what is published, and what a decoder of it needs. PROTOCOL.md 4.4.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Control, at_most, bad_json, given};
use crate::{
    code::{ErrorCode, Rejection},
    frame::FrameType,
    limits::MAX_TRACKS,
};

const MAX_CODEC_CHARS: usize = 64;
const MAX_COLOR_CHARS: usize = 16;
const MAX_DESCRIPTION_DIGITS: usize = 2_048;
const MAX_DECODE: usize = 16;
const MAX_DECODE_CHARS: usize = 16;

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

/// Why a publisher that wants to send a track cannot for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interruption {
    /// Its page is in the background.
    Hidden,
    /// What it captures from is lost.
    Device,
    /// That delivers nothing new.
    Frozen,
    /// Its network does not carry the track.
    Bandwidth,
    /// Its machine does not.
    Overload,
}

impl Interruption {
    /// Its name on the wire; also the label of its counter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Device => "device",
            Self::Frozen => "frozen",
            Self::Bandwidth => "bandwidth",
            Self::Overload => "overload",
        }
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
    /// Media may be missing for now, and why.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub interrupted: Option<Interruption>,
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

/// 4.10 DEMAND: who wants a publisher's track now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The publisher's number for the track.
    pub track: u8,
    /// How many others want it.
    pub subscribers: u32,
    /// What all of those decode beside what every client does.
    pub decode: Vec<String>,
}

impl Control for Demand {
    const KIND: FrameType = FrameType::Demand;

    fn check(&self) -> Result<(), Rejection> {
        if self.track >= MAX_TRACKS {
            return Err(bad_json("track is 0 to 15"));
        }
        if self.decode.len() > MAX_DECODE {
            return Err(bad_json("over 16 codecs"));
        }
        self.decode
            .iter()
            .try_for_each(|codec| at_most(codec, MAX_DECODE_CHARS, "a codec too long"))
    }
}
