//! Reading a v2 client: every message is parsed and checked here, once.

use std::{collections::HashMap, time::Instant};

use pulse_proto::{
    ErrorCode, Frame, FrameType, ParticipantId, Rejection, RoomName,
    control::{
        self, ChatSend, Control as _, FEATURE_ALTERNATES, FEATURE_CONSTRAINED, FEATURE_DEMAND,
        FEATURE_V1_BRIDGE, Interruption, Join, KeyframeRequest, Leave, Ping, Pong, Protocol,
        Source, Subscribe, TrackConfig, TrackStop, Update,
    },
    media::{ChunkCheck, MediaHeader},
};
use tokio::time::sleep_until;

use super::{Gate, Left, Reader, Received, fresh, v1};
use crate::{
    ack::AckState,
    clock, metrics,
    outbox::Class,
    random,
    room::{ChatContent, Decodes, Input, JoinRequest, MemberRef, RoomHandle},
};

/// What the first message asks for.
pub(super) struct Asked {
    pub(super) room: RoomName,
    pub(super) request: JoinRequest,
    /// The client takes CONSTRAINED.
    pub(super) constrained: bool,
    /// It takes ALTERNATES.
    pub(super) alternates: bool,
}

/// Reads the first message.
///
/// # Errors
/// The code its connection ends with.
pub(super) fn join_request(first: &Frame) -> Result<Asked, ErrorCode> {
    if first.kind() != FrameType::Join {
        return Err(ErrorCode::JoinFirst);
    }
    let join = Join::parse(first.payload()).map_err(|rejection| rejection.code)?;
    let (room, name) = join.names()?;
    let constrained = join.hello.has(FEATURE_CONSTRAINED);
    let alternates = join.hello.has(FEATURE_ALTERNATES);
    let request = JoinRequest {
        v1_bridge: join.hello.has(FEATURE_V1_BRIDGE),
        demand: join.hello.has(FEATURE_DEMAND),
        decodes: Decodes::of(&join.hello),
        resume: join.resume,
        ..fresh(Protocol::V2, random::participant_id(), name)
    };
    Ok(Asked {
        room,
        request,
        constrained,
        alternates,
    })
}

/// A v2 member: what its connection has announced so far.
pub(super) struct Client {
    pub(super) id: ParticipantId,
    tracks: HashMap<u8, Announced>,
    checks: HashMap<(u8, u8), ChunkCheck>,
    acks: AckState,
}

/// What its last announcement says of a track.
struct Announced {
    source: Source,
    interrupted: Option<Interruption>,
}

/// What a frame leads to besides its effects on the room.
enum Next {
    GoOn,
    Leave,
}

impl Client {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            id: ParticipantId::ZERO,
            tracks: HashMap::new(),
            checks: HashMap::new(),
            acks: AckState::new(now),
        }
    }

    pub(super) async fn read_loop(
        mut self,
        mut reader: Reader,
        room: &RoomHandle,
        from: MemberRef,
        gate: &mut Gate,
    ) -> Left {
        loop {
            let due = self.acks.due();
            let received = tokio::select! {
                received = reader.next_within_idle() => received,
                () = ack_due(due) => {
                    let now = clock::now();
                    self.acknowledge(now, gate);
                    continue;
                }
            };
            let result = match received {
                Ok(Received::Frame(bytes)) => match Frame::parse(bytes) {
                    Ok(frame) => self.on_frame(frame, room, from, gate).await,
                    Err(rejection) => Err(rejection),
                },
                Ok(Received::Text) => Err(ErrorCode::TextMessage.into()),
                Ok(Received::TooLarge) => return Left::error(ErrorCode::MessageTooLarge),
                Ok(Received::Alive) => Ok(Next::GoOn),
                Ok(Received::Closed(graceful)) => return Left::closed(graceful),
                Err(code) => return Left::error(code),
            };
            match result {
                Ok(Next::GoOn) => {}
                Ok(Next::Leave) => return Left::closed(true),
                Err(rejection) => {
                    tracing::trace!(%rejection, "refused");
                    if let Err(left) = gate.refuse(clock::now(), rejection.code) {
                        return left;
                    }
                }
            }
        }
    }

    async fn on_frame(
        &mut self,
        frame: Frame,
        room: &RoomHandle,
        from: MemberRef,
        gate: &mut Gate,
    ) -> Result<Next, Rejection> {
        let now = clock::now();
        metrics::received(frame.kind(), frame.len());
        if frame.sender() != self.id {
            return Err(ErrorCode::ForeignSender.into());
        }
        if frame.kind() == FrameType::Media {
            self.on_media(now, frame, room, from, gate)?;
            return Ok(Next::GoOn);
        }
        if v1::is_v1_media(frame.kind()) {
            v1::relay(frame, room, from, gate).await?;
            return Ok(Next::GoOn);
        }
        gate.allows_control(now)?;
        let payload = frame.payload();
        match frame.kind() {
            FrameType::Join => return Err(ErrorCode::AlreadyJoined.into()),
            FrameType::TrackConfig => {
                let config = TrackConfig::parse(payload)?;
                self.announce(&config)?;
                let config = Box::new(config);
                room.tell(Input::Track {
                    from,
                    config,
                    frame,
                })
                .await;
            }
            FrameType::TrackStop => {
                let TrackStop { track } = TrackStop::parse(payload)?;
                self.tracks.remove(&track).ok_or(ErrorCode::UnknownTrack)?;
                room.tell(Input::TrackStop { from, track, frame }).await;
            }
            FrameType::Chat => {
                let ChatSend { nonce, text, image } = ChatSend::parse(payload)?;
                let content = match (text, image) {
                    (Some(text), _) => ChatContent::Text(text),
                    (None, image) => {
                        let image = image.and_then(|reference| room.images.get(&reference));
                        ChatContent::Image(image.ok_or(ErrorCode::NoSuchImage)?)
                    }
                };
                let at_ms = clock::wall_ms();
                room.tell(Input::Chat {
                    from,
                    at_ms,
                    nonce,
                    content,
                    original: None,
                })
                .await;
            }
            FrameType::KeyframeRequest => {
                let request = KeyframeRequest::parse(payload)?;
                room.tell(Input::Keyframe { from, request }).await;
            }
            FrameType::Subscribe => {
                let wants = Subscribe::parse(payload)?;
                room.tell(Input::Subscribe { from, wants }).await;
            }
            FrameType::Update => {
                let update = Update::parse(payload)?;
                gate.allows_update(now)?;
                metrics::update();
                let at_ms = clock::wall_ms();
                room.tell(Input::Update {
                    from,
                    at_ms,
                    update,
                })
                .await;
            }
            FrameType::Ping => {
                let pong = Pong {
                    t: Ping::parse(payload)?.t,
                };
                let frame = control::encode(ParticipantId::ZERO, &pong);
                gate.outbox.push(now, Class::Control, &frame);
            }
            FrameType::Pong => {
                Pong::parse(payload)?;
            }
            FrameType::Leave => {
                Leave::parse(payload)?;
                return Ok(Next::Leave);
            }
            FrameType::Welcome
            | FrameType::Roster
            | FrameType::PublisherAck
            | FrameType::Error
            | FrameType::Demand
            | FrameType::Constrained
            | FrameType::Alternates => {
                return Err(ErrorCode::WrongDirection.into());
            }
            _ => return Err(ErrorCode::UnknownType.into()),
        }
        Ok(Next::GoOn)
    }

    /// One track per source; a number keeps its sequence over a stop and a new start.
    fn announce(&mut self, config: &TrackConfig) -> Result<(), Rejection> {
        let taken = self
            .tracks
            .iter()
            .any(|(track, known)| known.source == config.source && *track != config.track);
        if taken {
            return Err(ErrorCode::TooManyTracks.into());
        }
        let announced = Announced {
            source: config.source,
            interrupted: config.interrupted,
        };
        let before = self.tracks.insert(config.track, announced);
        if let Some(cause) = config.interrupted
            && before.and_then(|known| known.interrupted) != Some(cause)
        {
            metrics::interruption(cause);
        }
        Ok(())
    }

    fn on_media(
        &mut self,
        now: Instant,
        frame: Frame,
        room: &RoomHandle,
        from: MemberRef,
        gate: &mut Gate,
    ) -> Result<(), Rejection> {
        let header = MediaHeader::parse(&frame)?;
        if !self.tracks.contains_key(&header.track) {
            return Err(ErrorCode::UnknownTrack.into());
        }
        self.checks
            .entry((header.track, header.spatial))
            .or_default()
            .accept(&header)?;
        gate.allows_media(now, frame.len())?;
        self.acks.on_media(now, &header, frame.len());
        room.offer(Input::Media {
            from,
            header,
            frame,
        });
        Ok(())
    }

    fn acknowledge(&mut self, now: Instant, gate: &Gate) {
        if let Some(ack) = self.acks.take(now) {
            let frame = control::encode(ParticipantId::ZERO, &ack);
            gate.outbox.push(now, Class::Control, &frame);
        }
    }
}

async fn ack_due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
