//! What simulations have found.

use super::*;

/// Core says that one edge holds the room no more.
fn unlist(world: &mut World, at: usize, edges: &[usize]) {
    world.epoch += 1;
    let stamp = Stamp {
        term: 1,
        epoch: world.epoch,
    };
    let edges = edges.iter().map(|edge| {
        let rows = world.rooms[*edge].rows();
        (name(*edge), rows.map(|row| row.participant).collect())
    });
    let edges = edges.collect();
    world.handle(at, view(stamp, edges));
    world.deliver();
}

#[test]
fn who_was_at_an_edge_that_core_gave_up_before_its_link_did_is_gone_with_the_link() {
    let mut world = World::new(2);
    let (ada, bob) = (world.joins(0), world.joins(1));
    let (ada, bob) = (world.id(ada), world.id(bob));
    // The edge is dead: its lease runs out before its link is given up.
    unlist(&mut world, 0, &[]);
    assert_eq!(world.roster(0), [(ada, false), (bob, false)]);
    world.cut(0, 1);
    assert_eq!(world.roster(0), [(ada, false)]);
}

#[test]
fn who_was_at_an_edge_that_began_anew_before_its_link_was_given_up_is_gone() {
    let mut world = World::new(2);
    let (ada, _) = (world.joins(0), world.joins(1));
    let ada = world.id(ada);
    world.rooms[1] = State::new(name(1), 100, 1);
    unlist(&mut world, 0, &[]);
    // The new link takes the place of the one before.
    let (edge, heard) = (name(1), PeerInput::Up);
    world.handle(0, Input::Peer { edge, heard });
    world.deliver();
    assert_eq!(world.roster(0), [(ada, false)]);
}

#[test]
fn whoever_comes_to_an_edge_that_everybody_has_left_for_another_sees_them() {
    let mut world = World::new(2);
    let request = world.request(Protocol::V2, None);
    let token = request.token.clone();
    let (ada, bob) = (world.join(0, request), world.joins(1));
    let (ada, bob) = (world.id(ada), world.id(bob));
    world.cut(0, 1);
    // Core has given up each for the other; the one hears of it first.
    let moved = world.request(Protocol::V2, Some(token));
    world.join_unseen(1, moved);
    unlist(&mut world, 0, &[]);
    world.link(0, 1);
    world.deliver();
    assert!(world.rooms[0].is_empty());
    let cy = world.joins(0);
    let cy = world.id(cy);
    let everybody: Vec<_> = world.roster(1);
    assert_eq!(world.roster(0), everybody);
    let mut ids = [ada, bob, cy];
    ids.sort();
    assert_eq!(everybody, ids.map(|id| (id, false)));
}
