//! The pure half of a link between edges: datagrams and their records, packing and unpacking, short
//! names, the duplicate window, what a receiver reports, and how much may leave. Time and bytes come in
//! as arguments. Nothing here opens a connection, and nothing here knows QUIC.
//!
//! A link's driver owns one packetizer, one depacketizer, one table of aliases and one budget a
//! connection; a room owns a window for each (track, spatial layer) that reaches it over links.

pub mod datagram;
pub mod feedback;
pub mod limits;

pub use datagram::{Age, Alias, DatagramError, Label};
pub use feedback::{Feedback, Reporter};

#[cfg(test)]
mod testing;
