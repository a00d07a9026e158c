//! Who wants what, which layers of it, and what members say about themselves.

use std::collections::BTreeMap;

use pulse_proto::{
    control::{Demand, OPTIONAL_CODECS, Update},
    limits::DEMAND_INTERVAL,
};

use super::*;
use crate::outbox::Outbox;

const VP9: u8 = 1;
const AV1: u8 = 2;

/// What a hello lists that decodes these of [`OPTIONAL_CODECS`].
fn decodes(bits: u8) -> Decodes {
    let codecs = OPTIONAL_CODECS.iter().enumerate();
    let features = codecs
        .filter(|(index, _)| bits & (1 << index) != 0)
        .map(|(_, (feature, _))| (*feature).to_owned());
    Decodes::of(&Hello {
        version: PROTOCOL_VERSION,
        features: features.collect(),
        agent: String::new(),
    })
}

impl Rig {
    /// Somebody who takes DEMAND.
    fn join_asking(&mut self, bits: u8) -> MemberRef {
        let request = JoinRequest {
            demand: true,
            decodes: decodes(bits),
            ..self.request(Protocol::V2, None)
        };
        self.admitted(request)
    }

    /// What a publisher has been told since the last time.
    fn demands(&mut self, of: MemberRef) -> Vec<(u8, u32, Vec<String>)> {
        let mut told = Vec::new();
        self.sent.retain(|(slot, frame)| {
            let mine = *slot == of.slot && frame.kind() == FrameType::Demand;
            if mine {
                let demand = Demand::parse(frame.payload()).unwrap();
                told.push((demand.track, demand.subscribers, demand.decode));
            }
            !mine
        });
        told
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        while self.state.next_timeout().is_some_and(|due| due <= self.now) {
            self.handle(Input::Timeout);
        }
    }

    fn subscribe(&mut self, from: MemberRef, wants: Subscribe) -> Vec<Effect> {
        self.handle(Input::Subscribe { from, wants })
    }

    fn update(&mut self, from: MemberRef, at_ms: u64, update: Update) -> usize {
        let before = self.rosters().count();
        self.handle(Input::Update {
            from,
            at_ms,
            update,
        });
        self.rosters().count() - before
    }

    fn rosters(&self) -> impl Iterator<Item = (Slot, Roster)> {
        self.sent
            .iter()
            .filter(|(_, frame)| frame.kind() == FrameType::Roster)
            .map(|(slot, frame)| (*slot, Roster::parse(frame.payload()).unwrap()))
    }

    fn row(&self, of: MemberRef) -> Participant {
        self.state.at(of.slot).unwrap().describe(false)
    }
}

fn names(codecs: &[&str]) -> Vec<String> {
    codecs.iter().map(|name| (*name).to_owned()).collect()
}

fn without(participant: ParticipantId, track: u8) -> Subscribe {
    Subscribe {
        paused: vec![TrackRef { participant, track }],
        ..Subscribe::everything()
    }
}

#[test]
fn a_publisher_hears_who_wants_its_track() {
    let mut rig = Rig::new(10);
    let alice = rig.join_asking(0);
    rig.publish(alice, 1, Source::Camera);
    assert_eq!(rig.demands(alice), [(1, 0, vec![])], "nobody is there");
    rig.publish(alice, 1, Source::Camera);
    assert_eq!(rig.demands(alice), [], "it knows");

    let bob = rig.join_asking(VP9 | AV1);
    assert_eq!(
        rig.demands(alice),
        [(1, 1, names(&["vp9", "av1"]))],
        "the first one, at once"
    );
    let carol = rig.join_asking(AV1);
    let dave = rig.join(Protocol::V1);
    assert_eq!(rig.demands(alice), [], "the others, later");
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [(1, 2, names(&["av1"]))], "together");

    let mut paused = without(rig.id(alice), 1);
    paused.paused.push(paused.paused[0]);
    rig.subscribe(carol, paused);
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [(1, 1, names(&["vp9", "av1"]))]);
    let no_video = Subscribe {
        video: false,
        ..Subscribe::everything()
    };
    rig.subscribe(bob, no_video);
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [(1, 0, vec![])], "v1 does not count");
    rig.subscribe(carol, Subscribe::everything());
    assert_eq!(rig.demands(alice), [(1, 1, names(&["av1"]))], "at once");

    let reason = LeaveReason::Lost;
    rig.handle(Input::Gone {
        from: carol,
        reason,
    });
    rig.handle(Input::Gone { from: dave, reason });
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [(1, 0, vec![])], "away is not there");
    assert_eq!(rig.demands(bob), []);
}

#[test]
fn who_listens_to_a_track_needs_no_codec() {
    let mut rig = Rig::new(10);
    let (alice, _bob) = (rig.join_asking(0), rig.join_asking(VP9));
    rig.publish(alice, 0, Source::Microphone);
    assert_eq!(rig.demands(alice), [(0, 1, vec![])]);
}

#[test]
fn a_client_that_does_not_ask_hears_nothing() {
    let mut rig = Rig::new(10);
    let (alice, _bob) = (rig.join(Protocol::V2), rig.join_asking(VP9));
    rig.publish(alice, 1, Source::Camera);
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), []);
}

#[test]
fn a_large_room_uses_what_every_client_decodes() {
    let mut rig = Rig::new(20);
    let alice = rig.join_asking(0);
    rig.publish(alice, 1, Source::Camera);
    let guests: Vec<MemberRef> = (0..16).map(|_| rig.join_asking(VP9)).collect();
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice).last(), Some(&(1, 16, vec![])));
    rig.handle(Input::Gone {
        from: guests[3],
        reason: LeaveReason::Left,
    });
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [(1, 15, names(&["vp9"]))]);
}

#[test]
fn a_new_connection_is_told_again() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join_asking(0), rig.join_asking(VP9));
    rig.publish(alice, 1, Source::Camera);
    assert_eq!(rig.demands(alice).len(), 1);
    let token = rig.state.at(alice.slot).unwrap().token.clone();
    rig.handle(Input::Gone {
        from: alice,
        reason: LeaveReason::Lost,
    });
    rig.handle(Input::Gone {
        from: bob,
        reason: LeaveReason::Left,
    });
    rig.wait(DEMAND_INTERVAL);
    let request = JoinRequest {
        demand: true,
        ..rig.request(Protocol::V2, Some(token))
    };
    let alice = rig.admitted(request);
    rig.wait(DEMAND_INTERVAL);
    assert_eq!(rig.demands(alice), [], "it has announced nothing yet");
    rig.publish(alice, 1, Source::Camera);
    assert_eq!(rig.demands(alice), [(1, 0, vec![])]);
}

/// The L1T3 pattern of WebCodecs: reference and layer of each of four frames.
fn l1t3(sequence: u32) -> (u8, u8) {
    match sequence % 4 {
        _ if sequence == 0 => (0, 0),
        0 => (4, 0),
        2 => (2, 1),
        _ => (1, 2),
    }
}

#[test]
fn upper_layers_stay_away_from_who_does_not_want_them() {
    let mut rig = Rig::new(10);
    let (alice, bob, carol) = (
        rig.join(Protocol::V2),
        rig.join(Protocol::V2),
        rig.join(Protocol::V2),
    );
    rig.publish(alice, 1, Source::Camera);
    let base = Subscribe {
        max_temporal: 0,
        ..Subscribe::everything()
    };
    rig.subscribe(bob, base.clone());
    let mut sent = HashMap::new();
    for sequence in 0..16 {
        let (reference, temporal) = l1t3(sequence);
        for slot in Rig::receivers(&rig.layered(alice, 1, sequence, reference, temporal)) {
            *sent.entry(slot).or_insert(0) += 1;
        }
    }
    assert_eq!((sent[&bob.slot], sent[&carol.slot]), (4, 16));
    assert_eq!(
        (rig.state.take_thinned(), rig.state.take_thinned()),
        (12, 0)
    );

    // What is cached is thinned as well.
    let no_video = Subscribe {
        video: false,
        ..base.clone()
    };
    rig.subscribe(bob, no_video);
    assert_eq!(Rig::receivers(&rig.subscribe(bob, base)).len(), 4);
    // A microphone has no layers, whatever its header says.
    rig.publish(alice, 0, Source::Microphone);
    assert_eq!(Rig::receivers(&rig.layered(alice, 0, 0, 0, 2)).len(), 2);
}

#[test]
fn hands_have_an_order_and_say_it_once() {
    let mut rig = Rig::new(10);
    let (alice, bob, old) = (
        rig.join(Protocol::V2),
        rig.join(Protocol::V2),
        rig.join(Protocol::V1),
    );
    let hand = |up| Update {
        hand: Some(up),
        quality: None,
    };
    assert_eq!(rig.update(alice, 500, hand(true)), 2, "alice too, v1 not");
    assert_eq!(rig.update(alice, 600, hand(true)), 0, "it is up");
    assert_eq!(rig.update(bob, 500, hand(true)), 2);
    assert_eq!(
        (rig.row(alice).hand, rig.row(bob).hand),
        (Some(500), Some(501))
    );
    let (_, last) = rig.rosters().last().unwrap();
    assert_eq!(last.updated, [rig.row(bob)]);
    assert_eq!(rig.update(bob, 700, hand(false)), 2);
    assert_eq!(rig.update(bob, 700, hand(false)), 0);
    assert_eq!(
        rig.update(bob, 100, hand(true)),
        2,
        "a clock that steps back"
    );
    assert_eq!(rig.row(bob).hand, Some(502));
    let poor = Update {
        hand: None,
        quality: Some(Quality::Poor),
    };
    assert_eq!((rig.update(bob, 0, poor), rig.update(bob, 0, poor)), (2, 0));
    assert_eq!(
        (rig.row(bob).hand, rig.row(bob).quality),
        (Some(502), Some(Quality::Poor))
    );
    let gone = MemberRef {
        connection: ConnectionId(999),
        ..alice
    };
    assert_eq!(rig.update(gone, 0, hand(false)), 0);
    assert!(
        rig.sent.iter().all(|(slot, frame)| {
            *slot != old.slot || frame.kind() == FrameType::UserListUpdate
        })
    );
}

#[test]
fn a_hand_survives_a_resume_and_not_a_departure() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    let up = Update {
        hand: Some(true),
        quality: None,
    };
    rig.update(alice, 500, up);
    let token = rig.state.at(alice.slot).unwrap().token.clone();
    let reason = LeaveReason::Lost;
    rig.handle(Input::Gone {
        from: alice,
        reason,
    });
    assert_eq!(rig.row(alice).hand, Some(500));
    let request = rig.request(Protocol::V2, Some(token));
    let alice = rig.admitted(request);
    assert_eq!(rig.row(alice).hand, Some(500));
    let (_, seen) = rig
        .rosters()
        .filter(|(slot, _)| *slot == bob.slot)
        .last()
        .unwrap();
    assert_eq!(seen.updated, [rig.row(alice)]);
    let reason = LeaveReason::Left;
    rig.handle(Input::Gone {
        from: alice,
        reason,
    });
    let alice = rig.join(Protocol::V2);
    assert_eq!(rig.row(alice).hand, None);
}

proptest! {
    /// Whoever comes, goes and changes their mind: once it is quiet, every publisher that asks knows who
    /// wants its tracks, and nobody was told more often than agreed.
    #[test]
    fn demand_is_right_in_the_end(
        steps in proptest::collection::vec((0..6_u8, 0..6_usize, any::<u8>(), 0..80_u64), 1..80),
    ) {
        let mut rig = Rig::new(6);
        let mut joined: Vec<MemberRef> = Vec::new();
        let mut told: HashMap<(Slot, u8), (Instant, u32)> = HashMap::new();
        let mut latest: BTreeMap<(Slot, u8), (u32, Vec<String>)> = BTreeMap::new();
        for (step, who, bits, pause) in steps.into_iter().chain([(6, 0, 0, 300), (6, 0, 0, 300)]) {
            let at = joined.get(who % joined.len().max(1)).copied();
            let at = at.filter(|from| rig.state.member(*from).is_some());
            match (step, at) {
                (0, _) if rig.state.members.iter().flatten().count() < 6 => {
                    let from = rig.join_asking(bits % 8);
                    joined.push(from);
                    latest.retain(|(slot, _), _| *slot != from.slot);
                    told.retain(|(slot, _), _| *slot != from.slot);
                }
                (1 | 2, Some(from)) => {
                    let (number, source) = [(0, Source::Microphone), (1, Source::Camera)][usize::from(bits % 2)];
                    rig.publish(from, number, source);
                }
                (3, Some(from)) => {
                    let whom = joined[usize::from(bits) % joined.len()];
                    let mut wants = rig.state.at(whom.slot).map_or_else(Subscribe::everything, |of| without(of.id, 1));
                    wants.video = bits & 128 == 0;
                    wants.audio = bits & 64 == 0;
                    rig.subscribe(from, wants);
                }
                (4, Some(from)) => {
                    let reason = if bits & 1 == 0 { LeaveReason::Lost } else { LeaveReason::Left };
                    rig.handle(Input::Gone { from, reason });
                }
                _ => {}
            }
            // Time passes timer by timer.
            let until = rig.now + Duration::from_millis(pause);
            loop {
                for (slot, frame) in std::mem::take(&mut rig.sent) {
                    if frame.kind() != FrameType::Demand {
                        continue;
                    }
                    let demand = Demand::parse(frame.payload()).unwrap();
                    let key = (slot, demand.track);
                    if let Some((at, subscribers)) = told.insert(key, (rig.now, demand.subscribers)) {
                        prop_assert!(rig.now >= at + DEMAND_INTERVAL || (subscribers == 0 && demand.subscribers > 0));
                    }
                    latest.insert(key, (demand.subscribers, demand.decode));
                }
                let Some(due) = rig.state.next_timeout().filter(|due| *due <= until) else { break };
                rig.now = rig.now.max(due);
                rig.handle(Input::Timeout);
            }
            rig.now = until;
        }
        for (slot, member) in rig.state.slots().filter(|(_, member)| member.connection.is_some()) {
            for (number, track) in &member.tracks {
                let audio = track.config.source.is_audio();
                let wanting = rig.state.members.iter().flatten().filter(|other| {
                    let paused = other.wants.paused.contains(&TrackRef { participant: member.id, track: *number });
                    let kind = if audio { other.wants.audio } else { other.wants.video };
                    other.id != member.id && other.connection.is_some() && kind && !paused
                });
                let wanting: Vec<&Member> = wanting.collect();
                let decode: Vec<String> = OPTIONAL_CODECS
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| {
                        let able = |other: &&Member| {
                            let all = (0..8_u8).find(|bits| decodes(*bits) == other.decodes).unwrap();
                            all & (1 << index) != 0
                        };
                        !audio && !wanting.is_empty() && wanting.iter().all(able)
                    })
                    .map(|(_, (_, name))| (*name).to_owned())
                    .collect();
                prop_assert_eq!(latest.get(&(slot, *number)), Some(&(wanting.len() as u32, decode)));
            }
        }
    }

    /// Thinned and widened at any time, a receiver gets only what it can decode, every frame of the base
    /// layer, and nobody asks for a keyframe because of it.
    #[test]
    fn thinning_starves_nobody(changes in proptest::collection::vec((0..12_u32, 0..4_u8), 0..30)) {
        let mut rig = Rig::new(10);
        let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
        rig.publish(alice, 1, Source::Camera);
        let outbox = Outbox::default();
        let mut sequence = 0;
        for (frames, max_temporal) in changes.into_iter().chain([(12, 3)]) {
            rig.subscribe(bob, Subscribe { max_temporal, ..Subscribe::everything() });
            for _ in 0..frames {
                let (reference, temporal) = l1t3(sequence);
                let effects = rig.layered(alice, 1, sequence, reference, temporal);
                prop_assert_eq!(Rig::requests(&effects), 0);
                for effect in effects {
                    if let Effect::Send { class, frame, .. } = effect {
                        outbox.push(rig.now, class, &frame);
                    }
                }
                sequence += 1;
            }
        }
        prop_assert_eq!(outbox.starving(rig.now), []);
        let mut batch = Vec::new();
        outbox.take(rig.now, 0, i64::MAX, &mut batch);
        let mut decoded = HashSet::new();
        for bytes in batch {
            let header = MediaHeader::parse(&Frame::parse(bytes).unwrap()).unwrap();
            let needed = header.sequence - u32::from(header.reference);
            prop_assert!(header.keyframe() || decoded.contains(&needed));
            decoded.insert(header.sequence);
        }
        prop_assert!((0..sequence).step_by(4).all(|base| decoded.contains(&base)));
    }
}
