//! Any bytes as any payload of the original wire. What is accepted is written again as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pulse_proto::{
    DisplayName, ParticipantId, RoomName,
    v1::{chat, image_mime, parse_chat, parse_mime, parse_user_list, user_list},
};

fuzz_target!(|data: &[u8]| {
    if let Ok((at, body)) = parse_chat(data) {
        assert_eq!(chat(at, body), data);
    }
    if let Some(users) = parse_user_list(data) {
        // Names of a list may be such that nobody can have; those that can be are kept.
        let named: Option<Vec<(ParticipantId, DisplayName)>> = users
            .iter()
            .map(|(id, name)| Some((*id, DisplayName::parse(name).ok()?)))
            .collect();
        if let Some(named) = named.filter(|named| {
            named
                .iter()
                .zip(&users)
                .all(|((_, name), (_, text))| name.as_str() == text)
        }) {
            assert_eq!(user_list(named.iter().map(|(id, name)| (*id, name))), data);
        }
    }
    if let Ok(mime) = parse_mime(data) {
        assert_eq!(mime.as_bytes(), data);
    }
    if let Ok(name) = DisplayName::from_utf8(data) {
        assert_eq!(DisplayName::parse(name.as_str()), Ok(name));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(room) = RoomName::parse(text)
    {
        assert_eq!(room.reveal(), text);
    }
    let _ = image_mime(data);
});
