//! Chat messages, as a client sends them and as an edge does. PROTOCOL.md 4.5.

use serde::{Deserialize, Serialize};

use super::{Control, MAX_TOKEN_CHARS, at_most, bad_json, read_object};
use crate::{
    code::{ErrorCode, Rejection},
    frame::FrameType,
    limits::MAX_CHAT,
};

const MAX_NONCE_CHARS: usize = 64;

/// 4.5 CHAT, as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatSend {
    /// The client's own name for the message; the echo repeats it.
    pub nonce: String,
    /// A text, or
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// the reference of an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
}

impl Control for ChatSend {
    const KIND: FrameType = FrameType::Chat;

    fn parse(payload: &[u8]) -> Result<Self, Rejection> {
        if payload.len() > MAX_CHAT {
            return Err(ErrorCode::ChatTooLong.into());
        }
        let message: Self = read_object(payload)?;
        message.check()?;
        Ok(message)
    }

    fn check(&self) -> Result<(), Rejection> {
        at_most(&self.nonce, MAX_NONCE_CHARS, "nonce too long")?;
        match (&self.text, &self.image) {
            (Some(text), None) if !text.is_empty() => Ok(()),
            (None, Some(image)) => at_most(image, MAX_TOKEN_CHARS, "image too long"),
            _ => Err(bad_json("a chat has a text or an image")),
        }
    }
}

/// An image that a chat refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// What to ask `/v2/images/` for.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its MIME type.
    pub mime: String,
    /// Its size.
    pub bytes: u64,
}

/// 4.5 CHAT, as an edge sends it to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The sender's own name for it; empty for a v1 member's.
    pub nonce: String,
    /// Its number in the room.
    pub seq: u64,
    /// ms since 1970.
    pub at: u64,
    /// A text, or
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// an image.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<ImageRef>,
}

impl Control for Chat {
    const KIND: FrameType = FrameType::Chat;
}
