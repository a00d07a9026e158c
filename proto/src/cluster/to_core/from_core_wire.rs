//! The protobuf from core to edges. Field numbers are never used again.

use std::sync::Arc;

use prost::{Message as _, Oneof};

use super::{
    super::{ClusterError, EdgeId, Incarnation},
    EdgeInfo, EdgeRows, FromCore, MAX_CLUSTER_NAME, MAX_EDGES, MAX_ROOM_ROWS, MAX_WORDS,
    NumberedChat, RefusedCode, RoomView, Rules,
    wire::{WireCard, WirePost, WireRow, WireStamp, card, list, post, room, row, stamp, words},
};

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7")]
    body: Option<Body>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Body {
    #[prost(message, tag = "1")]
    Welcome(Welcome),
    #[prost(string, tag = "2")]
    Redirect(String),
    #[prost(message, tag = "3")]
    Refused(Refused),
    #[prost(message, tag = "4")]
    Edges(Edges),
    #[prost(message, tag = "5")]
    View(View),
    #[prost(message, tag = "6")]
    Chat(Chat),
    #[prost(message, tag = "7")]
    HeartbeatAck(HeartbeatAck),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Welcome {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(message, optional, tag = "2")]
    stamp: Option<WireStamp>,
    #[prost(uint32, tag = "3")]
    lease_ms: u32,
    #[prost(uint32, tag = "4")]
    heartbeat_ms: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Refused {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    sentence: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Info {
    #[prost(message, optional, tag = "1")]
    card: Option<WireCard>,
    #[prost(bool, tag = "2")]
    draining: bool,
    #[prost(uint32, tag = "3")]
    participants: u32,
    #[prost(uint32, tag = "4")]
    capacity: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Edges {
    #[prost(message, optional, tag = "1")]
    stamp: Option<WireStamp>,
    #[prost(message, repeated, tag = "2")]
    edges: Vec<Info>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireEdgeRows {
    #[prost(string, tag = "1")]
    edge: String,
    #[prost(uint64, tag = "2")]
    incarnation: u64,
    #[prost(message, repeated, tag = "3")]
    rows: Vec<WireRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct WireRules {
    #[prost(uint32, optional, tag = "1")]
    max_participants: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct View {
    #[prost(message, optional, tag = "1")]
    stamp: Option<WireStamp>,
    #[prost(string, tag = "2")]
    room: String,
    #[prost(uint64, tag = "3")]
    version: u64,
    #[prost(uint64, tag = "4")]
    chat_seq: u64,
    #[prost(message, repeated, tag = "5")]
    edges: Vec<WireEdgeRows>,
    #[prost(message, optional, tag = "6")]
    rules: Option<WireRules>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Chat {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    seq: u64,
    #[prost(string, tag = "3")]
    edge: String,
    #[prost(uint64, tag = "4")]
    incarnation: u64,
    #[prost(message, optional, tag = "5")]
    post: Option<WirePost>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HeartbeatAck {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(message, optional, tag = "2")]
    stamp: Option<WireStamp>,
}

const CODES: [(u32, RefusedCode); 11] = [
    (1, RefusedCode::Version),
    (2, RefusedCode::Cluster),
    (3, RefusedCode::Identity),
    (4, RefusedCode::Stale),
    (5, RefusedCode::Taken),
    (6, RefusedCode::Full),
    (7, RefusedCode::Superseded),
    (8, RefusedCode::Protocol),
    (9, RefusedCode::Slow),
    (10, RefusedCode::Expired),
    (11, RefusedCode::Stopping),
];

impl RefusedCode {
    /// Its number on the wire, and when a connection is closed for it.
    pub fn number(self) -> u32 {
        CODES
            .iter()
            .find(|(_, code)| *code == self)
            .map_or(0, |(number, _)| *number)
    }

    /// What a number stands for.
    pub fn of_number(number: u32) -> Self {
        CODES
            .iter()
            .find(|(known, _)| *known == number)
            .map_or(Self::Other, |(_, code)| *code)
    }
}

impl From<&FromCore> for Envelope {
    fn from(message: &FromCore) -> Self {
        let body = match message {
            FromCore::Welcome {
                cluster,
                stamp,
                lease_ms,
                heartbeat_ms,
            } => Body::Welcome(Welcome {
                cluster: cluster.clone(),
                stamp: Some(WireStamp::from(*stamp)),
                lease_ms: *lease_ms,
                heartbeat_ms: *heartbeat_ms,
            }),
            FromCore::Redirect { addr } => Body::Redirect(addr.clone()),
            FromCore::Refused { code, sentence } => Body::Refused(Refused {
                code: code.number(),
                sentence: sentence.clone(),
            }),
            FromCore::Edges { stamp, edges } => Body::Edges(Edges {
                stamp: Some(WireStamp::from(*stamp)),
                edges: edges.iter().map(Info::from).collect(),
            }),
            FromCore::View(view) => Body::View(View::from(view)),
            FromCore::Chat { term, chat } => Body::Chat(Chat {
                term: *term,
                seq: chat.seq,
                edge: chat.edge.as_str().to_owned(),
                incarnation: chat.incarnation.0,
                post: Some(WirePost::from(&*chat.post)),
            }),
            FromCore::HeartbeatAck { seq, stamp } => Body::HeartbeatAck(HeartbeatAck {
                seq: *seq,
                stamp: Some(WireStamp::from(*stamp)),
            }),
        };
        Self { body: Some(body) }
    }
}

impl From<&EdgeInfo> for Info {
    fn from(info: &EdgeInfo) -> Self {
        Self {
            card: Some(WireCard::from(&info.card)),
            draining: info.draining,
            participants: info.participants,
            capacity: info.capacity,
        }
    }
}

impl From<&RoomView> for View {
    fn from(view: &RoomView) -> Self {
        Self {
            stamp: Some(WireStamp::from(view.stamp)),
            room: view.room.reveal().to_owned(),
            version: view.version,
            chat_seq: view.chat_seq,
            edges: view
                .edges
                .iter()
                .map(|held| WireEdgeRows {
                    edge: held.edge.as_str().to_owned(),
                    incarnation: held.incarnation.0,
                    rows: held.rows.iter().map(WireRow::from).collect(),
                })
                .collect(),
            rules: Some(WireRules {
                max_participants: view.rules.max_participants,
            }),
        }
    }
}

/// Reads one message; `None` is one of a kind that is not known here.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<FromCore>, ClusterError> {
    let envelope = Envelope::decode(bytes).map_err(|_| ClusterError::Malformed)?;
    let Some(body) = envelope.body else {
        return Ok(None);
    };
    Ok(Some(match body {
        Body::Welcome(welcome) => FromCore::Welcome {
            cluster: words(welcome.cluster, MAX_CLUSTER_NAME, "cluster")?,
            stamp: stamp(welcome.stamp)?,
            lease_ms: some(welcome.lease_ms, "lease")?,
            heartbeat_ms: some(welcome.heartbeat_ms, "heartbeat")?,
        },
        Body::Redirect(addr) => FromCore::Redirect {
            addr: words(addr, MAX_WORDS, "redirect")?,
        },
        Body::Refused(refused) => FromCore::Refused {
            code: RefusedCode::of_number(refused.code),
            sentence: words(refused.sentence, MAX_WORDS, "sentence")?,
        },
        Body::Edges(edges) => FromCore::Edges {
            stamp: stamp(edges.stamp)?,
            edges: list(edges.edges, MAX_EDGES, "edges", |info| {
                Ok(EdgeInfo {
                    card: card(info.card)?,
                    draining: info.draining,
                    participants: info.participants,
                    capacity: info.capacity,
                })
            })?
            .into(),
        },
        Body::View(view) => FromCore::View(read_view(view)?),
        Body::Chat(chat) => FromCore::Chat {
            term: chat.term,
            chat: NumberedChat {
                seq: chat.seq,
                edge: EdgeId::parse(&chat.edge)?,
                incarnation: Incarnation(chat.incarnation),
                post: Arc::new(post(chat.post.ok_or(ClusterError::Field("chat"))?)?),
            },
        },
        Body::HeartbeatAck(ack) => FromCore::HeartbeatAck {
            seq: ack.seq,
            stamp: stamp(ack.stamp)?,
        },
    }))
}

fn read_view(view: View) -> Result<RoomView, ClusterError> {
    let rows: usize = view.edges.iter().map(|held| held.rows.len()).sum();
    if rows > MAX_ROOM_ROWS {
        return Err(ClusterError::Field("rows"));
    }
    let edges = list(view.edges, MAX_EDGES, "edges", |held| {
        Ok(EdgeRows {
            edge: EdgeId::parse(&held.edge)?,
            incarnation: Incarnation(held.incarnation),
            rows: list(held.rows, MAX_ROOM_ROWS, "rows", row)?,
        })
    })?;
    Ok(RoomView {
        stamp: stamp(view.stamp)?,
        room: room(&view.room)?,
        version: view.version,
        chat_seq: view.chat_seq,
        edges: edges.into(),
        rules: Rules {
            max_participants: view.rules.and_then(|rules| rules.max_participants),
        },
    })
}

fn some(value: u32, field: &'static str) -> Result<u32, ClusterError> {
    if value > 0 {
        Ok(value)
    } else {
        Err(ClusterError::Field(field))
    }
}
