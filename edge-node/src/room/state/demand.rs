//! Who wants a track, told to its publisher: a track that nobody wants need not be encoded, and a codec
//! serves only where everybody decodes it. Told at once when the first one comes, else a little later
//! and together. Media never comes by here.

use std::time::Instant;

use pulse_proto::{
    ParticipantId,
    control::{self, Demand, Hello, OPTIONAL_CODECS, TrackRef},
    limits::{DEMAND_INTERVAL, MAX_DECODE_ROOM},
};

use super::{Effect, Slot, State, media::wants};
use crate::outbox::Class;

/// Which of [`OPTIONAL_CODECS`] a client decodes: one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decodes(u8);

impl Decodes {
    /// What every client decodes, and nothing else.
    pub(crate) const NONE: Self = Self(0);
    const ALL: Self = Self((1 << OPTIONAL_CODECS.len()) - 1);

    /// What a client's hello lists.
    pub(crate) fn of(hello: &Hello) -> Self {
        let listed = OPTIONAL_CODECS
            .iter()
            .enumerate()
            .filter(|(_, (feature, _))| hello.has(feature));
        Self(listed.fold(0, |bits, (index, _)| bits | 1 << index))
    }

    /// What another edge's members decode.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// For another edge.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    fn names(self) -> Vec<String> {
        let codecs = OPTIONAL_CODECS.iter().enumerate();
        codecs
            .filter(|(index, _)| self.0 & (1 << index) != 0)
            .map(|(_, (_, name))| (*name).to_owned())
            .collect()
    }
}

/// Who wants a track, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscribers: u32,
    pub(super) decodes: Decodes,
}

/// What a publisher was told of a track, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    wanted: Wanted,
    at: Instant,
}

impl State {
    /// What members want may have changed. What was wanted by nobody and is by `newly`, is told at once.
    pub(super) fn demand_changed(
        &mut self,
        now: Instant,
        newly: Option<Slot>,
        fx: &mut Vec<Effect>,
    ) {
        if newly.is_some() {
            self.tell_interest(fx);
        }
        if self.told_tracks().next().is_none() && self.peers.is_empty() {
            return;
        }
        self.demand_due.get_or_insert(now + DEMAND_INTERVAL);
        let Some((slot, member)) = newly.and_then(|slot| Some((slot, self.at(slot)?))) else {
            return;
        };
        let unwanted = self.told_tracks().filter(|(publisher, track, told)| {
            let audio = self.is_audio(*publisher, track.track);
            told.wanted.subscribers == 0 && *publisher != slot && wants(member, audio, *track)
        });
        let risen: Vec<(Slot, TrackRef)> = unwanted.map(|(at, track, _)| (at, track)).collect();
        for (publisher, track) in risen {
            self.tell_demand(now, publisher, track, fx);
        }
    }

    /// Tells publishers what has changed, each at most so often.
    pub(super) fn tell_due_demand(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        if self.demand_due.is_none_or(|due| now < due) {
            return;
        }
        self.demand_due = None;
        self.tell_interest(fx);
        let tracks: Vec<(Slot, TrackRef, Told)> = self.told_tracks().collect();
        for (publisher, track, told) in tracks {
            let due = told.at + DEMAND_INTERVAL;
            if now >= due {
                self.tell_demand(now, publisher, track, fx);
            } else if self.wanted(publisher, track) != told.wanted {
                self.demand_due = Some(self.demand_due.map_or(due, |other| other.min(due)));
            }
        }
    }

    /// Tells a publisher who wants a track of its, if it wants to know and does not know yet.
    pub(super) fn tell_demand(
        &mut self,
        now: Instant,
        publisher: Slot,
        track: TrackRef,
        fx: &mut Vec<Effect>,
    ) {
        let wanted = self.wanted(publisher, track);
        let Some(member) = self.at_mut(publisher) else {
            return;
        };
        if !member.demand || member.connection.is_none() {
            return;
        }
        let Some(published) = member.tracks.get_mut(&track.track) else {
            return;
        };
        if published.told.is_some_and(|told| told.wanted == wanted) {
            return;
        }
        published.told = Some(Told { wanted, at: now });
        let demand = Demand {
            track: track.track,
            subscribers: wanted.subscribers,
            decode: wanted.decodes.names(),
        };
        fx.push(Effect::Send {
            slot: publisher,
            class: Class::Control,
            frame: control::encode(ParticipantId::ZERO, &demand),
        });
    }

    fn wanted(&self, publisher: Slot, track: TrackRef) -> Wanted {
        let audio = self.is_audio(publisher, track.track);
        let mut wanted = self.wanted_here(publisher, audio, track);
        for demand in self.peers.demands(audio, track) {
            wanted.subscribers = wanted.subscribers.saturating_add(demand.subscribers);
            if demand.subscribers > 0 {
                wanted.decodes = Decodes(wanted.decodes.0 & demand.decodes.0);
            }
        }
        let large = self.members.iter().flatten().count() > MAX_DECODE_ROOM;
        if audio || large || wanted.subscribers == 0 {
            wanted.decodes = Decodes::NONE;
        }
        wanted
    }

    /// By members of this edge.
    pub(super) fn wanted_here(&self, publisher: Slot, audio: bool, track: TrackRef) -> Wanted {
        let mut wanted = Wanted {
            subscribers: 0,
            decodes: Decodes::ALL,
        };
        for (slot, member) in self.slots() {
            if slot != publisher && wants(member, audio, track) {
                wanted.subscribers += 1;
                wanted.decodes = Decodes(wanted.decodes.0 & member.decodes.0);
            }
        }
        wanted
    }

    /// The tracks of which a publisher has been told on the connection it has.
    fn told_tracks(&self) -> impl Iterator<Item = (Slot, TrackRef, Told)> {
        let present = self
            .slots()
            .filter(|(_, member)| member.connection.is_some());
        present.flat_map(|(slot, member)| {
            member.tracks.iter().filter_map(move |(number, track)| {
                let track_ref = TrackRef {
                    participant: member.id,
                    track: *number,
                };
                Some((slot, track_ref, track.told?))
            })
        })
    }

    fn is_audio(&self, publisher: Slot, track: u8) -> bool {
        self.at(publisher)
            .and_then(|member| member.tracks.get(&track))
            .is_some_and(|track| track.config.source.is_audio())
    }
}
