//! Faults that the simulation must find, each planted for one thread while it runs. Without the feature
//! `planted-bugs` there are none: [`is`] is constant then, and nothing of them is compiled.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// An edge passes media of another edge's members on, also to where it came from.
    ForwardsBack,
    /// An edge passes on what has come already.
    NoWindow,
    /// A new connection goes on with the short names of the one before it.
    AliasKept,
    /// An edge believes a core that began before another it has heard of.
    StaleTerm,
    /// A lease that has run out takes away who is still heard of.
    ForgetsReachable,
    /// A lease that has run out takes nobody away.
    KeepsDead,
}

/// Whether this fault is planted.
#[cfg(not(feature = "planted-bugs"))]
pub const fn is(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use self::chosen::{is, plant};

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a fault for this thread in the place of the one before, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether this fault is planted.
    pub fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
