//! The numbered errors of PROTOCOL.md section 8: code, stable name, whether it ends the connection,
//! and the sentence for a person.

use std::{borrow::Cow, fmt};

macro_rules! error_codes {
    ($($code:literal $variant:ident $name:literal $ends:literal $sentence:literal;)*) => {
        /// An error as it travels: in an ERROR message, as a WebSocket close code, or both.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = $sentence] $variant = $code,)*
        }

        impl ErrorCode {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The number on the wire.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The name that programs match on; also the label of its counter.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether this error always ends the connection it happens on.
            pub const fn ends(self) -> bool {
                match self { $(Self::$variant => $ends,)* }
            }

            /// What a person is told.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// The error with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

error_codes! {
    4000 Internal "internal_error" true "Something broke on our side. Please join again.";
    4001 JoinTimeout "join_timeout" true "Nothing was sent after connecting.";
    4002 JoinFirst "join_first" true "The first message must be a join.";
    4003 FrameTooShort "frame_too_short" false "A message was shorter than its 37-byte header.";
    4004 RoomNotFound "room_not_found" true "Room not found";
    4005 TextMessage "text_message" false "Text messages are not part of this protocol.";
    4006 UnknownType "unknown_type" false "A message had a type that is not known here.";
    4007 ForeignSender "foreign_sender" false "A message carried somebody else's id.";
    4008 IdTaken "id_taken" true "Somebody with this id is already in the room.";
    4009 BadId "bad_id" true "The id must be a UUID in text form.";
    4010 BadName "bad_name" true "The name must have 1 to 64 characters.";
    4011 BadRoom "bad_room" true "A room name has 1 to 64 letters, digits, - or _.";
    4012 AlreadyJoined "already_joined" false "This connection has joined already.";
    4013 RoomFull "room_full" true "This room is full.";
    4014 BadJson "bad_json" false "A control message could not be read.";
    4015 BadVersion "bad_version" true "This version of the protocol is not spoken here. Please reload the page.";
    4016 FrameTooLarge "frame_too_large" false "A media frame was larger than 1,000 bytes.";
    4017 BadMediaHeader "bad_media_header" false "A media header contradicts itself.";
    4018 BadChunk "bad_chunk" false "A chunk does not fit the others of its frame.";
    4019 UnknownTrack "unknown_track" false "Media arrived for a track that was not announced.";
    4020 AudioTooLarge "audio_too_large" false "An audio message was larger than 64 KiB.";
    4021 ShareTooLarge "share_too_large" false "A screen share chunk was larger than 2 MiB.";
    4022 ChatTooLong "chat_too_long" false "That message is too long.";
    4023 ImageTooLarge "image_too_large" false "That image is larger than 1 MiB.";
    4024 NotAnImage "not_an_image" false "That file is not a PNG, JPEG, GIF or WebP image.";
    4025 BadConfig "bad_config" false "A track was announced with settings out of range.";
    4026 TooManyTracks "too_many_tracks" false "There is already a track of that source.";
    4027 RateLimited "rate_limited" false "Too much at once. Please wait a moment.";
    4028 TooManyErrors "too_many_errors" true "Too many messages could not be understood.";
    4029 TooSlow "too_slow" true "The connection is too slow to keep up with the room.";
    4030 Replaced "replaced" true "You joined from another page.";
    4031 IdleTimeout "idle_timeout" true "The connection went silent.";
    4032 ServerFull "server_full" true "This server is full. Please try again later.";
    4033 ShuttingDown "shutting_down" true "The server is restarting. You will be reconnected.";
    4034 MessageTooLarge "message_too_large" true "A message was larger than anything this protocol sends.";
    4035 WrongDirection "wrong_direction" false "A message of this type may only come from the server.";
    4036 NoSuchImage "no_such_image" false "That image is not there any more.";
    4037 BadToken "bad_token" false "The access token is missing or not valid any more.";
    4038 BadMime "bad_mime" false "A screen share was announced with a type that cannot be read.";
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.name())
    }
}

/// Why a message was refused: the code that its sender is told, and a detail for developers that
/// never repeats what the message held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Rejection {
    /// What the sender is told.
    pub code: ErrorCode,
    /// What exactly did not fit.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A rejection with its detail.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<ErrorCode> for Rejection {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(code.sentence()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn the_table_of_the_spec_is_this_enum() {
        let spec = include_str!("../PROTOCOL.md");
        let rows: Vec<String> = spec
            .lines()
            .filter(|line| line.starts_with("| 40"))
            .map(str::to_owned)
            .collect();
        let ours: Vec<String> = ErrorCode::ALL
            .iter()
            .map(|code| {
                let ends = if code.ends() { "yes" } else { "no" };
                format!(
                    "| {} | {} | {ends} | {} |",
                    code.number(),
                    code.name(),
                    code.sentence()
                )
            })
            .collect();
        assert_eq!(rows, ours);
    }

    #[test]
    fn numbers_lead_back() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(ErrorCode::from_number(1000), None);
    }
}
