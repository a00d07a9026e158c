use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::{
    cluster::{
        codec::{Decoder, MAX_CLUSTER_MESSAGE},
        golden::assert_golden,
    },
    limits::{MAX_CHAT, MAX_PARTICIPANTS},
};

fn edge(name: &str) -> EdgeId {
    EdgeId::parse(name).unwrap()
}

fn room() -> RoomName {
    RoomName::parse("stand-up").unwrap()
}

fn stamp() -> Stamp {
    Stamp { term: 7, epoch: 9 }
}

fn card(name: &str) -> EdgeCard {
    EdgeCard {
        edge: edge(name),
        incarnation: Incarnation(5),
        region: Region::parse("fra").unwrap(),
        public_url: Some("https://fra.example.org".to_owned()),
        backbone: Some("[2001:db8::1]:7443".parse().unwrap()),
    }
}

fn row(number: u8, name: &str) -> Row {
    Row {
        participant: ParticipantId::from_random([number; 16]),
        name: DisplayName::parse(name).unwrap(),
        moves: number.into(),
    }
}

fn hello() -> EdgeHello {
    EdgeHello {
        version_min: 1,
        version_max: CORE_VERSION,
        cluster: "home".to_owned(),
        card: card("fra-1"),
        build: "0.1.0".to_owned(),
        capacity: 10_000,
        highest_term: 3,
    }
}

fn post(body: ChatBody) -> ChatPost {
    ChatPost {
        room: room(),
        id: 4,
        from: ParticipantId::from_random([1; 16]),
        name: Some(DisplayName::parse("Ada").unwrap()),
        at_ms: 1_700_000_000_000,
        nonce: "n".to_owned(),
        body,
    }
}

fn image() -> ChatBody {
    ChatBody::Image(ImageRef {
        reference: "r".to_owned(),
        mime: "image/png".to_owned(),
        bytes: 12,
    })
}

fn every_to_core() -> Vec<ToCore> {
    vec![
        ToCore::Hello(Box::new(hello())),
        ToCore::Hello(Box::new(EdgeHello {
            card: EdgeCard {
                public_url: None,
                backbone: None,
                ..card("a")
            },
            ..hello()
        })),
        ToCore::Heartbeat(Heartbeat::default()),
        ToCore::Heartbeat(Heartbeat {
            seq: 3,
            participants: 40,
            rooms: 9,
            draining: true,
            links: vec![LiveLink {
                edge: edge("sgp-1"),
                rtt_us: 180_000,
            }],
        }),
        ToCore::Declare(Declaration {
            room: room(),
            version: 8,
            chat_seq: Some(2),
            rows: vec![row(1, "Ada"), row(2, "Ülkü")],
        }),
        ToCore::Chat(post(ChatBody::Text("hello".to_owned()))),
        ToCore::Chat(ChatPost {
            name: None,
            ..post(image())
        }),
        ToCore::Goodbye,
    ]
}

fn every_from_core() -> Vec<FromCore> {
    vec![
        FromCore::Welcome {
            cluster: "home".to_owned(),
            stamp: stamp(),
            lease_ms: 3_000,
            heartbeat_ms: 500,
        },
        FromCore::Redirect {
            addr: "core.example:7444".to_owned(),
        },
        FromCore::Refused {
            code: RefusedCode::Stale,
            sentence: "a later run is registered".to_owned(),
        },
        FromCore::Edges {
            stamp: stamp(),
            edges: [EdgeInfo {
                card: card("fra-1"),
                draining: true,
                participants: 3,
                capacity: 10,
            }]
            .into(),
        },
        FromCore::View(RoomView {
            stamp: stamp(),
            room: room(),
            version: 2,
            chat_seq: 6,
            edges: [EdgeRows {
                edge: edge("fra-1"),
                incarnation: Incarnation(5),
                rows: vec![row(1, "Ada")],
            }]
            .into(),
            rules: Rules {
                max_participants: Some(100),
            },
        }),
        FromCore::Chat {
            term: 7,
            chat: NumberedChat {
                seq: 6,
                edge: edge("fra-1"),
                incarnation: Incarnation(5),
                post: Arc::new(post(ChatBody::Text("hello".to_owned()))),
            },
        },
        FromCore::HeartbeatAck {
            seq: 3,
            stamp: stamp(),
        },
    ]
}

/// What travels behind the length.
fn body(travelling: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(MAX_CLUSTER_MESSAGE);
    decoder.push(travelling);
    decoder.next_message().unwrap().unwrap().to_vec()
}

fn refused(message: &ToCore) -> &'static str {
    match ToCore::parse(&body(&message.encode())) {
        Err(ClusterError::Field(field)) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_message_comes_back_as_it_was() {
    for message in every_to_core() {
        assert_eq!(ToCore::parse(&body(&message.encode())), Ok(Some(message)));
    }
    for message in every_from_core() {
        assert_eq!(FromCore::parse(&body(&message.encode())), Ok(Some(message)));
    }
}

#[test]
fn their_bytes_stay_what_they_are() {
    assert_golden("to core", every_to_core().iter().map(ToCore::encode));
    assert_golden("from core", every_from_core().iter().map(FromCore::encode));
}

#[test]
fn a_kind_of_a_later_version_is_no_error() {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Later {
        #[prost(string, tag = "99")]
        news: String,
    }
    let later = Later {
        news: "unheard of".to_owned(),
    };
    assert_eq!(ToCore::parse(&later.encode_to_vec()), Ok(None));
    assert_eq!(FromCore::parse(&later.encode_to_vec()), Ok(None));
    assert_eq!(RefusedCode::of_number(99), RefusedCode::Other);
}

#[test]
fn what_is_out_of_its_bounds_is_named() {
    let declare = |rows| {
        ToCore::Declare(Declaration {
            room: room(),
            version: 1,
            chat_seq: None,
            rows,
        })
    };
    assert_eq!(
        refused(&declare(vec![row(1, "Ada"); MAX_PARTICIPANTS + 1])),
        "rows"
    );
    assert_eq!(
        refused(&ToCore::Chat(post(ChatBody::Text(
            "a".repeat(MAX_CHAT + 1)
        )))),
        "chat"
    );
    assert_eq!(
        refused(&ToCore::Chat(post(ChatBody::Text(String::new())))),
        "chat"
    );
    for url in ["ftp://a", "https://a b", "https://\"", "javascript:1"] {
        let mut hello = hello();
        hello.card.public_url = Some(url.to_owned());
        assert_eq!(refused(&ToCore::Hello(Box::new(hello))), "public url");
    }
    let mut long = hello();
    long.cluster = "a".repeat(MAX_CLUSTER_NAME + 1);
    assert_eq!(refused(&ToCore::Hello(Box::new(long))), "cluster");

    let unstamped = FromCore::HeartbeatAck {
        seq: 1,
        stamp: Stamp { term: 0, epoch: 3 },
    };
    assert_eq!(
        FromCore::parse(&body(&unstamped.encode())),
        Err(ClusterError::Field("stamp"))
    );
}

#[test]
fn the_largest_messages_fit() {
    let name = "😀".repeat(64);
    let rows: Vec<Row> = (0..=254).map(|number| row(number, &name)).collect();
    let declaration = ToCore::Declare(Declaration {
        room: room(),
        version: u64::MAX,
        chat_seq: Some(u64::MAX),
        rows,
    });
    assert!(declaration.encode().len() <= MAX_TO_CORE);
    let links = (0..MAX_EDGES).map(|number| LiveLink {
        edge: edge(&format!("{number:0>32}")),
        rtt_us: u32::MAX,
    });
    let heartbeat = ToCore::Heartbeat(Heartbeat {
        links: links.collect(),
        ..Heartbeat::default()
    });
    assert!(heartbeat.encode().len() <= MAX_TO_CORE);
    let view = FromCore::View(RoomView {
        stamp: stamp(),
        room: room(),
        version: 1,
        chat_seq: 1,
        edges: [EdgeRows {
            edge: edge("a"),
            incarnation: Incarnation(1),
            rows: vec![row(1, &name); MAX_ROOM_ROWS],
        }]
        .into(),
        rules: Rules::default(),
    });
    assert!(view.encode().len() <= MAX_CLUSTER_MESSAGE);
}

#[test]
fn versions_meet_at_the_highest_that_both_speak() {
    assert_eq!(common_version((1, 3), (2, 5)), Some(3));
    assert_eq!(common_version((1, 1), (1, 1)), Some(1));
    assert_eq!(common_version((1, 1), (2, 3)), None);
    assert_eq!(common_version((4, 5), (2, 3)), None);
}

proptest! {
    /// Whatever a peer sends, it is read or refused.
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ToCore::parse(&bytes);
        let _ = FromCore::parse(&bytes);
    }

    /// What was read is written as it was read, however it was damaged before.
    #[test]
    fn what_is_read_holds(which in 0..8_usize, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut bytes = body(&every_to_core()[which].encode());
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        if let Ok(Some(message)) = ToCore::parse(&bytes) {
            prop_assert_eq!(ToCore::parse(&body(&message.encode())), Ok(Some(message)));
        }
    }
}
