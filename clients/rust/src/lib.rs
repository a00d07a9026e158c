//! A Pulse client without a browser: what the bot, the load generator and the tests speak with.
//!
//! [`Client`] speaks v2, [`V1Client`] the original wire. Both stand on [`Connection`], which moves
//! whole WebSocket messages and knows nothing of what they say; tests of hostile clients use it
//! directly.

mod address;
mod client;
mod connection;
mod error;
mod limits;
mod tls;
mod v1;

pub use address::Address;
pub use client::{Client, Event, JoinOptions};
pub use connection::{Closed, Connection, Incoming, SocketOptions};
pub use error::ClientError;
pub use v1::{V1Client, V1Event};
