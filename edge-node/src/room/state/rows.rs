//! Who is in a room at other edges: rows become members, and what has changed of them is told to ours. A row
//! is believed only from the edge that holds it; one that has moved more often is the later one.

use std::{collections::BTreeMap, time::Instant};

use pulse_core::planted::{self, Bug};
use pulse_proto::{
    ErrorCode, Frame, FrameType, ParticipantId,
    cluster::{EdgeId, link::Row},
    control::{self, LeaveReason, Participant, Roster, TrackConfig, TrackStop},
    media::MediaHeader,
};

use super::{Effect, Home, Member, Slot, State, Track};
use crate::{
    outbox::{Class, Ending},
    room::{cache::TrackCache, early::Held},
};

impl State {
    /// All rows of an edge.
    pub(super) fn on_rows(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        rows: &[Row],
        fx: &mut Vec<Effect>,
    ) {
        let gone: Vec<Slot> = self
            .slots()
            .filter(|(_, member)| member.is_at(edge))
            .filter(|(_, member)| !rows.iter().any(|row| row.participant.id == member.id))
            .map(|(slot, _)| slot)
            .collect();
        for slot in gone {
            self.remove(now, slot, LeaveReason::Lost, fx);
        }
        for row in rows {
            self.on_row(now, edge, row, fx);
        }
    }

    /// What core knows of an edge that does not speak for itself: who is still there. Others are known once it
    /// does, for their tracks and what they speak are not core's to say.
    pub(super) fn on_names(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        there: &[ParticipantId],
        fx: &mut Vec<Effect>,
    ) {
        let known = self.slots().filter(|(_, member)| member.is_at(edge));
        let rows: Vec<Row> = known
            .filter(|(_, member)| there.contains(&member.id))
            .map(|(_, member)| member.row())
            .collect();
        self.on_rows(now, edge, &rows, fx);
        self.on_unreachable(edge, fx);
    }

    /// Nothing is heard of an edge: nor of anybody there.
    pub(super) fn on_unreachable(&mut self, edge: &EdgeId, fx: &mut Vec<Effect>) {
        let there: Vec<Slot> = self
            .slots()
            .filter(|(_, member)| member.is_at(edge) && !member.is_away())
            .map(|(slot, _)| slot)
            .collect();
        for slot in there {
            if let Some(Member {
                home: Home::There { away, .. },
                ..
            }) = self.at_mut(slot)
            {
                *away = true;
            }
            self.tell_updated(slot, fx);
        }
    }

    /// One row of an edge.
    pub(super) fn on_row(&mut self, now: Instant, edge: &EdgeId, row: &Row, fx: &mut Vec<Effect>) {
        match self.slot_of(row.participant.id) {
            None => self.on_new_row(edge, row, fx),
            Some(slot) if self.may_say(edge, slot, row) => {
                self.take_home(edge, slot, row, fx);
                self.on_same_row(slot, row, fx);
            }
            Some(_) => {}
        }
        self.release_early(now, edge, row.participant.id, fx);
    }

    /// Whether an edge may say what a member is. Of two that hold the same id (v1 clients choose theirs), the
    /// one with the smaller name is believed, by both.
    fn may_say(&self, edge: &EdgeId, slot: Slot, row: &Row) -> bool {
        let Some(member) = self.at(slot) else {
            return false;
        };
        match &member.home {
            Home::There { edge: home, .. } if home == edge => true,
            _ if row.moves != member.moves => row.moves > member.moves,
            Home::There { edge: home, .. } => edge < home,
            Home::Here => *edge < self.edge,
        }
    }

    /// The member is that edge's from now on, if it was not.
    fn take_home(&mut self, edge: &EdgeId, slot: Slot, row: &Row, fx: &mut Vec<Effect>) {
        let Some(member) = self.at_mut(slot) else {
            return;
        };
        let was_here = member.is_here();
        let (connected, same_moves) = (member.connection.is_some(), member.moves == row.moves);
        let away = member.is_away();
        member.moves = row.moves;
        member.resume = row.resume;
        if !member.is_at(edge) {
            member.home = Home::There {
                edge: edge.clone(),
                away,
            };
        }
        if !was_here {
            return;
        }
        member.connection = None;
        member.away_since = None;
        member.token = String::new();
        if connected {
            let code = if same_moves {
                ErrorCode::IdTaken
            } else {
                ErrorCode::Replaced
            };
            let ending = Ending::Error(code);
            fx.push(Effect::End { slot, ending });
            fx.push(Effect::Detach { slot });
        }
        if let Some(share) = &mut self.share {
            share.forget(slot);
        }
        fx.push(Effect::Declare);
        self.say_farewell(fx);
    }

    fn on_new_row(&mut self, edge: &EdgeId, row: &Row, fx: &mut Vec<Effect>) {
        let mut member = Member::elsewhere(edge.clone(), row, self.epoch + 1);
        member.tracks = row
            .participant
            .tracks
            .iter()
            .map(|config| (config.track, fresh(config)))
            .collect();
        let joined = member.describe(true);
        let is_v1 = member.is_v1();
        self.place(member);
        self.epoch += 1;
        let change = Roster {
            epoch: self.epoch,
            joined: vec![joined],
            updated: vec![],
            left: vec![],
        };
        self.tell_roster(None, &change, fx);
        if is_v1 {
            let name = row.participant.name.as_str().as_bytes();
            let frame = Frame::new(row.participant.id, FrameType::JoinRequest, name);
            self.to_all(None, Member::is_v1, Class::Control, &frame, fx);
        }
        self.tell_user_list(fx);
        self.tell_interest(fx);
    }

    fn on_same_row(&mut self, slot: Slot, row: &Row, fx: &mut Vec<Effect>) {
        let told = &row.participant;
        let Some(member) = self.at_mut(slot) else {
            return;
        };
        let before = member.describe(false);
        member.name = told.name.clone();
        member.hand = told.hand;
        member.quality = told.quality;
        if let Home::There { away, .. } = &mut member.home {
            *away = told.away;
        }
        if before != member.describe(false) {
            self.tell_updated(slot, fx);
        }
        self.on_tracks(slot, told, fx);
    }

    fn on_tracks(&mut self, slot: Slot, told: &Participant, fx: &mut Vec<Effect>) {
        let Some(member) = self.at(slot) else { return };
        let stopped: Vec<u8> = member
            .tracks
            .iter()
            .filter(|(number, known)| {
                !told
                    .tracks
                    .iter()
                    .any(|config| config.track == **number && config.source == known.config.source)
            })
            .map(|(number, _)| *number)
            .collect();
        for track in stopped {
            let frame = control::encode(told.id, &TrackStop { track });
            self.stop_track(slot, told.id, track, &frame, fx);
        }
        let mut changed = false;
        for config in &told.tracks {
            let Some(member) = self.at_mut(slot) else {
                return;
            };
            match member.tracks.get_mut(&config.track) {
                Some(known) if known.config == *config => continue,
                Some(known) => known.config = config.clone(),
                None => {
                    member.tracks.insert(config.track, fresh(config));
                }
            }
            changed = true;
            let frame = control::encode(told.id, config);
            self.to_all(None, |m| !m.is_v1(), Class::Control, &frame, fx);
        }
        if changed {
            self.tell_interest(fx);
        }
    }

    /// A chunk of somebody at another edge: to ours alone.
    pub(super) fn on_peer_media(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        header: MediaHeader,
        frame: Frame,
        fx: &mut Vec<Effect>,
    ) {
        let sender = frame.sender();
        let slot = self.slot_of(sender);
        let known = slot.and_then(|slot| self.at(slot));
        match (slot, known) {
            (Some(slot), Some(member)) if member.is_at(edge) => {
                if member.tracks.contains_key(&header.track) {
                    if self.is_new_chunk(slot, &header) {
                        self.fan_out(now, slot, header, frame, fx);
                    }
                    return;
                }
            }
            // Somebody else's, or of before it moved.
            (Some(_), _) => {
                self.foreign += 1;
                return;
            }
            (None, _) => {}
        }
        // Media overtakes what announces it.
        self.early.hold(
            now,
            Held {
                edge: edge.clone(),
                header,
                frame,
            },
        );
    }

    /// Whether a chunk of another edge has not come before.
    fn is_new_chunk(&mut self, slot: Slot, header: &MediaHeader) -> bool {
        let Some(track) = self
            .at_mut(slot)
            .and_then(|member| member.tracks.get_mut(&header.track))
        else {
            return false;
        };
        let seen = track.seen.entry(header.spatial).or_default();
        let again = seen.seen(header.sequence, header.chunk);
        self.duplicates += u64::from(again);
        !again || planted::is(Bug::NoWindow)
    }

    fn release_early(
        &mut self,
        now: Instant,
        edge: &EdgeId,
        id: ParticipantId,
        fx: &mut Vec<Effect>,
    ) {
        for Held { header, frame, .. } in self.early.release(now, edge, id) {
            self.on_peer_media(now, edge, header, frame, fx);
        }
    }
}

fn fresh(config: &TrackConfig) -> Track {
    Track {
        config: config.clone(),
        cache: TrackCache::default(),
        seen: BTreeMap::new(),
        told: None,
    }
}
