//! One simulated world: servers, people, and what is true of them. It steps through virtual time; what people
//! do is in `acts`, what breaks in `faults`, what is looked at in `observe`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use edge_node::simulation::SimulatedMember;
use pulse_proto::RoomName;
use tokio::time::{Instant, sleep_until};

use crate::{
    authority::Authority,
    check::{Invariant, Violation},
    cluster::{Clock, Cluster},
    counters::Counters,
    facts::Facts,
    faults::Active,
    people::Person,
    random::Random,
};

/// People in each room.
const ROOMS: [usize; 3] = [4, 3, 2];
/// A step while somebody is live, and otherwise.
const STEP: Duration = Duration::from_millis(20);
const LONG_STEP: Duration = Duration::from_millis(100);
/// How often everything is compared.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// A connection that its owner has left behind, and that its edge does not know to be of no use yet.
pub(crate) struct Ghost {
    pub(crate) edge: usize,
    pub(crate) member: SimulatedMember,
    pub(crate) left_at: Instant,
    pub(crate) until: Instant,
    /// Its owner has come in elsewhere under the same id.
    pub(crate) resumed: bool,
}

/// A connection that its edge knows to be no more.
pub(crate) struct Departed {
    pub(crate) member: SimulatedMember,
    pub(crate) at: Instant,
    pub(crate) emptied: bool,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) frames: u64,
    pub(crate) chats: u64,
    pub(crate) joins: u64,
    pub(crate) resumes: u64,
    pub(crate) faults: u64,
    /// Comparisons of a member's roster with what is true.
    pub(crate) looks: u64,
}

/// Something that was said.
pub(crate) struct Said {
    pub(crate) nonce: String,
    pub(crate) room: usize,
    pub(crate) at: Instant,
}

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    pub(crate) people: Vec<Person>,
    pub(crate) rooms: Vec<RoomName>,
    pub(crate) facts: Facts,
    pub(crate) random: Random,
    pub(crate) began: Instant,
    pub(crate) counts: Counts,
    pub(crate) counters: Counters,
    pub(crate) digest: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) ghosts: Vec<Ghost>,
    pub(crate) departed: Vec<Departed>,
    pub(crate) said: Vec<Said>,
    /// When each message was said.
    pub(crate) said_at: BTreeMap<String, Instant>,
    /// When a core last began or ended: what it had not told everybody is numbered anew by the next.
    pub(crate) core_changed_at: Instant,
    /// Of two messages of a room, the one that came first.
    pub(crate) order: BTreeSet<(String, String)>,
    /// What is broken, and when that changes.
    pub(crate) active: Vec<Active>,
    pub(crate) trouble_at: Instant,
    /// Nothing more breaks before.
    pub(crate) quiet_until: Instant,
    pub(crate) mended_since: Option<Instant>,
    pub(crate) whole_since: Option<Instant>,
    /// When something was broken last that is no edge without core.
    pub(crate) other_trouble_at: Instant,
    /// Since when each edge is registered at the core that it believes, and when it was last.
    pub(crate) registered: BTreeMap<usize, (Instant, Instant)>,
    /// When two edges were last seen without a link.
    pub(crate) apart_at: BTreeMap<(usize, usize), Instant>,
    pub(crate) terms: BTreeMap<usize, u64>,
    pub(crate) loss_permille: u64,
    tells: bool,
    acts_at: Instant,
    look_at: Instant,
}

impl World {
    /// All servers start, and nobody is in any room. To be made inside a runtime whose clock stands still.
    pub(crate) fn new(seed: u64, counters: Counters, authority: &Authority) -> Self {
        edge_node::simulation::seed(seed ^ 0xed6e);
        let mut random = Random::new(seed);
        let edges = 3 + random.index(2);
        let loss_permille = [0, 0, 5, 20][random.index(4)];
        let mut cluster = Cluster::new(random.next(), edges, authority);
        cluster.start_core(0, Clock::Right);
        for edge in 0..edges {
            cluster.start_edge(edge);
        }
        let now = Instant::now();
        let mut people = Vec::new();
        for (room, count) in ROOMS.into_iter().enumerate() {
            for _ in 0..count {
                people.push(Person::new(people.len(), room, &mut random));
            }
        }
        let rooms = (0..ROOMS.len()).map(|room| RoomName::parse(&format!("room-{room}")).unwrap());
        let mut world = Self {
            cluster,
            people,
            rooms: rooms.collect(),
            facts: Facts::default(),
            random,
            began: now,
            counts: Counts::default(),
            counters,
            digest: 0xcbf2_9ce4_8422_2325,
            violation: None,
            ghosts: Vec::new(),
            departed: Vec::new(),
            said: Vec::new(),
            said_at: BTreeMap::new(),
            core_changed_at: now,
            order: BTreeSet::new(),
            active: Vec::new(),
            trouble_at: now + Duration::from_secs(10),
            quiet_until: now,
            mended_since: Some(now),
            whole_since: None,
            other_trouble_at: now,
            registered: BTreeMap::new(),
            apart_at: BTreeMap::new(),
            terms: BTreeMap::new(),
            loss_permille,
            tells: std::env::var_os("PULSE_SIM_TELL").is_some(),
            acts_at: now,
            look_at: now,
        };
        world.set_ways();
        world
    }

    /// Lives so long, or until something does not hold.
    pub(crate) async fn live(&mut self, lasting: Duration) {
        let end = self.began + lasting;
        while self.violation.is_none() {
            let now = Instant::now();
            if now >= end {
                return;
            }
            if now >= self.acts_at {
                self.acts_at = now + LONG_STEP;
                self.break_and_mend(now).await;
                self.act(now).await;
            }
            self.publish(now);
            self.receive(now).await;
            if now >= self.look_at {
                self.look_at = now + LOOK;
                self.look(now).await;
            }
            let live = self.people.iter().any(|person| person.is_live(now));
            sleep_until(now + if live { STEP } else { LONG_STEP }).await;
        }
    }

    /// Since when it is clear to everybody who is there, if it is.
    pub(crate) fn is_settled(&self, now: Instant, since: Instant) -> bool {
        let whole = self.whole_since.is_some_and(|whole| settled(now, whole));
        whole && settled(now, since)
    }

    pub(crate) fn broken(&mut self, of: Invariant, what: String) {
        let at = self.began.elapsed();
        self.violation.get_or_insert(Violation { of, at, what });
    }

    /// Tells whoever replays a seed what happens.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            println!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what());
        }
    }

    /// Notes something that was observed.
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn time_us(&self, now: Instant) -> u64 {
        u64::try_from((now - self.began).as_micros()).unwrap()
    }

    fn publish(&mut self, now: Instant) {
        let time_us = self.time_us(now);
        for number in 0..self.people.len() {
            if self.people[number].publish(now, time_us) {
                self.expect_heard(now, number);
            }
        }
    }

    /// What somebody says now is to be heard by everybody who has been there for a while, if all is whole.
    fn expect_heard(&mut self, now: Instant, speaker: usize) {
        let Some((room, id, since)) = self.people[speaker]
            .seat
            .as_ref()
            .map(|seat| (self.people[speaker].room, seat.member.id(), seat.since))
        else {
            return;
        };
        if !self.is_settled(now, since) {
            return;
        }
        for listener in &mut self.people {
            if listener.number == speaker || listener.room != room {
                continue;
            }
            if let Some(seat) = listener
                .seat
                .as_mut()
                .filter(|seat| settled(now, seat.since))
            {
                let heard = seat.heard.entry(id).or_insert(crate::people::Heard {
                    from: now,
                    said: 0,
                    came: 0,
                });
                heard.said += 1;
            }
        }
    }
}

/// Whether what is so since then has had the time to be told to everybody.
pub(crate) fn settled(now: Instant, since: Instant) -> bool {
    now >= since + SETTLES
}

/// How long that takes at most, once every edge is linked with every other and registered at core.
pub(crate) const SETTLES: Duration = Duration::from_secs(2);
