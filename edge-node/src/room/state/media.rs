//! Tracks, media and keyframes of a room's v2 members.

use std::{collections::BTreeMap, time::Instant};

use pulse_core::planted::{self, Bug};
use pulse_proto::{
    Frame, ParticipantId,
    cluster::link::RoomMessage,
    control::{self, KeyframeRequest, Protocol, Source, Subscribe, TrackConfig, TrackRef},
    limits::KEYFRAME_REQUEST_INTERVAL,
    media::MediaHeader,
};

use super::{Effect, Home, Member, MemberRef, Slot, State, Track};
use crate::outbox::Class;

/// Lets one keyframe request pass in `KEYFRAME_REQUEST_INTERVAL`; what comes too early waits.
#[derive(Debug, Default)]
pub(super) struct KeyframeGate {
    sent_at: Option<Instant>,
    wanted: bool,
}

impl KeyframeGate {
    /// When a waiting request may pass.
    pub(super) fn due(&self) -> Option<Instant> {
        self.wanted
            .then_some(self.sent_at?)
            .map(|at| at + KEYFRAME_REQUEST_INTERVAL)
    }
}

impl State {
    pub(super) fn on_track(
        &mut self,
        now: Instant,
        from: MemberRef,
        config: TrackConfig,
        frame: &Frame,
        fx: &mut Vec<Effect>,
    ) {
        let Some(member) = self.member_mut(from) else {
            return;
        };
        let (id, number) = (member.id, config.track);
        // A source has one track: an announcement after a resume may use another number for it.
        let replaced = member
            .tracks
            .values()
            .find(|track| track.config.source == config.source && track.config.track != number)
            .map(|track| track.config.track);
        let known = member.tracks.remove(&number);
        // Another kind of picture under the same number has nothing to do with the old one.
        let (cache, told) = known
            .filter(|track| track.config.source == config.source)
            .map_or_else(Default::default, |track| (track.cache, track.told));
        let track = Track {
            config,
            cache,
            seen: BTreeMap::new(),
            told,
        };
        member.tracks.insert(number, track);
        if let Some(replaced) = replaced {
            let stop = control::encode(id, &control::TrackStop { track: replaced });
            self.stop_track(from.slot, id, replaced, &stop, fx);
        }
        self.to_all(Some(from.slot), |m| !m.is_v1(), Class::Control, frame, fx);
        self.tell_peers_of(from.slot, fx);
        if told.is_none() {
            let track = TrackRef {
                participant: id,
                track: number,
            };
            self.tell_demand(now, from.slot, track, fx);
        }
    }

    pub(super) fn on_track_stop(
        &mut self,
        from: MemberRef,
        track: u8,
        frame: &Frame,
        fx: &mut Vec<Effect>,
    ) {
        let Some(id) = self.member(from).map(|member| member.id) else {
            return;
        };
        self.stop_track(from.slot, id, track, frame, fx);
        self.tell_peers_of(from.slot, fx);
    }

    pub(super) fn stop_track(
        &mut self,
        slot: Slot,
        id: ParticipantId,
        track: u8,
        frame: &Frame,
        fx: &mut Vec<Effect>,
    ) {
        let Some(member) = self.at_mut(slot) else {
            return;
        };
        if member.tracks.remove(&track).is_none() {
            return;
        }
        self.keyframes
            .retain(|(publisher, number, _), _| (*publisher, *number) != (slot, track));
        fx.push(Effect::Forget {
            to: None,
            publisher: id,
            track: Some(track),
        });
        self.to_all(Some(slot), |m| !m.is_v1(), Class::Control, frame, fx);
    }

    /// The hot path: one chunk, to everybody who wants its track.
    pub(super) fn on_media(
        &mut self,
        now: Instant,
        from: MemberRef,
        header: MediaHeader,
        frame: Frame,
        fx: &mut Vec<Effect>,
    ) {
        if self.member(from).is_some() {
            self.fan_out(now, from.slot, header, frame, fx);
        }
    }

    /// To everybody here who wants it and, if its publisher is here, once to each edge where somebody does.
    pub(super) fn fan_out(
        &mut self,
        now: Instant,
        from: Slot,
        header: MediaHeader,
        frame: Frame,
        fx: &mut Vec<Effect>,
    ) {
        let Some(publisher) = self.at(from) else {
            return;
        };
        let (id, is_here) = (publisher.id, publisher.is_here());
        let Some(track) = publisher.tracks.get(&header.track) else {
            return;
        };
        let audio = track.config.source.is_audio();
        let class = class_of(track.config.source, header);
        let wanted = TrackRef {
            participant: id,
            track: header.track,
        };
        let mut thinned = 0;
        for (slot, member) in self.slots() {
            if slot != from && wants(member, audio, wanted) {
                if !audio && header.temporal > member.wants.max_temporal {
                    thinned += 1;
                    continue;
                }
                fx.push(Effect::Send {
                    slot,
                    class,
                    frame: frame.clone(),
                });
            }
        }
        self.thinned += thinned;
        if is_here || planted::is(Bug::ForwardsBack) {
            for edge in self.peers.that_want(audio, wanted, header.temporal) {
                fx.push(Effect::Forward {
                    edge: edge.clone(),
                    class,
                    frame: frame.clone(),
                });
            }
        }
        if audio {
            return;
        }
        if header.keyframe()
            && header.chunk == 0
            && let Some(gate) = self
                .keyframes
                .get_mut(&(from, header.track, header.spatial))
        {
            gate.wanted = false;
        }
        let track = self
            .at_mut(from)
            .and_then(|member| member.tracks.get_mut(&header.track));
        if let Some(track) = track {
            track.cache.push(now, header, frame);
        }
    }

    pub(super) fn on_subscribe(
        &mut self,
        now: Instant,
        from: MemberRef,
        mut wants_now: Subscribe,
        fx: &mut Vec<Effect>,
    ) {
        let Some(member) = self.member_mut(from) else {
            return;
        };
        // Searched for every frame.
        wants_now.paused.sort_unstable();
        let before = std::mem::replace(&mut member.wants, wants_now);
        let Some(member) = self.at(from.slot) else {
            return;
        };
        let mut started = Vec::new();
        for publisher in self
            .members
            .iter()
            .flatten()
            .filter(|other| other.id != member.id)
        {
            for (number, track) in &publisher.tracks {
                let audio = track.config.source.is_audio();
                let wanted = TrackRef {
                    participant: publisher.id,
                    track: *number,
                };
                if audio || !wants(member, audio, wanted) || subscribed(&before, audio, wanted) {
                    continue;
                }
                started.push(wanted);
            }
        }
        self.demand_changed(now, Some(from.slot), fx);
        for track in started {
            let (publisher, number) = (track.participant, Some(track.track));
            fx.push(Effect::Forget {
                to: Some(from.slot),
                publisher,
                track: number,
            });
            self.replay(now, from.slot, track, true, fx);
        }
    }

    /// Gives a member what is cached of every video track of the others.
    pub(super) fn replay_all(&mut self, now: Instant, to: Slot, fx: &mut Vec<Effect>) {
        let tracks: Vec<TrackRef> = self
            .slots()
            .filter(|(slot, _)| *slot != to)
            .flat_map(|(_, member)| {
                let video = member
                    .tracks
                    .iter()
                    .filter(|(_, t)| !t.config.source.is_audio());
                video.map(|(track, _)| TrackRef {
                    participant: member.id,
                    track: *track,
                })
            })
            .collect();
        for track in tracks {
            self.replay(now, to, track, true, fx);
        }
    }

    /// Gives a member what is cached of one track, and asks for a keyframe if live frames do not
    /// go on from there and one may be.
    pub(super) fn replay(
        &mut self,
        now: Instant,
        to: Slot,
        track: TrackRef,
        keyframe: bool,
        fx: &mut Vec<Effect>,
    ) {
        let Some(publisher) = self.slot_of(track.participant) else {
            return;
        };
        let Some(receiver) = self.at(to) else { return };
        if receiver.protocol != Protocol::V2 || !wants(receiver, false, track) {
            return;
        }
        let published = self
            .at(publisher)
            .and_then(|member| member.tracks.get(&track.track));
        let Some(published) = published.filter(|t| !t.config.source.is_audio()) else {
            return;
        };
        let source = published.config.source;
        let replay = published.cache.replay(now);
        let live = replay.as_ref().is_some_and(|replay| replay.live);
        let wanted = receiver.wants.max_temporal;
        let chunks = replay.into_iter().flat_map(|replay| replay.chunks);
        for (header, frame) in chunks.filter(|(header, _)| header.temporal <= wanted) {
            let class = class_of(source, header);
            fx.push(Effect::Send {
                slot: to,
                class,
                frame: frame.clone(),
            });
        }
        if !live && keyframe {
            self.want_keyframe(now, publisher, track.track, 0, fx);
        }
    }

    pub(super) fn on_keyframe_request(
        &mut self,
        now: Instant,
        request: KeyframeRequest,
        fx: &mut Vec<Effect>,
    ) {
        let Some(publisher) = self.slot_of(request.participant) else {
            return;
        };
        let track = self
            .at(publisher)
            .and_then(|member| member.tracks.get(&request.track));
        if track.is_some_and(|track| !track.config.source.is_audio()) {
            self.want_keyframe(now, publisher, request.track, request.layer, fx);
        }
    }

    pub(super) fn send_due_keyframe_requests(&mut self, now: Instant, fx: &mut Vec<Effect>) {
        let due: Vec<(Slot, u8, u8)> = self
            .keyframes
            .iter()
            .filter(|(_, gate)| gate.due().is_some_and(|at| now >= at))
            .map(|(key, _)| *key)
            .collect();
        for (publisher, track, layer) in due {
            self.want_keyframe(now, publisher, track, layer, fx);
        }
    }

    pub(super) fn want_keyframe(
        &mut self,
        now: Instant,
        publisher: Slot,
        track: u8,
        layer: u8,
        fx: &mut Vec<Effect>,
    ) {
        let Some(member) = self.at(publisher) else {
            return;
        };
        let (id, home) = (member.id, member.home.clone());
        let gate = self.keyframes.entry((publisher, track, layer)).or_default();
        if gate
            .sent_at
            .is_some_and(|at| now < at + KEYFRAME_REQUEST_INTERVAL)
        {
            gate.wanted = true;
            return;
        }
        *gate = KeyframeGate {
            sent_at: Some(now),
            wanted: false,
        };
        let request = KeyframeRequest {
            participant: id,
            track,
            layer,
        };
        match home {
            Home::There { edge, .. } => {
                let message = RoomMessage::Keyframe(request);
                self.peers.tell(&edge, message, fx);
            }
            Home::Here if self.at(publisher).is_some_and(|m| m.connection.is_some()) => {
                fx.push(Effect::Send {
                    slot: publisher,
                    class: Class::Control,
                    frame: control::encode(ParticipantId::ZERO, &request),
                });
            }
            Home::Here => {}
        }
    }
}

pub(super) const fn class_of(source: Source, header: MediaHeader) -> Class {
    match source {
        Source::Microphone | Source::ScreenAudio => Class::Audio,
        Source::Camera => Class::Video(header),
        Source::Screen => Class::Screen(header),
    }
}

pub(super) fn wants(member: &Member, audio: bool, track: TrackRef) -> bool {
    member.connection.is_some()
        && member.protocol == Protocol::V2
        && subscribed(&member.wants, audio, track)
}

fn subscribed(wants: &Subscribe, audio: bool, track: TrackRef) -> bool {
    let kind = if audio { wants.audio } else { wants.video };
    kind && wants.paused.binary_search(&track).is_err()
}
