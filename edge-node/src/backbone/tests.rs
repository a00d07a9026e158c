//! Two edges on loopback with real QUIC between them; who holds the room is said by hand, where core would.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use pulse_core::{
    handle::{CoreHandle, EdgeSide, EdgeStatus},
    membership::{EdgeCard, EdgeRows, RoomView, Row, Rules},
    quic::{Congestion, Credentials, Endpoint, EndpointConfig, Protocol, Transport},
};
use pulse_proto::{
    DisplayName, Frame, FrameType, ParticipantId, RoomName,
    cluster::{EdgeId, Incarnation, Region, Stamp},
    control::{self, LeaveReason, Protocol as Spoken, TrackConfig},
    media::{LEVEL_SILENT, MediaHeader, chunks},
};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ED25519, SanType};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    LinkContext,
    links::Links,
    mesh::{self, Addresses},
};
use crate::{
    clock,
    outbox::Outbox,
    room::{
        Admitted, ConnectionId, Decodes, Input, JoinRequest, MemberRef, RoomContext, RoomHandle,
    },
    rooms::Rooms,
};

const LIMIT: Duration = Duration::from_secs(10);

/// A cluster's authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn credentials(&self, edge: &str) -> Credentials {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let uri = format!("spiffe://pulse/edge/here/{edge}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Credentials::from_pem(cert.as_bytes(), key.as_bytes(), self.pem.as_bytes()).unwrap()
    }
}

/// An edge without its HTTP.
struct Node {
    edge: EdgeId,
    rooms: Rooms,
    links: Links,
    at: SocketAddr,
    addresses: watch::Sender<Addresses>,
    stop: CancellationToken,
}

impl Node {
    fn start(authority: &Authority, name: &str) -> Self {
        let edge = EdgeId::parse(name).unwrap();
        let config = EndpointConfig {
            credentials: authority.credentials(name),
            accepts: Some(Protocol::Edge),
            transport: Transport::media(8),
            rng_seed: None,
        };
        assert_eq!(config.transport.congestion, Congestion::Sender);
        let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into(), config).unwrap();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let links = Links::default();
        let incarnation = Incarnation(1);
        let side = EdgeSide {
            card: EdgeCard {
                edge: edge.clone(),
                incarnation,
                region: Region::parse("here").unwrap(),
                public_url: None,
                backbone: None,
            },
            cluster: "test".to_owned(),
            build: String::new(),
            capacity: 100,
            status: watch::channel(EdgeStatus::default()).1,
        };
        let (core, _) = CoreHandle::embed(1, Rules::default(), side, &tasks, stop.clone());
        let context = RoomContext {
            edge: edge.clone(),
            core,
            links: links.clone(),
            max_participants: 100,
            made: Arc::default(),
            participants: Arc::default(),
        };
        let rooms = Rooms::new(context, tasks.clone());
        let context = LinkContext {
            cluster: "test".to_owned(),
            incarnation,
            links: links.clone(),
            rooms: rooms.clone(),
            tasks: tasks.clone(),
            stop: stop.clone(),
        };
        let at = endpoint.local_addr().unwrap();
        let (addresses, watched) = watch::channel(Addresses::new());
        tasks.spawn(mesh::run(edge.clone(), endpoint, watched, context));
        Self {
            edge,
            rooms,
            links,
            at,
            addresses,
            stop,
        }
    }

    fn knows(&self, other: &Self) {
        self.addresses.send_modify(|known| {
            known.insert(other.edge.clone(), other.at);
        });
    }

    /// Core says that these people are at that edge.
    fn hears(&self, room: &RoomName, epoch: u64, rows: &[(&Self, &Person)]) {
        self.rooms.on_view(RoomView {
            stamp: Stamp { term: 1, epoch },
            room: room.clone(),
            version: u64::MAX,
            chat_seq: 0,
            edges: rows
                .iter()
                .map(|(node, person)| EdgeRows {
                    edge: node.edge.clone(),
                    incarnation: Incarnation(1),
                    rows: vec![person.row()],
                })
                .collect(),
            rules: Rules::default(),
        });
    }

    async fn join(&self, room: &RoomName, number: u64, protocol: Spoken) -> Person {
        let handle = self.rooms.get_or_create(room);
        let outbox = Arc::new(Outbox::new(false));
        let request = JoinRequest {
            connection: ConnectionId(number),
            protocol,
            id: ParticipantId::from_random(u128::from(number).to_be_bytes()),
            name: DisplayName::parse("Ada").unwrap(),
            v1_bridge: true,
            demand: false,
            decodes: Decodes::NONE,
            resume: None,
            token: format!("token {number}"),
            uploads: String::new(),
            whereabouts: crate::directory::Whereabouts::default(),
        };
        let connection = request.connection;
        let joined = handle.join(request, outbox.clone()).await.unwrap().unwrap();
        let Admitted { slot, id } = joined;
        Person {
            room: handle,
            outbox,
            from: MemberRef { slot, connection },
            id,
            waiting: Vec::new(),
        }
    }
}

struct Person {
    room: RoomHandle,
    outbox: Arc<Outbox>,
    from: MemberRef,
    id: ParticipantId,
    waiting: Vec<Bytes>,
}

impl Person {
    fn row(&self) -> Row {
        Row {
            participant: self.id,
            name: DisplayName::parse("Ada").unwrap(),
            moves: 0,
        }
    }

    async fn publish(&self, track: u8) {
        let json = format!(
            r#"{{"track":{track},"version":0,"source":"microphone","muted":false,
            "config":{{"codec":"opus","sampleRate":48000,"numberOfChannels":1}}}}"#
        );
        let config: TrackConfig = serde_json::from_str(&json).unwrap();
        let frame = control::encode(self.id, &config);
        let (from, config) = (self.from, Box::new(config));
        let input = Input::Track {
            from,
            config,
            frame,
        };
        self.room.tell(input).await;
    }

    fn send(&self, track: u8, sequence: u32) {
        let header = MediaHeader {
            track,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference: 0,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: 1,
        };
        let frame = chunks(self.id, header, &[7; 120]).unwrap().next().unwrap();
        let from = self.from;
        self.room.offer(Input::Media {
            from,
            header,
            frame,
        });
    }

    /// The next frame that `wanted` takes.
    async fn gets<T>(&mut self, wanted: impl Fn(&Frame) -> Option<T>) -> T {
        let searched = async {
            loop {
                while !self.waiting.is_empty() {
                    let frame = Frame::parse(self.waiting.remove(0)).unwrap();
                    if let Some(found) = wanted(&frame) {
                        return found;
                    }
                }
                let (taken, _) = self
                    .outbox
                    .take(clock::now(), 0, i64::MAX, &mut self.waiting);
                if taken.bytes == 0 {
                    self.outbox.ready().await;
                }
            }
        };
        timeout(LIMIT, searched).await.expect("it comes in time")
    }

    async fn gets_kind(&mut self, kind: FrameType) -> Frame {
        self.gets(|frame| (frame.kind() == kind).then(|| frame.clone()))
            .await
    }

    async fn hears_of(&mut self, other: ParticipantId) {
        let text = other.as_str().to_owned();
        self.gets(|frame| {
            let told = matches!(frame.kind(), FrameType::Roster | FrameType::Welcome);
            let says = String::from_utf8_lossy(frame.payload()).contains(&text);
            (told && says).then_some(())
        })
        .await;
    }
}

fn pair() -> (Node, Node, RoomName) {
    let authority = Authority::new();
    let (a, b) = (Node::start(&authority, "a"), Node::start(&authority, "b"));
    a.knows(&b);
    b.knows(&a);
    (a, b, RoomName::parse("room").unwrap())
}

#[tokio::test]
async fn a_room_spans_two_edges() {
    let (a, b, room) = pair();
    let mut ada = a.join(&room, 1, Spoken::V2).await;
    let mut bob = b.join(&room, 2, Spoken::V2).await;
    for node in [&a, &b] {
        node.hears(&room, 1, &[(&a, &ada), (&b, &bob)]);
    }
    bob.hears_of(ada.id).await;
    ada.hears_of(bob.id).await;
    ada.publish(1).await;
    let announced = bob.gets_kind(FrameType::TrackConfig).await;
    assert_eq!(announced.sender(), ada.id);
    for sequence in 0..100 {
        ada.send(1, sequence);
    }
    for sequence in 0..100 {
        let frame = bob.gets_kind(FrameType::Media).await;
        assert_eq!(frame.sender(), ada.id);
        assert_eq!(MediaHeader::parse(&frame).unwrap().sequence, sequence);
    }
    a.stop.cancel();
    b.stop.cancel();
}

#[tokio::test]
async fn who_comes_again_under_the_same_id_is_heard() {
    let (a, b, room) = pair();
    let _cy = a.join(&room, 3, Spoken::V2).await;
    let mut bob = b.join(&room, 2, Spoken::V2).await;
    for visit in 0..2 {
        let ada = a.join(&room, 1, Spoken::V2).await;
        for node in [&a, &b] {
            node.hears(&room, 1 + visit, &[(&a, &ada), (&b, &bob)]);
        }
        bob.hears_of(ada.id).await;
        ada.publish(1).await;
        bob.gets_kind(FrameType::TrackConfig).await;
        // By the last of them its short name has been known for long.
        for sequence in 0..300 {
            ada.send(1, sequence);
            bob.gets_kind(FrameType::Media).await;
        }
        let (from, reason) = (ada.from, LeaveReason::Left);
        ada.room.tell(Input::Gone { from, reason }).await;
        bob.hears_of(ada.id).await;
    }
    a.stop.cancel();
    b.stop.cancel();
}

#[tokio::test]
async fn v1_frames_cross_whole_and_in_order() {
    let (a, b, room) = pair();
    let ada = a.join(&room, 1, Spoken::V1).await;
    let mut bob = b.join(&room, 2, Spoken::V1).await;
    for node in [&a, &b] {
        node.hears(&room, 1, &[(&a, &ada), (&b, &bob)]);
    }
    bob.gets_kind(FrameType::JoinRequest).await;
    let sample = Frame::new(ada.id, FrameType::Audio, &vec![3; 33_000]);
    // Whether anybody views is told after who is there.
    let heard = async {
        loop {
            let (from, frame) = (ada.from, sample.clone());
            ada.room.tell(Input::V1 { from, frame }).await;
            let next = bob.gets_kind(FrameType::Audio);
            if let Ok(frame) = timeout(Duration::from_millis(50), next).await {
                return frame;
            }
        }
    };
    assert_eq!(timeout(LIMIT, heard).await.unwrap(), sample);
    a.stop.cancel();
    b.stop.cancel();
}

#[tokio::test]
async fn a_link_that_is_cut_comes_back_with_all_that_holds() {
    let (a, b, room) = pair();
    let ada = a.join(&room, 1, Spoken::V2).await;
    let mut bob = b.join(&room, 2, Spoken::V2).await;
    for node in [&a, &b] {
        node.hears(&room, 1, &[(&a, &ada), (&b, &bob)]);
    }
    bob.hears_of(ada.id).await;
    ada.publish(1).await;
    bob.gets_kind(FrameType::TrackConfig).await;
    // Core forgets the address and says another.
    a.addresses.send_modify(|known| known.clear());
    let away = bob.gets(|frame| {
        let says = String::from_utf8_lossy(frame.payload()).contains("\"away\":true");
        (frame.kind() == FrameType::Roster && says).then_some(())
    });
    away.await;
    a.knows(&b);
    let back = bob.gets(|frame| {
        let says = String::from_utf8_lossy(frame.payload()).contains("\"away\":false");
        (frame.kind() == FrameType::Roster && says).then_some(())
    });
    back.await;
    ada.send(1, 7);
    let frame = bob.gets_kind(FrameType::Media).await;
    assert_eq!(MediaHeader::parse(&frame).unwrap().sequence, 7);
    a.stop.cancel();
    b.stop.cancel();
}

#[tokio::test]
async fn who_is_not_of_the_cluster_gets_no_link() {
    let authority = Authority::new();
    let (a, b) = (
        Node::start(&authority, "a"),
        Node::start(&Authority::new(), "b"),
    );
    a.knows(&b);
    b.knows(&a);
    let room = RoomName::parse("room").unwrap();
    let ada = a.join(&room, 1, Spoken::V2).await;
    let bob = b.join(&room, 2, Spoken::V2).await;
    a.hears(&room, 1, &[(&a, &ada), (&b, &bob)]);
    // By the time that a third edge is linked, the second has been tried.
    let c = Node::start(&authority, "c");
    a.knows(&c);
    let mut cy = c.join(&room, 3, Spoken::V2).await;
    for node in [&a, &c] {
        node.hears(&room, 2, &[(&a, &ada), (&b, &bob), (&c, &cy)]);
    }
    cy.hears_of(ada.id).await;
    ada.publish(1).await;
    cy.gets_kind(FrameType::TrackConfig).await;
    assert_eq!(a.links.all().len(), 1);
    for node in [a, b, c] {
        node.stop.cancel();
    }
}
