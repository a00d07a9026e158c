//! What edges and core tell each other on their one stream: who is in which room, who is alive, and the
//! chat in its order. Every message stands for itself; after a new connection all that still holds is
//! said again.

mod from_core_wire;
mod to_core_wire;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

use super::{ClusterError, EdgeId, Incarnation, Region, Stamp, codec};
use crate::{
    control::ImageRef,
    id::{DisplayName, ParticipantId, RoomName},
};

/// The version of this protocol that a hello names.
pub const CORE_VERSION: u32 = 1;

/// A message from an edge: a room of 255 rows of 330 bytes is 84 KB, a heartbeat with a link to each of
/// 1,023 edges 43 KB.
pub const MAX_TO_CORE: usize = 256 * 1024;

/// Edges of a cluster at most: a list of them with 330 bytes each is 338 KB.
pub const MAX_EDGES: usize = 1_024;

/// Rows of a room, over all edges, that core tells: 2,048 of 330 bytes are 676 KB.
pub const MAX_ROOM_ROWS: usize = 2_048;

/// Characters of an origin that browsers open.
pub const MAX_PUBLIC_URL: usize = 256;

/// Characters of a cluster's name.
pub const MAX_CLUSTER_NAME: usize = 64;

/// Characters of what a server says of its build, or why it refuses.
pub const MAX_WORDS: usize = 200;

/// An edge introduces itself: the first message on the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeHello {
    /// The oldest version that it speaks.
    pub version_min: u32,
    /// The newest one.
    pub version_max: u32,
    /// The cluster it belongs to.
    pub cluster: String,
    /// Itself.
    pub card: EdgeCard,
    /// Its version and build, for people.
    pub build: String,
    /// Participants that it has room for.
    pub capacity: u32,
    /// The highest term that it has heard of; 0 if none.
    pub highest_term: u64,
}

/// What everybody may know of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeCard {
    /// Its name.
    pub edge: EdgeId,
    /// Its run.
    pub incarnation: Incarnation,
    /// Where it stands.
    pub region: Region,
    /// The origin that browsers open, such as https://fra.example.org; none: they cannot.
    pub public_url: Option<String>,
    /// Where other edges reach it.
    pub backbone: Option<SocketAddr>,
}

/// An edge of the cluster, as core tells all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeInfo {
    /// Who it is.
    pub card: EdgeCard,
    /// It stops soon: nobody is to begin there.
    pub draining: bool,
    /// Participants there.
    pub participants: u32,
    /// How many it has room for.
    pub capacity: u32,
}

/// Another edge has been heard of lately, on its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLink {
    /// Which.
    pub edge: EdgeId,
    /// The round trip, in µs.
    pub rtt_us: u32,
}

/// An edge is alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its number on this connection.
    pub seq: u64,
    /// Participants there.
    pub participants: u32,
    /// Rooms there: core has all of them declared when it knows as many.
    pub rooms: u32,
    /// It stops soon.
    pub draining: bool,
    /// The edges that it hears of.
    pub links: Vec<LiveLink>,
}

/// One participant, as the edge that holds its connection declares it. That edge is its only writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub participant: ParticipantId,
    /// What they are called.
    pub name: DisplayName,
    /// How often it has moved to another edge: of two rows of one participant, the higher is the later.
    pub moves: u32,
}

/// All rows of one edge in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The room.
    pub room: RoomName,
    /// The edge's own count of changes to these rows.
    pub version: u64,
    /// The number of the last chat that it has seen, or was told of as it came to the room; none before
    /// that. What came after it is told again.
    pub chat_seq: Option<u64>,
    /// The rows; none when nobody of the room is left there.
    pub rows: Vec<Row>,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatBody {
    /// A text.
    Text(String),
    /// An image that the edge of its sender holds.
    Image(ImageRef),
}

/// A chat that its sender's edge wants numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPost {
    /// The room.
    pub room: RoomName,
    /// The edge's own number for it, higher for each of the room: said again, it is the same chat.
    pub id: u64,
    /// Who says it.
    pub from: ParticipantId,
    /// What they are called.
    pub name: Option<DisplayName>,
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// The sender's own name for it; empty for a v1 member's.
    pub nonce: String,
    /// What is said.
    pub body: ChatBody,
}

/// A chat with its number in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedChat {
    /// Its number; without a gap but for a new core.
    pub seq: u64,
    /// The edge of its sender.
    pub edge: EdgeId,
    /// That edge's run: with its `id` it says which chat this is, whatever number it has.
    pub incarnation: Incarnation,
    /// The chat.
    pub post: Arc<ChatPost>,
}

/// From an edge to core.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToCore {
    /// The first message.
    Hello(Box<EdgeHello>),
    /// It is alive.
    Heartbeat(Heartbeat),
    /// Who is in a room there.
    Declare(Declaration),
    /// A chat to be numbered.
    Chat(ChatPost),
    /// It stops: its rows are void.
    Goodbye,
}

/// Why core does not take an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedCode {
    /// No version is spoken by both.
    Version,
    /// It is of another cluster.
    Cluster,
    /// It says that it is another than its certificate names.
    Identity,
    /// A later run of it is registered.
    Stale,
    /// An edge of its name is registered, and lives elsewhere.
    Taken,
    /// There are too many.
    Full,
    /// It has heard of a later core than this one.
    Superseded,
    /// It broke the protocol.
    Protocol,
    /// It did not take what it was told in time.
    Slow,
    /// Its lease has run out, or it came again on another connection: it registers anew.
    Expired,
    /// Core stops; another may be there soon.
    Stopping,
    /// A reason that a later version added.
    Other,
}

/// The rows of a room at one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeRows {
    /// The edge.
    pub edge: EdgeId,
    /// Its run.
    pub incarnation: Incarnation,
    /// Who is there.
    pub rows: Vec<Row>,
}

/// What core decides for a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Participants at most, over all edges; none: each edge has its own bound.
    pub max_participants: Option<u32>,
}

/// What core knows of a room, as one edge is told it. The edges and rows are all there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// When core said so.
    pub stamp: Stamp,
    /// The room.
    pub room: RoomName,
    /// The version of the receiving edge's rows that this includes.
    pub version: u64,
    /// The number of the last chat.
    pub chat_seq: u64,
    /// Who is where, by the edge's name.
    pub edges: Arc<[EdgeRows]>,
    /// What holds there.
    pub rules: Rules,
}

/// From core to an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FromCore {
    /// The edge is registered. It declares all its rooms now.
    Welcome {
        /// The cluster.
        cluster: String,
        /// Core's term, and its last change.
        stamp: Stamp,
        /// An edge that is silent for longer counts as gone from core, in ms.
        lease_ms: u32,
        /// It says that it is alive at least this often, in ms.
        heartbeat_ms: u32,
    },
    /// Another core is to be asked.
    Redirect {
        /// Where it is: HOST:PORT.
        addr: String,
    },
    /// The edge is not taken, or not any longer.
    Refused {
        /// Why.
        code: RefusedCode,
        /// The same in words, with what to do.
        sentence: String,
    },
    /// All edges of the cluster.
    Edges {
        /// When core said so.
        stamp: Stamp,
        /// By name.
        edges: Arc<[EdgeInfo]>,
    },
    /// What a room is now.
    View(RoomView),
    /// A chat of a room that the edge holds, its own included: then it is kept.
    Chat {
        /// The term that numbered it.
        term: u64,
        /// The chat.
        chat: NumberedChat,
    },
    /// The heartbeat was heard.
    HeartbeatAck {
        /// Which.
        seq: u64,
        /// Core's term, and its last change.
        stamp: Stamp,
    },
}

impl ToCore {
    /// As it travels, with its length.
    pub fn encode(&self) -> Bytes {
        codec::encode(&to_core_wire::Envelope::from(self))
    }

    /// Reads what [`codec::Decoder`] cut out.
    ///
    /// # Errors
    /// [`ClusterError`] for what is malformed or out of its bounds. `Ok(None)` is a message of a kind that a
    /// later version added.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ClusterError> {
        to_core_wire::parse(bytes)
    }
}

impl FromCore {
    /// As it travels, with its length.
    pub fn encode(&self) -> Bytes {
        codec::encode(&from_core_wire::Envelope::from(self))
    }

    /// Reads what [`codec::Decoder`] cut out.
    ///
    /// # Errors
    /// [`ClusterError`] for what is malformed or out of its bounds. `Ok(None)` is a message of a kind that a
    /// later version added.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ClusterError> {
        from_core_wire::parse(bytes)
    }
}

/// The version that both sides speak, if there is one.
pub fn common_version(own: (u32, u32), other: (u32, u32)) -> Option<u32> {
    let version = own.1.min(other.1);
    (version >= own.0.max(other.0)).then_some(version)
}

#[cfg(test)]
mod tests;
