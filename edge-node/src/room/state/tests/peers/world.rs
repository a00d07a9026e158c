//! Edges that hold the same room, and the links between them, which can be cut.

use std::collections::{BTreeMap, VecDeque};

use pulse_proto::cluster::link::RoomMessage;

use super::super::*;

/// What one edge sent another.
pub(super) enum OnLink {
    Message(RoomMessage),
    Chunk(Frame),
    V1(Frame),
}

/// A member, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Somebody {
    pub(super) edge: usize,
    pub(super) slot: Slot,
}

/// Edges that hold the same room, and links between them that can be cut.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) rooms: Vec<State>,
    pub(super) linked: BTreeMap<(usize, usize), VecDeque<OnLink>>,
    pub(super) connections: BTreeMap<(usize, Slot), ConnectionId>,
    /// Media and control that members were sent.
    pub(super) sent: Vec<(Somebody, Frame)>,
    pub(super) ended: Vec<(Somebody, Ending)>,
    pub(super) next: u64,
    pub(super) epoch: u64,
}

pub(super) fn name(edge: usize) -> EdgeId {
    EdgeId::parse(&format!("edge-{edge}")).unwrap()
}

pub(super) fn view(stamp: Stamp, edges: Vec<(EdgeId, Vec<ParticipantId>)>) -> Input {
    Input::View {
        stamp,
        chat_seq: 0,
        edges,
    }
}

pub(super) fn edge_of(name: &EdgeId) -> usize {
    name.as_str().trim_start_matches("edge-").parse().unwrap()
}

impl World {
    pub(super) fn new(edges: usize) -> Self {
        let mut world = Self {
            now: tokio::time::Instant::now().into_std(),
            rooms: (0..edges)
                .map(|edge| State::new(name(edge), 100, 1))
                .collect(),
            linked: BTreeMap::new(),
            connections: BTreeMap::new(),
            sent: Vec::new(),
            ended: Vec::new(),
            next: 1,
            epoch: 0,
        };
        for a in 0..edges {
            for b in a + 1..edges {
                world.link(a, b);
            }
        }
        world
    }

    pub(super) fn link(&mut self, a: usize, b: usize) {
        self.linked.insert((a, b), VecDeque::new());
        self.linked.insert((b, a), VecDeque::new());
        for (from, to) in [(a, b), (b, a)] {
            let edge = name(from);
            let heard = PeerInput::Up;
            self.handle(to, Input::Peer { edge, heard });
        }
    }

    pub(super) fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.linked.remove(&(from, to));
            let edge = name(from);
            let heard = PeerInput::Down;
            self.handle(to, Input::Peer { edge, heard });
        }
    }

    /// Core says who holds the room.
    pub(super) fn view(&mut self) {
        self.epoch += 1;
        let stamp = Stamp {
            term: 1,
            epoch: self.epoch,
        };
        let edges: Vec<_> = (0..self.rooms.len())
            .filter(|edge| !self.rooms[*edge].is_empty())
            .map(|edge| {
                let rows = self.rooms[edge].rows();
                (name(edge), rows.map(|row| row.participant).collect())
            })
            .collect();
        for edge in 0..self.rooms.len() {
            if self.rooms[edge].is_empty() {
                continue;
            }
            let mut others: Vec<(EdgeId, Vec<_>)> = edges.clone();
            others.retain(|(other, _)| *other != name(edge));
            let edges = others;
            self.handle(edge, view(stamp, edges));
        }
        self.deliver();
    }

    pub(super) fn handle(&mut self, edge: usize, input: Input) {
        let mut effects = Vec::new();
        let was_held = !self.rooms[edge].is_empty();
        self.rooms[edge].handle(self.now, input, &mut effects);
        self.apply(edge, effects);
        if was_held && self.rooms[edge].is_empty() {
            // The room ends with its last member; the next one there begins another.
            self.rooms[edge] = State::new(name(edge), 100, 1);
            let links: Vec<usize> = self
                .linked
                .keys()
                .filter(|(_, to)| *to == edge)
                .map(|(from, _)| *from)
                .collect();
            for from in links {
                let (edge_name, heard) = (name(from), PeerInput::Up);
                let input = Input::Peer {
                    edge: edge_name,
                    heard,
                };
                self.handle(edge, input);
            }
        }
    }

    pub(super) fn apply(&mut self, edge: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Admit {
                    connection, slot, ..
                } => {
                    self.connections.insert((edge, slot), connection);
                }
                Effect::Detach { slot } => {
                    self.connections.remove(&(edge, slot));
                }
                Effect::End { slot, ending } => {
                    self.ended.push((Somebody { edge, slot }, ending));
                }
                Effect::Send { slot, frame, .. } => {
                    assert!(self.connections.contains_key(&(edge, slot)));
                    self.sent.push((Somebody { edge, slot }, frame));
                }
                Effect::Tell { edge: to, message } => {
                    self.put(edge, &to, OnLink::Message(message));
                }
                Effect::Forward {
                    edge: to, frame, ..
                } => self.put(edge, &to, OnLink::Chunk(frame)),
                Effect::ForwardV1 { edge: to, frame } => self.put(edge, &to, OnLink::V1(frame)),
                Effect::Refuse { .. }
                | Effect::Forget { .. }
                | Effect::Declare
                | Effect::Post(_)
                | Effect::ShowImage { .. } => {}
            }
        }
    }

    pub(super) fn put(&mut self, from: usize, to: &EdgeId, what: OnLink) {
        if let Some(queue) = self.linked.get_mut(&(from, edge_of(to))) {
            queue.push_back(what);
        }
    }

    /// Everything that is on its way arrives.
    pub(super) fn deliver(&mut self) {
        loop {
            let waiting = self.linked.iter_mut();
            let next = waiting
                .filter_map(|(link, queue)| Some((*link, queue.pop_front()?)))
                .next();
            let Some(((from, to), what)) = next else {
                return;
            };
            let heard = match what {
                OnLink::Message(message) => {
                    // As the reader of a link does for a room that is not held.
                    if self.rooms[to].is_empty() {
                        if matches!(&message, RoomMessage::Rows(rows) if !rows.is_empty()) {
                            let gone = RoomMessage::Rows(Vec::new());
                            self.put(to, &name(from), OnLink::Message(gone));
                        }
                        continue;
                    }
                    PeerInput::Said(message)
                }
                OnLink::Chunk(frame) => PeerInput::Media {
                    header: MediaHeader::parse(&frame).unwrap(),
                    frame,
                },
                OnLink::V1(frame) => PeerInput::V1(frame),
            };
            if !self.rooms[to].is_empty() {
                let edge = name(from);
                self.handle(to, Input::Peer { edge, heard });
            }
        }
    }

    pub(super) fn request(&mut self, protocol: Protocol, resume: Option<String>) -> JoinRequest {
        self.next += 1;
        JoinRequest {
            connection: ConnectionId(self.next),
            protocol,
            id: ParticipantId::from_random(u128::from(self.next).to_be_bytes()),
            name: DisplayName::parse("Ada").unwrap(),
            v1_bridge: true,
            demand: true,
            decodes: Decodes::NONE,
            resume,
            token: format!("token {}", self.next),
            uploads: String::new(),
            whereabouts: Whereabouts::default(),
        }
    }

    pub(super) fn join(&mut self, edge: usize, request: JoinRequest) -> Somebody {
        let somebody = self.join_unseen(edge, request);
        self.view();
        somebody
    }

    /// Before core has heard of it.
    pub(super) fn join_unseen(&mut self, edge: usize, request: JoinRequest) -> Somebody {
        let connection = request.connection;
        self.handle(edge, Input::Join(Box::new(request)));
        let place = self.connections.iter();
        let ((edge, slot), _) = place
            .filter(|((at, _), _)| *at == edge)
            .find(|(_, known)| **known == connection)
            .expect("admitted");
        Somebody {
            edge: *edge,
            slot: *slot,
        }
    }

    pub(super) fn joins(&mut self, edge: usize) -> Somebody {
        let request = self.request(Protocol::V2, None);
        self.join(edge, request)
    }

    pub(super) fn from(&self, who: Somebody) -> MemberRef {
        MemberRef {
            slot: who.slot,
            connection: self.connections[&(who.edge, who.slot)],
        }
    }

    pub(super) fn id(&self, who: Somebody) -> ParticipantId {
        self.rooms[who.edge].at(who.slot).unwrap().id
    }

    pub(super) fn publish(&mut self, who: Somebody, track: u8, source: &str) {
        let json = format!(
            r#"{{"track":{track},"version":0,"source":"{source}","muted":false,
            "config":{{"codec":"x","sampleRate":48000,"numberOfChannels":1,"codedWidth":64,"codedHeight":64}}}}"#
        );
        let config: TrackConfig = serde_json::from_str(&json).unwrap();
        let from = self.from(who);
        let frame = control::encode(self.id(who), &config);
        let config = Box::new(config);
        let input = Input::Track {
            from,
            config,
            frame,
        };
        self.handle(who.edge, input);
        self.deliver();
    }

    pub(super) fn chunk(
        &self,
        who: Somebody,
        track: u8,
        sequence: u32,
        reference: u8,
    ) -> (MediaHeader, Frame) {
        let header = MediaHeader {
            track,
            config: 0,
            discardable: false,
            last: true,
            spatial: 0,
            temporal: 0,
            reference,
            level: LEVEL_SILENT,
            chunk: 0,
            sequence,
            captured_us: 1,
        };
        let frame = chunks(self.id(who), header, &[7; 10])
            .unwrap()
            .next()
            .unwrap();
        (header, frame)
    }

    pub(super) fn send(&mut self, who: Somebody, track: u8, sequence: u32, reference: u8) {
        let (header, frame) = self.chunk(who, track, sequence, reference);
        let from = self.from(who);
        let input = Input::Media {
            from,
            header,
            frame,
        };
        self.handle(who.edge, input);
        self.deliver();
    }

    pub(super) fn leave(&mut self, who: Somebody, reason: LeaveReason) {
        let from = self.from(who);
        self.handle(who.edge, Input::Gone { from, reason });
        self.deliver();
    }

    /// Who got which media frames since the last time.
    pub(super) fn take_media(&mut self) -> Vec<(Somebody, u32)> {
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter()
            .filter(|(_, frame)| frame.kind() == FrameType::Media)
            .map(|(to, frame)| {
                let header = MediaHeader::parse(&frame).unwrap();
                (to, header.sequence)
            })
            .collect()
    }

    pub(super) fn take_kind(&mut self, to: Somebody, kind: FrameType) -> Vec<Frame> {
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter()
            .filter(|(receiver, frame)| *receiver == to && frame.kind() == kind)
            .map(|(_, frame)| frame)
            .collect()
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        for edge in 0..self.rooms.len() {
            self.handle(edge, Input::Timeout);
        }
        self.deliver();
    }

    /// Whom an edge thinks to be there, and who of them is away.
    pub(super) fn roster(&self, edge: usize) -> Vec<(ParticipantId, bool)> {
        let members = self.rooms[edge].members.iter().flatten();
        let mut roster: Vec<_> = members.map(|one| (one.id, one.is_away())).collect();
        roster.sort();
        roster
    }
}
