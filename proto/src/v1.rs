//! Payloads of the original wire that have a shape of their own: the user list and chat.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    code::{ErrorCode, Rejection},
    id::{DisplayName, ParticipantId},
    limits::{MAX_CHAT, MAX_IMAGE, MAX_V1_MIME},
};

/// Bytes of a name in a user list at most: its length is one byte.
const MAX_LIST_NAME: usize = u8::MAX as usize;

/// The payload of a USER_LIST_UPDATE. Names are cut to 255 bytes at a character; users beyond the
/// 255th, which the count cannot hold, are left out.
pub fn user_list<'a>(users: impl Iterator<Item = (ParticipantId, &'a DisplayName)>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    let mut count = 0_u8;
    for (id, name) in users.take(usize::from(u8::MAX)) {
        let name = name.as_str();
        let name = name
            .get(..name.floor_char_boundary(MAX_LIST_NAME))
            .unwrap_or(name);
        bytes.put_slice(id.as_bytes());
        bytes.put_u8(name.len() as u8);
        bytes.put_slice(name.as_bytes());
        count += 1;
    }
    if let Some(first) = bytes.first_mut() {
        *first = count;
    }
    bytes.freeze()
}

/// Reads a USER_LIST_UPDATE payload, as a v1 client does.
pub fn parse_user_list(payload: &[u8]) -> Option<Vec<(ParticipantId, String)>> {
    let (&count, mut rest) = payload.split_first()?;
    let mut users = Vec::new();
    for _ in 0..count {
        let (id, tail) = rest.split_at_checked(36)?;
        let (&length, tail) = tail.split_first()?;
        let (name, tail) = tail.split_at_checked(usize::from(length))?;
        users.push((
            ParticipantId::parse(id).ok()?,
            String::from_utf8(name.to_vec()).ok()?,
        ));
        rest = tail;
    }
    rest.is_empty().then_some(users)
}

/// What a CHAT_V1 payload holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChatBody<'a> {
    /// A text.
    Text(&'a str),
    /// An image's bytes.
    Image(&'a [u8]),
}

/// Reads a CHAT_V1 payload: when it was sent, in ms since 1970, and what it holds.
///
/// # Errors
/// [`ErrorCode::ChatTooLong`], [`ErrorCode::ImageTooLarge`], [`ErrorCode::NotAnImage`], or
/// [`ErrorCode::BadJson`] for one that cannot be read at all.
pub fn parse_chat(payload: &[u8]) -> Result<(f64, ChatBody<'_>), Rejection> {
    let Some((&[subtype, ref time @ ..], body)) = payload.split_first_chunk::<9>() else {
        return Err(Rejection::new(
            ErrorCode::BadJson,
            "a chat shorter than its 9 bytes",
        ));
    };
    let at = f64::from_le_bytes(*time);
    match subtype {
        0 if payload.len() > MAX_CHAT => Err(ErrorCode::ChatTooLong.into()),
        0 => std::str::from_utf8(body)
            .map(|text| (at, ChatBody::Text(text)))
            .map_err(|_| Rejection::new(ErrorCode::BadJson, "a text that is not UTF-8")),
        1 if body.len() > MAX_IMAGE => Err(ErrorCode::ImageTooLarge.into()),
        1 if image_mime(body).is_none() => Err(ErrorCode::NotAnImage.into()),
        1 => Ok((at, ChatBody::Image(body))),
        _ => Err(Rejection::new(
            ErrorCode::BadJson,
            "an unknown chat subtype",
        )),
    }
}

/// A CHAT_V1 payload.
pub fn chat(at_ms: f64, body: ChatBody<'_>) -> Bytes {
    let (subtype, body) = match body {
        ChatBody::Text(text) => (0, text.as_bytes()),
        ChatBody::Image(image) => (1, image),
    };
    let mut bytes = BytesMut::with_capacity(9 + body.len());
    bytes.put_u8(subtype);
    bytes.put_f64_le(at_ms);
    bytes.put_slice(body);
    bytes.freeze()
}

/// The MIME type that an image's first bytes tell: PNG, JPEG, GIF or WebP.
pub fn image_mime(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// Reads the MIME type of a SCREEN_SHARE_START: printable ASCII, `video/…`, at most 128 bytes.
///
/// # Errors
/// [`ErrorCode::BadMime`].
pub fn parse_mime(payload: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(payload)
        .ok()
        .filter(|mime| mime.len() <= MAX_V1_MIME && mime.starts_with("video/"))
        .filter(|mime| mime.bytes().all(|byte| (0x20..0x7f).contains(&byte)))
        .ok_or_else(|| ErrorCode::BadMime.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_at_a_character() {
        let id = ParticipantId::from_random([7; 16]);
        let name = DisplayName::parse(&"🎮".repeat(64)).unwrap();
        assert_eq!(name.as_str().len(), 256);
        let list = user_list([(id, &name)].into_iter());
        assert_eq!(parse_user_list(&list), Some(vec![(id, "🎮".repeat(63))]));
    }

    #[test]
    fn chats_survive() {
        for body in [ChatBody::Text("hi"), ChatBody::Image(b"\x89PNG\r\n\x1a\n")] {
            assert_eq!(parse_chat(&chat(12.5, body)), Ok((12.5, body)));
        }
    }

    #[test]
    fn chats_are_bounded() {
        let code = |payload: &[u8]| parse_chat(payload).unwrap_err().code;
        assert_eq!(
            code(&chat(0.0, ChatBody::Text(&"a".repeat(MAX_CHAT)))),
            ErrorCode::ChatTooLong
        );
        let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
        image.resize(MAX_IMAGE + 1, 0);
        assert_eq!(
            code(&chat(0.0, ChatBody::Image(&image))),
            ErrorCode::ImageTooLarge
        );
        assert_eq!(
            code(&chat(0.0, ChatBody::Image(b"<svg>"))),
            ErrorCode::NotAnImage
        );
        assert_eq!(code(&[0; 8]), ErrorCode::BadJson);
        assert_eq!(code(&[9; 9]), ErrorCode::BadJson);
        assert_eq!(code(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]), ErrorCode::BadJson);
    }

    #[test]
    fn mimes_are_checked() {
        assert!(parse_mime(b"video/webm;codecs=vp9").is_ok());
        for bad in [&b"text/html"[..], b"", b"video/\xff", &[b'v'; 200]] {
            assert_eq!(parse_mime(bad).unwrap_err().code, ErrorCode::BadMime);
        }
    }
}
