//! Looks at what core knows: the rows of all edges that it hears of, itself or through others, and no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pulse_core::server::RoomSummary;
use tokio::time::Instant;

use crate::{
    check::Invariant,
    facts::{Fact, State},
    world::{World, settled},
};

/// Nothing else may have been broken for so long where it is asked whom an edge without core keeps: a link
/// that is silent for 2 s is not reported, and a lease lasts for 3.
const CALM: Duration = Duration::from_secs(10);

impl World {
    /// Since when which edge is registered.
    pub(crate) fn look_at_registrations(&mut self, now: Instant) {
        let mut changed = BTreeMap::new();
        for (edge, running) in self.cluster.running() {
            let (up, _) = running.core();
            let before = self.registered.get(&edge).copied();
            let entry = match (before, up) {
                (Some((since, last)), true) if last + 2 * crate::world::LOOK >= now => (since, now),
                (_, true) => (now, now),
                (Some(before), false) => before,
                (None, false) => continue,
            };
            changed.insert(edge, entry);
        }
        self.registered = changed;
    }

    /// Core keeps the rows of edges that others still hear of, and only theirs.
    pub(crate) async fn look_at_core(&mut self, now: Instant) {
        let Some(core) = self.cluster.core() else {
            return;
        };
        let told = core.service.rooms().await;
        if now > self.other_trouble_at + CALM {
            self.look_at_kept(now, &told);
        }
        if !self.whole_since.is_some_and(|whole| settled(now, whole)) {
            return;
        }
        for (number, name) in self.rooms.iter().enumerate() {
            let of_room: Vec<&Fact> = self.facts.0.values().filter(|f| f.room == number).collect();
            if of_room.iter().any(|fact| !settled(now, fact.since)) {
                continue;
            }
            let here = of_room.iter().filter(|fact| fact.state != State::Gone);
            let edges: BTreeSet<usize> = here
                .clone()
                .filter_map(|fact| match fact.state {
                    State::Here(edge) | State::Away(edge, _) => Some(edge),
                    State::Gone | State::Unclear(_) => None,
                })
                .collect();
            if here
                .clone()
                .any(|fact| matches!(fact.state, State::Unclear(_)))
            {
                continue;
            }
            let room = told.iter().find(|told| told.room == *name);
            let (knows, rows) = room.map_or((0, 0), |room| (room.edges, room.participants));
            if (knows, rows) != (edges.len(), here.clone().count()) {
                let what = format!(
                    "core knows {rows} at {knows} edges in room {number}, there are {} at {edges:?}",
                    here.count()
                );
                return self.broken(Invariant::OneWriter, what);
            }
        }
    }

    /// The edges of a room that another hears of stay in it, though core does not hear of them itself.
    fn look_at_kept(&mut self, now: Instant, told: &[RoomSummary]) {
        for (number, name) in self.rooms.iter().enumerate() {
            // Whether somebody is there who was already then, and whom core had been told of.
            let held = |edge: usize, when: Instant| {
                self.facts.0.values().any(|fact| {
                    fact.room == number
                        && fact.state == State::Here(edge)
                        && settled(when, fact.since)
                })
            };
            let registered = |edge: usize| {
                let known = self.registered.get(&edge);
                known.is_some_and(|(since, last)| now > *since + CALM && *last == now)
                    && self.without_core_since(edge).is_none()
            };
            let kept = self.registered.iter().filter(|(edge, (_, last))| {
                let edge = **edge;
                let when = self
                    .without_core_since(edge)
                    .map_or(*last, |since| since.min(*last));
                let hears = |other: usize| {
                    let apart = self.apart_at.get(&(edge.min(other), edge.max(other)));
                    registered(other) && apart.is_none_or(|apart| now > *apart + CALM)
                };
                let others = self.registered.keys().filter(|other| **other != edge);
                let lost = self.without_core_since(edge).is_some();
                let mut others = others.into_iter();
                let heard = lost && others.any(|other| hears(*other) && held(*other, when));
                held(edge, when) && (registered(edge) || heard)
            });
            let kept: Vec<usize> = kept.map(|(edge, _)| *edge).collect();
            let knows = told.iter().find(|told| told.room == *name);
            let knows = knows.map_or(0, |room| room.edges);
            if knows < kept.len() {
                let what =
                    format!("core knows {knows} edges of room {number}, {kept:?} are heard of");
                return self.broken(Invariant::ReachableStays, what);
            }
        }
    }
}
