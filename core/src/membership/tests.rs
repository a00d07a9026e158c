mod properties;

use pulse_proto::{DisplayName, ParticipantId, cluster::Region};

use super::*;

fn row(number: u8) -> Row {
    Row {
        participant: ParticipantId::from_random([number; 16]),
        name: DisplayName::parse("Ada").unwrap(),
        moves: 0,
    }
}

fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

fn settings() -> Settings {
    Settings {
        cluster: "home".to_owned(),
        rules: Rules::default(),
        embedded: false,
    }
}

fn hello(edge: &str, incarnation: u64) -> EdgeHello {
    EdgeHello {
        version_min: 1,
        version_max: 1,
        cluster: "home".to_owned(),
        card: EdgeCard {
            edge: EdgeId::parse(edge).unwrap(),
            incarnation: Incarnation(incarnation),
            region: Region::parse("eu").unwrap(),
            public_url: None,
            backbone: None,
        },
        build: String::new(),
        capacity: 100,
        highest_term: 0,
    }
}

/// Core with a clock, and all that it said on each connection.
struct World {
    core: Membership,
    now: Instant,
    next_session: u64,
    said: BTreeMap<SessionId, Vec<FromCore>>,
    ended: Vec<(SessionId, RefusedCode)>,
}

impl World {
    fn new(term: u64) -> Self {
        Self::with(Membership::new(term, settings()))
    }

    /// One that has collected and says what it knows.
    fn issuing() -> Self {
        let mut world = Self::new(7);
        let first = world.hello(hello("first", 1));
        world.wait(LEASE.as_millis() as u64 - 1, &[first]);
        world.wait(1, &[]);
        world.give(Input::Goodbye { session: first });
        assert!(world.core.is_issuing());
        world
    }

    fn with(core: Membership) -> Self {
        Self {
            core,
            now: tokio::time::Instant::now().into_std(),
            next_session: 0,
            said: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    fn give(&mut self, input: Input) {
        let mut fx = Vec::new();
        self.core.handle(self.now, input, &mut fx);
        for effect in fx {
            match effect {
                Effect::Send { to, message } => self.said.entry(to).or_default().push(message),
                Effect::End { session, code } => self.ended.push((session, code)),
                Effect::Dropped(_) => {}
            }
        }
    }

    fn hello(&mut self, hello: EdgeHello) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        let hello = Box::new(hello);
        self.give(Input::Hello { session, hello });
        session
    }

    fn edge(&mut self, name: &str) -> SessionId {
        self.hello(hello(name, 1))
    }

    fn beat(&mut self, session: SessionId, rooms: u32, links: &[&str]) {
        let links = links
            .iter()
            .map(|edge| LiveLink {
                edge: EdgeId::parse(edge).unwrap(),
                rtt_us: 1_000,
            })
            .collect();
        let heartbeat = Heartbeat {
            rooms,
            links,
            ..Heartbeat::default()
        };
        self.give(Input::Heartbeat { session, heartbeat });
    }

    fn declare(&mut self, session: SessionId, name: &str, version: u64, rows: &[u8]) {
        self.declare_with(session, name, version, None, rows);
    }

    fn declare_with(
        &mut self,
        to: SessionId,
        name: &str,
        version: u64,
        chat_seq: Option<u64>,
        rows: &[u8],
    ) {
        let declaration = Declaration {
            room: room(name),
            version,
            chat_seq,
            rows: rows.iter().map(|number| row(*number)).collect(),
        };
        self.give(Input::Declare {
            session: to,
            declaration,
        });
    }

    fn chat(&mut self, session: SessionId, id: u64) {
        let post = ChatPost {
            room: room("room"),
            id,
            from: ParticipantId::from_random([1; 16]),
            name: None,
            at_ms: 0,
            nonce: String::new(),
            body: ChatBody::Text(format!("{id}")),
        };
        self.give(Input::Chat { session, post });
    }

    /// Time passes in steps, in which these edges say that they are alive, as they said last.
    fn wait(&mut self, ms: u64, alive: &[SessionId]) {
        let until = self.now + Duration::from_millis(ms);
        while self.now < until {
            self.now = (self.now + Duration::from_millis(100)).min(until);
            for session in alive {
                let Some(edge) = self.core.edge_of(*session) else {
                    continue;
                };
                let links: Vec<String> = edge.links.iter().map(ToString::to_string).collect();
                let links: Vec<&str> = links.iter().map(String::as_str).collect();
                let rooms = edge.rooms.len() as u32;
                self.beat(*session, rooms, &links);
            }
            let due = self.core.next_timeout().is_some_and(|at| at <= self.now);
            if due {
                self.give(Input::Timeout);
                // It never asks for a time that has passed, or its owner would not rest.
                assert!(self.core.next_timeout().is_none_or(|at| at > self.now));
            }
        }
    }

    fn views(&self, session: SessionId) -> Vec<&RoomView> {
        self.said
            .get(&session)
            .into_iter()
            .flatten()
            .filter_map(|message| match message {
                FromCore::View(view) => Some(view),
                _ => None,
            })
            .collect()
    }

    /// The edges of the last view and how many rows each has.
    fn view(&self, session: SessionId) -> Vec<(String, usize)> {
        self.views(session)
            .last()
            .map(|view| {
                let edges = view.edges.iter();
                edges
                    .map(|held| (held.edge.to_string(), held.rows.len()))
                    .collect()
            })
            .unwrap_or_default()
    }

    fn chats(&self, session: SessionId) -> Vec<(u64, u64)> {
        let said = self.said.get(&session).into_iter().flatten();
        said.filter_map(|message| match message {
            FromCore::Chat { chat, .. } => Some((chat.seq, chat.post.id)),
            _ => None,
        })
        .collect()
    }

    fn end_of(&self, session: SessionId) -> Option<RefusedCode> {
        let mut ended = self.ended.iter();
        ended
            .find(|(known, _)| *known == session)
            .map(|(_, code)| *code)
    }
}

fn listed(edges: &[(&str, usize)]) -> Vec<(String, usize)> {
    let edges = edges.iter();
    edges
        .map(|(edge, rows)| ((*edge).to_owned(), *rows))
        .collect()
}

#[test]
fn every_edge_of_a_room_hears_of_a_change() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 4, &[2, 3]);
    assert_eq!(world.view(a), listed(&[("a", 1), ("b", 2)]));
    assert_eq!(world.view(b), world.view(a));
    assert_eq!(world.views(b).last().unwrap().version, 4);
    world.declare(a, "room", 2, &[]);
    assert_eq!(world.view(b), listed(&[("b", 2)]));
    // Whoever left the room hears that it did, and of nobody in it.
    assert_eq!(world.view(a), []);
    assert_eq!(world.views(a).last().unwrap().version, 2);
}

#[test]
fn declaring_again_changes_nothing_and_is_answered() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    let before = (world.core.stamp(), world.views(b).len());
    let answer = world.views(a).last().copied().cloned();
    world.declare(a, "room", 1, &[1]);
    world.declare(a, "room", 1, &[9, 9]);
    assert_eq!((world.core.stamp(), world.views(b).len()), before);
    assert_eq!(world.views(a).last().copied().cloned(), answer);
}

#[test]
fn a_later_run_replaces_and_an_earlier_is_refused() {
    let mut world = World::issuing();
    let (old, b) = (world.hello(hello("a", 5)), world.edge("b"));
    world.declare(old, "room", 9, &[1]);
    world.declare(b, "room", 1, &[2]);
    let new = world.hello(hello("a", 6));
    assert_eq!(world.end_of(old), Some(RefusedCode::Stale));
    assert_eq!(world.view(b), listed(&[("b", 1)]));
    world.declare(old, "room", 10, &[1]);
    assert_eq!(world.view(b), listed(&[("b", 1)]));
    let older = world.hello(hello("a", 5));
    assert_eq!(world.end_of(older), Some(RefusedCode::Stale));
    world.declare(new, "room", 1, &[1]);
    assert_eq!(world.view(b), listed(&[("a", 1), ("b", 1)]));
}

#[test]
fn whoever_does_not_belong_here_is_told_why() {
    let mut world = World::issuing();
    world.edge("a");
    let elsewhere = |change: fn(&mut EdgeHello)| {
        let mut hello = hello("a", 2);
        change(&mut hello);
        hello
    };
    let cases = [
        (
            elsewhere(|hello| hello.card.region = Region::parse("us").unwrap()),
            RefusedCode::Taken,
        ),
        (
            elsewhere(|hello| hello.cluster = "away".to_owned()),
            RefusedCode::Cluster,
        ),
        (
            elsewhere(|hello| (hello.version_min, hello.version_max) = (2, 9)),
            RefusedCode::Version,
        ),
        (
            elsewhere(|hello| hello.highest_term = 8),
            RefusedCode::Superseded,
        ),
    ];
    for (hello, code) in cases {
        let session = world.hello(hello);
        assert_eq!(world.end_of(session), Some(code));
        assert_eq!(world.said.get(&session), None);
    }
}

#[test]
fn an_edge_that_dies_is_gone_within_four_seconds() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    world.beat(b, 1, &["a"]);
    // It is silent from here on; the other stops hearing it on its link after two seconds.
    world.wait(2_000, &[b]);
    world.beat(b, 1, &[]);
    assert_eq!(world.view(b), listed(&[("a", 1), ("b", 1)]));
    world.wait(1_500, &[b]);
    assert_eq!(world.view(b), listed(&[("b", 1)]));
    assert!(
        world
            .core
            .edges()
            .iter()
            .all(|edge| edge.card.edge.as_str() == "b")
    );
}

#[test]
fn an_edge_that_has_lost_core_alone_stays() {
    let mut world = World::issuing();
    let (a, b, c) = (world.edge("a"), world.edge("b"), world.edge("c"));
    for (number, session) in [(1, a), (2, b)] {
        world.declare(session, "room", 1, &[number]);
    }
    world.declare(a, "other", 1, &[3]);
    world.declare(c, "other", 1, &[4]);
    world.beat(b, 1, &["a"]);
    world.wait(30_000, &[b, c]);
    // b hears of it and c does not.
    assert_eq!(world.end_of(a), Some(RefusedCode::Expired));
    assert_eq!(world.view(b), listed(&[("a", 1), ("b", 1)]));
    assert_eq!(world.view(c), listed(&[("c", 1)]));
    // Back again, it declares what is there now.
    let again = world.hello(hello("a", 1));
    world.declare(again, "room", 2, &[1, 5]);
    world.declare(again, "other", 1, &[3]);
    assert_eq!(world.view(b), listed(&[("a", 2), ("b", 1)]));
    assert_eq!(world.view(c), listed(&[("a", 1), ("c", 1)]));
    // Its lease is over, and then b's link to it.
    world.wait(4_000, &[b, c]);
    assert_eq!(world.view(b), listed(&[("a", 2), ("b", 1)]));
    world.beat(b, 1, &[]);
    assert_eq!(world.view(b), listed(&[("b", 1)]));
}

#[test]
fn the_word_of_an_edge_that_is_silent_itself_counts_for_nothing() {
    let mut world = World::issuing();
    let (a, b, c) = (world.edge("a"), world.edge("b"), world.edge("c"));
    for (number, session) in [(1, a), (2, b), (3, c)] {
        world.declare(session, "room", 1, &[number]);
    }
    world.beat(a, 1, &["b"]);
    world.beat(b, 1, &["a"]);
    world.wait(4_000, &[c]);
    assert_eq!(world.view(c), listed(&[("c", 1)]));
}

#[test]
fn a_new_core_says_nothing_before_a_lease_has_passed() {
    let mut world = World::new(7);
    world.wait(60_000, &[]);
    let a = world.edge("a");
    world.beat(a, 1, &["b"]);
    world.declare(a, "room", 3, &[1]);
    world.chat(a, 1);
    world.wait(2_900, &[a]);
    let quiet = |message: &FromCore| {
        matches!(
            message,
            FromCore::Welcome { .. } | FromCore::HeartbeatAck { .. }
        )
    };
    assert!(world.said[&a].iter().all(quiet));
    assert!(!world.core.is_issuing());
    world.wait(100, &[a]);
    assert_eq!(world.view(a), listed(&[("a", 1)]));
    assert_eq!(world.chats(a), [(1, 1)]);
}

#[test]
fn a_new_core_begins_once_everybody_has_declared() {
    let mut world = World::new(7);
    let a = world.edge("a");
    world.beat(a, 1, &["b"]);
    world.declare(a, "room", 3, &[1]);
    world.wait(1_500, &[a]);
    assert!(!world.core.is_issuing());
    let b = world.edge("b");
    world.beat(b, 1, &["a"]);
    assert!(!world.core.is_issuing());
    world.declare(b, "room", 2, &[2]);
    assert!(world.core.is_issuing());
    assert_eq!(world.view(a), listed(&[("a", 1), ("b", 1)]));
    assert_eq!(world.views(a).len(), 1);
}

#[test]
fn a_core_that_was_cut_off_takes_nobody_away() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    world.wait(20_000, &[]);
    let again = world.hello(hello("a", 1));
    world.beat(again, 1, &["b"]);
    world.declare(again, "room", 1, &[1]);
    world.wait(1_000, &[again]);
    assert_eq!(world.view(again), []);
    let other = world.hello(hello("b", 1));
    world.beat(other, 1, &["a"]);
    world.wait(100, &[again, other]);
    assert_eq!(world.view(again), listed(&[("a", 1), ("b", 1)]));
    // But not for ever.
    world.wait(70_000, &[]);
    assert_eq!((world.core.edges().len(), world.core.rooms().len()), (0, 0));
}

#[test]
fn a_process_that_stood_still_blames_nobody() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    world.now += Duration::from_secs(30);
    world.give(Input::Timeout);
    assert_eq!((world.end_of(a), world.end_of(b)), (None, None));
    world.wait(3_500, &[b]);
    assert_eq!(world.end_of(a), Some(RefusedCode::Expired));
    assert_eq!(world.view(b), listed(&[("b", 1)]));
}

#[test]
fn a_clock_that_was_set_back_is_made_up_for() {
    let mut world = World::new(7);
    let a = world.edge("a");
    let mut later = hello("b", 1);
    later.highest_term = 100;
    let b = world.hello(later);
    assert_eq!((world.end_of(a), world.end_of(b)), (None, None));
    let terms = |session| {
        let said = world.said[&session].iter();
        said.filter_map(|message| match message {
            FromCore::Welcome { stamp, .. } => Some(stamp.term),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(terms(a), [7, 101]);
    assert_eq!(terms(b), [101]);
}

#[test]
fn chat_is_numbered_once_and_everybody_hears_the_same() {
    let mut world = World::issuing();
    let (a, b, c) = (world.edge("a"), world.edge("b"), world.edge("c"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    world.chat(a, 1);
    world.chat(b, 1);
    world.chat(a, 1);
    world.chat(a, 2);
    // An edge that is not in the room says nothing there.
    world.chat(c, 1);
    assert_eq!(world.chats(a), [(1, 1), (2, 1), (1, 1), (3, 2)]);
    assert_eq!(world.chats(b), [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(world.chats(c), []);
    assert_eq!(world.core.rooms().len(), 1);
}

#[test]
fn a_room_that_ended_while_core_was_away_is_forgotten() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    for (edge, number) in [(a, 1), (b, 2)] {
        for name in ["kept", "ended"] {
            world.declare(edge, name, 1, &[number]);
        }
    }
    world.give(Input::Lost { session: a });
    let again = world.hello(hello("a", 1));
    world.beat(again, 1, &["b"]);
    assert_eq!(
        world.core.rooms().map(|(_, edges, _)| edges).sum::<usize>(),
        4
    );
    world.declare(again, "kept", 1, &[1]);
    world.beat(again, 1, &["b"]);
    let rooms: Vec<_> = world.core.rooms().collect();
    assert_eq!(rooms, [(&room("ended"), 1, 1), (&room("kept"), 2, 2)]);
    assert_eq!(world.view(b), listed(&[("b", 1)]));
}

#[test]
fn an_edge_that_comes_again_hears_nothing_before_what_it_missed() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    world.chat(a, 1);
    world.give(Input::Lost { session: b });
    world.chat(a, 2);
    let again = world.hello(hello("b", 1));
    // What was waiting there is posted before the room is declared.
    world.chat(again, 7);
    world.chat(again, 7);
    assert_eq!(world.chats(again), []);
    world.declare_with(again, "room", 1, Some(1), &[2]);
    assert_eq!(world.chats(again), [(2, 2), (3, 7)]);
}

#[test]
fn an_edge_that_comes_again_hears_the_chat_that_it_missed() {
    let mut world = World::issuing();
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare(a, "room", 1, &[1]);
    world.declare(b, "room", 1, &[2]);
    for id in 1..=3 {
        world.chat(a, id);
    }
    world.give(Input::Lost { session: b });
    world.chat(a, 4);
    let again = world.hello(hello("b", 1));
    world.declare_with(again, "room", 1, Some(2), &[2]);
    world.declare_with(again, "room", 1, Some(2), &[2]);
    assert_eq!(world.chats(again), [(3, 3), (4, 4)]);
    // Whoever is new in the room begins with what comes.
    let c = world.edge("c");
    world.declare(c, "room", 1, &[3]);
    world.chat(a, 5);
    assert_eq!(world.chats(c), [(5, 5)]);
    assert_eq!(world.views(c).last().unwrap().chat_seq, 4);
}

#[test]
fn a_new_core_goes_on_counting_where_the_edges_are() {
    let mut world = World::new(7);
    let (a, b) = (world.edge("a"), world.edge("b"));
    world.declare_with(a, "room", 1, Some(41), &[1]);
    world.declare_with(b, "room", 1, Some(40), &[2]);
    world.wait(3_000, &[a, b]);
    world.chat(b, 1);
    assert_eq!(world.chats(a), [(42, 1)]);
}

#[test]
fn the_list_of_edges_is_told_when_it_changes() {
    let mut world = World::issuing();
    let a = world.edge("a");
    let lists = |world: &World| {
        let said = world.said[&a].iter();
        said.filter_map(|message| match message {
            FromCore::Edges { edges, .. } => Some(edges.to_vec()),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(lists(&world).len(), 1);
    let b = world.edge("b");
    assert_eq!(lists(&world).last().unwrap().len(), 2);
    let drains = |session, draining, participants| Input::Heartbeat {
        session,
        heartbeat: Heartbeat {
            draining,
            participants,
            ..Heartbeat::default()
        },
    };
    world.give(drains(b, true, 0));
    assert!(lists(&world).last().unwrap()[1].draining);
    assert_eq!(lists(&world).len(), 3);
    // Loads alone are told now and then.
    for participants in 1..=20 {
        world.give(drains(b, true, participants));
    }
    assert_eq!(lists(&world).len(), 3);
    for _ in 0..10 {
        world.now += Duration::from_millis(500);
        world.beat(a, 0, &[]);
        world.give(drains(b, true, 20));
    }
    assert_eq!(lists(&world).len(), 4);
    assert_eq!(lists(&world)[3][1].participants, 20);
    world.give(Input::Goodbye { session: b });
    assert_eq!(lists(&world).last().unwrap().len(), 1);
}

#[test]
fn an_embedded_core_answers_at_once_and_never_ends_its_edge() {
    let mut world = World::with(Membership::new(
        1,
        Settings {
            embedded: true,
            ..settings()
        },
    ));
    let a = world.edge("a");
    world.declare(a, "room", 1, &[1]);
    assert_eq!(world.view(a), listed(&[("a", 1)]));
    world.chat(a, 1);
    assert_eq!(world.chats(a), [(1, 1)]);
    world.wait(60_000, &[]);
    assert_eq!(world.end_of(a), None);
    assert_eq!(world.core.rooms().len(), 1);
}
