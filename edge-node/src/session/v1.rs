//! Reading a client that speaks the original wire. Bad input is dropped and counted: such a client
//! knows no error message.

use pulse_proto::{
    ErrorCode, Frame, FrameType, ParticipantId, Rejection, RoomName,
    control::Protocol,
    id::DisplayName,
    limits::{MAX_V1_AUDIO, MAX_V1_SHARE_CHUNK},
    v1::{self, ChatBody},
};

use super::{Gate, Left, Reader, Received, fresh};
use crate::{
    clock, metrics,
    room::{ChatContent, Input, JoinRequest, MemberRef, RoomHandle},
};

/// What a v1 client's URL asks for.
#[derive(Clone, Debug)]
pub(crate) struct V1Request {
    pub(crate) room: RoomName,
    /// It may create the room.
    pub(crate) has_key: bool,
}

/// Reads the first message.
///
/// # Errors
/// The code its connection ends with.
pub(super) fn join_request(first: &Frame) -> Result<JoinRequest, ErrorCode> {
    if first.kind() != FrameType::JoinRequest {
        return Err(ErrorCode::JoinFirst);
    }
    if first.sender() == ParticipantId::ZERO {
        return Err(ErrorCode::BadId);
    }
    let name = DisplayName::from_utf8(first.payload())?;
    Ok(fresh(Protocol::V1, first.sender(), name))
}

/// A v1 member.
pub(super) struct Client {
    id: ParticipantId,
}

impl Client {
    pub(super) const fn new(id: ParticipantId) -> Self {
        Self { id }
    }

    pub(super) async fn read_loop(
        self,
        mut reader: Reader,
        room: &RoomHandle,
        from: MemberRef,
        gate: &mut Gate,
    ) -> Left {
        loop {
            let received = match reader.next_within_idle().await {
                Ok(received) => received,
                Err(code) => return Left::error(code),
            };
            let result = match received {
                Received::Frame(bytes) => match Frame::parse(bytes) {
                    Ok(frame) => self.on_frame(frame, room, from, gate).await,
                    Err(rejection) => Err(rejection),
                },
                Received::Text => Err(ErrorCode::TextMessage.into()),
                Received::TooLarge => return Left::error(ErrorCode::MessageTooLarge),
                Received::Alive => Ok(()),
                Received::Closed(graceful) => return Left::closed(graceful),
            };
            if let Err(rejection) = result
                && let Err(left) = gate.refuse(clock::now(), rejection.code)
            {
                return left;
            }
        }
    }

    async fn on_frame(
        &self,
        frame: Frame,
        room: &RoomHandle,
        from: MemberRef,
        gate: &mut Gate,
    ) -> Result<(), Rejection> {
        let now = clock::now();
        metrics::received(frame.kind(), frame.len());
        if frame.sender() != self.id {
            return Err(ErrorCode::ForeignSender.into());
        }
        match frame.kind() {
            FrameType::JoinRequest => Err(ErrorCode::AlreadyJoined.into()),
            FrameType::UserListUpdate => Err(ErrorCode::WrongDirection.into()),
            FrameType::ChatV1 => {
                gate.allows_control(now)?;
                let (_, body) = v1::parse_chat(frame.payload())?;
                let content = match body {
                    ChatBody::Text(text) => ChatContent::Text(text.to_owned()),
                    ChatBody::Image(image) => {
                        ChatContent::Image(room.images.store(image.to_vec().into())?)
                    }
                };
                let at_ms = clock::wall_ms();
                let nonce = String::new();
                room.tell(Input::Chat {
                    from,
                    at_ms,
                    nonce,
                    content,
                    original: Some(frame),
                })
                .await;
                Ok(())
            }
            kind if is_v1_media(kind) => relay(frame, room, from, gate).await,
            _ => Err(ErrorCode::UnknownType.into()),
        }
    }
}

/// Types that members of both kinds send for v1 members.
pub(super) const fn is_v1_media(kind: FrameType) -> bool {
    matches!(
        kind,
        FrameType::Audio
            | FrameType::ScreenShare
            | FrameType::ScreenShareStart
            | FrameType::ScreenShareStop
    )
}

/// Checks a frame of such a type and gives it to the room.
pub(super) async fn relay(
    frame: Frame,
    room: &RoomHandle,
    from: MemberRef,
    gate: &mut Gate,
) -> Result<(), Rejection> {
    let now = clock::now();
    let length = frame.payload().len();
    match frame.kind() {
        FrameType::Audio => {
            if length > MAX_V1_AUDIO {
                return Err(ErrorCode::AudioTooLarge.into());
            }
            gate.allows_media(now, length)?;
            room.offer(Input::V1 { from, frame });
            return Ok(());
        }
        FrameType::ScreenShare => {
            if length > MAX_V1_SHARE_CHUNK {
                return Err(ErrorCode::ShareTooLarge.into());
            }
            gate.allows_media(now, length)?;
        }
        FrameType::ScreenShareStart => {
            gate.allows_control(now)?;
            v1::parse_mime(frame.payload())?;
        }
        _ => gate.allows_control(now)?,
    }
    // A missing chunk would break the stream for good: the sender waits instead.
    room.tell(Input::V1 { from, frame }).await;
    Ok(())
}
