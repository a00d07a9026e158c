//! Who is in which room, as those who did it know; what members see is compared with this. Never looks at
//! what an edge says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pulse_proto::{ParticipantId, limits::RESUME_GRACE};
use tokio::time::Instant;

/// An edge that dies is gone for others after a lease, and its links are silent for as long as a connection
/// may be.
pub(crate) const DEAD_WITHIN: Duration = Duration::from_secs(5);
/// Who was sent away by one of two edges that both hold the id comes back, or is forgotten, within this.
const UNCLEAR: Duration = Duration::from_secs(25);

/// How it is with somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Connected there.
    Here(usize),
    /// The connection there is lost, and it may come back.
    Away(usize, Instant),
    /// No longer in the room.
    Gone,
    /// Two edges held it, and its connection was the one to end.
    Unclear(Instant),
}

/// What is true of one id.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) room: usize,
    pub(crate) person: usize,
    pub(crate) state: State,
    pub(crate) hand: bool,
    pub(crate) tracks: BTreeSet<u8>,
    /// The edge where it was before may not have heard that it has moved, and wait for it.
    pub(crate) unsure: bool,
    /// Since when all of it is so; for who is gone by a fault, when others may know at the latest.
    pub(crate) since: Instant,
}

impl Fact {
    /// What becomes of somebody who is no longer where it was last.
    const fn end(&self, now: Instant) -> State {
        if self.unsure {
            State::Unclear(now)
        } else {
            State::Gone
        }
    }

    /// It leaves.
    pub(crate) const fn leave(&mut self, now: Instant) {
        self.state = self.end(now);
    }
}

/// All facts.
#[derive(Debug, Default)]
pub(crate) struct Facts(pub(crate) BTreeMap<ParticipantId, Fact>);

impl Facts {
    pub(crate) fn of(&self, id: ParticipantId) -> Option<&Fact> {
        self.0.get(&id)
    }

    /// Something changes now.
    pub(crate) fn change(&mut self, id: ParticipantId, change: impl FnOnce(&mut Fact)) {
        if let Some(fact) = self.0.get_mut(&id) {
            change(fact);
            fact.since = Instant::now();
        }
    }

    /// Somebody has come in at an edge, or come back there.
    pub(crate) fn came(&mut self, id: ParticipantId, room: usize, person: usize, edge: usize) {
        let before = self.0.get(&id).map(|fact| fact.state);
        let stayed = |before| match before {
            State::Here(at) | State::Away(at, _) => at == edge,
            State::Gone | State::Unclear(_) => false,
        };
        let moved = before.is_some_and(|before| !stayed(before));
        let fact = self.0.entry(id).or_insert_with(|| Fact {
            room,
            person,
            state: State::Gone,
            hand: false,
            tracks: BTreeSet::new(),
            unsure: false,
            since: Instant::now(),
        });
        fact.unsure |= moved;
        fact.state = State::Here(edge);
        fact.since = Instant::now();
    }

    /// An edge is dead, and with it who was there.
    pub(crate) fn edge_died(&mut self, dead: usize) {
        for fact in self.0.values_mut() {
            if matches!(fact.state, State::Here(edge) | State::Away(edge, _) if edge == dead) {
                fact.state = fact.end(Instant::now());
                fact.since = Instant::now() + DEAD_WITHIN;
            }
        }
    }

    /// All is whole, and everybody has heard of all that was so then.
    pub(crate) fn all_heard(&mut self, then: Instant) {
        for fact in self.0.values_mut().filter(|fact| fact.since <= then) {
            fact.unsure = false;
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, now: Instant) {
        for fact in self.0.values_mut() {
            let over = match fact.state {
                State::Away(_, since) => since + RESUME_GRACE,
                State::Unclear(since) => since + UNCLEAR,
                State::Here(_) | State::Gone => continue,
            };
            if now >= over {
                fact.unsure &= !matches!(fact.state, State::Unclear(_));
                fact.state = fact.end(over);
                fact.since = over;
            }
        }
        let forgotten = Duration::from_secs(120);
        self.0
            .retain(|_, fact| fact.state != State::Gone || now < fact.since + forgotten);
    }
}
