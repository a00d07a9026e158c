//! Room membership: which edges hold a room and who is in it. The decisions are in [`membership`];
//! [`handle`] runs them inside the process of a single edge. No media ever passes through here.

pub mod handle;
pub mod membership;
