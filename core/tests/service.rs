//! Core and edges over real QUIC on loopback: who is taken, who is told what, and what becomes of it when
//! one of them is gone.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails may say so by a panic"
)]
mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::{
    Authority,
    cluster::{RawEdge, TestEdge, card, declaration, listed, room, start_core, within},
};
use pulse_core::{
    handle::{CoreError, CoreEvent, EdgeStatus},
    membership::{ChatBody, ChatPost, Heartbeat, LiveLink, RefusedCode, Rules, Settings, Stamp},
    quic::{ConnectionError, Endpoint, EndpointConfig, Protocol, Transport},
    server::{Service, ServiceConfig},
};
use pulse_proto::{
    ParticipantId,
    cluster::{
        EdgeId,
        codec::Decoder,
        to_core::{FromCore, MAX_TO_CORE, ToCore},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

fn post(id: u64) -> ChatPost {
    ChatPost {
        room: room("room"),
        id,
        from: ParticipantId::from_random([1; 16]),
        name: None,
        at_ms: 1,
        nonce: "n".to_owned(),
        body: ChatBody::Text(format!("chat {id}")),
    }
}

#[tokio::test]
async fn edges_of_a_room_hear_of_each_other() {
    let cluster = Authority::new();
    let core = start_core(&cluster, "127.0.0.1:0", &["--max-participants", "20"]).await;
    let cores = [core.edge_addr()];
    let mut a = TestEdge::start(&cluster, "a", &cores);
    let mut b = TestEdge::start(&cluster, "b", &cores);
    assert_eq!(
        a.core.declare(declaration("room", 1, &[1])),
        Err(CoreError::Down)
    );
    assert_eq!(a.up().await, b.up().await);
    a.core.declare(declaration("room", 1, &[1])).unwrap();
    b.core.declare(declaration("room", 7, &[2, 3])).unwrap();
    let both = [("a", 1), ("b", 2)];
    assert_eq!(a.sees(&both).await.version, 1);
    let view = b.sees(&both).await;
    assert_eq!((view.version, view.rules.max_participants), (7, Some(20)));
    assert!(core.service().health().issuing);

    a.core.post(post(1)).unwrap();
    for edge in [&mut a, &mut b] {
        let chat = edge
            .until("a chat", |event| match event {
                CoreEvent::Chat { chat, .. } => Some(chat),
                _ => None,
            })
            .await;
        assert_eq!((chat.seq, chat.edge.as_str()), (1, "a"));
        assert_eq!(*chat.post, post(1));
    }

    // A change of status is told at once, and so is a goodbye.
    a.status.send_modify(|status| status.draining = true);
    b.until("a drains", |event| match event {
        CoreEvent::Edges(edges) => edges.iter().any(|edge| edge.draining).then_some(()),
        _ => None,
    })
    .await;
    a.stop.cancel();
    let (mut listed_alone, mut alone_in_room) = (false, false);
    b.until("a is gone", |event| {
        match event {
            CoreEvent::Edges(edges) => listed_alone = edges.len() == 1,
            CoreEvent::View(view) => alone_in_room = listed(&view) == [("b".to_owned(), 2)],
            _ => {}
        }
        (listed_alone && alone_in_room).then_some(())
    })
    .await;
    core.shut_down().await;
}

#[tokio::test]
async fn an_edge_that_dies_is_gone_when_its_lease_is_over() {
    let cluster = Authority::new();
    let core = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let mut b = TestEdge::start(&cluster, "b", &[core.edge_addr()]);
    b.up().await;
    let mut a = RawEdge::dial(cluster.edge("a"), core.edge_addr()).await;
    a.hello(card("a", 1), 0).await;
    a.say(ToCore::Heartbeat(Heartbeat {
        rooms: 1,
        ..Heartbeat::default()
    }))
    .await;
    a.say(ToCore::Declare(declaration("room", 1, &[1]))).await;
    b.core.declare(declaration("room", 1, &[2])).unwrap();
    b.status.send_modify(|status| {
        status.rooms = 1;
        status.links = vec![LiveLink {
            edge: EdgeId::parse("a").unwrap(),
            rtt_us: 100,
        }];
    });
    b.sees(&[("a", 1), ("b", 1)]).await;
    a.connection.close(1, "killed");
    // Nobody hears of it any more, and it does not come again. How soon it is gone then is for a clock
    // that does not depend on this machine.
    b.status.send_modify(|status| status.links.clear());
    b.sees(&[("b", 1)]).await;
    core.shut_down().await;
}

#[tokio::test]
async fn an_edge_is_taken_for_nobody_else() {
    let cluster = Authority::new();
    let core = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let at = core.edge_addr();
    let refused = async |credentials, hello| {
        let mut edge = RawEdge::dial(credentials, at).await;
        edge.hello(hello, 0).await;
        let FromCore::Refused { code, sentence } = edge.hears().await else {
            panic!("it was taken");
        };
        assert!(!sentence.is_empty());
        edge.connection.close(0, "heard");
        code
    };
    // It says that it is another than its certificate names.
    assert_eq!(
        refused(cluster.edge("a"), card("b", 1)).await,
        RefusedCode::Identity
    );
    let elsewhere = cluster.credentials("spiffe://pulse/edge/us/a");
    assert_eq!(
        refused(elsewhere, card("a", 1)).await,
        RefusedCode::Identity
    );
    assert_eq!(
        refused(cluster.core(), card("a", 1)).await,
        RefusedCode::Identity
    );

    // Its name is taken, by a later run or in another region.
    let mut first = TestEdge::start_as(cluster.edge("a"), card("a", 5), &[at]);
    first.up().await;
    assert_eq!(
        refused(cluster.edge("a"), card("a", 4)).await,
        RefusedCode::Stale
    );
    let mut of_us = card("a", 6);
    of_us.region = pulse_proto::cluster::Region::parse("us").unwrap();
    let elsewhere = cluster.credentials("spiffe://pulse/edge/us/a");
    assert_eq!(refused(elsewhere, of_us).await, RefusedCode::Taken);
    assert!(first.core.is_up());
    core.shut_down().await;
}

#[tokio::test]
async fn an_edge_of_another_authority_does_not_come_in() {
    let (cluster, other) = (Authority::new(), Authority::new());
    let core = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let leaf = other.leaf(&["spiffe://pulse/edge/eu/a"], false);
    let stranger = TestEdge::start_as(cluster.with(&leaf), card("a", 1), &[core.edge_addr()]);
    // Whoever is of the cluster is not held up by it, and it is not in the list.
    let mut b = TestEdge::start(&cluster, "b", &[core.edge_addr()]);
    b.up().await;
    b.core.declare(declaration("room", 1, &[1])).unwrap();
    b.status.send_modify(|status| status.rooms = 1);
    b.sees(&[("b", 1)]).await;
    assert!(!stranger.core.is_up());
    assert_eq!(core.service().edges().await.len(), 1);
    core.shut_down().await;
}

#[tokio::test]
async fn whoever_breaks_the_protocol_loses_its_own_connection() {
    let cluster = Authority::new();
    let core = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let mut good = TestEdge::start(&cluster, "good", &[core.edge_addr()]);
    good.up().await;
    let too_long = u32::try_from(MAX_TO_CORE + 1).unwrap().to_be_bytes();
    let messages: [Bytes; 3] = [
        Bytes::copy_from_slice(&too_long),
        // A length of 3, and no protobuf.
        Bytes::from_static(&[0, 0, 0, 3, 0xff, 0xff, 0xff]),
        ToCore::Goodbye.encode(),
    ];
    for message in messages {
        let mut bad = RawEdge::dial(cluster.edge("bad"), core.edge_addr()).await;
        bad.send.write(message).await.unwrap();
        let closed = within("it is ended", bad.connection.closed()).await;
        let ConnectionError::Closed { code, .. } = closed else {
            panic!("{closed:?}");
        };
        assert_eq!(RefusedCode::of_number(code), RefusedCode::Protocol);
    }
    // After the hello too.
    let mut bad = RawEdge::dial(cluster.edge("bad"), core.edge_addr()).await;
    bad.hello(card("bad", 1), 0).await;
    bad.send
        .write(Bytes::copy_from_slice(&too_long))
        .await
        .unwrap();
    within("it is ended", bad.connection.closed()).await;
    assert!(good.core.is_up());
    core.shut_down().await;
}

#[tokio::test]
async fn a_new_core_learns_everything_from_the_edges() {
    let cluster = Authority::new();
    let first = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let at = first.edge_addr();
    let mut a = TestEdge::start(&cluster, "a", &[at]);
    let mut b = TestEdge::start(&cluster, "b", &[at]);
    for (number, edge) in [(1, &mut a), (2, &mut b)] {
        edge.up().await;
        edge.core
            .declare(declaration("room", 3, &[number]))
            .unwrap();
        edge.status.send_modify(|status| status.rooms = 1);
    }
    let both = [("a", 1), ("b", 1)];
    let before = a.sees(&both).await.stamp;
    b.sees(&both).await;
    first.shut_down().await;
    for edge in [&mut a, &mut b] {
        edge.until("core is gone", |event| {
            (event == CoreEvent::Down).then_some(())
        })
        .await;
        assert_eq!(
            edge.core.declare(declaration("room", 3, &[])),
            Err(CoreError::Down)
        );
    }
    let second = start_core(&cluster, &at.to_string(), &[]).await;
    for (number, edge) in [(1, &mut a), (2, &mut b)] {
        edge.up().await;
        edge.until("it is asked to declare", |event| {
            (event == CoreEvent::Redeclare).then_some(())
        })
        .await;
        edge.core
            .declare(declaration("room", 3, &[number]))
            .unwrap();
    }
    // The first thing that it says of the room is the whole of it.
    for edge in [&mut a, &mut b] {
        let view = edge
            .until("a view", |event| match event {
                CoreEvent::View(view) => Some(view),
                _ => None,
            })
            .await;
        assert_eq!(listed(&view), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert!(view.stamp > before && view.stamp.term > before.term);
    }
    second.shut_down().await;
}

fn settings() -> Settings {
    Settings {
        cluster: "pulse".to_owned(),
        rules: Rules::default(),
        embedded: false,
    }
}

fn accepting(cluster: &Authority) -> Endpoint {
    let config = EndpointConfig {
        credentials: cluster.core(),
        accepts: Some(Protocol::Core),
        transport: Transport::control(),
        rng_seed: None,
    };
    Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), config).unwrap()
}

#[tokio::test]
async fn an_edge_believes_no_core_that_began_earlier() {
    let cluster = Authority::new();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let endpoint = accepting(&cluster);
    let later = endpoint.local_addr().unwrap();
    let config = ServiceConfig {
        endpoint,
        term: 100,
        settings: settings(),
        redirect: None,
    };
    Service::start(config, &tasks, stop.clone());
    // A core that answers as one that began before the other.
    let old = accepting(&cluster);
    let mut a = TestEdge::start(&cluster, "a", &[later, old.local_addr().unwrap()]);
    assert_eq!(a.up().await, 100);
    stop.cancel();
    a.until("core is gone", |event| {
        (event == CoreEvent::Down).then_some(())
    })
    .await;
    within("the edge leaves the old core", async {
        let handshake = old.accept().await.unwrap();
        let connection = handshake.finish().await.unwrap();
        let (mut send, mut recv) = connection.accept_bi().await.unwrap();
        let mut decoder = Decoder::new(MAX_TO_CORE);
        let hello = loop {
            decoder.push(&recv.read(1_000).await.unwrap().unwrap());
            if let Some(message) = decoder.next_message().unwrap() {
                break ToCore::parse(&message).unwrap().unwrap();
            }
        };
        let ToCore::Hello(hello) = hello else {
            panic!("{hello:?}");
        };
        assert_eq!(hello.highest_term, 100);
        let welcome = FromCore::Welcome {
            cluster: "pulse".to_owned(),
            stamp: Stamp { term: 99, epoch: 0 },
            lease_ms: 3_000,
            heartbeat_ms: 500,
        };
        send.write(welcome.encode()).await.unwrap();
        connection.closed().await
    })
    .await;
    assert!(!a.core.is_up());
}

#[tokio::test]
async fn a_core_that_is_retired_sends_its_edges_on() {
    let cluster = Authority::new();
    let next = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let to = next.edge_addr().to_string();
    let retired = start_core(&cluster, "127.0.0.1:0", &["--redirect", &to]).await;
    let mut a = TestEdge::start(&cluster, "a", &[retired.edge_addr()]);
    a.up().await;
    assert_eq!(next.service().edges().await.len(), 1);
    assert_eq!(retired.service().edges().await.len(), 0);
    retired.shut_down().await;
    next.shut_down().await;
}

/// The status and the whole answer.
async fn get(at: SocketAddr, path: &str, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let shown = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: core\r\n{shown}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn names_of_rooms_are_for_operators() {
    let token = "0123456789abcdefghijklmnopqrstuv";
    let file = std::env::temp_dir().join(format!("pulse-core-token-{}", std::process::id()));
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let cluster = Authority::new();
    let flags = ["--operator-token-file", file.to_str().unwrap()];
    let core = start_core(&cluster, "127.0.0.1:0", &flags).await;
    std::fs::remove_file(&file).unwrap();
    let at = core.http_addr();
    assert_eq!(get(at, "/healthz", None).await.0, 200);
    assert_eq!(get(at, "/readyz", None).await.0, 503);

    let mut a = TestEdge::start(&cluster, "a", &[core.edge_addr()]);
    a.up().await;
    a.core.declare(declaration("top-secret", 1, &[1])).unwrap();
    a.status.send_replace(EdgeStatus {
        rooms: 1,
        participants: 1,
        ..EdgeStatus::default()
    });
    a.sees(&[("a", 1)]).await;
    assert_eq!(get(at, "/readyz", None).await.0, 200);
    let (status, rooms) = get(at, "/v1/rooms", Some(token)).await;
    assert!(status == 200 && rooms.contains("top-secret"), "{rooms}");
    let (status, edges) = get(at, "/v1/edges", Some(token)).await;
    assert!(status == 200 && edges.contains("\"id\":\"a\""), "{edges}");
    for wrong in [None, Some("0123456789abcdefghijklmnopqrstuw")] {
        for path in ["/v1/rooms", "/v1/edges"] {
            let (status, answer) = get(at, path, wrong).await;
            assert!(status == 401 && !answer.contains("top-secret"), "{answer}");
        }
    }
    // Anybody may look for an edge, from any page.
    let (status, near) = get(at, "/v1/nearest", None).await;
    assert_eq!(status, 200);
    assert!(near.contains("https://a.example.org"), "{near}");
    assert!(
        near.to_lowercase()
            .contains("access-control-allow-origin: *")
    );
    assert!(!near.contains("top-secret"));
    let (_, metrics) = get(at, "/metrics", None).await;
    assert!(metrics.contains("pulse_core_rooms"), "{metrics}");
    assert!(!metrics.contains("top-secret"));
    core.shut_down().await;

    // Without a token there is nothing to guess.
    let core = start_core(&cluster, "127.0.0.1:0", &[]).await;
    let (status, answer) = get(core.http_addr(), "/v1/rooms", Some(token)).await;
    assert!(
        status == 404 && answer.contains("--operator-token-file"),
        "{answer}"
    );
    core.shut_down().await;
}
