//! A Pulse client without a browser: what the bot, the load generator and the tests speak with.
//!
//! [`Client`] speaks v2, [`V1Client`] the original wire. Both stand on [`Connection`], which moves
//! whole WebSocket messages and knows nothing of what they say; tests of hostile clients use it
//! directly. [`Source`] is the bot's camera and microphone, [`Receiver`] what it makes of others'.
//! [`load`] measures a server with thousands of participants.

mod address;
mod bot;
mod client;
mod connection;
mod error;
mod limits;
pub mod load;
mod media;
mod receiver;
mod report;
mod roster;
mod send;
mod source;
mod stay;
mod tls;
mod v1;

pub use address::Address;
pub use bot::{Bot, BotError, BotOptions};
pub use client::{Client, Event, JoinOptions};
pub use connection::{Closed, Connection, Incoming, SocketOptions};
pub use error::ClientError;
pub use media::{Clip, Packet, clip, tone};
pub use receiver::{Receiver, StreamKey, StreamStats};
pub use report::{Delay, Received, Report, Sent};
pub use send::{LeftOut, Pictures, Steering, Steps};
pub use source::{Due, Source};
pub use stay::{Stay, StayEvent};
pub use v1::{V1Client, V1Event};
