//! Receivers that take little or nothing, in a room with others: what they get, and what they cost.

pub mod frozen;
pub mod listener;
pub mod narrow;
pub mod others;
