//! The pure half of a link between edges: datagrams and their records, packing and unpacking, short
//! names, the duplicate window, what a receiver reports, and how much may leave. Time and bytes come in
//! as arguments. Nothing here opens a connection, and nothing here knows QUIC.
//!
//! A link's driver owns one packetizer, one depacketizer, one table of aliases and one budget a
//! connection; a room owns a window for each (track, spatial layer) that reaches it over links.

pub mod alias;
pub mod arrivals;
pub mod budget;
pub mod datagram;
pub mod depacketizer;
pub mod feedback;
pub mod limits;
pub mod packetizer;
pub mod window;

pub use alias::{AliasError, Aliases, Opened};
pub use arrivals::ArrivalCounts;
pub use budget::{Budget, BudgetCounts, BudgetState};
pub use datagram::{Age, Alias, DatagramError, Label};
pub use depacketizer::{Arrived, Depacketizer, ReceiveCounts};
pub use feedback::{Feedback, Reporter};
pub use packetizer::{Datagram, Outgoing, Packetizer, PackingCounts, PushError};
pub use window::Window;

#[cfg(test)]
mod testing;
