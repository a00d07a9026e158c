//! What is too large for datagrams: v1's frames, on a stream for each sender and kind, so that a share never
//! stands before a voice, and chat images, each on its own. A stream that falls behind drops frames as a slow v1 receiver does.

use std::collections::{BTreeMap, btree_map::Entry};

use bytes::{BufMut as _, Bytes, BytesMut};
use pulse_core::quic::{Connection, RecvStream};
use pulse_proto::{
    Frame, FrameType, ParticipantId, RoomName,
    cluster::{
        EdgeId,
        codec::{Decoder, encode_raw},
        link::{LinkMessage, RoomMessage},
    },
    limits::MAX_MESSAGE,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    peer::{Large, LargeKind},
    report,
};
use crate::{
    limits::{LINK_READ, LINK_STREAM, LINK_STREAM_IDLE},
    metrics,
    room::{Input, PeerInput},
    rooms::Rooms,
};

/// Voices and shares travel apart; START and STOP keep their order with a share's chunks.
const fn kind_of(kind: FrameType) -> FrameType {
    match kind {
        FrameType::ScreenShareStart | FrameType::ScreenShareStop => FrameType::ScreenShare,
        other => other,
    }
}

/// Sends v1's frames until the link is over.
pub(super) async fn send(
    connection: Connection,
    mut large: mpsc::Receiver<Large>,
    tasks: TaskTracker,
    over: CancellationToken,
) {
    let mut streams: BTreeMap<(ParticipantId, u8), mpsc::Sender<Frame>> = BTreeMap::new();
    loop {
        let next = tokio::select! {
            next = large.recv() => next,
            () = over.cancelled() => None,
        };
        let Some(Large { room, what }) = next else {
            return;
        };
        let frame = match what {
            LargeKind::V1(frame) => frame,
            LargeKind::Image(image) => {
                let message = RoomMessage::Image {
                    reference: image.reference,
                    bytes: image.bytes,
                };
                let (connection, over) = (connection.clone(), over.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = send_image(connection, LinkMessage::Room { room, message }) => {}
                        () = over.cancelled() => {}
                    }
                });
                continue;
            }
        };
        streams.retain(|_, stream| !stream.is_closed());
        let (sender, kind) = (frame.sender(), kind_of(frame.kind()));
        let stream = match streams.entry((sender, kind.number())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let (stream, waiting) = mpsc::channel(LINK_STREAM);
                let first = LinkMessage::V1Stream {
                    room,
                    participant: sender,
                    kind,
                };
                let (connection, over) = (connection.clone(), over.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = send_one(connection, first, waiting) => {}
                        () = over.cancelled() => {}
                    }
                });
                place.insert(stream)
            }
        };
        if stream.try_send(frame).is_err() {
            metrics::dropped("link_v1", "full", 1);
        }
    }
}

/// One stream, until nothing came for a while.
async fn send_one(connection: Connection, first: LinkMessage, mut waiting: mpsc::Receiver<Frame>) {
    let Ok(mut stream) = connection.open_uni().await else {
        return;
    };
    if stream.write(first.encode()).await.is_err() {
        return;
    }
    while let Ok(Some(frame)) = timeout(LINK_STREAM_IDLE, waiting.recv()).await {
        let mut message = BytesMut::with_capacity(1 + frame.payload().len());
        message.put_u8(frame.kind().number());
        message.put_slice(frame.payload());
        if stream.write(encode_raw(&message)).await.is_err() {
            return;
        }
    }
    stream.finish();
}

/// An image on a stream of its own, behind everything else.
async fn send_image(connection: Connection, image: LinkMessage) {
    let Ok(mut stream) = connection.open_uni().await else {
        return;
    };
    stream.set_priority(-1);
    if stream.write(image.encode()).await.is_ok() {
        stream.finish();
    }
}

/// Receives streams until the link is over.
pub(super) async fn receive(
    connection: Connection,
    edge: EdgeId,
    rooms: Rooms,
    tasks: TaskTracker,
    over: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            stream = connection.accept_uni() => stream,
            () = over.cancelled() => return,
        };
        let Ok(stream) = stream else { return };
        let (edge, rooms, over) = (edge.clone(), rooms.clone(), over.clone());
        tasks.spawn(async move {
            tokio::select! {
                read = receive_one(stream, &edge, &rooms) => if read.is_none() {
                    report::bad_stream();
                },
                () = over.cancelled() => {}
            }
        });
    }
}

/// One stream to its end; `None` if it holds what it may not.
async fn receive_one(mut stream: RecvStream, edge: &EdgeId, rooms: &Rooms) -> Option<()> {
    let mut decoder = Decoder::new(MAX_MESSAGE);
    let first = next(&mut stream, &mut decoder).await??;
    let (room, participant, kind) = match LinkMessage::parse(&first) {
        Ok(Some(LinkMessage::V1Stream {
            room,
            participant,
            kind,
        })) => (room, participant, kind),
        Ok(Some(LinkMessage::Room {
            room,
            message: RoomMessage::Image { reference, bytes },
        })) => {
            if let Some(room) = rooms.get(&room) {
                room.images.keep(reference, bytes);
            }
            return Some(());
        }
        _ => {
            stream.stop(0);
            return None;
        }
    };
    while let Some(message) = next(&mut stream, &mut decoder).await? {
        let frame = v1_frame(participant, kind, &message)?;
        tell(rooms, &room, edge, frame).await;
    }
    Some(())
}

/// The next message; inner `None` at the end of the stream, outer if it is too long or broken.
async fn next(stream: &mut RecvStream, decoder: &mut Decoder) -> Option<Option<Bytes>> {
    loop {
        if let Some(message) = decoder.next_message().ok()? {
            return Some(Some(message));
        }
        match stream.read(LINK_READ).await {
            Ok(Some(bytes)) => decoder.push(&bytes),
            Ok(None) => return Some(None),
            Err(_) => return None,
        }
    }
}

fn v1_frame(sender: ParticipantId, of: FrameType, message: &[u8]) -> Option<Frame> {
    let (number, payload) = message.split_first()?;
    let kind = FrameType::from_number(*number).filter(|kind| kind_of(*kind) == of)?;
    Some(Frame::new(sender, kind, payload))
}

async fn tell(rooms: &Rooms, room: &RoomName, edge: &EdgeId, frame: Frame) {
    if let Some(room) = rooms.get(room) {
        let edge = edge.clone();
        let heard = PeerInput::V1(frame);
        room.tell(Input::Peer { edge, heard }).await;
    }
}
