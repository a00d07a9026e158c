//! The receiving half of a link: datagrams become frames for rooms, and what the other edge says on the control
//! stream reaches whom it is for. A message that cannot be read ends this link and nothing else.

use std::sync::Arc;

use pulse_core::quic::{Connection, RecvStream};
use pulse_proto::{
    backbone::{Alias, Arrived, Depacketizer},
    cluster::{
        codec::Decoder,
        link::{LinkMessage, RoomMessage},
    },
};
use tokio::{sync::mpsc, time::sleep_until};

use super::{link::LinkEnd, peer::PeerLink, report, send::Heard};
use crate::{
    clock,
    limits::LINK_READ,
    room::{Input, PeerInput},
    rooms::Rooms,
};

/// The receiving half.
pub(super) struct Receiver {
    link: Arc<PeerLink>,
    connection: Connection,
    control: RecvStream,
    decoder: Decoder,
    depacketizer: Depacketizer,
    rooms: Rooms,
    heard: mpsc::Sender<Heard>,
}

impl Receiver {
    /// `decoder` holds what came behind the hello.
    pub(super) fn new(
        link: Arc<PeerLink>,
        connection: Connection,
        control: RecvStream,
        decoder: Decoder,
        rooms: Rooms,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        Self {
            link,
            connection,
            control,
            decoder,
            depacketizer: Depacketizer::new(clock::now()),
            rooms,
            heard,
        }
    }

    /// Receives until the link is over; says why it is.
    pub(super) async fn run(mut self) -> LinkEnd {
        let mut arrived = Vec::new();
        if let Err(end) = self.read_messages(&mut arrived).await {
            return end;
        }
        loop {
            let report_at = self.depacketizer.report_at();
            let expires_at = self.depacketizer.expires_at();
            let next = report_at.into_iter().chain(expires_at).min();
            let due = async {
                match next {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Media comes last: it never stops coming.
                biased;
                () = self.link.over().cancelled() => return LinkEnd::Ended,
                () = due => {
                    let now = clock::now();
                    self.depacketizer.expire(now);
                    if let Some(report) = self.depacketizer.report(now) {
                        self.connection.send_datagram(report);
                    }
                }
                read = self.control.read(LINK_READ) => match read {
                    Ok(Some(bytes)) => {
                        self.decoder.push(&bytes);
                        if let Err(end) = self.read_messages(&mut arrived).await {
                            return end;
                        }
                    }
                    Ok(None) => return LinkEnd::Closed,
                    Err(error) => return LinkEnd::Stream(error),
                },
                datagram = self.connection.read_datagram() => match datagram {
                    Ok(datagram) => self.on_datagram(&datagram, &mut arrived),
                    Err(error) => return LinkEnd::Lost(error),
                },
            }
        }
    }

    fn on_datagram(&mut self, datagram: &[u8], arrived: &mut Vec<Arrived>) {
        let now = clock::now();
        match self.depacketizer.on_datagram(now, datagram, arrived) {
            // The next one says more: one that finds the sending half busy is not missed.
            Ok(Some(feedback)) => drop(self.heard.try_send(Heard::Feedback(feedback))),
            Ok(None) => {}
            Err(error) => report::malformed(self.link.edge(), &error),
        }
        self.hand_on(arrived);
    }

    fn hand_on(&self, arrived: &mut Vec<Arrived>) {
        report::received(arrived.len());
        for one in arrived.drain(..) {
            let Some(room) = self.rooms.get(&one.room) else {
                report::unheld();
                continue;
            };
            let heard = PeerInput::Media {
                header: one.header,
                frame: one.frame,
            };
            let edge = self.link.edge().clone();
            room.offer(Input::Peer { edge, heard });
        }
    }

    async fn read_messages(&mut self, arrived: &mut Vec<Arrived>) -> Result<(), LinkEnd> {
        while let Some(bytes) = self.decoder.next_message().map_err(LinkEnd::Message)? {
            match LinkMessage::parse(&bytes).map_err(LinkEnd::Message)? {
                Some(message) => self.on_message(message, arrived).await?,
                None => report::unknown_message(),
            }
        }
        Ok(())
    }

    async fn on_message(
        &mut self,
        message: LinkMessage,
        arrived: &mut Vec<Arrived>,
    ) -> Result<(), LinkEnd> {
        match message {
            LinkMessage::Alias {
                alias,
                room,
                participant,
            } => {
                let Some(name) = Alias::new(alias) else {
                    return Ok(());
                };
                let learnt =
                    self.depacketizer
                        .learn(clock::now(), name, &room, participant, arrived);
                match learnt {
                    Ok(()) => self.link.say(LinkMessage::AliasKnown { alias }),
                    Err(pulse_proto::backbone::AliasError::Full) => {}
                    Err(error) => return Err(LinkEnd::Alias(error)),
                }
                self.hand_on(arrived);
            }
            LinkMessage::AliasKnown { alias } => {
                if let Some(alias) = Alias::new(alias) {
                    // Without it the long form goes on, which costs bandwidth alone.
                    let _ = self.heard.try_send(Heard::Known(alias));
                }
            }
            LinkMessage::Room { room, message } => {
                if let RoomMessage::Gone(gone) = &message {
                    self.depacketizer.forget(&room, gone.id);
                }
                let rows = matches!(&message, RoomMessage::Rows(rows) if !rows.is_empty());
                match self.rooms.get(&room) {
                    Some(handle) => {
                        let edge = self.link.edge().clone();
                        let heard = PeerInput::Said(message);
                        handle.tell(Input::Peer { edge, heard }).await;
                    }
                    // It thinks that the room is held here.
                    None if rows => self.link.tell(&room, RoomMessage::Rows(Vec::new())),
                    None => {}
                }
            }
            LinkMessage::Draining => self.link.set_draining(),
            // A hello has come already, and streams have one of their own.
            _ => report::unknown_message(),
        }
        Ok(())
    }
}
