//! The protobuf of the messages between edges, and its bounds. Field numbers are never used again.

use bytes::Bytes;
use prost::{Message as _, Oneof};

use super::{DIGEST, Interest, LinkHello, LinkMessage, MAX_DEMANDS, Row, TrackDemand};
use crate::{
    cluster::{ClusterError, Incarnation},
    control::{Control as _, KeyframeRequest, LeaveReason, Participant, TrackRef},
    frame::FrameType,
    id::{ParticipantId, RoomName},
    limits::{MAX_IMAGE, MAX_PARTICIPANTS, MAX_SPATIAL_LAYERS, MAX_TEMPORAL_LAYERS, MAX_TRACKS},
};

const MAX_CLUSTER_CHARS: usize = 64;
const MAX_IMAGE_ID_CHARS: usize = 64;
const MAX_MIME_CHARS: usize = 32;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
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
    Rows(Rows),
    #[prost(message, tag = "5")]
    Changed(Changed),
    #[prost(message, tag = "6")]
    Gone(Gone),
    #[prost(message, tag = "7")]
    Interest(RoomInterest),
    #[prost(message, tag = "8")]
    Keyframe(Keyframe),
    #[prost(message, tag = "9")]
    V1Stream(V1Stream),
    #[prost(message, tag = "10")]
    Image(Image),
    #[prost(message, tag = "11")]
    Draining(Draining),
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
    #[prost(string, tag = "1")]
    room: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(message, repeated, tag = "3")]
    rows: Vec<WireRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Changed {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(message, optional, tag = "3")]
    row: Option<WireRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Gone {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(string, tag = "3")]
    participant: String,
    #[prost(uint32, tag = "4")]
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
struct RoomInterest {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(bool, tag = "2")]
    audio: bool,
    #[prost(bool, tag = "3")]
    video: bool,
    #[prost(uint32, tag = "4")]
    max_temporal: u32,
    #[prost(message, repeated, tag = "5")]
    unwanted: Vec<Track>,
    #[prost(message, repeated, tag = "6")]
    demands: Vec<Demand>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Keyframe {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(message, optional, tag = "2")]
    track: Option<Track>,
    #[prost(uint32, tag = "3")]
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
    room: String,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "3")]
    mime: String,
    #[prost(bytes = "bytes", tag = "4")]
    bytes: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Draining {}

impl From<&LinkMessage> for Envelope {
    fn from(message: &LinkMessage) -> Self {
        let name = |room: &RoomName| room.reveal().to_owned();
        let text = |participant: &ParticipantId| participant.as_str().to_owned();
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
                room: name(room),
                participant: text(participant),
            }),
            LinkMessage::AliasKnown { alias } => Body::AliasKnown(*alias),
            LinkMessage::Rows {
                room,
                version,
                rows,
            } => Body::Rows(Rows {
                room: name(room),
                version: *version,
                rows: rows.iter().map(WireRow::from).collect(),
            }),
            LinkMessage::Changed { room, version, row } => Body::Changed(Changed {
                room: name(room),
                version: *version,
                row: Some(WireRow::from(&**row)),
            }),
            LinkMessage::Gone {
                room,
                version,
                participant,
                reason,
            } => Body::Gone(Gone {
                room: name(room),
                version: *version,
                participant: text(participant),
                reason: match reason {
                    LeaveReason::Left => 1,
                    LeaveReason::Lost => 2,
                    LeaveReason::Removed => 3,
                },
            }),
            LinkMessage::Interest { room, interest } => Body::Interest(RoomInterest {
                room: name(room),
                audio: interest.audio,
                video: interest.video,
                max_temporal: interest.max_temporal.into(),
                unwanted: interest.unwanted.iter().map(Track::from).collect(),
                demands: interest.demands.iter().map(Demand::from).collect(),
            }),
            LinkMessage::Keyframe { room, request } => Body::Keyframe(Keyframe {
                room: name(room),
                track: Some(Track {
                    participant: text(&request.participant),
                    track: request.track.into(),
                }),
                layer: request.layer.into(),
            }),
            LinkMessage::V1Stream {
                room,
                participant,
                kind,
            } => Body::V1Stream(V1Stream {
                room: name(room),
                participant: text(participant),
                kind: kind.number().into(),
            }),
            LinkMessage::Image {
                room,
                id,
                mime,
                bytes,
            } => Body::Image(Image {
                room: name(room),
                id: id.clone(),
                mime: mime.clone(),
                bytes: bytes.clone(),
            }),
            LinkMessage::Draining => Body::Draining(Draining {}),
        };
        Self { body: Some(body) }
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
    envelope.body.map(message).transpose()
}

fn message(body: Body) -> Result<LinkMessage, ClusterError> {
    Ok(match body {
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
        Body::Rows(all) => {
            at_most(all.rows.len(), MAX_PARTICIPANTS, "rows")?;
            LinkMessage::Rows {
                room: room_name(&all.room)?,
                version: all.version,
                rows: all.rows.iter().map(row).collect::<Result<_, _>>()?,
            }
        }
        Body::Changed(one) => LinkMessage::Changed {
            room: room_name(&one.room)?,
            version: one.version,
            row: Box::new(row(&one.row.ok_or(ClusterError::Field("row"))?)?),
        },
        Body::Gone(one) => LinkMessage::Gone {
            room: room_name(&one.room)?,
            version: one.version,
            participant: participant_id(&one.participant)?,
            reason: match one.reason {
                1 => LeaveReason::Left,
                2 => LeaveReason::Lost,
                3 => LeaveReason::Removed,
                _ => return Err(ClusterError::Field("reason")),
            },
        },
        Body::Interest(wanted) => LinkMessage::Interest {
            room: room_name(&wanted.room)?,
            interest: interest(&wanted)?,
        },
        Body::Keyframe(one) => {
            let wanted = track_ref(one.track.as_ref())?;
            LinkMessage::Keyframe {
                room: room_name(&one.room)?,
                request: KeyframeRequest {
                    participant: wanted.participant,
                    track: wanted.track,
                    layer: below(one.layer, MAX_SPATIAL_LAYERS, "layer")?,
                },
            }
        }
        Body::V1Stream(one) => LinkMessage::V1Stream {
            room: room_name(&one.room)?,
            participant: participant_id(&one.participant)?,
            kind: v1_kind(one.kind)?,
        },
        Body::Image(one) => {
            at_most(one.id.len(), MAX_IMAGE_ID_CHARS, "image id")?;
            at_most(one.mime.len(), MAX_MIME_CHARS, "mime")?;
            at_most(one.bytes.len(), MAX_IMAGE, "image")?;
            LinkMessage::Image {
                room: room_name(&one.room)?,
                id: one.id,
                mime: one.mime,
                bytes: one.bytes,
            }
        }
        Body::Draining(Draining {}) => LinkMessage::Draining,
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

fn interest(wanted: &RoomInterest) -> Result<Interest, ClusterError> {
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
