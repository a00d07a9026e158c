use proptest::prelude::*;

use super::*;
use crate::{
    cluster::{
        codec::{Decoder, MAX_CLUSTER_MESSAGE},
        golden::assert_golden,
    },
    control::{LeaveReason, Protocol, TrackConfig},
    id::DisplayName,
};

fn id(number: u8) -> ParticipantId {
    ParticipantId::from_random([number; 16])
}

fn room() -> RoomName {
    RoomName::parse("stand-up").unwrap()
}

fn row(number: u8) -> Row {
    let json = r#"{"track":3,"version":1,"source":"microphone","muted":false,"config":{"codec":"opus","sampleRate":48000,"numberOfChannels":1}}"#;
    let track: TrackConfig = serde_json::from_str(json).unwrap();
    Row {
        participant: Participant {
            id: id(number),
            name: DisplayName::parse("Ada").unwrap(),
            protocol: Protocol::V2,
            away: false,
            tracks: vec![track],
            hand: Some(7),
            quality: None,
        },
        moves: 2,
        resume: Some([9; DIGEST]),
    }
}

fn track(number: u8) -> TrackRef {
    TrackRef {
        participant: id(number),
        track: number,
    }
}

fn of_room(message: RoomMessage) -> LinkMessage {
    LinkMessage::Room {
        room: room(),
        message,
    }
}

fn every_kind() -> Vec<LinkMessage> {
    let (room, participant) = (room(), id(1));
    vec![
        LinkMessage::Hello(LinkHello {
            version_min: 1,
            version_max: LINK_VERSION,
            cluster: "home".to_owned(),
            incarnation: Incarnation(5),
        }),
        LinkMessage::Alias {
            alias: 1,
            room: room.clone(),
            participant,
        },
        LinkMessage::AliasKnown { alias: u32::MAX },
        of_room(RoomMessage::Rows(vec![row(1), row(2)])),
        of_room(RoomMessage::RowsWanted),
        of_room(RoomMessage::Changed(Box::new(row(3)))),
        of_room(RoomMessage::Gone(Gone {
            id: participant,
            reason: LeaveReason::Lost,
        })),
        of_room(RoomMessage::Interest(Interest {
            audio: true,
            video: false,
            v1: true,
            max_temporal: 2,
            unwanted: vec![track(4)],
            demands: vec![TrackDemand {
                track: track(5),
                subscribers: 3,
                decodes: 5,
            }],
        })),
        of_room(RoomMessage::Keyframe(KeyframeRequest {
            participant,
            track: 2,
            layer: 1,
        })),
        of_room(RoomMessage::Image {
            reference: "abc".to_owned(),
            bytes: Bytes::from_static(&[1, 2, 3]),
        }),
        LinkMessage::V1Stream {
            room,
            participant,
            kind: FrameType::Audio,
        },
        LinkMessage::Draining,
    ]
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let mut decoder = Decoder::new(MAX_CLUSTER_MESSAGE);
    for message in every_kind() {
        decoder.push(&message.encode());
        let bytes = decoder.next_message().unwrap().unwrap();
        assert_eq!(LinkMessage::parse(&bytes), Ok(Some(message)));
    }
}

#[test]
fn its_bytes_stay_what_they_are() {
    assert_golden("link", every_kind().iter().map(LinkMessage::encode));
}

#[test]
fn what_is_out_of_bounds_names_its_field() {
    let layer = of_room(RoomMessage::Interest(Interest {
        max_temporal: 4,
        ..Interest::default()
    }));
    let mut many = row(1);
    many.participant.tracks = vec![many.participant.tracks[0].clone(); 17];
    let mut broken = row(1);
    broken.participant.tracks[0].track = 16;
    let changed = |row| of_room(RoomMessage::Changed(Box::new(row)));
    let stream = LinkMessage::V1Stream {
        room: room(),
        participant: id(1),
        kind: FrameType::Media,
    };
    for (message, field) in [
        (layer, "max temporal"),
        (LinkMessage::AliasKnown { alias: 0 }, "alias"),
        (changed(many), "tracks"),
        (changed(broken), "participant"),
        (stream, "kind"),
    ] {
        let bytes = message.encode();
        let read = LinkMessage::parse(&bytes[4..]);
        assert_eq!(read, Err(ClusterError::Field(field)));
    }
}

#[test]
fn a_kind_of_a_later_version_is_passed_over() {
    // Field 99, a message without content.
    assert_eq!(LinkMessage::parse(&[0x9a, 0x06, 0x00]), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = LinkMessage::parse(&bytes);
    }

    #[test]
    fn a_broken_message_is_read_or_refused(kind in 0..12_usize, at in 0..400_usize, to: u8) {
        let mut bytes = every_kind()[kind].encode()[4..].to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        let _ = LinkMessage::parse(&bytes);
    }
}
