//! What holds whatever happens.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What may happen to three edges and two rooms.
#[derive(Clone, Debug)]
enum Step {
    Declare { edge: usize, room: usize, rows: u8 },
    Chat { edge: usize },
    Again { edge: usize },
    Restart { edge: usize },
    Lost { edge: usize },
    Links { edge: usize, links: u8 },
    Wait { ms: u64, alive: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let (edge, room) = (0..3_usize, 0..2_usize);
    prop_oneof![
        4 => (edge.clone(), room, 0..4_u8)
            .prop_map(|(edge, room, rows)| Step::Declare { edge, room, rows }),
        2 => edge.clone().prop_map(|edge| Step::Chat { edge }),
        1 => edge.clone().prop_map(|edge| Step::Again { edge }),
        1 => edge.clone().prop_map(|edge| Step::Restart { edge }),
        1 => edge.clone().prop_map(|edge| Step::Lost { edge }),
        2 => (edge, 0..8_u8).prop_map(|(edge, links)| Step::Links { edge, links }),
        3 => (50..4_000_u64, 0..8_u8).prop_map(|(ms, alive)| Step::Wait { ms, alive }),
    ]
}

/// An edge as it is in truth.
#[derive(Clone, Debug, Default)]
struct Truth {
    session: Option<SessionId>,
    incarnation: u64,
    rooms: [(u64, u8); 2],
    chats: u64,
}

const EDGES: [&str; 3] = ["a", "b", "c"];
const ROOMS: [&str; 2] = ["room", "other"];

fn register(world: &mut World, truth: &mut Truth, name: &str) {
    let session = world.hello(hello(name, truth.incarnation));
    truth.session = Some(session);
    for (room, (version, rows)) in ROOMS.iter().zip(truth.rooms) {
        let rows: Vec<u8> = (1..=rows).collect();
        world.declare_with(session, room, version, Some(0), &rows);
    }
}

proptest! {
    /// Whatever happens before: once every edge is there again and has declared, all of them are told
    /// the same, and it is the truth. What is said on a connection never goes back in time, and no
    /// number of a chat stands for two.
    #[test]
    fn it_ends_in_the_truth(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new(7);
        let mut truth: Vec<Truth> = vec![Truth::default(); 3];
        for (edge, name) in truth.iter_mut().zip(EDGES) {
            edge.incarnation = 1;
            register(&mut world, edge, name);
        }
        for step in steps {
            match step {
                Step::Declare { edge, room, rows } => {
                    let edge = &mut truth[edge];
                    edge.rooms[room] = (edge.rooms[room].0 + 1, rows);
                    let rows: Vec<u8> = (1..=rows).collect();
                    if let Some(session) = edge.session {
                        world.declare(session, ROOMS[room], edge.rooms[room].0, &rows);
                    }
                }
                Step::Chat { edge } => {
                    truth[edge].chats += 1;
                    if let Some(session) = truth[edge].session {
                        world.chat(session, truth[edge].chats);
                    }
                }
                Step::Again { edge } => register(&mut world, &mut truth[edge], EDGES[edge]),
                Step::Restart { edge } => {
                    truth[edge] = Truth { incarnation: truth[edge].incarnation + 1, ..Truth::default() };
                    register(&mut world, &mut truth[edge], EDGES[edge]);
                }
                Step::Lost { edge } => {
                    if let Some(session) = truth[edge].session.take() {
                        world.give(Input::Lost { session });
                    }
                }
                Step::Links { edge, links } => {
                    let names = (0..3).filter(|at| links & (1 << at) != 0).map(|at| EDGES[at]);
                    if let Some(session) = truth[edge].session {
                        world.beat(session, 0, &names.collect::<Vec<_>>());
                    }
                }
                Step::Wait { ms, alive } => {
                    let alive = (0..3).filter(|at| alive & (1 << at) != 0);
                    let sessions: Vec<_> = alive.filter_map(|at| truth[at].session).collect();
                    world.wait(ms, &sessions);
                }
            }
        }
        for (edge, name) in truth.iter_mut().zip(EDGES) {
            register(&mut world, edge, name);
        }
        let sessions: Vec<SessionId> = truth.iter().filter_map(|edge| edge.session).collect();
        world.wait(3_500, &sessions);
        prop_assert!(world.core.is_issuing());

        for (at, name) in ROOMS.iter().enumerate() {
            let expected: Vec<(String, usize)> = truth
                .iter()
                .zip(EDGES)
                .filter(|(edge, _)| edge.rooms[at].1 > 0)
                .map(|(edge, id)| (id.to_owned(), usize::from(edge.rooms[at].1)))
                .collect();
            for edge in truth.iter().filter(|edge| edge.rooms[at].1 > 0) {
                let session = edge.session.unwrap();
                let views = world.views(session);
                let view = views.iter().rev().find(|view| view.room == room(name)).unwrap();
                let told: Vec<(String, usize)> = view
                    .edges
                    .iter()
                    .map(|held| (held.edge.to_string(), held.rows.len()))
                    .collect();
                prop_assert_eq!(&told, &expected);
                prop_assert_eq!(view.version, edge.rooms[at].0);
            }
        }
        for said in world.said.values() {
            let mut last = Stamp::default();
            for message in said {
                match message {
                    FromCore::Welcome { stamp, .. }
                    | FromCore::Edges { stamp, .. }
                    | FromCore::View(RoomView { stamp, .. }) => {
                        prop_assert!(*stamp >= last);
                        last = *stamp;
                    }
                    _ => {}
                }
            }
        }
    }

    /// However often edges post the same again, or come again: a number stands for one chat, a chat has
    /// one number, and in the end every edge has all of them.
    #[test]
    fn a_chat_has_one_number(steps in proptest::collection::vec((0..2_usize, 0..6_u8), 1..80)) {
        let mut world = World::issuing();
        let names = ["a", "b"];
        let mut sessions = [world.edge("a"), world.edge("b")];
        let mut heard: [BTreeMap<u64, String>; 2] = Default::default();
        let mut posted = [0_u64; 2];
        for (edge, session) in sessions.iter().enumerate() {
            world.declare(*session, "room", 1, &[edge as u8]);
        }
        for (edge, what) in steps {
            let session = sessions[edge];
            match what {
                0 | 1 => {
                    posted[edge] += 1;
                    world.chat(session, posted[edge]);
                }
                2 if posted[edge] > 0 => world.chat(session, posted[edge]),
                3 => world.give(Input::Lost { session }),
                4 => world.wait(400, &sessions),
                _ => {
                    let seen = heard[edge].keys().max().copied().unwrap_or(0);
                    sessions[edge] = world.hello(hello(names[edge], 1));
                    world.declare_with(sessions[edge], "room", 1, Some(seen), &[edge as u8]);
                    if posted[edge] > 0 {
                        world.chat(sessions[edge], posted[edge]);
                    }
                }
            }
            for (edge, heard) in heard.iter_mut().enumerate() {
                for message in world.said.remove(&sessions[edge]).unwrap_or_default() {
                    if let FromCore::Chat { chat, .. } = message {
                        let what = format!("{:?} {}", chat.edge, chat.post.id);
                        let known = heard.insert(chat.seq, what.clone());
                        prop_assert!(known.is_none_or(|known| known == what));
                    }
                }
            }
        }
        for edge in 0..2 {
            let seen = heard[edge].keys().max().copied().unwrap_or(0);
            sessions[edge] = world.hello(hello(names[edge], 1));
            world.declare_with(sessions[edge], "room", 1, Some(seen), &[edge as u8]);
        }
        world.wait(3_100, &sessions);
        for (session, heard) in sessions.iter().zip(&mut heard) {
            for message in world.said.remove(session).unwrap_or_default() {
                if let FromCore::Chat { chat, .. } = message {
                    heard.insert(chat.seq, format!("{:?} {}", chat.edge, chat.post.id));
                }
            }
        }
        prop_assert_eq!(&heard[0], &heard[1]);
        let chats: BTreeSet<&String> = heard[0].values().collect();
        prop_assert_eq!(chats.len(), heard[0].len());
    }
}
