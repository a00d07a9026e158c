//! What people do, by chance: they come and go, lose their connections and come back elsewhere, speak, show
//! themselves, write, put up their hands.

use std::time::Duration;

use pulse_proto::control::{LeaveReason, Subscribe, Update};
use tokio::time::Instant;

use crate::{
    check::Invariant,
    cluster::edge_node,
    facts::State,
    people::{CAMERA, MICROPHONE, Seat},
    view::View,
    world::{Departed, Ghost, Said, World},
};

impl World {
    /// A tenth of a second of everybody's life.
    pub(crate) async fn act(&mut self, now: Instant) {
        self.facts.pass(now);
        for number in 0..self.people.len() {
            if self.people[number].seat.is_some() {
                self.act_inside(now, number).await;
            } else if self.people[number].comes_at.is_none_or(|at| now >= at) {
                let again = self.people[number].comes_at.is_some();
                if again || self.random.chance(20) {
                    self.come(now, number).await;
                }
            }
        }
    }

    async fn act_inside(&mut self, now: Instant, number: usize) {
        match self.random.below(1_000) {
            0 => self.leave(now, number).await,
            1 => self.lose_connection(now, number).await,
            2 => self.move_elsewhere(now, number).await,
            3..=5 => self.write(now, number).await,
            6 | 7 => self.raise_hand(number).await,
            8 | 9 => self.choose(number).await,
            10 | 11 => self.switch_camera(number).await,
            12..=30 => {
                let lasting = self.random.between_ms(500, 3_000);
                self.people[number].speak(now, lasting);
            }
            _ => {}
        }
    }

    /// Comes in at any edge that runs, with what it has of an earlier visit.
    pub(crate) async fn come(&mut self, now: Instant, number: usize) {
        let running: Vec<usize> = self.cluster.running().map(|(edge, _)| edge).collect();
        if running.is_empty() {
            return;
        }
        let edge = running[self.random.index(running.len())];
        let (room, name, token) = {
            let person = &self.people[number];
            (person.room, person.name.clone(), person.token.clone())
        };
        let Some(at) = &self.cluster.edges[edge].running else {
            return;
        };
        let joined = at.join(&self.rooms[room], &name, token).await;
        let member = match joined {
            Ok(member) => member,
            Err(code) => {
                let what = format!("person {number} may not come in: {code:?}");
                return self.broken(Invariant::StaysConnected, what);
            }
        };
        let id = member.id();
        let person = &mut self.people[number];
        let resumed = person.id == Some(id);
        person.comes_at = None;
        person.id = Some(id);
        person.hand &= resumed;
        person.seat = Some(Seat {
            edge,
            view: View::new(id),
            since: now,
            heard: std::collections::BTreeMap::new(),
            wants_video: true,
            member,
        });
        self.tell(|| {
            format!("person {number} comes in at edge {edge} as {id:?}, resumed {resumed}")
        });
        self.counts.joins += 1;
        self.counts.resumes += u64::from(resumed);
        self.facts.came(id, room, number, edge);
        self.announce(number, MICROPHONE).await;
        if self.people[number].camera {
            self.announce(number, CAMERA).await;
        } else {
            self.stop_camera(number).await;
        }
        // What it said last may not have come here before it did.
        let hand = self.people[number].hand;
        self.put_hand(number, hand).await;
        for ghost in &mut self.ghosts {
            ghost.resumed |= ghost.member.id() == id;
        }
    }

    pub(crate) async fn announce(&mut self, number: usize, track: u8) {
        let person = &self.people[number];
        let Some(seat) = &person.seat else { return };
        let id = seat.member.id();
        seat.member.announce(person.config(track)).await;
        self.facts.change(id, |fact| {
            fact.tracks.insert(track);
        });
    }

    async fn leave(&mut self, now: Instant, number: usize) {
        let person = &mut self.people[number];
        let Some(seat) = person.seat.take() else {
            return;
        };
        (person.id, person.token) = (None, None);
        (person.hand, person.camera) = (false, false);
        let id = seat.member.id();
        self.tell(|| format!("person {number} leaves edge {}", seat.edge));
        seat.member.gone(LeaveReason::Left).await;
        self.facts.change(id, |fact| fact.leave(now));
        self.departed.push(Departed {
            member: seat.member,
            at: now,
            emptied: false,
        });
    }

    /// Its edge notices; it comes back a little later, or too late.
    pub(crate) async fn lose_connection(&mut self, now: Instant, number: usize) {
        let pause = self.random.between_ms(100, 13_000);
        let person = &mut self.people[number];
        let Some(seat) = person.seat.take() else {
            return;
        };
        person.comes_at = Some(now + pause);
        let (id, edge) = (seat.member.id(), seat.edge);
        self.tell(|| format!("person {number} loses its connection with edge {edge}"));
        seat.member.gone(LeaveReason::Lost).await;
        self.facts
            .change(id, |fact| fact.state = State::Away(edge, now));
        self.departed.push(Departed {
            member: seat.member,
            at: now,
            emptied: false,
        });
    }

    /// Comes in elsewhere before its edge notices that it has gone.
    async fn move_elsewhere(&mut self, now: Instant, number: usize) {
        let until = now + self.random.between_ms(200, 6_000);
        let person = &mut self.people[number];
        let Some(seat) = person.seat.take() else {
            return;
        };
        person.moved_at = Some(now);
        let from = seat.edge;
        self.ghosts.push(Ghost {
            edge: seat.edge,
            member: seat.member,
            left_at: now,
            until,
            resumed: false,
        });
        self.tell(|| format!("person {number} moves away from edge {from}"));
        self.come(now, number).await;
    }

    async fn write(&mut self, now: Instant, number: usize) {
        let person = &mut self.people[number];
        let Some(seat) = &person.seat else { return };
        if !seat.view.welcomed {
            return;
        }
        person.said += 1;
        let nonce = format!("{number}-{}", person.said);
        self.said_at.insert(nonce.clone(), now);
        let at_ms = self.cluster.wall_ms(edge_node(seat.edge));
        seat.member
            .chat(at_ms, nonce.clone(), "text".to_owned())
            .await;
        self.counts.chats += 1;
        self.said.push(Said {
            nonce,
            room: person.room,
            at: now,
        });
    }

    async fn raise_hand(&mut self, number: usize) {
        let hand = !self.people[number].hand;
        self.put_hand(number, hand).await;
    }

    async fn put_hand(&mut self, number: usize, hand: bool) {
        let person = &mut self.people[number];
        let Some(seat) = &person.seat else { return };
        person.hand = hand;
        let id = seat.member.id();
        let update = Update {
            hand: Some(hand),
            quality: None,
        };
        let at_ms = self.cluster.wall_ms(edge_node(seat.edge));
        seat.member.update(at_ms, update).await;
        self.facts.change(id, |fact| fact.hand = hand);
    }

    async fn choose(&mut self, number: usize) {
        if let Some(seat) = &mut self.people[number].seat {
            seat.wants_video = !seat.wants_video;
            // It begins again with what is cached.
            seat.view.forget(CAMERA);
            let wants = Subscribe {
                video: seat.wants_video,
                ..Subscribe::everything()
            };
            seat.member.subscribe(wants).await;
        }
    }

    async fn switch_camera(&mut self, number: usize) {
        let person = &mut self.people[number];
        person.camera = !person.camera;
        let on = person.camera;
        person.show_anew(Instant::now());
        if on {
            return self.announce(number, CAMERA).await;
        }
        self.stop_camera(number).await;
    }

    async fn stop_camera(&mut self, number: usize) {
        if let Some(seat) = &self.people[number].seat {
            let id = seat.member.id();
            seat.member.stop(CAMERA).await;
            self.facts.change(id, |fact| {
                fact.tracks.remove(&CAMERA);
            });
        }
    }

    /// An edge is about to be dead: who is there comes in elsewhere.
    pub(crate) async fn flee(&mut self, now: Instant, edge: usize) {
        for number in 0..self.people.len() {
            let pause = self.random.between_ms(100, 5_000);
            let person = &mut self.people[number];
            if person.seat.as_ref().is_some_and(|seat| seat.edge == edge)
                && let Some(seat) = person.seat.take()
            {
                person.comes_at = Some(now + pause);
                // Its room ends, with nobody left who could hear of that.
                seat.member.gone(LeaveReason::Lost).await;
            }
        }
        self.ghosts.retain(|ghost| ghost.edge != edge);
    }

    /// Ghosts end when their edges notice.
    pub(crate) async fn bury(&mut self, now: Instant) {
        let mut left = Vec::new();
        for ghost in std::mem::take(&mut self.ghosts) {
            if now < ghost.until {
                left.push(ghost);
                continue;
            }
            self.tell(|| {
                format!(
                    "edge {} notices that {:?} is gone",
                    ghost.edge,
                    ghost.member.id()
                )
            });
            ghost.member.gone(LeaveReason::Lost).await;
            let id = ghost.member.id();
            let held = self.facts.of(id).map(|fact| fact.state);
            if !ghost.resumed && held == Some(State::Here(ghost.edge)) {
                self.facts
                    .change(id, |fact| fact.state = State::Away(ghost.edge, now));
            }
        }
        self.ghosts = left;
    }

    /// A connection was ended by its edge: it is tried again.
    pub(crate) fn was_ended(&mut self, now: Instant, number: usize, why: &str) {
        let moved = self.people[number].moved_at;
        let person = &mut self.people[number];
        let Some(seat) = person.seat.take() else {
            return;
        };
        person.comes_at = Some(now + Duration::from_millis(500));
        let id = seat.member.id();
        self.tell(|| format!("person {number} is ended by edge {}: {why}", seat.edge));
        self.facts
            .change(id, |fact| fact.state = State::Unclear(now));
        // Two edges that cannot hear each other may both have taken somebody in.
        let torn = self
            .whole_since
            .is_none_or(|whole| now < whole + Duration::from_secs(10));
        let moved = moved.is_some_and(|at| now < at + Duration::from_secs(60));
        if !torn && !moved {
            let what = format!("person {number} at edge {}: {why}", seat.edge);
            self.broken(Invariant::StaysConnected, what);
        }
    }
}
