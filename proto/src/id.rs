//! Names that peers give to things, parsed once at the door. Whoever holds one of these types needs
//! to check nothing again. A room's name is a secret while the room is open: it never prints.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    code::ErrorCode,
    limits::{MAX_NAME_CHARS, MAX_ROOM_CHARS},
};

/// Bytes of a participant id on the wire.
pub const ID_LEN: usize = 36;

/// Who sent a frame: a UUID in its 36-character text form, or the zero id of the server itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId([u8; ID_LEN]);

impl ParticipantId {
    /// What the server itself says, and a JOIN, carries this.
    pub const ZERO: Self = Self([0; ID_LEN]);

    /// Reads the text form of a UUID: 8-4-4-4-12 hexadecimal digits.
    ///
    /// # Errors
    /// [`ErrorCode::BadId`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ErrorCode> {
        let id: [u8; ID_LEN] = bytes.try_into().map_err(|_| ErrorCode::BadId)?;
        let fits = id.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        if fits {
            Ok(Self(id))
        } else {
            Err(ErrorCode::BadId)
        }
    }

    /// A random (version 4) UUID from 16 random bytes.
    pub fn from_random(random: [u8; 16]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut value = u128::from_be_bytes(random);
        value &= !(0xf000_u128 << 64) & !(0xc000_u128 << 48);
        value |= (0x4000_u128 << 64) | (0x8000_u128 << 48);
        let mut digit = 32_u32;
        Self(std::array::from_fn(|index| {
            if matches!(index, 8 | 13 | 18 | 23) {
                return b'-';
            }
            digit -= 1;
            let nibble = (value >> (4 * digit)) & 0xf;
            HEX.get(nibble as usize).copied().unwrap_or(b'0')
        }))
    }

    /// The 36 bytes as they travel.
    pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
        &self.0
    }

    /// The text form; 36 NULs for the zero id.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ZERO {
            f.write_str("zero")
        } else {
            f.write_str(self.as_str())
        }
    }
}

impl Serialize for ParticipantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ParticipantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(text.as_bytes()).map_err(D::Error::custom)
    }
}

/// The name of a room: 1 to 64 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Reads a room's name.
    ///
    /// # Errors
    /// [`ErrorCode::BadRoom`] if it is empty, too long or holds another character.
    pub fn parse(text: &str) -> Result<Self, ErrorCode> {
        let fits = (1..=MAX_ROOM_CHARS).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(ErrorCode::BadRoom)
        }
    }

    /// The name, for the wire alone: it must not reach a log or a label.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomName(…)")
    }
}

/// What a participant is called: 1 to 64 characters, not all white space, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayName(Arc<str>);

impl DisplayName {
    /// Reads a name and removes white space at its ends.
    ///
    /// # Errors
    /// [`ErrorCode::BadName`] if nothing is left, it is too long, or it holds a control character.
    pub fn parse(text: &str) -> Result<Self, ErrorCode> {
        let text = text.trim();
        let fits = (1..=MAX_NAME_CHARS).contains(&text.chars().count())
            && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(ErrorCode::BadName)
        }
    }

    /// Reads a name from the bytes of a v1 JOIN_REQUEST.
    ///
    /// # Errors
    /// [`ErrorCode::BadName`] as [`DisplayName::parse`], and for bytes that are not UTF-8.
    pub fn from_utf8(bytes: &[u8]) -> Result<Self, ErrorCode> {
        std::str::from_utf8(bytes)
            .map_err(|_| ErrorCode::BadName)
            .and_then(Self::parse)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisplayName({} chars)", self.0.chars().count())
    }
}

impl Serialize for DisplayName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DisplayName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_uuids_in_text_form() {
        assert!(ParticipantId::parse(b"0b51d01a-4d7e-4f3a-9a25-4a1a8b3fd0c1").is_ok());
        assert!(ParticipantId::parse(b"0B51D01A-4D7E-4F3A-9A25-4A1A8B3FD0C1").is_ok());
        for bad in [
            &b"0b51d01a-4d7e-4f3a-9a25-4a1a8b3fd0c"[..],
            b"0b51d01a_4d7e-4f3a-9a25-4a1a8b3fd0c1",
            &[0; 36],
        ] {
            assert_eq!(ParticipantId::parse(bad), Err(ErrorCode::BadId));
        }
    }

    #[test]
    fn names_are_bounded_in_characters() {
        assert!(DisplayName::parse(&"ä".repeat(64)).is_ok());
        assert_eq!(DisplayName::parse("  Ada  ").unwrap().as_str(), "Ada");
        for bad in ["", "   ", &"a".repeat(65), "a\u{7}b"] {
            assert_eq!(DisplayName::parse(bad), Err(ErrorCode::BadName));
        }
        assert_eq!(DisplayName::from_utf8(&[0xff]), Err(ErrorCode::BadName));
    }

    #[test]
    fn rooms_never_print() {
        let room = RoomName::parse("top-secret").unwrap();
        assert!(!format!("{room:?}").contains("secret"));
        for bad in ["", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(RoomName::parse(bad), Err(ErrorCode::BadRoom));
        }
    }

    proptest! {
        #[test]
        fn random_ids_parse_and_carry_version_and_variant(random: [u8; 16]) {
            let id = ParticipantId::from_random(random);
            prop_assert_eq!(ParticipantId::parse(id.as_bytes()), Ok(id));
            prop_assert_eq!(id.as_bytes()[14], b'4');
            prop_assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        }
    }
}
