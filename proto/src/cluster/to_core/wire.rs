//! The protobuf that both directions share, and its bounds.

use super::{
    super::{ClusterError, EdgeId, Incarnation, Region, Stamp},
    ChatBody, ChatPost, EdgeCard, MAX_PUBLIC_URL, Row,
};
use crate::{
    control::ImageRef,
    id::{DisplayName, ParticipantId, RoomName},
    limits::MAX_CHAT,
};

/// Characters of a chat's nonce, an image's reference, an image's type.
const MAX_LABEL: usize = 64;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireStamp {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireCard {
    #[prost(string, tag = "1")]
    edge: String,
    #[prost(uint64, tag = "2")]
    incarnation: u64,
    #[prost(string, tag = "3")]
    region: String,
    #[prost(string, tag = "4")]
    public_url: String,
    #[prost(string, tag = "5")]
    backbone: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireRow {
    #[prost(string, tag = "1")]
    participant: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    moves: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WireImage {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(string, tag = "2")]
    mime: String,
    #[prost(uint64, tag = "3")]
    bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WirePost {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(uint64, tag = "2")]
    id: u64,
    #[prost(string, tag = "3")]
    from: String,
    #[prost(string, optional, tag = "4")]
    name: Option<String>,
    #[prost(uint64, tag = "5")]
    at_ms: u64,
    #[prost(string, tag = "6")]
    nonce: String,
    #[prost(string, optional, tag = "7")]
    text: Option<String>,
    #[prost(message, optional, tag = "8")]
    image: Option<WireImage>,
}

impl From<Stamp> for WireStamp {
    fn from(stamp: Stamp) -> Self {
        let Stamp { term, epoch } = stamp;
        Self { term, epoch }
    }
}

impl From<&EdgeCard> for WireCard {
    fn from(card: &EdgeCard) -> Self {
        Self {
            edge: card.edge.as_str().to_owned(),
            incarnation: card.incarnation.0,
            region: card.region.as_str().to_owned(),
            public_url: card.public_url.clone().unwrap_or_default(),
            backbone: card
                .backbone
                .map(|address| address.to_string())
                .unwrap_or_default(),
        }
    }
}

impl From<&Row> for WireRow {
    fn from(row: &Row) -> Self {
        Self {
            participant: row.participant.as_str().to_owned(),
            name: row.name.as_str().to_owned(),
            moves: row.moves,
        }
    }
}

impl From<&ChatPost> for WirePost {
    fn from(post: &ChatPost) -> Self {
        let (text, image) = match &post.body {
            ChatBody::Text(text) => (Some(text.clone()), None),
            ChatBody::Image(image) => (
                None,
                Some(WireImage {
                    reference: image.reference.clone(),
                    mime: image.mime.clone(),
                    bytes: image.bytes,
                }),
            ),
        };
        Self {
            room: post.room.reveal().to_owned(),
            id: post.id,
            from: post.from.as_str().to_owned(),
            name: post.name.as_ref().map(|name| name.as_str().to_owned()),
            at_ms: post.at_ms,
            nonce: post.nonce.clone(),
            text,
            image,
        }
    }
}

/// A stamp that must be there, of a term that is one.
pub(super) fn stamp(wire: Option<WireStamp>) -> Result<Stamp, ClusterError> {
    match wire {
        Some(WireStamp { term, epoch }) if term > 0 => Ok(Stamp { term, epoch }),
        _ => Err(ClusterError::Field("stamp")),
    }
}

pub(super) fn card(wire: Option<WireCard>) -> Result<EdgeCard, ClusterError> {
    let wire = wire.ok_or(ClusterError::Field("card"))?;
    let backbone = match wire.backbone.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| ClusterError::Field("backbone"))?),
    };
    Ok(EdgeCard {
        edge: EdgeId::parse(&wire.edge)?,
        incarnation: Incarnation(wire.incarnation),
        region: Region::parse(&wire.region)?,
        public_url: public_url(wire.public_url)?,
        backbone,
    })
}

fn public_url(text: String) -> Result<Option<String>, ClusterError> {
    if text.is_empty() {
        return Ok(None);
    }
    let has_scheme = text.starts_with("https://") || text.starts_with("http://");
    // It is shown to browsers as it is.
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'));
    if has_scheme && plain && text.len() <= MAX_PUBLIC_URL {
        Ok(Some(text))
    } else {
        Err(ClusterError::Field("public url"))
    }
}

pub(super) fn row(wire: WireRow) -> Result<Row, ClusterError> {
    Ok(Row {
        participant: participant(&wire.participant)?,
        name: name(&wire.name)?,
        moves: wire.moves,
    })
}

/// At most so many, each read.
pub(super) fn list<W, T>(
    wire: Vec<W>,
    limit: usize,
    field: &'static str,
    read: impl Fn(W) -> Result<T, ClusterError>,
) -> Result<Vec<T>, ClusterError> {
    if wire.len() > limit {
        return Err(ClusterError::Field(field));
    }
    wire.into_iter().map(read).collect()
}

pub(super) fn room(text: &str) -> Result<RoomName, ClusterError> {
    RoomName::parse(text).map_err(|_| ClusterError::Field("room"))
}

fn participant(text: &str) -> Result<ParticipantId, ClusterError> {
    ParticipantId::parse(text.as_bytes()).map_err(|_| ClusterError::Field("participant"))
}

fn name(text: &str) -> Result<DisplayName, ClusterError> {
    DisplayName::parse(text).map_err(|_| ClusterError::Field("name"))
}

pub(super) fn words(
    text: String,
    limit: usize,
    field: &'static str,
) -> Result<String, ClusterError> {
    if text.chars().count() <= limit && !text.chars().any(char::is_control) {
        Ok(text)
    } else {
        Err(ClusterError::Field(field))
    }
}

pub(super) fn post(wire: WirePost) -> Result<ChatPost, ClusterError> {
    let body = match (wire.text, wire.image) {
        (Some(text), None) if !text.is_empty() && text.len() <= MAX_CHAT => ChatBody::Text(text),
        (None, Some(image)) => ChatBody::Image(ImageRef {
            reference: words(image.reference, MAX_LABEL, "image")?,
            mime: words(image.mime, MAX_LABEL, "image")?,
            bytes: image.bytes,
        }),
        _ => return Err(ClusterError::Field("chat")),
    };
    Ok(ChatPost {
        room: room(&wire.room)?,
        id: wire.id,
        from: participant(&wire.from)?,
        name: wire.name.as_deref().map(name).transpose()?,
        at_ms: wire.at_ms,
        nonce: words(wire.nonce, MAX_LABEL, "nonce")?,
        body,
    })
}
