//! Looks at everything at once: whether the cluster is whole, and whether then everybody believes what is true.

use std::time::Duration;

use edge_node::simulation::Queues;
use tokio::time::Instant;

use crate::{
    check::Invariant,
    counters,
    facts::{Fact, State},
    view::Seen,
    world::{SETTLES, World, settled},
};

/// From when nothing is broken any more until all edges are linked and registered: a connection that has died
/// is noticed within 5 s by both ends, is dialled again within 2 s, and a handshake under way when the way was
/// mended gives up within 5 s. Who is refused by core comes again within 5 s.
const MENDS: Duration = Duration::from_secs(20);

/// What is said while all is well is read by everybody within this.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// Of a voice, what may be on its way and what may be lost.
const SAID_MIN: u32 = 100;

impl World {
    pub(crate) async fn look(&mut self, now: Instant) {
        self.facts.pass(now);
        self.look_at_cluster(now);
        self.look_at_queues();
        self.look_at_terms();
        let whole = self.whole_since.is_some_and(|whole| settled(now, whole));
        if whole {
            self.look_at_rosters(now);
            if let Some(then) = now.checked_sub(SETTLES) {
                self.facts.all_heard(then);
            }
            self.look_at_voices();
        }
        self.look_at_echo(now, whole);
        self.look_at_chats(now);
        self.look_at_registrations(now);
        self.look_at_core(now).await;
        self.note(&self.cluster.network.trace().to_be_bytes());
    }

    fn look_at_cluster(&mut self, now: Instant) {
        let edges = self.cluster.edges.len();
        for a in 0..edges {
            for b in a + 1..edges {
                if !self.cluster.linked(a, b) {
                    self.apart_at.insert((a, b), now);
                }
            }
        }
        let whole = self.mended_since.is_some() && self.cluster.is_whole();
        if whole != self.whole_since.is_some() {
            self.tell(|| format!("whole: {whole}"));
        }
        if !whole {
            self.whole_since = None;
            self.said.clear();
            for seat in self
                .people
                .iter_mut()
                .filter_map(|person| person.seat.as_mut())
            {
                seat.heard.clear();
            }
        } else if self.whole_since.is_none() {
            self.whole_since = Some(now);
        }
        if !whole && self.mended_since.is_some_and(|mended| now > mended + MENDS) {
            let core = self.cluster.core().map(|core| core.service.health());
            let edges: Vec<_> = self
                .cluster
                .running()
                .map(|(edge, running)| (edge, running.core(), running.links()))
                .collect();
            self.broken(Invariant::Mends, format!("core {core:?}, edges {edges:?}"));
        }
    }

    fn look_at_rosters(&mut self, now: Instant) {
        let mut found = None;
        for person in &self.people {
            let Some(seat) = person.seat.as_ref().filter(|seat| settled(now, seat.since)) else {
                continue;
            };
            self.counts.looks += 1;
            let others = self.facts.0.iter().filter(|(id, fact)| {
                fact.room == person.room && **id != seat.member.id() && settled(now, fact.since)
            });
            for (id, fact) in others {
                let seen = seat.view.others.get(id);
                if let Some((of, what)) = differs(now, fact, seen, self) {
                    let (viewer, at) = (person.number, seat.edge);
                    found = Some((of, format!("person {viewer} at edge {at}: {id:?} {what}")));
                }
            }
            let unknown = seat
                .view
                .others
                .keys()
                .find(|id| self.facts.of(**id).is_none());
            if let Some(id) = unknown {
                found = Some((Invariant::Roster, format!("nobody is {id:?}")));
            }
        }
        if let Some((of, what)) = found {
            self.broken(of, what);
        }
    }

    fn look_at_voices(&mut self) {
        let mut found = None;
        for person in &self.people {
            let Some(seat) = &person.seat else { continue };
            for (speaker, heard) in &seat.heard {
                if heard.said >= SAID_MIN && heard.came * 10 + 300 < heard.said * 8 {
                    let (said, came) = (heard.said, heard.came);
                    let (who, at) = (person.number, seat.edge);
                    found = Some(format!(
                        "person {who} at edge {at} hears {came} of {said} of {speaker:?}"
                    ));
                }
            }
        }
        if let Some(what) = found {
            for person in &self.people {
                let seat = person.seat.as_ref();
                self.tell(|| {
                    let heard = seat.map(|seat| (seat.edge, seat.member.id(), &seat.heard));
                    format!(
                        "person {} of room {}: {heard:?}",
                        person.number, person.room
                    )
                });
            }
            self.broken(Invariant::Heard, what);
        }
    }

    /// Nothing comes to an edge that another has not to send: not to where its sender is.
    fn look_at_echo(&mut self, now: Instant, whole: bool) {
        let came = self.counters.take(counters::Counted::Foreign);
        let moved = self.facts.0.values().any(|fact| !settled(now, fact.since));
        if came > 0 && whole && !moved {
            let what = format!("{came} chunks came from an edge that does not hold their sender");
            self.broken(Invariant::NoEcho, what);
        }
    }

    fn look_at_chats(&mut self, now: Instant) {
        let whole = self.whole_since;
        let mut found = None;
        self.said.retain(|said| {
            if now < said.at + READ_WITHIN {
                return true;
            }
            if whole.is_some_and(|whole| settled(said.at, whole)) {
                for person in self.people.iter().filter(|person| person.room == said.room) {
                    let there = person
                        .seat
                        .as_ref()
                        .filter(|seat| settled(said.at, seat.since));
                    if there.is_some_and(|seat| !seat.view.chats.contains(&said.nonce)) {
                        found = Some(format!(
                            "person {} has not read {}",
                            person.number, said.nonce
                        ));
                    }
                }
            }
            false
        });
        if let Some(what) = found {
            self.broken(Invariant::Chat, what);
        }
    }

    fn look_at_queues(&mut self) {
        let mut found = None;
        for (edge, running) in self.cluster.running() {
            let queues = running.queues();
            let people = self.facts.0.len();
            if queues.room_inbox >= Queues::ROOM_INBOX_MAX / 2
                || queues.link_control >= Queues::LINK_CONTROL_MAX / 2
                || queues.link_media > 64 * 1_024
                || queues.link_names > people
                || queues.rooms > self.rooms.len()
            {
                found = Some(format!("edge {edge}, {people} people: {queues:?}"));
            }
        }
        if let Some(what) = found {
            self.broken(Invariant::Queues, what);
        }
    }

    /// Each run of an edge goes on to later cores only.
    fn look_at_terms(&mut self) {
        let mut found = None;
        for edge in 0..self.cluster.edges.len() {
            let Some(running) = &self.cluster.edges[edge].running else {
                self.terms.remove(&edge);
                continue;
            };
            let (_, term) = running.core();
            let before = self.terms.insert(edge, term).unwrap_or(0);
            if term < before {
                found = Some(format!(
                    "edge {edge} went from the core of {before} to that of {term}"
                ));
            }
        }
        if let Some(what) = found {
            self.broken(Invariant::Term, what);
        }
    }
}

/// How what a member sees of somebody differs from what is true.
fn differs(
    _now: Instant,
    fact: &Fact,
    seen: Option<&Seen>,
    world: &World,
) -> Option<(Invariant, String)> {
    let roster = |what: String| Some((Invariant::Roster, what));
    match (fact.state, seen) {
        (State::Unclear(_), _) | (State::Gone, None) => None,
        (State::Gone, Some(_)) => roster("has gone and is there".to_owned()),
        (State::Here(edge) | State::Away(edge, _), None) => {
            roster(format!("is missing, of edge {edge}"))
        }
        (State::Here(edge) | State::Away(edge, _), Some(seen)) => {
            let away = matches!(fact.state, State::Away(..));
            let name = world.people[fact.person].name.as_str();
            if seen.name != name {
                let what = format!("is called {} and is {name}", seen.name);
                return Some((Invariant::OneWriter, what));
            }
            if seen.away != away || seen.hand != fact.hand || seen.tracks != fact.tracks {
                return roster(format!(
                    "of edge {edge} is {fact:?} and is seen as {seen:?}"
                ));
            }
            None
        }
    }
}
