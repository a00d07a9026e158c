//! The protobuf of the messages between edges, and its bounds. Field numbers are never used again.

use bytes::Bytes;
use prost::{Message as _, Oneof};

use super::{DIGEST, Interest, LinkHello, LinkMessage, MAX_DEMANDS, RoomMessage, Row, TrackDemand};
use crate::{
    cluster::{ClusterError, Incarnation},
    control::{Control as _, Gone, KeyframeRequest, LeaveReason, Participant, TrackRef},
    frame::FrameType,
    id::{ParticipantId, RoomName},
    limits::{MAX_IMAGE, MAX_PARTICIPANTS, MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS, MAX_TRACKS},
};

const MAX_CLUSTER_CHARS: usize = 64;
const MAX_REFERENCE: usize = 64;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Alias(Alias),
    #[prost(uint32, tag = "3")]
    AliasKnown(u32),
    #[prost(message, tag = "4")]
    Room(Room),
    #[prost(message, tag = "5")]
    V1Stream(V1Stream),
    #[prost(message, tag = "6")]
    Draining(Draining),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Room {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(oneof = "RoomBody", tags = "2, 3, 4, 5, 6, 7, 8")]
    body: Option<RoomBody>,
}

#[derive(Clone, PartialEq, Oneof)]
enum RoomBody {
    #[prost(message, tag = "2")]
    Rows(Rows),
    #[prost(message, tag = "3")]
    Changed(WireRow),
    #[prost(message, tag = "4")]
    Gone(WireGone),
    #[prost(message, tag = "5")]
    Interest(WireInterest),
    #[prost(message, tag = "6")]
    Keyframe(Keyframe),
    #[prost(message, tag = "7")]
    Image(Image),
    #[prost(message, tag = "8")]
    RowsWanted(RowsWanted),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Hello {
    #[prost(uint32, tag = "1")]
    version_min: u32,
    #[prost(uint32, tag = "2")]
    version_max: u32,
    #[prost(string, tag = "3")]
    cluster: String,
    #[prost(uint64, tag = "4")]
    incarnation: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Alias {
    #[prost(uint32, tag = "1")]
    alias: u32,
    #[prost(string, tag = "2")]
    room: String,
    #[prost(string, tag = "3")]
    participant: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRow {
    /// A participant as ROSTER tells it, JSON.
    #[prost(bytes = "vec", tag = "1")]
    participant: Vec<u8>,
    #[prost(uint32, tag = "2")]
    moves: u32,
    #[prost(bytes = "vec", tag = "3")]
    resume: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Rows {
    #[prost(message, repeated, tag = "1")]
    rows: Vec<WireRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireGone {
    #[prost(string, tag = "1")]
    participant: String,
    #[prost(uint32, tag = "2")]
    reason: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Track {
    #[prost(string, tag = "1")]
    participant: String,
    #[prost(uint32, tag = "2")]
    track: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Demand {
    #[prost(message, optional, tag = "1")]
    track: Option<Track>,
    #[prost(uint32, tag = "2")]
    subscribers: u32,
    #[prost(uint32, tag = "3")]
    decodes: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireInterest {
    #[prost(bool, tag = "1")]
    audio: bool,
    #[prost(bool, tag = "2")]
    video: bool,
    #[prost(bool, tag = "3")]
    v1: bool,
    #[prost(uint32, tag = "4")]
    max_temporal: u32,
    #[prost(message, repeated, tag = "5")]
    unwanted: Vec<Track>,
    #[prost(message, repeated, tag = "6")]
    demands: Vec<Demand>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Keyframe {
    #[prost(message, optional, tag = "1")]
    track: Option<Track>,
    #[prost(uint32, tag = "2")]
    layer: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct V1Stream {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(string, tag = "2")]
    participant: String,
    #[prost(uint32, tag = "3")]
    kind: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Image {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(bytes = "bytes", tag = "2")]
    bytes: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RowsWanted {}

#[derive(Clone, PartialEq, prost::Message)]
struct Draining {}

impl From<&LinkMessage> for Envelope {
    fn from(message: &LinkMessage) -> Self {
        let body = match message {
            LinkMessage::Hello(hello) => Body::Hello(Hello {
                version_min: hello.version_min,
                version_max: hello.version_max,
                cluster: hello.cluster.clone(),
                incarnation: hello.incarnation.0,
            }),
            LinkMessage::Alias {
                alias,
                room,
                participant,
            } => Body::Alias(Alias {
                alias: *alias,
                room: room.reveal().to_owned(),
                participant: participant.as_str().to_owned(),
            }),
            LinkMessage::AliasKnown { alias } => Body::AliasKnown(*alias),
            LinkMessage::Room { room, message } => Body::Room(Room {
                room: room.reveal().to_owned(),
                body: Some(RoomBody::from(message)),
            }),
            LinkMessage::V1Stream {
                room,
                participant,
                kind,
            } => Body::V1Stream(V1Stream {
                room: room.reveal().to_owned(),
                participant: participant.as_str().to_owned(),
                kind: kind.number().into(),
            }),
            LinkMessage::Draining => Body::Draining(Draining {}),
        };
        Self { body: Some(body) }
    }
}

impl From<&RoomMessage> for RoomBody {
    fn from(message: &RoomMessage) -> Self {
        match message {
            RoomMessage::Rows(rows) => Self::Rows(Rows {
                rows: rows.iter().map(WireRow::from).collect(),
            }),
            RoomMessage::RowsWanted => Self::RowsWanted(RowsWanted {}),
            RoomMessage::Changed(row) => Self::Changed(WireRow::from(&**row)),
            RoomMessage::Gone(gone) => Self::Gone(WireGone {
                participant: gone.id.as_str().to_owned(),
                reason: match gone.reason {
                    LeaveReason::Left => 1,
                    LeaveReason::Lost => 2,
                    LeaveReason::Removed => 3,
                },
            }),
            RoomMessage::Interest(interest) => Self::Interest(WireInterest {
                audio: interest.audio,
                video: interest.video,
                v1: interest.v1,
                max_temporal: interest.max_temporal.into(),
                unwanted: interest.unwanted.iter().map(Track::from).collect(),
                demands: interest.demands.iter().map(Demand::from).collect(),
            }),
            RoomMessage::Keyframe(request) => Self::Keyframe(Keyframe {
                track: Some(Track {
                    participant: request.participant.as_str().to_owned(),
                    track: request.track.into(),
                }),
                layer: request.layer.into(),
            }),
            RoomMessage::Image { reference, bytes } => Self::Image(Image {
                reference: reference.clone(),
                bytes: bytes.clone(),
            }),
        }
    }
}

impl From<&Row> for WireRow {
    fn from(row: &Row) -> Self {
        Self {
            // What is made of strings, numbers and lists always becomes JSON.
            participant: serde_json::to_vec(&row.participant).unwrap_or_default(),
            moves: row.moves,
            resume: row.resume.map(Vec::from).unwrap_or_default(),
        }
    }
}

impl From<&TrackRef> for Track {
    fn from(track: &TrackRef) -> Self {
        Self {
            participant: track.participant.as_str().to_owned(),
            track: track.track.into(),
        }
    }
}

impl From<&TrackDemand> for Demand {
    fn from(demand: &TrackDemand) -> Self {
        Self {
            track: Some(Track::from(&demand.track)),
            subscribers: demand.subscribers,
            decodes: demand.decodes.into(),
        }
    }
}

/// Reads one message; `None` is one of a kind that is not known here.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<LinkMessage>, ClusterError> {
    let envelope = Envelope::decode(bytes).map_err(|_| ClusterError::Malformed)?;
    let Some(body) = envelope.body else {
        return Ok(None);
    };
    Ok(Some(match body {
        Body::Hello(hello) => {
            at_most(hello.cluster.len(), MAX_CLUSTER_CHARS, "cluster")?;
            LinkMessage::Hello(LinkHello {
                version_min: hello.version_min,
                version_max: hello.version_max,
                cluster: hello.cluster,
                incarnation: Incarnation(hello.incarnation),
            })
        }
        Body::Alias(one) => LinkMessage::Alias {
            alias: known(one.alias)?,
            room: room_name(&one.room)?,
            participant: participant_id(&one.participant)?,
        },
        Body::AliasKnown(alias) => LinkMessage::AliasKnown {
            alias: known(alias)?,
        },
        Body::Room(one) => LinkMessage::Room {
            room: room_name(&one.room)?,
            message: match one.body {
                Some(body) => room_message(body)?,
                None => return Ok(None),
            },
        },
        Body::V1Stream(one) => LinkMessage::V1Stream {
            room: room_name(&one.room)?,
            participant: participant_id(&one.participant)?,
            kind: v1_kind(one.kind)?,
        },
        Body::Draining(Draining {}) => LinkMessage::Draining,
    }))
}

fn room_message(body: RoomBody) -> Result<RoomMessage, ClusterError> {
    Ok(match body {
        RoomBody::Rows(all) => {
            at_most(all.rows.len(), MAX_PARTICIPANTS, "rows")?;
            RoomMessage::Rows(all.rows.iter().map(row).collect::<Result<_, _>>()?)
        }
        RoomBody::RowsWanted(RowsWanted {}) => RoomMessage::RowsWanted,
        RoomBody::Changed(changed) => RoomMessage::Changed(Box::new(row(&changed)?)),
        RoomBody::Gone(one) => RoomMessage::Gone(Gone {
            id: participant_id(&one.participant)?,
            reason: match one.reason {
                1 => LeaveReason::Left,
                2 => LeaveReason::Lost,
                3 => LeaveReason::Removed,
                _ => return Err(ClusterError::Field("reason")),
            },
        }),
        RoomBody::Interest(wanted) => RoomMessage::Interest(interest(&wanted)?),
        RoomBody::Keyframe(one) => {
            let wanted = track_ref(one.track.as_ref())?;
            RoomMessage::Keyframe(KeyframeRequest {
                participant: wanted.participant,
                track: wanted.track,
                layer: below(one.layer, MAX_SPATIAL_LAYERS, "layer")?,
            })
        }
        RoomBody::Image(one) => {
            at_most(one.reference.len(), MAX_REFERENCE, "reference")?;
            at_most(one.bytes.len(), MAX_IMAGE, "image")?;
            RoomMessage::Image {
                reference: one.reference,
                bytes: one.bytes,
            }
        }
    })
}

fn row(row: &WireRow) -> Result<Row, ClusterError> {
    let wrong = || ClusterError::Field("participant");
    let participant: Participant = serde_json::from_slice(&row.participant).map_err(|_| wrong())?;
    at_most(participant.tracks.len(), MAX_TRACKS.into(), "tracks")?;
    if participant
        .tracks
        .iter()
        .any(|track| track.check().is_err())
    {
        return Err(wrong());
    }
    let resume = match row.resume.as_slice() {
        [] => None,
        digest => {
            Some(<[u8; DIGEST]>::try_from(digest).map_err(|_| ClusterError::Field("resume"))?)
        }
    };
    Ok(Row {
        participant,
        moves: row.moves,
        resume,
    })
}

fn interest(wanted: &WireInterest) -> Result<Interest, ClusterError> {
    at_most(wanted.unwanted.len(), MAX_DEMANDS, "unwanted")?;
    at_most(wanted.demands.len(), MAX_DEMANDS, "demands")?;
    let demand = |demand: &Demand| {
        Ok(TrackDemand {
            track: track_ref(demand.track.as_ref())?,
            subscribers: demand.subscribers,
            decodes: below(demand.decodes, u8::MAX, "decodes")?,
        })
    };
    Ok(Interest {
        audio: wanted.audio,
        video: wanted.video,
        v1: wanted.v1,
        max_temporal: below(wanted.max_temporal, MAX_TEMPORAL_LAYERS, "max temporal")?,
        unwanted: wanted
            .unwanted
            .iter()
            .map(|track| track_ref(Some(track)))
            .collect::<Result<_, _>>()?,
        demands: wanted
            .demands
            .iter()
            .map(demand)
            .collect::<Result<_, _>>()?,
    })
}

fn track_ref(track: Option<&Track>) -> Result<TrackRef, ClusterError> {
    let track = track.ok_or(ClusterError::Field("track"))?;
    Ok(TrackRef {
        participant: participant_id(&track.participant)?,
        track: below(track.track, MAX_TRACKS, "track")?,
    })
}

fn v1_kind(number: u32) -> Result<FrameType, ClusterError> {
    let kind = u8::try_from(number).ok().and_then(FrameType::from_number);
    kind.filter(|kind| kind.number() < 16)
        .ok_or(ClusterError::Field("kind"))
}

fn known(alias: u32) -> Result<u32, ClusterError> {
    if alias == 0 {
        return Err(ClusterError::Field("alias"));
    }
    Ok(alias)
}

fn room_name(text: &str) -> Result<RoomName, ClusterError> {
    RoomName::parse(text).map_err(|_| ClusterError::Field("room"))
}

fn participant_id(text: &str) -> Result<ParticipantId, ClusterError> {
    ParticipantId::parse(text.as_bytes()).map_err(|_| ClusterError::Field("participant"))
}

fn below(value: u32, limit: u8, field: &'static str) -> Result<u8, ClusterError> {
    u8::try_from(value)
        .ok()
        .filter(|value| *value < limit)
        .ok_or(ClusterError::Field(field))
}

fn at_most(length: usize, limit: usize, field: &'static str) -> Result<(), ClusterError> {
    if length > limit {
        return Err(ClusterError::Field(field));
    }
    Ok(())
}
