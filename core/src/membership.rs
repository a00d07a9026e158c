//! Who is in which room, over all edges. Pure: it never reads a clock or a socket. Every row has one
//! writer, the edge that holds the participant's connection, and an edge declares all its rows of a
//! room at once under a version; so declaring again changes nothing, and what was lost on the way is
//! declared again. Everything said here carries (term, epoch), which only grow.

use std::collections::{BTreeMap, HashMap};

pub use pulse_proto::cluster::{EdgeId, Incarnation, Stamp};
use pulse_proto::{DisplayName, ParticipantId, RoomName};

/// A participant as its edge declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who.
    pub participant: ParticipantId,
    /// What they are called.
    pub name: DisplayName,
}

/// All rows of one edge in one room.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// The edge.
    pub edge: EdgeId,
    /// Its run.
    pub incarnation: Incarnation,
    /// The room.
    pub room: RoomName,
    /// The edge's own count of changes to these rows.
    pub version: u64,
    /// The rows; none when nobody of the room is left there.
    pub rows: Vec<Row>,
}

/// What happens to core.
#[derive(Clone, Debug)]
pub enum Input {
    /// An edge has started. What an earlier run of it declared is void.
    Register {
        /// The edge.
        edge: EdgeId,
        /// Its run.
        incarnation: Incarnation,
    },
    /// An edge says who is in a room there.
    Declare(Declaration),
    /// An edge is gone for good.
    Remove {
        /// The edge.
        edge: EdgeId,
        /// Its run.
        incarnation: Incarnation,
    },
}

/// What core knows of a room, as one edge is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// When core said so.
    pub stamp: Stamp,
    /// The room.
    pub room: RoomName,
    /// The version of the receiving edge's rows that this includes.
    pub version: u64,
    /// Everybody, by edge.
    pub rows: Vec<(EdgeId, Row)>,
}

/// What core wants told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell an edge what a room is now.
    View {
        /// Whom to tell.
        to: EdgeId,
        /// What.
        view: RoomView,
    },
}

#[derive(Debug)]
struct EdgeRows {
    version: u64,
    rows: Vec<Row>,
}

/// The membership of all rooms.
#[derive(Debug)]
pub struct Membership {
    stamp: Stamp,
    edges: HashMap<EdgeId, Incarnation>,
    rooms: HashMap<RoomName, BTreeMap<EdgeId, EdgeRows>>,
}

impl Membership {
    /// Nobody anywhere. `term` must be higher than that of every core before.
    pub fn new(term: u64) -> Self {
        Self {
            stamp: Stamp { term, epoch: 0 },
            edges: HashMap::new(),
            rooms: HashMap::new(),
        }
    }

    /// Takes an input and appends what is to be told.
    pub fn handle(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Register { edge, incarnation } => {
                let known = self.edges.get(&edge);
                if known.is_none_or(|known| *known < incarnation) {
                    self.drop_rows(&edge, effects);
                    self.edges.insert(edge, incarnation);
                }
            }
            Input::Declare(declaration) => self.on_declare(declaration, effects),
            Input::Remove { edge, incarnation } => {
                if self.edges.get(&edge) == Some(&incarnation) {
                    self.edges.remove(&edge);
                    self.drop_rows(&edge, effects);
                }
            }
        }
    }

    /// Rooms with somebody in them.
    pub fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn on_declare(&mut self, declaration: Declaration, effects: &mut Vec<Effect>) {
        let Declaration {
            edge,
            incarnation,
            room,
            version,
            rows,
        } = declaration;
        if self.edges.get(&edge) != Some(&incarnation) {
            return;
        }
        let held = self.rooms.get(&room).and_then(|edges| edges.get(&edge));
        if held.is_some_and(|held| held.version >= version) {
            // Declared again because the answer was lost: say it again, change nothing.
            return self.tell(&room, Some((&edge, version)), effects);
        }
        let edges = self.rooms.entry(room.clone()).or_default();
        if rows.is_empty() {
            edges.remove(&edge);
        } else {
            edges.insert(edge.clone(), EdgeRows { version, rows });
        }
        if edges.is_empty() {
            self.rooms.remove(&room);
        }
        self.stamp.epoch += 1;
        self.tell(&room, None, effects);
        if !self.holds(&room, &edge) {
            self.tell(&room, Some((&edge, version)), effects);
        }
    }

    fn drop_rows(&mut self, edge: &EdgeId, effects: &mut Vec<Effect>) {
        let mut changed: Vec<RoomName> = self
            .rooms
            .iter_mut()
            .filter_map(|(room, edges)| edges.remove(edge).map(|_| room.clone()))
            .collect();
        changed.sort_by(|a, b| a.reveal().cmp(b.reveal()));
        self.rooms.retain(|_, edges| !edges.is_empty());
        for room in changed {
            self.stamp.epoch += 1;
            self.tell(&room, None, effects);
        }
    }

    fn holds(&self, room: &RoomName, edge: &EdgeId) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|edges| edges.contains_key(edge))
    }

    /// Tells the edges of a room what it is now; or only one edge, for its version.
    fn tell(&self, room: &RoomName, only: Option<(&EdgeId, u64)>, effects: &mut Vec<Effect>) {
        let edges = self.rooms.get(room);
        let rows: Vec<(EdgeId, Row)> = edges
            .into_iter()
            .flatten()
            .flat_map(|(edge, held)| held.rows.iter().map(|row| (edge.clone(), row.clone())))
            .collect();
        let view = |version| RoomView {
            stamp: self.stamp,
            room: room.clone(),
            version,
            rows: rows.clone(),
        };
        match only {
            Some((edge, version)) => {
                effects.push(Effect::View {
                    to: edge.clone(),
                    view: view(version),
                });
            }
            None => effects.extend(
                edges
                    .into_iter()
                    .flatten()
                    .map(|(edge, held)| Effect::View {
                        to: edge.clone(),
                        view: view(held.version),
                    }),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(number: u8) -> Row {
        Row {
            participant: ParticipantId::from_random([number; 16]),
            name: DisplayName::parse("Ada").unwrap(),
        }
    }

    fn declare(edge: &str, incarnation: u64, version: u64, rows: &[u8]) -> Input {
        Input::Declare(Declaration {
            edge: EdgeId::parse(edge).unwrap(),
            incarnation: Incarnation(incarnation),
            room: RoomName::parse("room").unwrap(),
            version,
            rows: rows.iter().map(|number| row(*number)).collect(),
        })
    }

    fn register(edge: &str, incarnation: u64) -> Input {
        Input::Register {
            edge: EdgeId::parse(edge).unwrap(),
            incarnation: Incarnation(incarnation),
        }
    }

    fn run(core: &mut Membership, input: Input) -> Vec<(String, u64, Stamp, usize)> {
        let mut effects = Vec::new();
        core.handle(input, &mut effects);
        effects
            .into_iter()
            .map(|Effect::View { to, view }| {
                (
                    to.as_str().to_owned(),
                    view.version,
                    view.stamp,
                    view.rows.len(),
                )
            })
            .collect()
    }

    #[test]
    fn every_edge_of_a_room_hears_of_a_change() {
        let mut core = Membership::new(7);
        run(&mut core, register("a", 1));
        run(&mut core, register("b", 1));
        let stamp = |epoch| Stamp { term: 7, epoch };
        assert_eq!(
            run(&mut core, declare("a", 1, 1, &[1])),
            [("a".into(), 1, stamp(1), 1)]
        );
        assert_eq!(
            run(&mut core, declare("b", 1, 4, &[2, 3])),
            [("a".into(), 1, stamp(2), 3), ("b".into(), 4, stamp(2), 3)]
        );
        assert_eq!(
            run(&mut core, declare("a", 1, 2, &[])),
            [("b".into(), 4, stamp(3), 2), ("a".into(), 2, stamp(3), 2)]
        );
        assert_eq!(core.rooms(), 1);
    }

    #[test]
    fn declaring_again_changes_nothing_and_is_answered() {
        let mut core = Membership::new(1);
        run(&mut core, register("a", 1));
        let first = run(&mut core, declare("a", 1, 1, &[1]));
        assert_eq!(run(&mut core, declare("a", 1, 1, &[1])), first);
    }

    #[test]
    fn an_earlier_run_has_no_say() {
        let mut core = Membership::new(1);
        run(&mut core, register("a", 1));
        run(&mut core, declare("a", 1, 1, &[1]));
        run(&mut core, register("a", 2));
        assert_eq!(core.rooms(), 0);
        assert!(run(&mut core, declare("a", 1, 2, &[1])).is_empty());
        let remove = Input::Remove {
            edge: EdgeId::parse("a").unwrap(),
            incarnation: Incarnation(1),
        };
        run(&mut core, remove);
        assert_eq!(run(&mut core, declare("a", 2, 1, &[1])).len(), 1);
    }

    proptest! {
        /// Whatever is declared, in whatever order, an edge's rows are those of its highest version.
        #[test]
        fn the_highest_version_stands(
            declared in proptest::collection::vec((0..2_usize, 1..20_u64), 1..60),
        ) {
            let mut core = Membership::new(1);
            let names = ["a", "b"];
            for name in names {
                run(&mut core, register(name, 1));
            }
            let mut highest = [0, 0];
            let mut stamps = Vec::new();
            for (edge, version) in declared {
                highest[edge] = highest[edge].max(version);
                // As many rows as its version, so that the rows tell it.
                let rows: Vec<u8> = (0..version as u8).collect();
                let told = run(&mut core, declare(names[edge], 1, version, &rows));
                for (_, _, stamp, rows) in told {
                    prop_assert_eq!(rows as u64, highest[0] + highest[1]);
                    stamps.push(stamp);
                }
            }
            prop_assert!(stamps.is_sorted());
        }
    }
}
