//! Tells rooms which of their tracks a link does not carry for now, so that who is behind it sees why. Decides
//! nothing: what is paused is the outbox's word.

use std::{collections::BTreeMap, mem, sync::Arc};

use pulse_proto::{RoomName, control::TrackRef};
use tokio::time::interval;

use super::peer::PeerLink;
use crate::{
    limits::LINK_PAUSED_LOOK,
    room::{Input, PeerInput},
    rooms::Rooms,
};

type ByRoom = BTreeMap<RoomName, Vec<TrackRef>>;

/// Looks again and again, until the link is over.
pub(super) async fn tell(link: Arc<PeerLink>, rooms: Rooms) {
    let mut ticks = interval(LINK_PAUSED_LOOK);
    let mut told = ByRoom::new();
    loop {
        tokio::select! {
            biased;
            () = link.over().cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (room, tracks) in changes(&mut told, by_room(&link)) {
            if let Some(room) = rooms.get(&room) {
                let edge = link.edge().clone();
                let heard = PeerInput::Paused(tracks);
                room.tell(Input::Peer { edge, heard }).await;
            }
        }
    }
}

fn by_room(link: &PeerLink) -> ByRoom {
    let mut paused = ByRoom::new();
    for track in link.media().paused() {
        if let Some(room) = link.room_of(track.participant) {
            paused.entry(room).or_default().push(track);
        }
    }
    paused
}

/// What each room is to be told; `told` is what they know from then on.
fn changes(told: &mut ByRoom, paused: ByRoom) -> Vec<(RoomName, Vec<TrackRef>)> {
    let before = mem::replace(told, paused);
    let over = before.keys().filter(|room| !told.contains_key(*room));
    let over = over.map(|room| (room.clone(), Vec::new()));
    let other = told
        .iter()
        .filter(|(room, tracks)| before.get(*room) != Some(tracks));
    over.chain(other.map(|(room, tracks)| (room.clone(), tracks.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use pulse_proto::ParticipantId;

    use super::*;

    #[test]
    fn a_room_is_told_what_changes_and_no_more() {
        let room = |name| RoomName::parse(name).unwrap();
        let track = |track| TrackRef {
            participant: ParticipantId::from_random([1; 16]),
            track,
        };
        let mut told = ByRoom::new();
        let one = ByRoom::from([(room("a"), vec![track(1)])]);
        assert_eq!(
            changes(&mut told, one.clone()),
            [(room("a"), vec![track(1)])]
        );
        assert_eq!(changes(&mut told, one.clone()), []);
        let two = ByRoom::from([(room("a"), vec![track(1)]), (room("b"), vec![track(2)])]);
        assert_eq!(changes(&mut told, two), [(room("b"), vec![track(2)])]);
        assert_eq!(changes(&mut told, one), [(room("b"), vec![])]);
        assert_eq!(changes(&mut told, ByRoom::new()), [(room("a"), vec![])]);
    }
}
