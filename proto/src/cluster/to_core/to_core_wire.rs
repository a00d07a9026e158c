//! The protobuf from edges to core. Field numbers are never used again.

use prost::{Message as _, Oneof};

use super::{
    super::{ClusterError, EdgeId},
    Declaration, EdgeHello, Heartbeat, LiveLink, MAX_CLUSTER_NAME, MAX_EDGES, MAX_WORDS, ToCore,
    wire::{WireCard, WirePost, WireRow, card, list, post, room, row, words},
};
use crate::limits::MAX_PARTICIPANTS;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Hello(WireHello),
    #[prost(message, tag = "2")]
    Heartbeat(WireHeartbeat),
    #[prost(message, tag = "3")]
    Declare(WireDeclaration),
    #[prost(message, tag = "4")]
    Chat(WirePost),
    #[prost(message, tag = "5")]
    Goodbye(Goodbye),
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHello {
    #[prost(uint32, tag = "1")]
    version_min: u32,
    #[prost(uint32, tag = "2")]
    version_max: u32,
    #[prost(string, tag = "3")]
    cluster: String,
    #[prost(message, optional, tag = "4")]
    card: Option<WireCard>,
    #[prost(string, tag = "5")]
    build: String,
    #[prost(uint32, tag = "6")]
    capacity: u32,
    #[prost(uint64, tag = "7")]
    highest_term: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireLink {
    #[prost(string, tag = "1")]
    edge: String,
    #[prost(uint32, tag = "2")]
    rtt_us: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireHeartbeat {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(uint32, tag = "2")]
    participants: u32,
    #[prost(uint32, tag = "3")]
    rooms: u32,
    #[prost(bool, tag = "4")]
    draining: bool,
    #[prost(message, repeated, tag = "5")]
    links: Vec<WireLink>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireDeclaration {
    #[prost(string, tag = "1")]
    room: String,
    #[prost(uint64, tag = "2")]
    version: u64,
    #[prost(uint64, optional, tag = "3")]
    chat_seq: Option<u64>,
    #[prost(message, repeated, tag = "4")]
    rows: Vec<WireRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Goodbye {}

impl From<&ToCore> for Envelope {
    fn from(message: &ToCore) -> Self {
        let body = match message {
            ToCore::Hello(hello) => Body::Hello(WireHello {
                version_min: hello.version_min,
                version_max: hello.version_max,
                cluster: hello.cluster.clone(),
                card: Some(WireCard::from(&hello.card)),
                build: hello.build.clone(),
                capacity: hello.capacity,
                highest_term: hello.highest_term,
            }),
            ToCore::Heartbeat(heartbeat) => Body::Heartbeat(WireHeartbeat {
                seq: heartbeat.seq,
                participants: heartbeat.participants,
                rooms: heartbeat.rooms,
                draining: heartbeat.draining,
                links: heartbeat
                    .links
                    .iter()
                    .map(|link| WireLink {
                        edge: link.edge.as_str().to_owned(),
                        rtt_us: link.rtt_us,
                    })
                    .collect(),
            }),
            ToCore::Declare(declaration) => Body::Declare(WireDeclaration {
                room: declaration.room.reveal().to_owned(),
                version: declaration.version,
                chat_seq: declaration.chat_seq,
                rows: declaration.rows.iter().map(WireRow::from).collect(),
            }),
            ToCore::Chat(chat) => Body::Chat(WirePost::from(chat)),
            ToCore::Goodbye => Body::Goodbye(Goodbye {}),
        };
        Self { body: Some(body) }
    }
}

/// Reads one message; `None` is one of a kind that is not known here.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<ToCore>, ClusterError> {
    let envelope = Envelope::decode(bytes).map_err(|_| ClusterError::Malformed)?;
    let Some(body) = envelope.body else {
        return Ok(None);
    };
    Ok(Some(match body {
        Body::Hello(hello) => ToCore::Hello(Box::new(EdgeHello {
            version_min: hello.version_min,
            version_max: hello.version_max,
            cluster: words(hello.cluster, MAX_CLUSTER_NAME, "cluster")?,
            card: card(hello.card)?,
            build: words(hello.build, MAX_WORDS, "build")?,
            capacity: hello.capacity,
            highest_term: hello.highest_term,
        })),
        Body::Heartbeat(heartbeat) => ToCore::Heartbeat(Heartbeat {
            seq: heartbeat.seq,
            participants: heartbeat.participants,
            rooms: heartbeat.rooms,
            draining: heartbeat.draining,
            links: list(heartbeat.links, MAX_EDGES, "links", |link| {
                Ok(LiveLink {
                    edge: EdgeId::parse(&link.edge)?,
                    rtt_us: link.rtt_us,
                })
            })?,
        }),
        Body::Declare(declaration) => ToCore::Declare(Declaration {
            room: room(&declaration.room)?,
            version: declaration.version,
            chat_seq: declaration.chat_seq,
            rows: list(declaration.rows, MAX_PARTICIPANTS, "rows", row)?,
        }),
        Body::Chat(chat) => ToCore::Chat(post(chat)?),
        Body::Goodbye(_) => ToCore::Goodbye,
    }))
}
