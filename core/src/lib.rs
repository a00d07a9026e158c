//! Room membership: which edges hold a room and who is in it. The decisions are in [`membership`];
//! [`handle`] runs them inside the process of a single edge. No media ever passes through here.
//! [`quic`] is how servers of a cluster reach each other, edges included.

mod clock;
pub mod handle;
mod limits;
pub mod membership;
pub mod quic;
