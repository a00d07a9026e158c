//! One room at several edges: what they tell each other makes one room of it.

mod found;
mod world;

use proptest::prelude::*;
use pulse_proto::{cluster::link::RoomMessage, control::Interruption};

use self::world::{Somebody, World, name, view};
use super::*;

#[test]
fn a_frame_crosses_once_and_reaches_everybody_there() {
    let mut world = World::new(2);
    let ada = world.joins(0);
    let (bob, cy, dan) = (world.joins(0), world.joins(1), world.joins(1));
    world.publish(ada, 1, "microphone");
    world.take_media();
    world.send(ada, 1, 5, 0);
    let mut got = world.take_media();
    got.sort();
    assert_eq!(got, [(bob, 5), (cy, 5), (dan, 5)]);
    assert_eq!(world.roster(0), world.roster(1));
}

#[test]
fn media_that_overtakes_its_announcement_waits_for_it() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    let (header, frame) = world.chunk(ada, 1, 1, 0);
    let edge = name(0);
    let heard = PeerInput::Media { header, frame };
    world.handle(1, Input::Peer { edge, heard });
    assert!(world.take_media().is_empty());
    world.publish(ada, 1, "microphone");
    assert_eq!(world.take_media(), [(bob, 1)]);
}

#[test]
fn a_chunk_that_comes_twice_is_delivered_once() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    world.publish(ada, 1, "microphone");
    let (header, frame) = world.chunk(ada, 1, 1, 0);
    for _ in 0..2 {
        let (edge, frame) = (name(0), frame.clone());
        let heard = PeerInput::Media { header, frame };
        world.handle(1, Input::Peer { edge, heard });
    }
    assert_eq!(world.take_media(), [(bob, 1)]);
}

#[test]
fn an_edge_is_believed_of_its_own_members_only() {
    let mut world = World::new(3);
    let ada = world.joins(0);
    world.joins(1);
    world.joins(2);
    world.publish(ada, 1, "microphone");
    world.take_media();
    let (header, frame) = world.chunk(ada, 1, 1, 0);
    let edge = name(2);
    let heard = PeerInput::Media { header, frame };
    world.handle(1, Input::Peer { edge, heard });
    let gone = RoomMessage::Gone(Gone {
        id: world.id(ada),
        reason: LeaveReason::Left,
    });
    let (edge, heard) = (name(2), PeerInput::Said(gone));
    world.handle(1, Input::Peer { edge, heard });
    assert!(world.take_media().is_empty());
    assert_eq!(world.roster(1).len(), 3);
    assert_eq!(world.rooms[1].foreign, 1);
}

#[test]
fn what_nobody_wants_there_stays_here() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    world.publish(ada, 2, "camera");
    let track = TrackRef {
        participant: world.id(ada),
        track: 2,
    };
    let mut wants = Subscribe::everything();
    wants.paused = vec![track];
    let from = world.from(bob);
    world.handle(1, Input::Subscribe { from, wants });
    world.pass(Duration::from_millis(200));
    let (header, frame) = world.chunk(ada, 2, 1, 0);
    let from = world.from(ada);
    let input = Input::Media {
        from,
        header,
        frame,
    };
    world.handle(0, input);
    assert!(world.linked[&(0, 1)].is_empty());
    let wanted = world.rooms[0].peers.demands(false, track).next().unwrap();
    assert_eq!(wanted.subscribers, 0);
    // As soon as somebody does, the cache comes, and a keyframe is asked for.
    world.now += Duration::from_secs(1);
    world.sent.clear();
    let from = world.from(bob);
    let wants = Subscribe::everything();
    world.handle(1, Input::Subscribe { from, wants });
    world.deliver();
    assert!(
        world
            .sent
            .iter()
            .any(|(to, frame)| *to == bob && frame.kind() == FrameType::Media)
    );
    let asked = world.take_kind(ada, FrameType::KeyframeRequest);
    assert_eq!(asked.len(), 1);
}

#[test]
fn keyframe_requests_of_many_edges_become_one() {
    let mut world = World::new(3);
    let ada = world.joins(0);
    let (bob, cy) = (world.joins(1), world.joins(2));
    world.publish(ada, 2, "camera");
    world.sent.clear();
    world.pass(Duration::from_secs(3));
    world.sent.clear();
    for who in [bob, cy, bob] {
        let request = KeyframeRequest {
            participant: world.id(ada),
            track: 2,
            layer: 0,
        };
        let from = world.from(who);
        world.handle(who.edge, Input::Keyframe { from, request });
    }
    world.deliver();
    assert_eq!(world.take_kind(ada, FrameType::KeyframeRequest).len(), 1);
}

#[test]
fn behind_a_link_that_does_not_carry_a_track_everybody_sees_why() {
    let mut world = World::new(3);
    let [ada, bob, cleo] = [0, 1, 2].map(|edge| world.joins(edge));
    world.publish(ada, 1, "camera");
    let track = TrackRef {
        participant: world.id(ada),
        track: 1,
    };
    let told = |world: &mut World, to| -> Vec<Option<Interruption>> {
        let frames = world.take_kind(to, FrameType::TrackConfig);
        let configs = frames
            .iter()
            .map(|frame| TrackConfig::parse(frame.payload()));
        configs.map(|config| config.unwrap().interrupted).collect()
    };
    told(&mut world, bob);
    told(&mut world, cleo);
    let paused = |world: &mut World, tracks| {
        let heard = PeerInput::Paused(tracks);
        let edge = name(1);
        world.handle(0, Input::Peer { edge, heard });
        world.deliver();
    };
    paused(&mut world, vec![track]);
    assert_eq!(told(&mut world, bob), [Some(Interruption::Bandwidth)]);
    assert_eq!(told(&mut world, cleo), [], "another link");
    // Who joins there later sees it in the roster.
    let dan = world.joins(1);
    let welcome = world.take_kind(dan, FrameType::Welcome);
    assert!(
        String::from_utf8_lossy(welcome[0].payload()).contains("\"interrupted\":\"bandwidth\"")
    );
    told(&mut world, bob);
    paused(&mut world, vec![]);
    assert_eq!(told(&mut world, bob), [None]);
    // What is paused on a link that is no more means nothing on the next one.
    paused(&mut world, vec![track]);
    told(&mut world, bob);
    world.cut(0, 1);
    world.link(0, 1);
    world.deliver();
    assert_eq!(told(&mut world, bob), [None]);
}

#[test]
fn who_resumes_elsewhere_keeps_the_id_and_leaves_no_ghost() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    let (id, token) = (world.id(ada), "token 2".to_owned());
    world.publish(ada, 1, "microphone");
    let request = world.request(Protocol::V2, Some(token));
    let again = world.join(1, request);
    assert_eq!(world.id(again), id);
    assert_eq!(
        world.ended,
        [(ada, Ending::Error(ErrorCode::Replaced))],
        "the old connection ends"
    );
    assert!(world.rooms[0].is_empty());
    world.send(again, 1, 9, 0);
    assert_eq!(world.take_media(), [(bob, 9)]);
}

#[test]
fn whose_edge_is_gone_is_away_until_core_says_so() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    let ada_id = world.id(ada);
    world.cut(0, 1);
    assert!(world.roster(1).contains(&(ada_id, true)));
    // Core still knows the edge: it has lost only its link.
    world.view();
    assert!(world.roster(1).contains(&(ada_id, true)));
    world.link(0, 1);
    world.view();
    assert!(world.roster(1).contains(&(ada_id, false)));
    world.cut(0, 1);
    let stamp = Stamp { term: 2, epoch: 0 };
    let edges = vec![];
    world.handle(1, view(stamp, edges));
    assert_eq!(world.roster(1), [(world.id(bob), false)]);
    // What an earlier core said late changes nothing.
    let edges = vec![(name(0), vec![ada_id])];
    let stamp = Stamp { term: 1, epoch: 99 };
    world.handle(1, view(stamp, edges));
    assert_eq!(world.roster(1).len(), 1);
}

#[test]
fn of_two_with_one_id_both_edges_keep_the_same() {
    let mut world = World::new(2);
    let mut first = world.request(Protocol::V1, None);
    first.id = ParticipantId::from_random([9; 16]);
    let mut second = world.request(Protocol::V1, None);
    second.id = first.id;
    let keeper = world.request(Protocol::V2, None);
    world.cut(0, 1);
    world.join(1, keeper);
    let first = world.join_unseen(0, first);
    let second = world.join_unseen(1, second);
    world.link(0, 1);
    world.view();
    assert_eq!(world.ended, [(second, Ending::Error(ErrorCode::IdTaken))]);
    assert_eq!(world.roster(0), world.roster(1));
    assert!(world.rooms[0].at(first.slot).unwrap().is_here());
}

#[test]
fn v1_crosses_edges_and_a_share_can_be_joined_late() {
    let mut world = World::new(2);
    let request = world.request(Protocol::V1, None);
    let ada = world.join(0, request);
    let from = world.from(ada);
    let id = world.id(ada);
    let start = Frame::new(id, FrameType::ScreenShareStart, b"video/webm");
    let frame = start.clone();
    world.handle(0, Input::V1 { from, frame });
    let request = world.request(Protocol::V1, None);
    let bob = world.join(1, request);
    assert_eq!(world.take_kind(bob, FrameType::ScreenShareStart), [start]);
    let voice = Frame::new(id, FrameType::Audio, &[1, 2]);
    let frame = voice.clone();
    world.handle(0, Input::V1 { from, frame });
    world.deliver();
    assert_eq!(world.take_kind(bob, FrameType::Audio), [voice]);
}

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Resume(usize, usize),
    Leave(usize, bool),
    Publish(usize, u8),
    Send(usize, u8),
    Cut(usize, usize),
    Link(usize, usize),
    View,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..3_usize).prop_map(Step::Join),
        1 => (0..8_usize, 0..3_usize).prop_map(|(who, edge)| Step::Resume(who, edge)),
        2 => (0..8_usize, any::<bool>()).prop_map(|(who, lost)| Step::Leave(who, lost)),
        3 => (0..8_usize, 1..3_u8).prop_map(|(who, track)| Step::Publish(who, track)),
        6 => (0..8_usize, 1..3_u8).prop_map(|(who, track)| Step::Send(who, track)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(a, b)| Step::Cut(a, b)),
        1 => (0..3_usize, 0..3_usize).prop_map(|(a, b)| Step::Link(a, b)),
        1 => Just(Step::View),
        1 => (0..12_000_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    /// Whatever happens, nobody gets a frame twice or its own; once all links stand, everybody is everywhere.
    #[test]
    fn one_room(steps in steps()) {
        let mut world = World::new(3);
        let mut people: Vec<(Somebody, String)> = Vec::new();
        let mut sequence = 0;
        for step in steps {
            let here = |world: &World, who: usize| {
                let (somebody, _) = people.get(who)?;
                world.connections.contains_key(&(somebody.edge, somebody.slot)).then_some(*somebody)
            };
            match step {
                Step::Join(edge) => {
                    let request = world.request(Protocol::V2, None);
                    let token = request.token.clone();
                    let somebody = world.join(edge, request);
                    people.push((somebody, token));
                }
                Step::Resume(who, edge) => {
                    if let Some((_, token)) = people.get(who).cloned() {
                        let request = world.request(Protocol::V2, Some(token));
                        let token = request.token.clone();
                        let somebody = world.join(edge, request);
                        people[who] = (somebody, token);
                    }
                }
                Step::Leave(who, lost) => {
                    if let Some(somebody) = here(&world, who) {
                        let reason = if lost { LeaveReason::Lost } else { LeaveReason::Left };
                        world.leave(somebody, reason);
                    }
                }
                Step::Publish(who, track) => {
                    if let Some(somebody) = here(&world, who) {
                        let source = if track == 1 { "microphone" } else { "camera" };
                        world.publish(somebody, track, source);
                    }
                }
                Step::Send(who, track) => {
                    if let Some(somebody) = here(&world, who) {
                        sequence += 1;
                        world.take_media();
                        world.send(somebody, track, sequence, 0);
                        let mut got = world.take_media();
                        got.retain(|(_, of)| *of == sequence);
                        let count = got.len();
                        got.sort();
                        got.dedup();
                        prop_assert_eq!(count, got.len(), "a frame came twice");
                        prop_assert!(!got.contains(&(somebody, sequence)), "a frame came back");
                    }
                }
                Step::Cut(a, b) if a < b => world.cut(a, b),
                Step::Link(a, b) if a < b && !world.linked.contains_key(&(a, b)) => world.link(a, b),
                Step::Cut(..) | Step::Link(..) => {}
                Step::View => world.view(),
                Step::Pass(ms) => world.pass(Duration::from_millis(ms)),
            }
        }
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            if !world.linked.contains_key(&(a, b)) {
                world.link(a, b);
            }
        }
        world.view();
        let holding: Vec<usize> = (0..3).filter(|edge| !world.rooms[*edge].is_empty()).collect();
        let mut declared: Vec<ParticipantId> = holding
            .iter()
            .flat_map(|edge| world.rooms[*edge].rows().map(|row| row.participant).collect::<Vec<_>>())
            .collect();
        declared.sort();
        let unique = declared.len();
        declared.dedup();
        prop_assert_eq!(unique, declared.len(), "a row has two writers");
        for edge in holding {
            let roster: Vec<ParticipantId> = world.roster(edge).iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(&roster, &declared, "edge {} does not know who is there", edge);
        }
    }
}
