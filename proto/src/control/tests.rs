//! The bounds of control messages.

use proptest::prelude::*;

use super::*;
use crate::limits::MAX_CHAT;

fn code<M: Control + std::fmt::Debug>(json: &str) -> ErrorCode {
    M::parse(json.as_bytes()).unwrap_err().code
}

#[test]
fn known_fields_are_strict_and_unknown_ones_ignored() {
    assert!(Ping::parse(br#"{"t": 1.5, "later": true}"#).is_ok());
    assert_eq!(code::<Ping>(r#"{"t": 1, "t": 2}"#), ErrorCode::BadJson);
    assert_eq!(code::<Ping>(r#"{"t": "1"}"#), ErrorCode::BadJson);
    assert_eq!(code::<Ping>("{}"), ErrorCode::BadJson);
    assert_eq!(code::<Ping>("[1]"), ErrorCode::BadJson);
    assert_eq!(code::<TrackStop>(r#"{"track": 256}"#), ErrorCode::BadJson);
}

#[test]
fn joins_name_what_is_wrong() {
    let join = |version: u8, room: &str, name: &str| {
        format!(
            r#"{{"hello":{{"version":{version},"features":[],"agent":"t"}},"room":"{room}","name":"{name}"}}"#
        )
    };
    assert!(Join::parse(join(2, "r", "Ada").as_bytes()).is_ok());
    assert_eq!(code::<Join>(&join(3, "r", "Ada")), ErrorCode::BadVersion);
    assert_eq!(code::<Join>(&join(2, "a b", "Ada")), ErrorCode::BadRoom);
    assert_eq!(code::<Join>(&join(2, "r", " ")), ErrorCode::BadName);
}

#[test]
fn configs_are_bounded() {
    let camera = |config: &str| {
        format!(r#"{{"track":1,"source":"camera","version":0,"muted":false,"config":{config}}}"#)
    };
    let good = r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"framerate":29.97}"#;
    assert!(TrackConfig::parse(camera(good).as_bytes()).is_ok());
    for bad in [
        r#"{"codec":"vp8"}"#,
        r#"{"codec":"","codedWidth":640,"codedHeight":360}"#,
        r#"{"codec":"vp8","codedWidth":9000,"codedHeight":360}"#,
        r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"framerate":0}"#,
        r#"{"codec":"vp8","codedWidth":640,"codedHeight":360,"description":"zz"}"#,
    ] {
        assert_eq!(code::<TrackConfig>(&camera(bad)), ErrorCode::BadConfig);
    }
}

#[test]
fn colours_are_named_or_null() {
    let camera = |space: &str| {
        format!(
            r#"{{"track":1,"source":"camera","version":0,"muted":false,"config":{{"codec":"vp8","codedWidth":640,"codedHeight":360,"colorSpace":{space}}}}}"#
        )
    };
    let known =
        r#"{"primaries":"smpte170m","transfer":null,"matrix":"smpte170m","fullRange":false}"#;
    let config = TrackConfig::parse(camera(known).as_bytes()).unwrap().config;
    let space = config.color_space.unwrap();
    assert_eq!(space.matrix.as_deref(), Some("smpte170m"));
    assert_eq!(space.transfer, None);
    assert_eq!(space.full_range, Some(false));
    let long = known.replace("null", r#""aaaaaaaaaaaaaaaaa""#);
    assert_eq!(code::<TrackConfig>(&camera(&long)), ErrorCode::BadConfig);
    for bad in [
        known.replace("false", "0"),
        known.replace(r#""transfer":null,"#, ""),
        r#""bt709""#.to_owned(),
    ] {
        assert_eq!(code::<TrackConfig>(&camera(&bad)), ErrorCode::BadJson);
    }
}

#[test]
fn chats_hold_one_thing() {
    assert!(ChatSend::parse(br#"{"nonce":"1","text":"hi"}"#).is_ok());
    assert_eq!(code::<ChatSend>(r#"{"nonce":"1"}"#), ErrorCode::BadJson);
    assert_eq!(
        code::<ChatSend>(r#"{"nonce":"1","text":""}"#),
        ErrorCode::BadJson
    );
    assert_eq!(
        code::<ChatSend>(r#"{"nonce":"1","text":"a","image":"b"}"#),
        ErrorCode::BadJson
    );
    let long = format!(r#"{{"nonce":"1","text":"{}"}}"#, "a".repeat(MAX_CHAT));
    assert_eq!(code::<ChatSend>(&long), ErrorCode::ChatTooLong);
}

#[test]
fn the_number_of_a_ping_keeps_its_value() {
    let json =
        br#"{"t":22222222222222222222222222222222222222222222222222222222000128102.89400760774}"#;
    let ping = Ping::parse(json).unwrap();
    let again = encode(ParticipantId::ZERO, &ping);
    assert_eq!(Ping::parse(again.payload()).unwrap(), ping);
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes: Vec<u8>) {
        let _ = Join::parse(&bytes);
        let _ = TrackConfig::parse(&bytes);
        let _ = ChatSend::parse(&bytes);
        let _ = Subscribe::parse(&bytes);
    }
}
