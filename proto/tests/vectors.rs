//! The golden bytes of `vectors.json` against this crate. The JavaScript SDK reads the same file,
//! so that both sides of the wire agree about every byte that it holds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail by panicking, too"
)]

use std::fmt::Debug;

use bytes::Bytes;
use pulse_proto::{
    DisplayName, ErrorCode, Frame, FrameType, ParticipantId, Rejection, RoomName,
    control::{
        Alternates, Chat, ChatSend, Constrained, Control, Demand, ErrorMessage, Join,
        KeyframeRequest, Leave, Ping, Pong, PublisherAck, Roster, Subscribe, TrackConfig,
        TrackStop, Update, Welcome,
    },
    media::{ChunkCheck, LEVEL_SILENT, MediaHeader, chunks, codec_bytes, newer},
    reassembly::Reassembler,
    v1,
};
use serde::Serialize;
use serde_json::Value;

/// The entries of a section, which must have some.
fn section(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let entries = all[name].as_array().unwrap().clone();
    assert!(!entries.is_empty());
    entries
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {entry}"))
}

fn hex(digits: &str) -> Vec<u8> {
    assert!(digits.len().is_multiple_of(2));
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// The bytes of an entry: `hex`, and what `repeat` adds.
fn message(entry: &Value) -> Bytes {
    let mut bytes = hex(text(entry, "hex"));
    if let Some(repeat) = entry.get("repeat") {
        bytes.extend(hex(text(repeat, "byte")).repeat(repeat["times"].as_u64().unwrap() as usize));
        bytes.extend(hex(repeat
            .get("then")
            .map_or("", |then| then.as_str().unwrap())));
    }
    bytes.into()
}

fn code(name: &str) -> ErrorCode {
    *ErrorCode::ALL
        .iter()
        .find(|code| code.name() == name)
        .unwrap_or_else(|| panic!("no error is called {name}"))
}

fn id(entry: &Value) -> ParticipantId {
    match text(entry, "id") {
        "zero" => ParticipantId::ZERO,
        id => ParticipantId::parse(id.as_bytes()).unwrap(),
    }
}

#[test]
fn frames() {
    for entry in section("frames") {
        let bytes = message(&entry);
        let frame = Frame::parse(bytes.clone()).unwrap();
        let payload = hex(text(&entry, "payload"));
        assert_eq!(frame.sender(), id(&entry), "{entry}");
        assert_eq!(u64::from(frame.kind().number()), entry["type"], "{entry}");
        assert_eq!(frame.payload(), payload, "{entry}");
        let built = Frame::new(frame.sender(), frame.kind(), &payload);
        assert_eq!(built.bytes(), &bytes, "{entry}");
    }
}

#[test]
fn media() {
    for entry in section("media") {
        let bytes = message(&entry);
        let frame = Frame::parse(bytes.clone()).unwrap();
        let header = MediaHeader::parse(&frame).unwrap_or_else(|error| panic!("{error}: {entry}"));
        let number = |field: &str| entry[field].as_u64().unwrap();
        let expected = MediaHeader {
            track: number("track") as u8,
            config: number("config") as u8,
            discardable: entry["discardable"].as_bool().unwrap(),
            last: entry["last"].as_bool().unwrap(),
            spatial: number("spatial") as u8,
            temporal: number("temporal") as u8,
            reference: number("ref") as u8,
            level: number("level") as u8,
            chunk: number("chunk") as u16,
            sequence: number("sequence") as u32,
            captured_us: text(&entry, "captured").parse().unwrap(),
        };
        assert_eq!(header, expected, "{entry}");
        assert_eq!(header.keyframe(), entry["keyframe"], "{entry}");
        assert!(codec_bytes(&frame).starts_with(&hex(text(&entry, "payload"))));
        let built = expected.encode(id(&entry), &codec_bytes(&frame));
        assert_eq!(built.bytes(), &bytes, "{entry}");
    }
}

#[test]
fn chunking() {
    let header = MediaHeader {
        track: 1,
        config: 0,
        discardable: false,
        last: false,
        spatial: 0,
        temporal: 0,
        reference: 0,
        level: LEVEL_SILENT,
        chunk: 0,
        sequence: 1,
        captured_us: 0,
    };
    for entry in section("chunking") {
        let payload = vec![7; entry["bytes"].as_u64().unwrap() as usize];
        let cut = chunks(ParticipantId::ZERO, header, &payload);
        if let Some(error) = entry.get("error") {
            let rejected = cut.err().unwrap_or_else(|| panic!("{entry} was cut"));
            assert_eq!(rejected.code.name(), error, "{entry}");
            continue;
        }
        let lengths: Vec<usize> = cut.unwrap().map(|frame| frame.len()).collect();
        if let Some(count) = entry.get("count") {
            assert_eq!(lengths.len() as u64, *count, "{entry}");
            assert_eq!(lengths[0] as u64, entry["first"], "{entry}");
            assert_eq!(lengths[lengths.len() - 1] as u64, entry["last"], "{entry}");
        } else {
            assert_eq!(Value::from(lengths), entry["frames"], "{entry}");
        }
    }
}

/// The messages of an entry with their headers.
fn chunk_messages(entry: &Value) -> Vec<(MediaHeader, Frame)> {
    let messages = entry["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|one| {
            let frame = Frame::parse(message(one)).unwrap();
            (MediaHeader::parse(&frame).unwrap(), frame)
        })
        .collect()
}

#[test]
fn reassembly() {
    for entry in section("reassembly") {
        let mut reassembler = Reassembler::default();
        let mut whole = Vec::new();
        for (header, frame) in chunk_messages(&entry) {
            // A chunk that is refused is left out; the others go on.
            whole.extend(reassembler.push(&header, &frame).ok().flatten());
        }
        let Some(runs) = entry["becomes"].as_array() else {
            assert_eq!(whole, [], "{entry}");
            continue;
        };
        let expected: Vec<u8> = runs
            .iter()
            .flat_map(|run| hex(text(run, "byte")).repeat(run["times"].as_u64().unwrap() as usize))
            .collect();
        assert_eq!(whole.len(), 1, "{entry}");
        assert_eq!(whole[0].payload, expected, "{entry}");
        assert_eq!(u64::from(whole[0].header.sequence), entry["sequence"]);
    }
}

#[test]
fn sequences() {
    for entry in section("sequences") {
        let mut check = ChunkCheck::default();
        let errors: Vec<Option<&str>> = chunk_messages(&entry)
            .iter()
            .map(|(header, _)| check.accept(header).err().map(|error| error.code.name()))
            .collect();
        let expected: Vec<Option<&str>> = entry["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::as_str)
            .collect();
        assert_eq!(errors, expected, "{entry}");
    }
}

#[test]
fn serial() {
    for entry in section("serial") {
        let number = |field: &str| entry[field].as_u64().unwrap() as u32;
        assert_eq!(newer(number("a"), number("b")), entry["newer"], "{entry}");
    }
}

/// Reads a payload as its receiver does and writes it again.
fn read_control(kind: FrameType, from: &str, payload: &[u8]) -> Result<Value, Rejection> {
    fn reread<M: Control + Serialize + PartialEq + Debug>(
        payload: &[u8],
    ) -> Result<Value, Rejection> {
        let message = M::parse(payload)?;
        let written = serde_json::to_vec(&message).unwrap();
        assert_eq!(M::parse(&written).unwrap(), message);
        Ok(serde_json::from_slice(&written).unwrap())
    }
    match kind {
        FrameType::Join => reread::<Join>(payload),
        FrameType::Welcome => reread::<Welcome>(payload),
        FrameType::Roster => reread::<Roster>(payload),
        FrameType::TrackConfig => reread::<TrackConfig>(payload),
        FrameType::TrackStop => reread::<TrackStop>(payload),
        FrameType::Chat if from == "client" => reread::<ChatSend>(payload),
        FrameType::Chat => reread::<Chat>(payload),
        FrameType::KeyframeRequest => reread::<KeyframeRequest>(payload),
        FrameType::PublisherAck => reread::<PublisherAck>(payload),
        FrameType::Ping => reread::<Ping>(payload),
        FrameType::Pong => reread::<Pong>(payload),
        FrameType::Error => reread::<ErrorMessage>(payload),
        FrameType::Subscribe => reread::<Subscribe>(payload),
        FrameType::Leave => reread::<Leave>(payload),
        FrameType::Demand => reread::<Demand>(payload),
        FrameType::Update => reread::<Update>(payload),
        FrameType::Constrained => reread::<Constrained>(payload),
        FrameType::Alternates => reread::<Alternates>(payload),
        FrameType::Audio
        | FrameType::UserListUpdate
        | FrameType::JoinRequest
        | FrameType::ScreenShare
        | FrameType::ScreenShareStop
        | FrameType::ScreenShareStart
        | FrameType::ChatV1
        | FrameType::Media => panic!("{kind:?} is no control message"),
    }
}

/// Whether everything in `written` is in `given`: unknown fields may be missing from it, names lose
/// the white space at their ends, and null may stand for what is missing.
fn holds(given: &Value, written: &Value) -> bool {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => written
            .iter()
            .all(|(key, value)| holds(given.get(key).unwrap_or(&Value::Null), value)),
        (Value::Array(given), Value::Array(written)) => {
            given.len() == written.len() && given.iter().zip(written).all(|(a, b)| holds(a, b))
        }
        (Value::Number(given), Value::Number(written)) => given.as_f64() == written.as_f64(),
        (Value::String(given), Value::String(written)) => given.trim() == written.trim(),
        _ => given == written,
    }
}

#[test]
fn control() {
    for entry in section("control") {
        let kind = FrameType::from_number(entry["type"].as_u64().unwrap() as u8).unwrap();
        let payload = serde_json::to_vec(&entry["json"]).unwrap();
        let written = read_control(kind, text(&entry, "from"), &payload)
            .unwrap_or_else(|error| panic!("{error}: {entry}"));
        assert!(holds(&entry["json"], &written), "{written} from {entry}");
    }
}

#[test]
fn v1_payloads() {
    for entry in section("v1") {
        let payload = hex(text(&entry, "payload"));
        if let Some(users) = entry.get("users") {
            let users: Vec<(ParticipantId, DisplayName)> = users
                .as_array()
                .unwrap()
                .iter()
                .map(|user| (id(user), DisplayName::parse(text(user, "name")).unwrap()))
                .collect();
            let list = v1::user_list(users.iter().map(|(id, name)| (*id, name)));
            assert_eq!(list, payload, "{entry}");
            let parsed = v1::parse_user_list(&payload).unwrap();
            assert_eq!(parsed.len(), users.len());
            for ((id, name), (expected, whole)) in parsed.iter().zip(&users) {
                assert_eq!(id, expected);
                assert!(!name.is_empty() && whole.as_str().starts_with(name.as_str()));
            }
            continue;
        }
        let image = entry.get("image").map(|image| hex(image.as_str().unwrap()));
        let body = match &image {
            Some(image) => v1::ChatBody::Image(image),
            None => v1::ChatBody::Text(text(&entry, "text")),
        };
        let at = entry["at"].as_f64().unwrap();
        assert_eq!(v1::parse_chat(&payload), Ok((at, body)), "{entry}");
        assert_eq!(v1::chat(at, body), payload, "{entry}");
    }
}

#[test]
fn images() {
    for entry in section("images") {
        let mime = v1::image_mime(&hex(text(&entry, "hex")));
        assert_eq!(mime, entry["mime"].as_str(), "{entry}");
    }
}

/// What every peer's frame and media parsers say.
fn read_frame(bytes: Bytes) -> Result<Frame, Rejection> {
    let frame = Frame::parse(bytes)?;
    if frame.kind() == FrameType::Media {
        MediaHeader::parse(&frame)?;
    }
    Ok(frame)
}

/// What whoever reads the payload says.
fn read_payload(frame: &Frame, from: &str) -> Result<(), Rejection> {
    let payload = frame.payload();
    match frame.kind() {
        FrameType::JoinRequest => DisplayName::from_utf8(payload)
            .map(drop)
            .map_err(Into::into),
        FrameType::ChatV1 => v1::parse_chat(payload).map(drop),
        FrameType::ScreenShareStart => v1::parse_mime(payload).map(drop),
        kind => read_control(kind, from, payload).map(drop),
    }
}

/// Who sends to the side that an entry is for.
fn other(entry: &Value) -> &'static str {
    if text(entry, "side") == "client" {
        "edge"
    } else {
        "client"
    }
}

#[test]
fn malformed() {
    for entry in section("malformed") {
        let bytes = message(&entry);
        if let Some(readable) = entry.get("text") {
            assert!(
                bytes.ends_with(readable.as_str().unwrap().as_bytes()),
                "{entry}"
            );
        }
        let expected = code(text(&entry, "error"));
        let read = read_frame(bytes);
        let rejected = match text(&entry, "side") {
            "both" => read.map(drop),
            "edge" | "client" => {
                let frame = read.unwrap_or_else(|error| panic!("{error} too early: {entry}"));
                let from = entry
                    .get("from")
                    .map_or(other(&entry), |from| from.as_str().unwrap());
                read_payload(&frame, from)
            }
            side => panic!("no side is called {side}"),
        };
        match rejected {
            Ok(()) => panic!("accepted: {entry}"),
            Err(rejection) => assert_eq!(rejection.code, expected, "{entry}"),
        }
    }
}

#[test]
fn errors() {
    let errors = section("errors");
    assert_eq!(errors.len(), ErrorCode::ALL.len());
    for (entry, code) in errors.iter().zip(ErrorCode::ALL) {
        assert_eq!(u64::from(code.number()), entry["code"]);
        assert_eq!(code.name(), entry["name"]);
        assert_eq!(code.ends(), entry["ends"]);
    }
}

#[test]
fn names() {
    let all: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let each = |section: &str, kind: &str| all[section][kind].as_array().unwrap().clone();
    for room in each("rooms", "good") {
        assert!(RoomName::parse(room.as_str().unwrap()).is_ok(), "{room}");
    }
    for room in each("rooms", "bad") {
        assert!(RoomName::parse(room.as_str().unwrap()).is_err(), "{room}");
    }
    for pair in each("names", "good") {
        let name = DisplayName::parse(pair[0].as_str().unwrap()).unwrap();
        assert_eq!(name.as_str(), pair[1]);
    }
    for name in each("names", "bad") {
        assert!(
            DisplayName::parse(name.as_str().unwrap()).is_err(),
            "{name}"
        );
    }
    for id in each("ids", "good") {
        assert!(
            ParticipantId::parse(id.as_str().unwrap().as_bytes()).is_ok(),
            "{id}"
        );
    }
    for id in each("ids", "bad") {
        assert!(
            ParticipantId::parse(id.as_str().unwrap().as_bytes()).is_err(),
            "{id}"
        );
    }
}
