//! What comes to people is taken and compared with what may come; and now and then everything that they
//! believe with what is true.

use std::time::Duration;

use pulse_proto::{Frame, FrameType, ParticipantId, media::MediaHeader};
use tokio::time::Instant;

use crate::{
    check::Invariant,
    facts::State,
    people::Mark,
    view::{Fault, Told},
    world::{World, settled},
};

/// A frame may be this old when it comes.
const LATE: Duration = Duration::from_secs(10);
/// Messages that are compared with the ones before them.
const ORDERED: usize = 10;

impl World {
    /// Takes everything that has come.
    pub(crate) async fn receive(&mut self, now: Instant) {
        let mut frames = Vec::new();
        for number in 0..self.people.len() {
            let Some(seat) = &self.people[number].seat else {
                continue;
            };
            let ending = seat.member.take(&mut frames);
            seat.member.seek_pictures();
            for bytes in frames.drain(..) {
                let Ok(frame) = Frame::parse(bytes) else {
                    return self.broken(Invariant::OneWriter, "an unreadable frame".to_owned());
                };
                self.on_frame(now, number, &frame);
                if self.violation.is_some() {
                    return;
                }
            }
            if let Some(why) = ending {
                self.was_ended(now, number, &format!("{why:?}"));
            }
        }
        self.receive_nothing(now);
    }

    fn on_frame(&mut self, now: Instant, number: usize, frame: &Frame) {
        self.counts.frames += 1;
        self.note(&self.time_us(now).to_be_bytes());
        self.note(&[u8::try_from(number).unwrap()]);
        self.note(frame.bytes());
        let Some(seat) = &mut self.people[number].seat else {
            return;
        };
        let told = match seat.view.on_frame(frame) {
            Ok(told) => told,
            Err(fault) => {
                let (of, what) = match fault {
                    Fault::Unreadable => (Invariant::OneWriter, format!("{frame:?}")),
                    Fault::Twice(what) => (Invariant::Once, what),
                    Fault::Echo => (Invariant::NoEcho, "its own frame".to_owned()),
                    Fault::Roster(what) => (Invariant::Roster, what),
                };
                let what = format!("person {number} at edge {}: {what}", seat.edge);
                return self.broken(of, what);
            }
        };
        match told {
            Told::Welcome(welcome) => self.people[number].token = Some(welcome.resume),
            Told::Left(ids) => {
                for id in ids {
                    self.on_left(now, number, id);
                }
            }
            Told::Chat(chat) => self.on_chat(number, &chat.nonce),
            Told::Media(sender, header) => self.on_media(now, number, sender, header, frame),
            Told::Keyframe => self.people[number].show_anew(now),
            Told::Other => {}
        }
    }

    fn on_media(
        &mut self,
        now: Instant,
        number: usize,
        sender: ParticipantId,
        header: MediaHeader,
        frame: &Frame,
    ) {
        let Some(fact) = self.facts.of(sender) else {
            let what = format!("person {number} hears {sender:?}, whom nobody knows");
            return self.broken(Invariant::MembersOnly, what);
        };
        let room = self.people[number].room;
        let mark = Mark::of(frame);
        if fact.room != room || mark.is_none_or(|mark| mark.room != room) {
            let what = format!("person {number} of room {room} hears {mark:?}");
            return self.broken(Invariant::MembersOnly, what);
        }
        if mark.is_none_or(|mark| mark.person != fact.person) {
            let what = format!("{mark:?} comes as person {}", fact.person);
            return self.broken(Invariant::OneWriter, what);
        }
        // An edge that cannot be reached learns of it later, and has pictures in its cache.
        if fact.state == State::Gone && self.is_settled(now, fact.since + LATE) {
            let what = format!("person {number} hears {sender:?}, who has gone");
            return self.broken(Invariant::MembersOnly, what);
        }
        let sent_at = self.began + Duration::from_micros(header.captured_us);
        if let Some(seat) = &mut self.people[number].seat
            && header.track == crate::people::MICROPHONE
            && let Some(heard) = seat.heard.get_mut(&sender)
            && sent_at >= heard.from
        {
            heard.came += 1;
        }
    }

    /// Whoever is told that somebody has left cannot reach them, or they have.
    fn on_left(&mut self, now: Instant, number: usize, id: ParticipantId) {
        let Some(seat) = &self.people[number].seat else {
            return;
        };
        let at = seat.edge;
        let Some(fact) = self.facts.of(id) else {
            return;
        };
        let State::Here(edge) = fact.state else {
            return;
        };
        let pair = (at.min(edge), at.max(edge));
        let apart = self.apart_at.get(&pair).copied();
        let reachable = self.cluster.linked(pair.0, pair.1) || at == edge;
        let reachable = reachable && apart.is_none_or(|apart| now > apart + LATE);
        if reachable && now > fact.since + LATE {
            let what = format!("person {number} at edge {at} loses {id:?} at edge {edge}");
            self.broken(Invariant::ReachableStays, what);
        }
    }

    fn on_chat(&mut self, number: usize, nonce: &str) {
        let Some(seat) = &self.people[number].seat else {
            return;
        };
        let since = self.core_changed_at;
        let late = |nonce: &str| self.said_at.get(nonce).is_some_and(|at| *at > since);
        if !late(nonce) {
            return;
        }
        let before = seat.view.chats.iter().rev().skip(1).take(ORDERED);
        let before = before.filter(|earlier| late(earlier));
        for earlier in before.cloned().collect::<Vec<_>>() {
            if self.order.contains(&(nonce.to_owned(), earlier.clone())) {
                let what = format!("person {number} reads {earlier} before {nonce}");
                return self.broken(Invariant::Chat, what);
            }
            self.order.insert((earlier, nonce.to_owned()));
        }
    }

    /// Nothing comes to connections that are no more.
    fn receive_nothing(&mut self, now: Instant) {
        let whole = self.whole_since.is_some_and(|whole| settled(now, whole));
        let mut frames = Vec::new();
        let mut found = None;
        self.ghosts.retain(|ghost| {
            let ended = ghost.member.take(&mut frames).is_some();
            let media = frames.drain(..).any(|bytes| is_media(&bytes));
            if media && whole && ghost.resumed && settled(now, ghost.left_at) {
                found = Some(format!(
                    "{:?} still hears at edge {}",
                    ghost.member.id(),
                    ghost.edge
                ));
            }
            !ended
        });
        self.departed.retain_mut(|departed| {
            if now < departed.at + Duration::from_millis(50) {
                return true;
            }
            departed.member.take(&mut frames);
            if !std::mem::replace(&mut departed.emptied, true) {
                frames.clear();
            }
            if frames.drain(..).any(|bytes| is_media(&bytes)) {
                found = Some(format!("{:?} has left and hears", departed.member.id()));
            }
            now < departed.at + Duration::from_secs(2)
        });
        if let Some(what) = found {
            self.broken(Invariant::MembersOnly, what);
        }
    }
}

fn is_media(bytes: &bytes::Bytes) -> bool {
    Frame::parse(bytes.clone()).is_ok_and(|frame| frame.kind() == FrameType::Media)
}
