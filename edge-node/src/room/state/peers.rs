//! The other edges that have to do with a room: what is said to them, and what their members want of ours.
//! Whoever is in the room there is in [`super::rows`].

use std::{collections::BTreeSet, time::Instant};

use pulse_core::planted::{self, Bug};
use pulse_proto::{
    ParticipantId,
    cluster::{
        EdgeId, Stamp,
        link::{Interest, RoomMessage, Row, TrackDemand},
    },
    control::{Gone, Interruption, LeaveReason, TrackRef},
};

use super::{
    Decodes, Effect, Home, Member, PeerInput, Slot, State, demand::Wanted, media::class_of,
};

use crate::images::StoredImage;

/// Another edge.
#[derive(Debug)]
struct Peer {
    edge: EdgeId,
    /// There is a link to it.
    linked: bool,
    /// Core says that it holds the room.
    listed: bool,
    /// It knows our rows, as far as this link goes.
    told: bool,
    /// What its members want.
    interest: Interest,
    /// What it knows of what ours want.
    told_interest: Option<Interest>,
    /// Tracks of ours that the link to it does not carry for now.
    paused: BTreeSet<TrackRef>,
}

impl Peer {
    fn wants(&self, audio: bool, track: TrackRef, temporal: u8) -> bool {
        let kind = if audio {
            self.interest.audio
        } else {
            self.interest.video && temporal <= self.interest.max_temporal
        };
        kind && self.interest.unwanted.binary_search(&track).is_err()
    }

    /// What it is told of one of ours: who is behind a link that does not carry a track sees why it is not there.
    fn row(&self, member: &Member) -> Row {
        let mut row = member.row();
        for config in &mut row.participant.tracks {
            let track = TrackRef {
                participant: member.id,
                track: config.track,
            };
            if self.paused.contains(&track) {
                config.interrupted.get_or_insert(Interruption::Bandwidth);
            }
        }
        row
    }
}

/// All of them, each in a place that it keeps.
#[derive(Debug, Default)]
pub(super) struct Peers(Vec<Peer>);

impl Peers {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The edges where somebody wants such a chunk.
    pub(super) fn that_want(
        &self,
        audio: bool,
        track: TrackRef,
        temporal: u8,
    ) -> impl Iterator<Item = &EdgeId> {
        let wanting = self
            .0
            .iter()
            .filter(move |peer| peer.wants(audio, track, temporal));
        wanting.map(|peer| &peer.edge)
    }

    /// The edges where somebody views v1's types, each with a place that no member has.
    pub(super) fn that_view_v1(&self) -> impl Iterator<Item = (Slot, EdgeId)> {
        let viewing = self.0.iter().enumerate();
        viewing
            .filter(|(_, peer)| peer.interest.v1)
            .map(|(index, peer)| (viewer(index), peer.edge.clone()))
    }

    /// Who wants a track of ours there. An edge that has not heard of the track yet counts as one who decodes
    /// what everybody does.
    pub(super) fn demands(&self, audio: bool, track: TrackRef) -> impl Iterator<Item = Wanted> {
        self.0.iter().filter_map(move |peer| {
            let demands = &peer.interest.demands;
            let known = demands.iter().find(|demand| demand.track == track);
            match known {
                Some(demand) => Some(Wanted {
                    subscribers: demand.subscribers,
                    decodes: Decodes::from_bits(demand.decodes),
                }),
                None => peer.wants(audio, track, 0).then_some(Wanted {
                    subscribers: 1,
                    decodes: Decodes::NONE,
                }),
            }
        })
    }

    /// Tells an edge something, if it is there to hear it.
    pub(super) fn tell(&self, edge: &EdgeId, message: RoomMessage, fx: &mut Vec<Effect>) {
        if self.0.iter().any(|peer| peer.edge == *edge && peer.told) {
            fx.push(Effect::Tell {
                edge: edge.clone(),
                message,
            });
        }
    }

    /// Gives an image to every edge that holds the room.
    pub(super) fn show_image(&self, image: &StoredImage, fx: &mut Vec<Effect>) {
        for peer in self.0.iter().filter(|peer| peer.told) {
            fx.push(Effect::ShowImage {
                edge: peer.edge.clone(),
                image: image.clone(),
            });
        }
    }

    fn tell_all(&self, message: &RoomMessage, fx: &mut Vec<Effect>) {
        for peer in self.0.iter().filter(|peer| peer.told) {
            fx.push(Effect::Tell {
                edge: peer.edge.clone(),
                message: message.clone(),
            });
        }
    }

    fn of(&mut self, edge: &EdgeId) -> (usize, &mut Peer) {
        let known = self.0.iter().position(|peer| peer.edge == *edge);
        let index = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(Peer {
                edge: edge.clone(),
                linked: false,
                listed: false,
                told: false,
                interest: Interest::default(),
                told_interest: None,
                paused: BTreeSet::new(),
            });
        }
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        (index, &mut self.0[index])
    }
}

/// The place under which a share knows an edge: counted from the other end, where no member gets to.
const fn viewer(index: usize) -> Slot {
    Slot(usize::MAX - index)
}

impl State {
    pub(super) fn on_peer(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        heard: PeerInput,
        fx: &mut Vec<Effect>,
    ) {
        match heard {
            PeerInput::Up => {
                let (_, peer) = self.peers.of(edge);
                peer.linked = true;
                peer.told = false;
                // One run of the edge may have followed another without a moment between their links: it says
                // then that nobody of the one before is there.
                let listed = peer.listed;
                if listed || self.slots().any(|(_, member)| member.is_at(edge)) {
                    self.introduce(edge, fx);
                }
            }
            PeerInput::Down => {
                let (index, peer) = self.peers.of(edge);
                peer.linked = false;
                peer.paused = BTreeSet::new();
                let listed = peer.listed;
                self.forget_interest(now, index, fx);
                if listed {
                    self.on_unreachable(edge, fx);
                } else {
                    // Core has taken it off the room before, and will not say so again.
                    self.on_rows(now, edge, &[], fx);
                }
            }
            PeerInput::Said(message) => self.on_said(now, edge, message, fx),
            PeerInput::Paused(tracks) => self.on_paused(edge, tracks, fx),
            PeerInput::Media { header, frame } => {
                self.on_peer_media(now, edge, header, frame, fx);
            }
            PeerInput::V1(frame) => {
                if let Some(slot) = self.slot_at(edge, frame.sender()) {
                    self.on_v1(slot, &frame, fx);
                }
            }
        }
    }

    fn on_said(&mut self, now: Instant, edge: &EdgeId, message: RoomMessage, fx: &mut Vec<Effect>) {
        match message {
            RoomMessage::Rows(rows) if rows.is_empty() => {
                let (index, _) = self.peers.of(edge);
                self.forget_interest(now, index, fx);
                self.on_rows(now, edge, &rows, fx);
            }
            RoomMessage::Rows(rows) => {
                self.on_rows(now, edge, &rows, fx);
                let (_, peer) = self.peers.of(edge);
                if peer.linked && !peer.told {
                    self.answer(edge, fx);
                }
            }
            RoomMessage::RowsWanted => self.introduce(edge, fx),
            RoomMessage::Changed(row) => self.on_row(now, edge, &row, fx),
            RoomMessage::Gone(gone) => {
                if let Some(slot) = self.slot_at(edge, gone.id) {
                    self.remove(now, slot, gone.reason, fx);
                }
            }
            RoomMessage::Interest(interest) => self.on_interest(now, edge, interest, fx),
            RoomMessage::Keyframe(request) => {
                let here = self
                    .slot_of(request.participant)
                    .and_then(|slot| self.at(slot))
                    .is_some_and(Member::is_here);
                if here {
                    self.on_keyframe_request(now, request, fx);
                }
            }
            // Images are kept beside the room; kinds of later versions are nothing to this one.
            _ => {}
        }
    }

    /// Core says who holds the room. What an edge says itself counts for more while it can.
    pub(super) fn on_view(
        &mut self,
        now: Instant,
        stamp: Stamp,
        edges: &[(EdgeId, Vec<ParticipantId>)],
        fx: &mut Vec<Effect>,
    ) {
        if stamp < self.view && !planted::is(Bug::StaleTerm) {
            return;
        }
        self.view = stamp;
        for peer in &mut self.peers.0 {
            peer.listed = edges.iter().any(|(edge, _)| *edge == peer.edge);
        }
        for (edge, there) in edges {
            let (_, peer) = self.peers.of(edge);
            peer.listed = true;
            let (linked, told) = (peer.linked, peer.told);
            let unknown = there.iter().any(|id| self.slot_of(*id).is_none());
            let surplus = self
                .slots()
                .any(|(_, m)| m.is_at(edge) && !there.contains(&m.id));
            if linked && !told {
                self.introduce(edge, fx);
            } else if linked && (unknown || surplus) {
                // Core is behind, or somebody has moved by a way that is not linked with this edge.
                self.peers.tell(edge, RoomMessage::RowsWanted, fx);
            } else if !linked {
                self.on_names(now, edge, there, fx);
            }
        }
        let silent: Vec<EdgeId> = self
            .peers
            .0
            .iter()
            .filter(|peer| !peer.listed && !peer.linked)
            .map(|peer| peer.edge.clone())
            .collect();
        for edge in silent {
            self.on_rows(now, &edge, &[], fx);
        }
    }

    /// Tells an edge that has told this one. If they have all moved there, that nobody is here: it will tell
    /// who comes next.
    fn answer(&mut self, edge: &EdgeId, fx: &mut Vec<Effect>) {
        if self.is_empty() {
            fx.push(Effect::Tell {
                edge: edge.clone(),
                message: RoomMessage::Rows(Vec::new()),
            });
        }
        self.introduce(edge, fx);
    }

    /// Tells an edge all it needs to know: who is here, and what they want.
    fn introduce(&mut self, edge: &EdgeId, fx: &mut Vec<Effect>) {
        if self.is_empty() {
            return;
        }
        let (index, peer) = self.peers.of(edge);
        peer.told = true;
        peer.told_interest = None;
        let Some(peer) = self.peers.0.get(index) else {
            return;
        };
        let here = self.in_order().into_iter().filter(|m| m.is_here());
        let rows = RoomMessage::Rows(here.map(|member| peer.row(member)).collect());
        self.peers.tell(edge, rows, fx);
        self.tell_interest(fx);
    }

    /// Tells the other edges what a member of this one is now.
    pub(super) fn tell_peers_of(&self, slot: Slot, fx: &mut Vec<Effect>) {
        let Some(member) = self.at(slot).filter(|member| member.is_here()) else {
            return;
        };
        for peer in self.peers.0.iter().filter(|peer| peer.told) {
            let row = RoomMessage::Changed(Box::new(peer.row(member)));
            self.peers.tell(&peer.edge, row, fx);
        }
    }

    /// What the link to an edge does not carry for now, of all that is published here.
    fn on_paused(&mut self, edge: &EdgeId, tracks: Vec<TrackRef>, fx: &mut Vec<Effect>) {
        let (index, peer) = self.peers.of(edge);
        let before = std::mem::replace(&mut peer.paused, tracks.into_iter().collect());
        let Some(peer) = self.peers.0.get(index).filter(|peer| peer.linked) else {
            return;
        };
        let changed: BTreeSet<ParticipantId> = before
            .symmetric_difference(&peer.paused)
            .map(|track| track.participant)
            .collect();
        for (_, member) in self.slots() {
            if changed.contains(&member.id) && member.is_here() {
                let row = RoomMessage::Changed(Box::new(peer.row(member)));
                self.peers.tell(edge, row, fx);
            }
        }
    }

    /// Tells the other edges that a member of this one has gone.
    pub(super) fn tell_peers_gone(
        &mut self,
        id: ParticipantId,
        reason: LeaveReason,
        fx: &mut Vec<Effect>,
    ) {
        self.peers
            .tell_all(&RoomMessage::Gone(Gone { id, reason }), fx);
        self.say_farewell(fx);
    }

    /// Once nobody is left here: nothing more is to come, and who holds the room again is told anew.
    pub(super) fn say_farewell(&mut self, fx: &mut Vec<Effect>) {
        if self.is_empty() {
            self.peers.tell_all(&RoomMessage::Rows(Vec::new()), fx);
            for peer in &mut self.peers.0 {
                peer.told = false;
                peer.told_interest = None;
            }
        }
    }

    /// Tells each edge what our members want of it, if that has changed.
    pub(super) fn tell_interest(&mut self, fx: &mut Vec<Effect>) {
        if !self.peers.0.iter().any(|peer| peer.told) {
            return;
        }
        let tracks = self.tracks_elsewhere();
        let wanting = || {
            self.members
                .iter()
                .flatten()
                .filter(|m| m.connection.is_some())
        };
        let watching = wanting().filter(|member| member.wants.video && !member.is_v1());
        let common = Interest {
            audio: wanting().any(|member| member.wants.audio && !member.is_v1()),
            video: watching.clone().next().is_some(),
            v1: wanting().any(|member| member.is_v1() || member.v1_bridge),
            max_temporal: watching.map(|m| m.wants.max_temporal).max().unwrap_or(0),
            unwanted: Vec::new(),
            demands: Vec::new(),
        };
        for peer in self.peers.0.iter_mut().filter(|peer| peer.told) {
            let mut interest = common.clone();
            for (_, track, wanted) in tracks.iter().filter(|(edge, ..)| *edge == peer.edge) {
                interest.demands.push(TrackDemand {
                    track: *track,
                    subscribers: wanted.subscribers,
                    decodes: wanted.decodes.bits(),
                });
                if wanted.subscribers == 0 {
                    interest.unwanted.push(*track);
                }
            }
            if peer.told_interest.as_ref() != Some(&interest) {
                fx.push(Effect::Tell {
                    edge: peer.edge.clone(),
                    message: RoomMessage::Interest(interest.clone()),
                });
                peer.told_interest = Some(interest);
            }
        }
    }

    /// Every track of the other edges, with who wants it here.
    fn tracks_elsewhere(&self) -> Vec<(EdgeId, TrackRef, Wanted)> {
        let mut tracks = Vec::new();
        for (slot, member) in self.slots() {
            let Home::There { edge, .. } = &member.home else {
                continue;
            };
            for (number, track) in &member.tracks {
                let audio = track.config.source.is_audio();
                let track = TrackRef {
                    participant: member.id,
                    track: *number,
                };
                tracks.push((edge.clone(), track, self.wanted_here(slot, audio, track)));
            }
        }
        tracks
    }

    /// What the members of an edge want from now on. What they did not want before begins with what is cached.
    fn on_interest(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        mut interest: Interest,
        fx: &mut Vec<Effect>,
    ) {
        // Searched for every frame.
        interest.unwanted.sort_unstable();
        let (index, peer) = self.peers.of(edge);
        if !peer.linked {
            return;
        }
        let before = std::mem::replace(&mut peer.interest, interest);
        if !before.v1 && self.peers.0.get(index).is_some_and(|p| p.interest.v1) {
            self.show_share_to(viewer(index), edge, fx);
        }
        let was = |track: TrackRef| before.video && before.unwanted.binary_search(&track).is_err();
        let mut begun = Vec::new();
        for (slot, member) in self.slots().filter(|(_, member)| member.is_here()) {
            for (number, track) in &member.tracks {
                let wanted = TrackRef {
                    participant: member.id,
                    track: *number,
                };
                let wants = self
                    .peers
                    .0
                    .get(index)
                    .is_some_and(|p| p.wants(false, wanted, 0));
                if !track.config.source.is_audio() && wants && !was(wanted) {
                    begun.push((slot, *number));
                }
            }
        }
        for (slot, track) in begun {
            self.replay_to(now, edge, slot, track, fx);
        }
        self.demand_changed(now, None, fx);
    }

    /// Sends an edge what is cached of a track, and asks for a keyframe if live frames do not go on from there.
    fn replay_to(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        slot: Slot,
        track: u8,
        fx: &mut Vec<Effect>,
    ) {
        let published = self.at(slot).and_then(|member| member.tracks.get(&track));
        let Some(published) = published else { return };
        let replay = published.cache.replay(now);
        let live = replay.as_ref().is_some_and(|replay| replay.live);
        for (header, frame) in replay.into_iter().flat_map(|replay| replay.chunks) {
            fx.push(Effect::Forward {
                edge: edge.clone(),
                class: class_of(published.config.source, header),
                frame: frame.clone(),
            });
        }
        if !live {
            self.want_keyframe(now, slot, track, 0, fx);
        }
    }

    fn forget_interest(&mut self, now: Instant, index: usize, fx: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.0.get_mut(index) {
            peer.told = false;
            peer.told_interest = None;
            peer.interest = Interest::default();
        }
        if let Some(share) = &mut self.share {
            share.forget(viewer(index));
        }
        self.demand_changed(now, None, fx);
    }

    /// A member of that edge.
    pub(super) fn slot_at(&self, edge: &EdgeId, id: ParticipantId) -> Option<Slot> {
        let slot = self.slot_of(id)?;
        self.at(slot)?.is_at(edge).then_some(slot)
    }
}
