//! The Pulse wire, as `PROTOCOL.md` beside this crate specifies it.
//!
//! Everything here is a pure function of bytes: ids, frames, the media header, chunking and
//! reassembly, control messages, limits and error codes. This crate never opens a socket, reads a
//! clock or logs.

pub mod backbone;
pub mod cluster;
pub mod code;
pub mod control;
pub mod frame;
pub mod id;
pub mod limits;
pub mod media;
pub mod reassembly;
pub mod v1;

pub use code::{ErrorCode, Rejection};
pub use frame::{Frame, FrameType};
pub use id::{DisplayName, ParticipantId, RoomName};

/// The version that a hello names and the subprotocol `pulse.v2` stands for.
pub const PROTOCOL_VERSION: u8 = 2;

/// The WebSocket subprotocol that asks for v2.
pub const SUBPROTOCOL: &str = "pulse.v2";
