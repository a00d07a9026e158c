//! What must hold: the names of the invariants, and what was found to break one.

use std::{fmt, time::Duration};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Nothing of a room reaches who is not in it, nor comes from there.
    MembersOnly,
    /// Nothing reaches anybody twice.
    Once,
    /// Nothing comes back to who sent it, nor to the edge that holds its sender.
    NoEcho,
    /// Only the edge that holds somebody says what it is, and each frame is its sender's.
    OneWriter,
    /// Everybody is told of the same people.
    Roster,
    /// Nobody is taken away who can be reached.
    ReachableStays,
    /// What is said is heard by everybody.
    Heard,
    /// Everybody reads the same messages in the same order.
    Chat,
    /// Nothing waits without a bound.
    Queues,
    /// No edge goes back to a core that began earlier.
    Term,
    /// What was mended is whole again.
    Mends,
    /// No connection ends without a reason.
    StaysConnected,
}

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) of: Invariant,
    pub(crate) at: Duration,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {:?}: {}", self.of, self.at, self.what)
    }
}
