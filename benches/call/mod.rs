//! What every figure needs: the real edge as a process of its own, a call in it, and rows to print.
//! Nothing here decides what is good; the bars stand beside the figures they belong to.
#![allow(
    dead_code,
    reason = "every figure is its own crate and uses what it needs"
)]

pub mod edge;
pub mod figures;
pub mod looks;
pub mod publisher;
pub mod receiver;
pub mod schedule;

/// Why a figure could not be taken.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The room that everybody is in.
pub const ROOM: &str = "measured";
