//! What a room decides, input by input, and what holds whatever comes.

use std::{collections::HashMap, collections::HashSet, time::Duration};

use proptest::prelude::*;
use pulse_proto::{
    DisplayName, FrameType,
    control::{
        CodecConfig, Control as _, KeyframeRequest, Participant, Quality, Source, TrackConfig,
        TrackRef,
    },
    media::{LEVEL_SILENT, MediaHeader, chunks},
    v1,
};

use super::*;

mod peers;
mod presence;

/// A room and everything its members were sent.
struct Rig {
    state: State,
    now: Instant,
    next: u64,
    sent: Vec<(Slot, Frame)>,
    connections: HashMap<Slot, ConnectionId>,
}

impl Rig {
    fn new(max: usize) -> Self {
        Self {
            state: State::new(EdgeId::parse("here").unwrap(), max, 1),
            now: tokio::time::Instant::now().into_std(),
            next: 1,
            sent: Vec::new(),
            connections: HashMap::new(),
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.state.handle(self.now, input, &mut effects);
        for effect in &effects {
            match effect {
                Effect::Admit {
                    connection, slot, ..
                } => {
                    self.connections.insert(*slot, *connection);
                }
                Effect::Detach { slot } => {
                    self.connections.remove(slot);
                }
                Effect::Send { slot, frame, .. } => {
                    assert!(self.connections.contains_key(slot), "sent to nobody");
                    self.sent.push((*slot, frame.clone()));
                }
                _ => {}
            }
        }
        effects
    }

    fn request(&mut self, protocol: Protocol, resume: Option<String>) -> JoinRequest {
        self.next += 1;
        let number = self.next;
        JoinRequest {
            connection: ConnectionId(number),
            protocol,
            id: ParticipantId::from_random(u128::from(number).to_be_bytes()),
            name: DisplayName::parse("Ada").unwrap(),
            v1_bridge: true,
            demand: false,
            decodes: Decodes::NONE,
            resume,
            token: format!("token {number}"),
            uploads: String::new(),
            whereabouts: Whereabouts::default(),
        }
    }

    fn join(&mut self, protocol: Protocol) -> MemberRef {
        let request = self.request(protocol, None);
        self.admitted(request)
    }

    fn admitted(&mut self, request: JoinRequest) -> MemberRef {
        let effects = self.handle(Input::Join(Box::new(request)));
        effects
            .iter()
            .find_map(|effect| match effect {
                Effect::Admit {
                    connection, slot, ..
                } => Some(MemberRef {
                    slot: *slot,
                    connection: *connection,
                }),
                _ => None,
            })
            .expect("admitted")
    }

    fn id(&self, from: MemberRef) -> ParticipantId {
        self.state.at(from.slot).unwrap().id
    }

    fn publish(&mut self, from: MemberRef, track: u8, source: Source) {
        let audio = source.is_audio();
        let config = TrackConfig {
            track,
            source,
            version: 0,
            muted: false,
            interrupted: None,
            config: CodecConfig {
                codec: "x".to_owned(),
                sample_rate: audio.then_some(48_000),
                number_of_channels: audio.then_some(1),
                coded_width: (!audio).then_some(640),
                coded_height: (!audio).then_some(360),
                ..serde_json::from_str(r#"{"codec":"x"}"#).unwrap()
            },
        };
        let frame = control::encode(self.id(from), &config);
        self.handle(Input::Track {
            from,
            config: Box::new(config),
            frame,
        });
    }

    fn media(&mut self, from: MemberRef, track: u8, sequence: u32, reference: u8) -> Vec<Effect> {
        self.layered(from, track, sequence, reference, 0)
    }

    fn layered(
        &mut self,
        from: MemberRef,
        track: u8,
        sequence: u32,
        reference: u8,
        temporal: u8,
    ) -> Vec<Effect> {
        let Some(member) = self.state.at(from.slot) else {
            return Vec::new();
        };
        let header = MediaHeader {
            track,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal,
            reference,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: 0,
        };
        let frame = chunks(member.id, header, &[1]).unwrap().next().unwrap();
        self.handle(Input::Media {
            from,
            header,
            frame,
        })
    }

    fn receivers(effects: &[Effect]) -> Vec<Slot> {
        effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send { slot, frame, .. } if frame.kind() == FrameType::Media => Some(*slot),
                _ => None,
            })
            .collect()
    }

    fn requests(effects: &[Effect]) -> usize {
        let kind = FrameType::KeyframeRequest;
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Send { frame, .. } if frame.kind() == kind))
            .count()
    }
}

#[test]
fn media_goes_to_everybody_else_of_v2() {
    let mut rig = Rig::new(10);
    let (alice, bob, old) = (
        rig.join(Protocol::V2),
        rig.join(Protocol::V2),
        rig.join(Protocol::V1),
    );
    rig.publish(alice, 1, Source::Camera);
    assert_eq!(Rig::receivers(&rig.media(alice, 1, 0, 0)), [bob.slot]);
    assert!(
        rig.media(alice, 2, 0, 0).is_empty(),
        "of no announced track"
    );
    assert!(rig.media(old, 1, 0, 0).is_empty());
    let stale = MemberRef {
        connection: ConnectionId(999),
        ..alice
    };
    assert!(
        rig.media(stale, 1, 1, 1).is_empty(),
        "of a connection that was replaced"
    );
}

#[test]
fn the_first_who_comes_to_a_full_room_is_refused() {
    let mut rig = Rig::new(2);
    rig.join(Protocol::V2);
    let bob = rig.join(Protocol::V1);
    let request = rig.request(Protocol::V2, None);
    let code = ErrorCode::RoomFull;
    let connection = request.connection;
    let effects = rig.handle(Input::Join(Box::new(request)));
    assert_eq!(effects, [Effect::Refuse { connection, code }]);
    rig.handle(Input::Gone {
        from: bob,
        reason: LeaveReason::Lost,
    });
    rig.join(Protocol::V2);
}

#[test]
fn who_is_lost_is_away_until_the_grace_is_over() {
    let mut rig = Rig::new(10);
    let (alice, _bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    rig.publish(alice, 1, Source::Camera);
    rig.handle(Input::Gone {
        from: alice,
        reason: LeaveReason::Lost,
    });
    assert_eq!(rig.state.next_timeout(), Some(rig.now + RESUME_GRACE));
    rig.now += RESUME_GRACE - Duration::from_millis(1);
    assert!(rig.handle(Input::Timeout).is_empty());
    rig.now += Duration::from_millis(1);
    let effects = rig.handle(Input::Timeout);
    let roster = effects.iter().find_map(|effect| match effect {
        Effect::Send { frame, .. } => Roster::parse(frame.payload()).ok(),
        _ => None,
    });
    assert_eq!(roster.unwrap().left[0].reason, LeaveReason::Lost);
    assert_eq!(rig.state.rows().count(), 1);
    assert_eq!(rig.state.next_timeout(), None);
}

#[test]
fn a_resumed_member_keeps_its_id_and_its_tracks() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    rig.publish(alice, 1, Source::Camera);
    let (id, token) = (
        rig.id(alice),
        rig.state.at(alice.slot).unwrap().token.clone(),
    );
    rig.handle(Input::Gone {
        from: alice,
        reason: LeaveReason::Lost,
    });
    let request = rig.request(Protocol::V2, Some(token));
    let again = rig.admitted(request);
    assert_eq!((again.slot, rig.id(again)), (alice.slot, id));
    assert_eq!(Rig::receivers(&rig.media(again, 1, 5, 0)), [bob.slot]);
    let late = Input::Gone {
        from: alice,
        reason: LeaveReason::Lost,
    };
    assert!(
        rig.handle(late).is_empty(),
        "the old connection has no say any more"
    );
}

#[test]
fn requests_for_one_keyframe_are_one() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    rig.publish(alice, 1, Source::Camera);
    let request = KeyframeRequest {
        participant: rig.id(alice),
        track: 1,
        layer: 0,
    };
    let ask = Input::Keyframe { from: bob, request };
    assert_eq!(Rig::requests(&rig.handle(ask)), 1);
    let ask = || Input::Keyframe { from: bob, request };
    assert_eq!(Rig::requests(&rig.handle(ask())), 0);
    let due = rig.state.next_timeout().expect("the second one waits");
    rig.now = due;
    assert_eq!(Rig::requests(&rig.handle(Input::Timeout)), 1);
    rig.handle(ask());
    rig.media(alice, 1, 9, 0);
    assert_eq!(
        rig.state.next_timeout(),
        None,
        "a keyframe has come in the meantime"
    );
    let microphone = KeyframeRequest {
        track: 7,
        ..request
    };
    assert!(
        rig.handle(Input::Keyframe {
            from: bob,
            request: microphone
        })
        .is_empty()
    );
}

#[test]
fn a_source_under_a_new_number_replaces_the_old_track() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    rig.publish(alice, 1, Source::Camera);
    rig.publish(alice, 3, Source::Camera);
    assert!(rig.media(alice, 1, 0, 0).is_empty());
    assert_eq!(Rig::receivers(&rig.media(alice, 3, 0, 0)), [bob.slot]);
    let stops = rig
        .sent
        .iter()
        .filter(|(_, frame)| frame.kind() == FrameType::TrackStop)
        .count();
    assert_eq!(stops, 1);
}

#[test]
fn a_receiver_that_starved_is_given_the_cache() {
    let mut rig = Rig::new(10);
    let (alice, bob) = (rig.join(Protocol::V2), rig.join(Protocol::V2));
    rig.publish(alice, 1, Source::Camera);
    rig.media(alice, 1, 0, 0);
    rig.media(alice, 1, 1, 1);
    let track = TrackRef {
        participant: rig.id(alice),
        track: 1,
    };
    let keyframe = true;
    let starved = || Input::Starved {
        from: bob,
        track,
        keyframe,
    };
    let effects = rig.handle(starved());
    assert_eq!(Rig::receivers(&effects), [bob.slot, bob.slot]);
    assert_eq!(Rig::requests(&effects), 0, "live frames go on from there");
    rig.now += Duration::from_secs(1);
    let effects = rig.handle(starved());
    assert_eq!(
        (Rig::receivers(&effects).len(), Rig::requests(&effects)),
        (1, 1)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Join {
        v1: bool,
        resume: bool,
    },
    Gone {
        who: usize,
        reason: u8,
    },
    Track {
        who: usize,
        track: u8,
        source: u8,
    },
    Stop {
        who: usize,
        track: u8,
    },
    Media {
        who: usize,
        track: u8,
        keyframe: bool,
    },
    Chat {
        who: usize,
    },
    Subscribe {
        who: usize,
        video: bool,
    },
    Keyframe {
        who: usize,
        whom: usize,
        track: u8,
    },
    V1 {
        who: usize,
        kind: u8,
    },
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..6_usize;
    let track = 0..3_u8;
    prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(v1, resume)| Step::Join { v1, resume }),
        1 => (who.clone(), 0..3_u8).prop_map(|(who, reason)| Step::Gone { who, reason }),
        2 => (who.clone(), track.clone(), 0..4_u8)
            .prop_map(|(who, track, source)| Step::Track { who, track, source }),
        1 => (who.clone(), track.clone()).prop_map(|(who, track)| Step::Stop { who, track }),
        6 => (who.clone(), track.clone(), any::<bool>())
            .prop_map(|(who, track, keyframe)| Step::Media { who, track, keyframe }),
        1 => who.clone().prop_map(|who| Step::Chat { who }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, video)| Step::Subscribe { who, video }),
        1 => (who.clone(), who.clone(), track)
            .prop_map(|(who, whom, track)| Step::Keyframe { who, whom, track }),
        2 => (who, 0..4_u8).prop_map(|(who, kind)| Step::V1 { who, kind }),
        1 => (0..4_000_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    /// Whatever happens: nobody gets a frame of their own, frames go to connections that are there,
    /// no v1 member gets a type of v2, and every roster epoch is one more than the last.
    #[test]
    fn invariants(steps in proptest::collection::vec(step(), 1..120)) {
        let mut rig = Rig::new(5);
        let mut joined: Vec<MemberRef> = Vec::new();
        let mut sequence = 0;
        let mut epochs: HashMap<Slot, u64> = HashMap::new();
        let mut tokens: Vec<String> = Vec::new();
        let v1_types: HashSet<u8> = (1..=8).collect();
        for step in steps {
            let at = |who: usize| joined.get(who % joined.len().max(1)).copied();
            let input = match step {
                Step::Join { v1, resume } => {
                    let token = tokens.last().filter(|_| resume && !v1).cloned();
                    let protocol = if v1 { Protocol::V1 } else { Protocol::V2 };
                    let request = rig.request(protocol, token);
                    tokens.push(request.token.clone());
                    Some(Input::Join(Box::new(request)))
                }
                Step::Gone { who, reason } => at(who).map(|from| Input::Gone {
                    from,
                    reason: [LeaveReason::Left, LeaveReason::Lost, LeaveReason::Removed]
                        [usize::from(reason)],
                }),
                Step::Track { who, track, source } => {
                    if let Some(from) = at(who).filter(|from| rig.state.member(*from).is_some_and(|m| !m.is_v1())) {
                        let sources =
                            [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];
                        rig.publish(from, track, sources[usize::from(source)]);
                    }
                    None
                }
                Step::Stop { who, track } => at(who).map(|from| Input::TrackStop {
                    from,
                    track,
                    frame: Frame::new(ParticipantId::ZERO, FrameType::TrackStop, b"{}"),
                }),
                Step::Media { who, track, keyframe } => {
                    sequence += 1;
                    if let Some(from) = at(who) {
                        rig.media(from, track, sequence, u8::from(!keyframe));
                    }
                    None
                }
                Step::Chat { who } => at(who).map(|from| Input::Chat {
                    from,
                    at_ms: 0,
                    nonce: String::new(),
                    content: ChatContent::Text("hi".to_owned()),
                    original: None,
                }),
                Step::Subscribe { who, video } => at(who).map(|from| Input::Subscribe {
                    from,
                    wants: Subscribe { video, ..Subscribe::everything() },
                }),
                Step::Keyframe { who, whom, track } => at(who).zip(at(whom)).and_then(|(from, of)| {
                    let participant = rig.state.at(of.slot)?.id;
                    let request = KeyframeRequest { participant, track, layer: 0 };
                    Some(Input::Keyframe { from, request })
                }),
                Step::V1 { who, kind } => at(who).and_then(|from| {
                    let kinds = [
                        FrameType::Audio,
                        FrameType::ScreenShareStart,
                        FrameType::ScreenShare,
                        FrameType::ScreenShareStop,
                    ];
                    let sender = rig.state.at(from.slot)?.id;
                    let frame = Frame::new(sender, kinds[usize::from(kind)], b"video/webm");
                    Some(Input::V1 { from, frame })
                }),
                Step::Wait { ms } => {
                    rig.now += Duration::from_millis(ms);
                    Some(Input::Timeout)
                }
            };
            rig.sent.clear();
            if let Some(input) = input {
                for effect in rig.handle(input) {
                    if let Effect::Admit { connection, slot, .. } = effect {
                        joined.push(MemberRef { slot, connection });
                        epochs.remove(&slot);
                    }
                }
            }
            for (slot, frame) in rig.sent.drain(..) {
                let member = rig.state.at(slot);
                let Some(member) = member else { continue };
                let relayed = frame.sender() != ParticipantId::ZERO;
                let own = relayed && frame.sender() == member.id;
                prop_assert!(!own || frame.kind() == FrameType::Chat, "an echo of {:?}", frame.kind());
                if member.is_v1() {
                    prop_assert!(v1_types.contains(&frame.kind().number()));
                }
                match frame.kind() {
                    FrameType::Welcome => {
                        let welcome = Welcome::parse(frame.payload()).unwrap();
                        epochs.insert(slot, welcome.roster.epoch);
                    }
                    FrameType::Roster => {
                        let roster = Roster::parse(frame.payload()).unwrap();
                        let epoch = epochs.get_mut(&slot).expect("a welcome came first");
                        *epoch += 1;
                        prop_assert_eq!(roster.epoch, *epoch);
                    }
                    FrameType::UserListUpdate => {
                        let users = v1::parse_user_list(frame.payload()).expect("a list");
                        prop_assert!(users.iter().any(|(id, _)| *id == member.id));
                    }
                    _ => {}
                }
            }
            prop_assert!(rig.state.members.iter().flatten().count() <= 5);
        }
    }
}
