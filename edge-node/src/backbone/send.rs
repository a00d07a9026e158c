//! The sending half of a link's media: takes what waits for the other edge as the budget allows, packs it, and
//! hands it to QUIC. It never decides who wants what; rooms do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use pulse_core::quic::Connection;
use pulse_proto::{
    Frame,
    backbone::{Age, Alias, Aliases, Budget, Datagram, Feedback, Outgoing, Packetizer},
    cluster::link::{LinkMessage, RoomMessage},
    control::KeyframeRequest,
};
use tokio::{sync::mpsc, time::sleep_until};

use super::{more::More, peer::PeerLink, report::Report};
use crate::{
    clock,
    limits::LINK_REPORT,
    outbox::Starving,
    room::{Input, PeerInput},
    rooms::Rooms,
};

/// What the receiving half tells the sending one.
#[derive(Debug)]
pub(super) enum Heard {
    /// How what was sent has arrived.
    Feedback(Feedback),
    /// A short name may be used.
    Known(Alias),
}

/// The sending half.
pub(super) struct Sender {
    link: Arc<PeerLink>,
    connection: Connection,
    packetizer: Packetizer,
    aliases: Aliases,
    budget: Budget,
    heard: mpsc::Receiver<Heard>,
    /// Bytes that the other side has had, ever.
    acked: u64,
    acked_wrapping: u32,
    report: Report,
    rooms: Rooms,
    more: More,
    /// Bytes of copies, ever.
    copied: u64,
}

impl Sender {
    pub(super) fn new(
        link: Arc<PeerLink>,
        connection: Connection,
        first_sequence: u32,
        aliases: Aliases,
        heard: mpsc::Receiver<Heard>,
        rooms: Rooms,
    ) -> Self {
        let now = clock::now();
        let report = Report::new(link.edge(), now);
        Self {
            packetizer: Packetizer::new(connection.max_datagram(), first_sequence),
            aliases,
            budget: Budget::new(now),
            heard,
            acked: 0,
            acked_wrapping: 0,
            report,
            rooms,
            more: More::new(now),
            copied: 0,
            link,
            connection,
        }
    }

    /// Sends until the link is over; gives back the short names that it gave.
    pub(super) async fn run(mut self) -> Aliases {
        let mut batch = Vec::new();
        let mut datagrams = Vec::new();
        loop {
            let now = clock::now();
            let held = self.take(now, &mut batch, &mut datagrams).await;
            let next = self.next_timeout(now, held);
            let due = async {
                match next {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.link.over().cancelled() => return self.aliases,
                heard = self.heard.recv() => match heard {
                    Some(heard) => self.on_heard(heard),
                    None => return self.aliases,
                },
                // Media never stops coming, and is taken either way.
                () = due => self.on_timeout(),
                () = self.link.media().ready() => {}
            }
        }
    }

    /// Everything that may leave now leaves. Whether something has to wait for the budget.
    async fn take(
        &mut self,
        now: Instant,
        batch: &mut Vec<Bytes>,
        out: &mut Vec<Datagram>,
    ) -> bool {
        for (room, participant) in self.link.take_gone() {
            self.aliases.close(&room, participant);
        }
        let taken = loop {
            let room = self.budget.room(now);
            let (taken, _) = self.link.media().take(now, 0, room, batch);
            #[cfg(feature = "simulation")]
            crate::random::repeat_some(batch);
            let waited = taken.ages.into_iter().flatten().max().unwrap_or_default();
            for bytes in batch.drain(..) {
                pack(
                    now,
                    waited,
                    &self.link,
                    &mut self.aliases,
                    &mut self.packetizer,
                    bytes,
                    out,
                );
            }
            self.send(now, out).await;
            if taken.bytes == 0 {
                break taken;
            }
        };
        self.packetizer.flush(now, out);
        self.send(now, out).await;
        self.budget.set_waiting(taken.held);
        let missing = if taken.constrained {
            self.seek(now)
        } else {
            None
        };
        let copies = !taken.held && self.more.wants(now, missing, &self.budget);
        if copies {
            self.budget.set_waiting(true);
            self.copy(now, out).await;
        }
        // What would only wait in an open datagram wakes nobody; a frame is longer here than there.
        let patience = if taken.held {
            0
        } else {
            self.packetizer.patience(now)
        };
        self.link.media().set_patience(patience);
        self.help(now);
        taken.held || copies
    }

    /// Fills the budget with what has left already.
    async fn copy(&mut self, now: Instant, out: &mut Vec<Datagram>) {
        while self.budget.room(now) > 0 {
            let Some(copy) = self.packetizer.again() else {
                return;
            };
            self.copied += copy.bytes.len() as u64;
            out.push(copy);
            self.send(now, out).await;
        }
    }

    /// Lets back what the budget has room for; bytes a second that stay left out.
    fn seek(&mut self, now: Instant) -> Option<u64> {
        if self.more.is_due(now) {
            let left = self.packetizer.counts().bytes.saturating_sub(self.copied);
            let room = self.more.look(now, left, &self.budget);
            self.link.media().on_rate(now, room);
        }
        self.link.media().missing()
    }

    /// Asks publishers for keyframes of what the other edge can make nothing of.
    fn help(&mut self, now: Instant) {
        if self.budget.room(now) <= 0 {
            return;
        }
        for Starving { track, .. } in self.link.media().starving(now) {
            let room = self.link.room_of(track.participant);
            let Some(room) = room.and_then(|room| self.rooms.get(&room)) else {
                continue;
            };
            let request = KeyframeRequest {
                participant: track.participant,
                track: track.track,
                layer: 0,
            };
            let heard = PeerInput::Said(RoomMessage::Keyframe(request));
            let edge = self.link.edge().clone();
            room.offer(Input::Peer { edge, heard });
        }
    }

    async fn send(&mut self, now: Instant, datagrams: &mut Vec<Datagram>) {
        for datagram in datagrams.drain(..) {
            self.budget
                .on_sent(now, datagram.sequence, datagram.bytes.len());
            // QUIC takes it at once unless its own task has not run for a moment.
            if !self.connection.send_datagram_in_turn(datagram.bytes).await {
                self.report.unsent += 1;
            }
        }
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Known(alias) => self.aliases.acked(alias),
            Heard::Feedback(feedback) => {
                self.budget.on_feedback(clock::now(), &feedback);
                let more = feedback.bytes.wrapping_sub(self.acked_wrapping);
                self.acked_wrapping = feedback.bytes;
                self.acked += u64::from(more);
                self.link.media().on_acked(self.acked);
            }
        }
    }

    fn on_timeout(&mut self) {
        let now = clock::now();
        if self.budget.next_timeout().is_some_and(|at| now >= at) {
            self.budget.on_timeout(now);
        }
        if self.report.is_due(now) {
            self.report.tell(
                now,
                &self.budget,
                &self.packetizer.counts(),
                &self.connection,
            );
        }
    }

    fn next_timeout(&self, now: Instant, held: bool) -> Option<Instant> {
        let room = held.then(|| self.budget.room_at(now));
        [
            room,
            self.packetizer.looks_at(now),
            self.budget.next_timeout(),
            Some(self.report.due_at(LINK_REPORT)),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// Packs a frame, which counts as old as the oldest that left with it.
fn pack(
    now: Instant,
    waited: Duration,
    link: &PeerLink,
    aliases: &mut Aliases,
    packetizer: &mut Packetizer,
    bytes: Bytes,
    out: &mut Vec<Datagram>,
) {
    let Ok(frame) = Frame::parse(bytes) else {
        return;
    };
    let participant = frame.sender();
    // Whoever has gone since is of no use to anybody.
    let Some(room) = link.room_of(participant) else {
        return;
    };
    if let Ok(opened) = aliases.open(&room, participant)
        && opened.announce
    {
        link.say(LinkMessage::Alias {
            alias: opened.alias.get(),
            room: room.clone(),
            participant,
        });
    }
    let outgoing = Outgoing {
        label: aliases.label(&room, participant),
        frame: &frame,
        age: Age::from_duration(waited),
        since: now.checked_sub(waited).unwrap_or(now),
        hops: 0,
        epoch: 0,
    };
    // Only frames that were parsed as media get here.
    let _ = packetizer.push(now, outgoing, out);
}
