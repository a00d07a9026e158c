//! What two edges tell each other on their control stream: who is in a room here, which of its media are
//! wanted here, and what short names stand for. Every message stands for itself: a later one of the same
//! kind replaces it, and on a new connection all that still holds is said again.

mod wire;

use bytes::Bytes;

use super::{ClusterError, Incarnation, codec};
use crate::{
    control::{Gone, KeyframeRequest, Participant, TrackRef},
    frame::FrameType,
    id::{ParticipantId, RoomName},
};

/// The version of this protocol that a hello names.
pub const LINK_VERSION: u32 = 1;

/// A token's digest (SHA-256) has this many bytes.
pub const DIGEST: usize = 32;

/// Tracks that one message names at most: 255 participants with 16 tracks each.
const MAX_DEMANDS: usize = 255 * 16;

/// The first message of each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkHello {
    /// The oldest version that the sender speaks.
    pub version_min: u32,
    /// The newest one.
    pub version_max: u32,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The sender's run.
    pub incarnation: Incarnation,
}

/// One participant as the edge that holds its connection tells others. That edge is its only writer, until
/// the participant resumes elsewhere: `moves` tells which of two is the later one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What members are told.
    pub participant: Participant,
    /// How often it has moved to another edge.
    pub moves: u32,
    /// The SHA-256 of the token it may resume with, at any edge; none for v1.
    pub resume: Option<[u8; DIGEST]>,
}

/// Who wants a track of the receiving edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDemand {
    /// The track.
    pub track: TrackRef,
    /// How many.
    pub subscribers: u32,
    /// Which optional codecs all of them decode: one bit each, in the order of `OPTIONAL_CODECS`.
    pub decodes: u8,
}

/// What the members of one edge want of a room's media, together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Any audio. A track that is in none of the lists follows this or `video`.
    pub audio: bool,
    /// Any video.
    pub video: bool,
    /// Anything of v1's types.
    pub v1: bool,
    /// The highest temporal layer that anybody wants.
    pub max_temporal: u8,
    /// Tracks that nobody wants.
    pub unwanted: Vec<TrackRef>,
    /// Tracks of the receiving edge that are known here.
    pub demands: Vec<TrackDemand>,
}

/// What one edge tells another of a room.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RoomMessage {
    /// All rows of the sender; none: it does not hold the room any more.
    Rows(Vec<Row>),
    /// All rows of the receiver are to be told again: core names others there than are known.
    RowsWanted,
    /// One row is new or another.
    Changed(Box<Row>),
    /// One row is no more.
    Gone(Gone),
    /// What the sender's members want.
    Interest(Interest),
    /// Somebody there cannot decode a track.
    Keyframe(KeyframeRequest),
    /// A chat image, on the stream for what is large.
    Image {
        /// Its reference in the room.
        reference: String,
        /// It.
        bytes: Bytes,
    },
}

/// A message between edges.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LinkMessage {
    /// The first one.
    Hello(LinkHello),
    /// A short name for a participant's media on this connection.
    Alias {
        /// The name; never 0, never used again.
        alias: u32,
        /// The room.
        room: RoomName,
        /// Whose media.
        participant: ParticipantId,
    },
    /// The short name is known.
    AliasKnown {
        /// The name.
        alias: u32,
    },
    /// What is said of one room.
    Room {
        /// The room.
        room: RoomName,
        /// What.
        message: RoomMessage,
    },
    /// The first message of a stream of its own that carries one v1 sender's messages of one type; each
    /// that follows is a frame's payload.
    V1Stream {
        /// The room.
        room: RoomName,
        /// The sender.
        participant: ParticipantId,
        /// Which type.
        kind: FrameType,
    },
    /// The sender stops soon: nothing new is to be begun with it.
    Draining,
}

impl LinkMessage {
    /// As it travels, with its length.
    pub fn encode(&self) -> Bytes {
        codec::encode(&wire::Envelope::from(self))
    }

    /// Reads what [`codec::Decoder`] cut out.
    ///
    /// # Errors
    /// [`ClusterError`] for what is malformed or out of its bounds. `Ok(None)` is a message of a kind that a
    /// later version added.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ClusterError> {
        wire::parse(bytes)
    }
}

#[cfg(test)]
mod tests;
