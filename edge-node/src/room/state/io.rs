//! What goes into a room, and what its task does about it.

use pulse_core::membership::NumberedChat;
use pulse_proto::{
    DisplayName, ErrorCode, Frame, ParticipantId,
    cluster::{EdgeId, Stamp, link::RoomMessage},
    control::{KeyframeRequest, LeaveReason, Protocol, Subscribe, TrackConfig, TrackRef, Update},
    media::MediaHeader,
};

use super::{chat::Posted, demand::Decodes};
use crate::{
    directory::Whereabouts,
    images::StoredImage,
    outbox::{Class, Ending},
};

/// A member's place in the room, reused after it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

/// One connection to this edge; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Where an input comes from. It counts only while the member's connection is still that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberRef {
    pub(crate) slot: Slot,
    pub(crate) connection: ConnectionId,
}

/// Somebody asks to come in.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) protocol: Protocol,
    /// A fresh id, or the one a v1 client chose.
    pub(crate) id: ParticipantId,
    pub(crate) name: DisplayName,
    /// Plays the types of v1 members.
    pub(crate) v1_bridge: bool,
    /// Takes DEMAND.
    pub(crate) demand: bool,
    pub(crate) decodes: Decodes,
    /// The token of an earlier welcome.
    pub(crate) resume: Option<String>,
    /// The token that a later join may resume with.
    pub(crate) token: String,
    /// The bearer token for chat images.
    pub(crate) uploads: String,
    /// What it is told of the edges.
    pub(crate) whereabouts: Whereabouts,
}

/// What a chat message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChatContent {
    Text(String),
    Image(StoredImage),
}

/// Everything that happens to a room.
#[derive(Debug)]
pub(crate) enum Input {
    Join(Box<JoinRequest>),
    Gone {
        from: MemberRef,
        reason: LeaveReason,
    },
    Media {
        from: MemberRef,
        header: MediaHeader,
        frame: Frame,
    },
    Track {
        from: MemberRef,
        config: Box<TrackConfig>,
        frame: Frame,
    },
    TrackStop {
        from: MemberRef,
        track: u8,
        frame: Frame,
    },
    Chat {
        from: MemberRef,
        at_ms: u64,
        nonce: String,
        content: ChatContent,
        original: Option<Frame>,
    },
    Keyframe {
        from: MemberRef,
        request: KeyframeRequest,
    },
    Subscribe {
        from: MemberRef,
        wants: Subscribe,
    },
    Update {
        from: MemberRef,
        at_ms: u64,
        update: Update,
    },
    Starved {
        from: MemberRef,
        track: TrackRef,
        /// Whether a keyframe may be asked for if the cache has none that goes on live.
        keyframe: bool,
    },
    V1 {
        from: MemberRef,
        frame: Frame,
    },
    /// Something of another edge.
    Peer {
        edge: EdgeId,
        heard: PeerInput,
    },
    /// Core has numbered a message; the image that it refers to, if that is here.
    Numbered {
        chat: NumberedChat,
        image: Option<StoredImage>,
    },
    /// What core says: who holds the room, and who is there.
    View {
        stamp: Stamp,
        chat_seq: u64,
        edges: Vec<(EdgeId, Vec<ParticipantId>)>,
    },
    Timeout,
}

/// What comes from another edge, or happens to the link with it.
#[derive(Debug)]
pub(crate) enum PeerInput {
    /// There is a link to it.
    Up,
    /// There is none any more.
    Down,
    /// It says something of the room.
    Said(RoomMessage),
    /// All tracks of this room that the link to it does not carry for now.
    Paused(Vec<TrackRef>),
    /// A chunk of a track of somebody there.
    Media { header: MediaHeader, frame: Frame },
    /// A frame of a v1 type of somebody there.
    V1(Frame),
}

/// What the room task does about it.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// The connection is this member now. What is sent to the slot goes there.
    Admit {
        connection: ConnectionId,
        slot: Slot,
        id: ParticipantId,
    },
    /// The connection may not come in.
    Refuse {
        connection: ConnectionId,
        code: ErrorCode,
    },
    /// Queue a frame for a member.
    Send {
        slot: Slot,
        class: Class,
        frame: Frame,
    },
    /// End a member's connection.
    End { slot: Slot, ending: Ending },
    /// The slot has no connection any more.
    Detach { slot: Slot },
    /// Nothing more comes of this track, or of anything of this publisher, to one receiver or all.
    Forget {
        to: Option<Slot>,
        publisher: ParticipantId,
        track: Option<u8>,
    },
    /// The rows this edge declares to core have changed.
    Declare,
    /// Have core number a message.
    Post(Box<Posted>),
    /// Give another edge an image that a message refers to.
    ShowImage { edge: EdgeId, image: StoredImage },
    /// Tell another edge something of the room.
    Tell { edge: EdgeId, message: RoomMessage },
    /// Send another edge a chunk of a track of somebody here.
    Forward {
        edge: EdgeId,
        class: Class,
        frame: Frame,
    },
    /// Send another edge a frame of a v1 type of somebody here.
    ForwardV1 { edge: EdgeId, frame: Frame },
}
