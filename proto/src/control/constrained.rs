//! What an edge cannot give a receiver, and why. PROTOCOL.md 4.12.

use serde::{Deserialize, Serialize};

use super::{Control, bad_json};
use crate::{
    code::Rejection,
    frame::FrameType,
    id::ParticipantId,
    limits::{MAX_CONSTRAINED, MAX_TRACKS},
};

/// Why a receiver does not get all of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConstraintReason {
    /// Its network does not carry it.
    Bandwidth,
}

/// One track of which it does not get all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConstrainedTrack {
    /// Whose.
    pub participant: ParticipantId,
    /// Which.
    pub track: u8,
    /// Nothing of it comes; otherwise upper temporal layers are left out.
    pub paused: bool,
    /// Why.
    pub reason: ConstraintReason,
}

/// 4.12 CONSTRAINED: all of them; none when everything comes again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constrained {
    /// The tracks.
    pub tracks: Vec<ConstrainedTrack>,
    /// Makes the message longer and means nothing: it is written and never read.
    #[serde(skip_deserializing, skip_serializing_if = "String::is_empty")]
    pub padding: String,
}

impl Constrained {
    /// What `padding` takes beside its characters.
    pub const PADDING_FIELD: usize = r#","padding":"""#.len();
}

impl Control for Constrained {
    const KIND: FrameType = FrameType::Constrained;

    fn check(&self) -> Result<(), Rejection> {
        if self.tracks.len() > MAX_CONSTRAINED {
            return Err(bad_json("over 256 tracks"));
        }
        if self.tracks.iter().any(|entry| entry.track >= MAX_TRACKS) {
            return Err(bad_json("track is 0 to 15"));
        }
        Ok(())
    }
}
