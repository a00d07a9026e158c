//! One room: who is in it and who gets which frame. Pure: it never awaits, reads a clock, draws
//! randomness or touches a socket. [`State::handle`] fills a list of effects that its owner, the
//! room task, carries out in order.

mod chat;
mod demand;
mod io;
mod media;
mod member;
mod peers;
mod rows;
mod update;
mod v1;

use std::{collections::BTreeMap, time::Instant};

use pulse_core::membership::Row;
use pulse_proto::{
    ErrorCode, Frame, PROTOCOL_VERSION, ParticipantId,
    cluster::{EdgeId, Stamp},
    control::{
        self, FEATURE_CONSTRAINED, FEATURE_DEMAND, FEATURE_IMAGES, FEATURE_RESUME, FEATURE_UPDATE,
        Gone, Hello, LeaveReason, Protocol, Roster, RosterSnapshot, Subscribe, Welcome,
    },
    limits::RESUME_GRACE,
};

pub(crate) use self::{
    chat::Posted,
    demand::Decodes,
    io::{ChatContent, ConnectionId, Effect, Input, JoinRequest, MemberRef, PeerInput, Slot},
};
use self::{
    chat::{Chats, Said},
    media::KeyframeGate,
    member::{Home, Member, Track},
    peers::Peers,
};
use super::{early::Early, share::Share};
use crate::{
    directory::Whereabouts,
    outbox::{Class, Ending},
    token,
};

/// What this edge's hello lists.
const FEATURES: [&str; 5] = [
    FEATURE_IMAGES,
    FEATURE_RESUME,
    FEATURE_DEMAND,
    FEATURE_UPDATE,
    FEATURE_CONSTRAINED,
];

/// One room.
#[derive(Debug)]
pub(crate) struct State {
    members: Vec<Option<Member>>,
    /// The other edges that have to do with this room.
    peers: Peers,
    /// This one's name.
    edge: EdgeId,
    /// When core said what is known of it.
    view: Stamp,
    /// Media of other edges that is not announced yet.
    early: Early,
    /// Chunks that came from an edge which does not hold their sender.
    foreign: u64,
    /// Chunks that came twice.
    duplicates: u64,
    max_participants: usize,
    epoch: u64,
    chats: Chats,
    /// Messages that found too many waiting.
    chats_refused: u64,
    keyframes: BTreeMap<(Slot, u8, u8), KeyframeGate>,
    share: Option<Share>,
    /// Who wants what may have changed: it is looked at then.
    demand_due: Option<Instant>,
    /// When the last hand went up, in ms since 1970.
    last_hand: u64,
    /// Chunks of upper layers that their receivers did not want.
    thinned: u64,
}

impl State {
    /// An empty room for at most so many, at this edge. Its chats are numbered from `first_chat` until core
    /// numbers them.
    pub(crate) fn new(edge: EdgeId, max_participants: usize, first_chat: u64) -> Self {
        Self {
            members: Vec::new(),
            peers: Peers::default(),
            edge,
            view: Stamp::default(),
            early: Early::default(),
            foreign: 0,
            duplicates: 0,
            max_participants,
            epoch: 0,
            chats: Chats::new(first_chat),
            chats_refused: 0,
            keyframes: BTreeMap::new(),
            share: None,
            demand_due: None,
            last_hand: 0,
            thinned: 0,
        }
    }

    /// Whether nobody of this edge is left, those who may yet resume included.
    pub(crate) fn is_empty(&self) -> bool {
        !self.members.iter().flatten().any(Member::is_here)
    }

    /// The rows that this edge declares: everybody here, who came first before.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row> {
        let here = self.in_order().into_iter().filter(|m| m.is_here());
        here.map(|member| Row {
            participant: member.id,
            name: member.name.clone(),
            moves: member.moves,
        })
    }

    /// The highest number of a chat that is known here.
    pub(crate) const fn chat_seq(&self) -> Option<u64> {
        self.chats.seq()
    }

    /// What was refused or came to nothing since the last time it was asked: chunks of an edge that does not
    /// hold their sender, that came twice or too early, and messages that found too many waiting.
    pub(crate) fn take_refused(&mut self) -> [(&'static str, u64); 4] {
        [
            ("duplicate", std::mem::take(&mut self.duplicates)),
            ("foreign", std::mem::take(&mut self.foreign)),
            ("early", self.early.take_dropped()),
            ("chat", std::mem::take(&mut self.chats_refused)),
        ]
    }

    /// Chunks of upper layers that receivers did not want, since the last time it was asked.
    pub(crate) fn take_thinned(&mut self) -> u64 {
        std::mem::take(&mut self.thinned)
    }

    /// When [`Input::Timeout`] is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let away = self
            .members
            .iter()
            .flatten()
            .filter_map(|member| member.away_since);
        let keyframes = self.keyframes.values().filter_map(KeyframeGate::due);
        away.map(|since| since + RESUME_GRACE)
            .chain(keyframes)
            .chain(self.demand_due)
            .chain(self.chats.post_at())
            .min()
    }

    /// Takes an input and appends what is to be done.
    pub(crate) fn handle(&mut self, now: Instant, input: Input, fx: &mut Vec<Effect>) {
        match input {
            Input::Join(request) => self.on_join(now, *request, fx),
            Input::Gone { from, reason } => {
                if self.member(from).is_some() {
                    self.on_gone(now, from.slot, reason, fx);
                }
            }
            Input::Media {
                from,
                header,
                frame,
            } => self.on_media(now, from, header, frame, fx),
            Input::Track {
                from,
                config,
                frame,
            } => self.on_track(now, from, *config, &frame, fx),
            Input::TrackStop { from, track, frame } => self.on_track_stop(from, track, &frame, fx),
            Input::Chat {
                from,
                at_ms,
                nonce,
                content,
                original,
            } => {
                let said = Said {
                    at_ms,
                    nonce,
                    content,
                    original,
                };
                self.on_chat(now, from, said, fx);
            }
            Input::Numbered { chat, image } => self.on_numbered(&chat, image, fx),
            Input::Keyframe { from, request } => {
                if self.member(from).is_some() {
                    self.on_keyframe_request(now, request, fx);
                }
            }
            Input::Subscribe { from, wants } => self.on_subscribe(now, from, wants, fx),
            Input::Update {
                from,
                at_ms,
                update,
            } => self.on_update(from, at_ms, update, fx),
            Input::Starved {
                from,
                track,
                keyframe,
            } => {
                if self.member(from).is_some() {
                    self.replay(now, from.slot, track, keyframe, fx);
                }
            }
            Input::V1 { from, frame } => {
                if self.member(from).is_some() {
                    self.on_v1(from.slot, &frame, fx);
                }
            }
            Input::Peer { edge, heard } => self.on_peer(now, &edge, heard, fx),
            Input::View {
                stamp,
                chat_seq,
                edges,
            } => {
                self.chats.begin_at(chat_seq);
                self.on_view(now, stamp, &edges, fx);
            }
            Input::Timeout => self.on_timeout(now, fx),
        }
    }

    fn on_join(&mut self, now: Instant, request: JoinRequest, fx: &mut Vec<Effect>) {
        let connection = request.connection;
        let resumed = request.resume.as_ref().and_then(|token| {
            let digest = token::digest(token);
            self.slots()
                .find(|(_, member)| member.resume == Some(digest))
                .map(|(slot, _)| slot)
        });
        if let Some(slot) = resumed {
            return self.on_resume(now, slot, request, fx);
        }
        if self.members.iter().flatten().count() >= self.max_participants {
            return fx.push(Effect::Refuse {
                connection,
                code: ErrorCode::RoomFull,
            });
        }
        if self.slot_of(request.id).is_some() {
            return fx.push(Effect::Refuse {
                connection,
                code: ErrorCode::IdTaken,
            });
        }
        let (protocol, uploads) = (request.protocol, request.uploads.clone());
        let whereabouts = request.whereabouts.clone();
        let member = Member::joining(request, self.epoch + 1);
        let (id, joined) = (member.id, member.describe(true));
        let slot = self.place(member);
        fx.push(Effect::Admit {
            connection,
            slot,
            id,
        });
        fx.push(Effect::Declare);
        self.tell_peers_of(slot, fx);
        self.epoch += 1;
        if protocol == Protocol::V2 {
            self.welcome(slot, uploads, whereabouts, false, fx);
        }
        let change = Roster {
            epoch: self.epoch,
            joined: vec![joined],
            updated: vec![],
            left: vec![],
        };
        self.tell_roster(Some(slot), &change, fx);
        self.tell_user_list(fx);
        self.demand_changed(now, Some(slot), fx);
        self.replay_all(now, slot, fx);
        self.show_share(slot, fx);
    }

    fn on_resume(&mut self, now: Instant, slot: Slot, request: JoinRequest, fx: &mut Vec<Effect>) {
        let connection = request.connection;
        let Some(member) = self.at_mut(slot) else {
            return;
        };
        if member.connection.is_some() {
            fx.push(Effect::End {
                slot,
                ending: Ending::Error(ErrorCode::Replaced),
            });
        }
        let was_away = member.is_away();
        let moved = !member.is_here();
        if moved {
            member.home = Home::Here;
            member.moves += 1;
        }
        member.connection = Some(connection);
        member.resume = Some(token::digest(&request.token));
        member.token = request.token;
        member.v1_bridge = request.v1_bridge;
        member.demand = request.demand;
        member.decodes = request.decodes;
        member.wants = Subscribe::everything();
        // Its new connection is told again as it announces its tracks.
        for track in member.tracks.values_mut() {
            track.told = None;
        }
        member.away_since = None;
        let id = member.id;
        let updated = member.describe(false);
        fx.push(Effect::Admit {
            connection,
            slot,
            id,
        });
        if moved {
            fx.push(Effect::Declare);
        }
        self.tell_peers_of(slot, fx);
        if was_away {
            self.epoch += 1;
        }
        self.welcome(slot, request.uploads, request.whereabouts, true, fx);
        if was_away {
            let epoch = self.epoch;
            let change = Roster {
                epoch,
                joined: vec![],
                updated: vec![updated],
                left: vec![],
            };
            self.tell_roster(Some(slot), &change, fx);
        }
        self.demand_changed(now, Some(slot), fx);
        self.replay_all(now, slot, fx);
        self.show_share(slot, fx);
    }

    fn welcome(
        &self,
        slot: Slot,
        uploads: String,
        whereabouts: Whereabouts,
        resumed: bool,
        fx: &mut Vec<Effect>,
    ) {
        let Some(member) = self.at(slot) else { return };
        let others = self
            .in_order()
            .into_iter()
            .filter(|other| other.id != member.id);
        let welcome = Welcome {
            hello: Hello {
                version: PROTOCOL_VERSION,
                features: FEATURES.map(str::to_owned).to_vec(),
                agent: concat!("pulse-edge/", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            id: member.id,
            resume: member.token.clone(),
            resumed,
            uploads,
            roster: RosterSnapshot {
                epoch: self.epoch,
                participants: others.map(|other| other.describe(true)).collect(),
            },
            region: whereabouts.region,
            alternates: whereabouts.alternates,
        };
        let frame = control::encode(ParticipantId::ZERO, &welcome);
        fx.push(Effect::Send {
            slot,
            class: Class::Control,
            frame,
        });
    }

    fn on_gone(&mut self, now: Instant, slot: Slot, reason: LeaveReason, fx: &mut Vec<Effect>) {
        fx.push(Effect::Detach { slot });
        let Some(member) = self.at_mut(slot) else {
            return;
        };
        if reason == LeaveReason::Lost && !member.is_v1() {
            member.connection = None;
            member.away_since = Some(now);
            if let Some(share) = &mut self.share {
                share.forget(slot);
            }
            self.tell_updated(slot, fx);
            return self.demand_changed(now, None, fx);
        }
        self.remove(now, slot, reason, fx);
    }

    /// Somebody of any edge is no longer in the room.
    fn remove(&mut self, now: Instant, slot: Slot, reason: LeaveReason, fx: &mut Vec<Effect>) {
        self.end_share(slot, fx);
        let Some(member) = self.members.get_mut(slot.0).and_then(Option::take) else {
            return;
        };
        if member.is_here() {
            fx.push(Effect::Declare);
            self.tell_peers_gone(member.id, reason, fx);
        }
        if let Some(share) = &mut self.share {
            share.forget(slot);
        }
        self.keyframes
            .retain(|(publisher, ..), _| *publisher != slot);
        fx.push(Effect::Forget {
            to: None,
            publisher: member.id,
            track: None,
        });
        self.epoch += 1;
        let left = vec![Gone {
            id: member.id,
            reason,
        }];
        let change = Roster {
            epoch: self.epoch,
            joined: vec![],
            updated: vec![],
            left,
        };
        self.tell_roster(None, &change, fx);
        self.tell_user_list(fx);
        self.demand_changed(now, None, fx);
    }

    fn on_timeout(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        let over: Vec<Slot> = self
            .slots()
            .filter(|(_, member)| {
                member
                    .away_since
                    .is_some_and(|since| now >= since + RESUME_GRACE)
            })
            .map(|(slot, _)| slot)
            .collect();
        for slot in over {
            self.remove(now, slot, LeaveReason::Lost, fx);
        }
        self.tell_due_demand(now, fx);
        self.post_due_chats(now, fx);
        self.send_due_keyframe_requests(now, fx);
    }

    /// Tells everybody that a member's row has changed.
    fn tell_updated(&mut self, slot: Slot, fx: &mut Vec<Effect>) {
        let Some(updated) = self.at(slot).map(|member| member.describe(false)) else {
            return;
        };
        self.tell_peers_of(slot, fx);
        self.epoch += 1;
        let change = Roster {
            epoch: self.epoch,
            joined: vec![],
            updated: vec![updated],
            left: vec![],
        };
        self.tell_roster(None, &change, fx);
    }

    fn tell_roster(&self, except: Option<Slot>, change: &Roster, fx: &mut Vec<Effect>) {
        let frame = control::encode(ParticipantId::ZERO, change);
        self.to_all(except, |member| !member.is_v1(), Class::Control, &frame, fx);
    }

    /// Queues a frame for every connected member that `wants` it, but one.
    fn to_all(
        &self,
        except: Option<Slot>,
        wants: impl Fn(&Member) -> bool,
        class: Class,
        frame: &Frame,
        fx: &mut Vec<Effect>,
    ) {
        for (slot, member) in self.slots() {
            if Some(slot) != except && member.connection.is_some() && wants(member) {
                fx.push(Effect::Send {
                    slot,
                    class,
                    frame: frame.clone(),
                });
            }
        }
    }

    /// Gives a newcomer the first free place.
    fn place(&mut self, member: Member) -> Slot {
        let free = self.members.iter().position(Option::is_none);
        let slot = Slot(free.unwrap_or(self.members.len()));
        match self.members.get_mut(slot.0) {
            Some(place) => *place = Some(member),
            None => self.members.push(Some(member)),
        }
        slot
    }

    fn slots(&self) -> impl Iterator<Item = (Slot, &Member)> {
        self.members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| Some((Slot(index), member.as_ref()?)))
    }

    /// The members in the order in which they came.
    fn in_order(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.iter().flatten().collect();
        members.sort_by_key(|member| member.joined_at);
        members
    }

    fn slot_of(&self, id: ParticipantId) -> Option<Slot> {
        self.slots()
            .find(|(_, member)| member.id == id)
            .map(|(slot, _)| slot)
    }

    fn at(&self, slot: Slot) -> Option<&Member> {
        self.members.get(slot.0)?.as_ref()
    }

    fn at_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.members.get_mut(slot.0)?.as_mut()
    }

    /// The member an input comes from, unless its connection has been replaced since.
    fn member(&self, from: MemberRef) -> Option<&Member> {
        self.at(from.slot)
            .filter(|member| member.connection == Some(from.connection))
    }

    fn member_mut(&mut self, from: MemberRef) -> Option<&mut Member> {
        self.at_mut(from.slot)
            .filter(|member| member.connection == Some(from.connection))
    }
}

#[cfg(test)]
mod tests;
