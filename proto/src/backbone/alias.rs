//! Short names of (room, participant) on one connection: who gives them, who learns them. Numbers count
//! upwards and are never used again, so that media that is late can not reach somebody else.

use std::collections::HashMap;

use super::{
    datagram::{Alias, Label},
    limits::MAX_ALIASES,
};
use crate::id::{ParticipantId, RoomName};

/// A short name cannot be given or learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AliasError {
    /// There are as many as there may be.
    #[error("there are {MAX_ALIASES} short names on this link: media goes on in the long form")]
    Full,
    /// All numbers have been used.
    #[error("this link has used up its numbers: connect again")]
    Spent,
    /// The other side said a number that is not above all before it.
    #[error("the short name {0} was used before: the link must be closed")]
    Reused(u32),
}

/// What [`Aliases::open`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The name.
    pub alias: Alias,
    /// It is new: the other side is to be told.
    pub announce: bool,
}

#[derive(Debug)]
struct Given {
    room: RoomName,
    alias: Alias,
    known: bool,
}

/// The names that this side gives.
#[derive(Debug, Default)]
pub struct Aliases {
    /// Nearly always one room a participant; v1 ids may be in several.
    given: HashMap<ParticipantId, Vec<Given>>,
    owners: HashMap<Alias, ParticipantId>,
    last: u32,
}

impl Aliases {
    /// None yet; the first number is the one after this.
    pub fn after(last: u32) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// The short name of a participant, given now if there is none.
    ///
    /// # Errors
    /// [`AliasError::Full`] and [`AliasError::Spent`]; its media travels in the long form then.
    pub fn open(
        &mut self,
        room: &RoomName,
        participant: ParticipantId,
    ) -> Result<Opened, AliasError> {
        if let Some(given) = self.find(room, participant) {
            return Ok(Opened {
                alias: given.alias,
                announce: false,
            });
        }
        if self.owners.len() >= MAX_ALIASES {
            return Err(AliasError::Full);
        }
        let number = self.last.checked_add(1).ok_or(AliasError::Spent)?;
        let alias = Alias::new(number).ok_or(AliasError::Spent)?;
        self.last = number;
        self.owners.insert(alias, participant);
        self.given.entry(participant).or_default().push(Given {
            room: room.clone(),
            alias,
            known: false,
        });
        Ok(Opened {
            alias,
            announce: true,
        })
    }

    /// The other side knows a name. One that was closed meanwhile, or never given, changes nothing.
    pub fn acked(&mut self, alias: Alias) {
        let owner = self.owners.get(&alias);
        let Some(given) = owner.and_then(|owner| self.given.get_mut(owner)) else {
            return;
        };
        if let Some(given) = given.iter_mut().find(|given| given.alias == alias) {
            given.known = true;
        }
    }

    /// A participant has left, or nothing of it is wanted there.
    pub fn close(&mut self, room: &RoomName, participant: ParticipantId) {
        let Some(given) = self.given.get_mut(&participant) else {
            return;
        };
        given.retain(|one| {
            let closed = one.room == *room;
            if closed {
                self.owners.remove(&one.alias);
            }
            !closed
        });
        if given.is_empty() {
            self.given.remove(&participant);
        }
    }

    /// How a frame of this participant is to be labelled now.
    pub fn label<'a>(&self, room: &'a RoomName, participant: ParticipantId) -> Label<'a> {
        match self.find(room, participant) {
            Some(given) if given.known => Label::Alias(given.alias),
            _ => Label::Long(room),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.owners.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    fn find(&self, room: &RoomName, participant: ParticipantId) -> Option<&Given> {
        let given = self.given.get(&participant)?;
        given.iter().find(|given| given.room == *room)
    }
}

/// What a short name of the other side may stand for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    Known(&'a RoomName, ParticipantId),
    /// Its owner has gone.
    Gone,
    /// Not said yet.
    Unknown,
}

/// The names that the other side has given.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    names: HashMap<Alias, (RoomName, ParticipantId)>,
    aliases: HashMap<ParticipantId, Vec<Alias>>,
    newest: u32,
}

impl Learnt {
    pub(super) fn meaning(&self, alias: Alias) -> Meaning<'_> {
        match self.names.get(&alias) {
            Some((room, participant)) => Meaning::Known(room, *participant),
            None if alias.get() <= self.newest => Meaning::Gone,
            None => Meaning::Unknown,
        }
    }

    /// A later name of the same participant replaces the one before.
    pub(super) fn learn(
        &mut self,
        alias: Alias,
        room: &RoomName,
        participant: ParticipantId,
    ) -> Result<(), AliasError> {
        if alias.get() <= self.newest {
            return Err(AliasError::Reused(alias.get()));
        }
        self.forget(room, participant);
        if self.names.len() >= MAX_ALIASES {
            return Err(AliasError::Full);
        }
        self.newest = alias.get();
        self.names.insert(alias, (room.clone(), participant));
        self.aliases.entry(participant).or_default().push(alias);
        Ok(())
    }

    pub(super) fn forget(&mut self, room: &RoomName, participant: ParticipantId) {
        let Some(aliases) = self.aliases.get_mut(&participant) else {
            return;
        };
        aliases.retain(|alias| {
            let here = self.names.get(alias).is_some_and(|(of, _)| of == room);
            if here {
                self.names.remove(alias);
            }
            !here
        });
        if aliases.is_empty() {
            self.aliases.remove(&participant);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backbone::testing::participant;

    fn room(number: u8) -> RoomName {
        RoomName::parse(&format!("room-{number}")).unwrap()
    }

    #[test]
    fn a_name_is_used_once_the_other_side_knows_it_and_never_again() {
        let mut aliases = Aliases::default();
        let (room, ada) = (room(1), participant(1));
        let first = aliases.open(&room, ada).unwrap();
        assert!(first.announce);
        assert!(!aliases.open(&room, ada).unwrap().announce);
        assert_eq!(aliases.label(&room, ada), Label::Long(&room));
        aliases.acked(first.alias);
        assert_eq!(aliases.label(&room, ada), Label::Alias(first.alias));
        aliases.close(&room, ada);
        assert!(aliases.is_empty());
        let second = aliases.open(&room, ada).unwrap();
        assert!(second.alias > first.alias);
        // The answer to the first one comes late.
        aliases.acked(first.alias);
        assert_eq!(aliases.label(&room, ada), Label::Long(&room));
    }

    #[test]
    fn one_id_in_two_rooms_has_two_names() {
        let mut aliases = Aliases::default();
        let ada = participant(1);
        let [a, b] = [1, 2].map(|number| aliases.open(&room(number), ada).unwrap().alias);
        assert_ne!(a, b);
        aliases.acked(b);
        aliases.close(&room(1), ada);
        let other = room(2);
        assert_eq!(aliases.label(&other, ada), Label::Alias(b));
    }

    #[test]
    fn both_sides_are_bounded() {
        let mut aliases = Aliases::default();
        let mut learnt = Learnt::default();
        let id = |number: usize| ParticipantId::from_random((number as u128).to_be_bytes());
        for number in 0..MAX_ALIASES {
            let opened = aliases.open(&room(1), id(number)).unwrap();
            learnt.learn(opened.alias, &room(1), id(number)).unwrap();
        }
        assert_eq!(
            aliases.open(&room(1), id(MAX_ALIASES)),
            Err(AliasError::Full)
        );
        let more = Alias::new(u32::MAX).unwrap();
        assert_eq!(
            learnt.learn(more, &room(1), id(MAX_ALIASES)),
            Err(AliasError::Full)
        );
        aliases.last = u32::MAX;
        aliases.close(&room(1), id(0));
        assert_eq!(aliases.open(&room(1), id(0)), Err(AliasError::Spent));
    }

    #[test]
    fn a_later_name_replaces_the_one_before_and_none_comes_back() {
        let mut learnt = Learnt::default();
        let (room, ada) = (room(1), participant(1));
        let alias = |number| Alias::new(number).unwrap();
        learnt.learn(alias(4), &room, ada).unwrap();
        learnt.learn(alias(7), &room, ada).unwrap();
        assert_eq!(learnt.meaning(alias(4)), Meaning::Gone);
        assert_eq!(learnt.meaning(alias(7)), Meaning::Known(&room, ada));
        assert_eq!(learnt.meaning(alias(8)), Meaning::Unknown);
        for used in [1, 4, 7] {
            let again = learnt.learn(alias(used), &room, ada);
            assert_eq!(again, Err(AliasError::Reused(used)));
        }
        learnt.forget(&room, ada);
        assert_eq!(learnt.meaning(alias(7)), Meaning::Gone);
        assert!(learnt.aliases.is_empty() && learnt.names.is_empty());
    }

    proptest! {
        /// Whatever opens and closes: both sides agree about every name that is in use, and a number
        /// stands for one participant for ever.
        #[test]
        fn both_sides_agree(steps in prop::collection::vec((0..3_u8, 0..4_u8, 0..6_u8), 0..60)) {
            let (mut aliases, mut learnt) = (Aliases::default(), Learnt::default());
            let mut ever = HashMap::new();
            for (what, in_room, who) in steps {
                let (room, id) = (room(in_room), participant(who));
                if what == 0 {
                    aliases.close(&room, id);
                    learnt.forget(&room, id);
                    prop_assert_eq!(aliases.label(&room, id), Label::Long(&room));
                    continue;
                }
                let opened = aliases.open(&room, id).unwrap();
                if opened.announce {
                    learnt.learn(opened.alias, &room, id).unwrap();
                    aliases.acked(opened.alias);
                    prop_assert_eq!(ever.insert(opened.alias, (in_room, who)), None);
                }
                prop_assert_eq!(ever.get(&opened.alias), Some(&(in_room, who)));
                prop_assert_eq!(aliases.label(&room, id), Label::Alias(opened.alias));
                prop_assert_eq!(learnt.meaning(opened.alias), Meaning::Known(&room, id));
                prop_assert_eq!(learnt.names.len(), aliases.len());
            }
        }
    }
}
