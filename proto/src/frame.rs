//! The 37-byte frame that every client message is: whose it is, what it is, and its payload. A
//! [`Frame`] keeps the bytes that arrived; they are what leaves again.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    code::{ErrorCode, Rejection},
    id::{ID_LEN, ParticipantId},
    limits::FRAME_HEADER,
};

macro_rules! frame_types {
    ($($number:literal $variant:ident $doc:literal;)*) => {
        /// What a frame is. Types below 16 are v1's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum FrameType {
            $(#[doc = $doc] $variant = $number,)*
        }

        impl FrameType {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The type with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

frame_types! {
    1 Audio "v1: PCM Int16 little-endian, mono, 44,100 Hz.";
    3 UserListUpdate "v1: everybody in the room.";
    4 JoinRequest "v1: the first message, a name.";
    5 ScreenShare "v1: a MediaRecorder chunk.";
    6 ScreenShareStop "v1: the share ends.";
    7 ScreenShareStart "v1: a share begins; its MIME type.";
    8 ChatV1 "v1: text or a PNG.";
    16 Join "The first message of a v2 client.";
    17 Welcome "The first message of an edge.";
    18 Roster "What changed in the roster.";
    19 TrackConfig "A track begins or changes.";
    20 TrackStop "A track ends.";
    21 Chat "Text, or a reference to an image.";
    22 KeyframeRequest "Somebody cannot decode a track.";
    23 PublisherAck "What arrived of a publisher's media.";
    24 Ping "Are you there?";
    25 Pong "Yes.";
    26 Error "Something was refused.";
    27 Subscribe "What a client wants to receive.";
    28 Leave "A client goes.";
    29 Media "One chunk of one codec frame.";
    30 Demand "Who wants a publisher's track.";
    31 Update "What a client says about itself.";
    32 Constrained "What a receiver's link does not carry.";
    33 Alternates "Where a client may go when its edge is gone.";
}

impl FrameType {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// One whole message, header included. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    sender: ParticipantId,
    kind: FrameType,
}

impl Frame {
    /// Reads the header. `sender` is a UUID or the zero id.
    ///
    /// # Errors
    /// [`ErrorCode::FrameTooShort`], [`ErrorCode::UnknownType`] or [`ErrorCode::BadId`].
    pub fn parse(bytes: Bytes) -> Result<Self, Rejection> {
        let (Some(id), Some(&number)) = (bytes.get(..ID_LEN), bytes.get(ID_LEN)) else {
            return Err(ErrorCode::FrameTooShort.into());
        };
        let kind = FrameType::from_number(number).ok_or(ErrorCode::UnknownType)?;
        let sender = if id == ParticipantId::ZERO.as_bytes() {
            ParticipantId::ZERO
        } else {
            ParticipantId::parse(id)?
        };
        Ok(Self {
            bytes,
            sender,
            kind,
        })
    }

    /// Builds a frame around a payload.
    pub fn new(sender: ParticipantId, kind: FrameType, payload: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(FRAME_HEADER + payload.len());
        bytes.put_slice(sender.as_bytes());
        bytes.put_u8(kind.number());
        bytes.put_slice(payload);
        Self {
            bytes: bytes.freeze(),
            sender,
            kind,
        }
    }

    /// Whose frame it is.
    pub const fn sender(&self) -> ParticipantId {
        self.sender
    }

    /// What it is.
    pub const fn kind(&self) -> FrameType {
        self.kind
    }

    /// Everything behind the 37 bytes.
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(FRAME_HEADER..).unwrap_or_default()
    }

    /// The whole message.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole message's length.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a frame has its header.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_the_spec_is_this_enum() {
        let name = |kind: &FrameType| -> String {
            format!("{kind:?}")
                .chars()
                .fold(String::new(), |mut text, letter| {
                    if letter.is_uppercase() && !text.is_empty() {
                        text.push('_');
                    }
                    text.push(letter.to_ascii_uppercase());
                    text
                })
        };
        let ours: Vec<String> = FrameType::ALL
            .iter()
            .map(|kind| format!("| {} | {} |", kind.number(), name(kind)))
            .collect();
        let spec: Vec<String> = include_str!("../PROTOCOL.md")
            .split("| type | name | v1 | v2 | payload |")
            .nth(1)
            .unwrap()
            .lines()
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .filter(|line| !line.contains("reserved"))
            .map(|line| line.split('|').take(3).collect::<Vec<_>>().join("|") + "|")
            .collect();
        assert_eq!(spec, ours);
    }

    proptest! {
        #[test]
        fn what_is_built_parses(random: [u8; 16], kind in 0..FrameType::ALL.len(), payload: Vec<u8>) {
            let id = ParticipantId::from_random(random);
            let frame = Frame::new(id, FrameType::ALL[kind], &payload);
            let parsed = Frame::parse(frame.bytes().clone()).unwrap();
            prop_assert_eq!(parsed.payload(), &payload[..]);
            prop_assert_eq!(parsed, frame);
        }

        #[test]
        fn parsing_never_panics_and_keeps_the_bytes(bytes: Vec<u8>) {
            let bytes = Bytes::from(bytes);
            if let Ok(frame) = Frame::parse(bytes.clone()) {
                prop_assert_eq!(frame.bytes(), &bytes);
            }
        }
    }
}
