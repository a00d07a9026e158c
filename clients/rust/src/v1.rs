//! A client of the original wire, byte for byte: it picks its own id, joins with its name as
//! payload, and knows the eight types of v1 alone.

use bytes::Bytes;
use pulse_proto::{
    Frame, FrameType, ParticipantId,
    v1::{ChatBody, chat, parse_chat, parse_user_list},
};

use crate::{
    address::Address,
    connection::{Closed, Connection, Incoming, SocketOptions},
    error::ClientError,
};

/// What a v1 client hears.
#[derive(Clone, Debug, PartialEq)]
pub enum V1Event {
    /// Everybody in the room.
    Users(Vec<(ParticipantId, String)>),
    /// A text, with the ms since 1970 it carries.
    Text {
        /// Who wrote it.
        sender: ParticipantId,
        /// When.
        at_ms: f64,
        /// The text.
        text: String,
    },
    /// An image.
    Image {
        /// Who sent it.
        sender: ParticipantId,
        /// When.
        at_ms: f64,
        /// Its bytes.
        image: Bytes,
    },
    /// PCM samples.
    Audio {
        /// Who speaks.
        sender: ParticipantId,
        /// Int16 little-endian, mono, 44,100 Hz.
        samples: Bytes,
    },
    /// A share begins.
    ShareStart {
        /// Who shares.
        sender: ParticipantId,
        /// Its MIME type.
        mime: String,
    },
    /// A part of a share.
    Share {
        /// Who shares.
        sender: ParticipantId,
        /// What MediaRecorder gave.
        chunk: Bytes,
    },
    /// A share ends.
    ShareStop {
        /// Who shared.
        sender: ParticipantId,
    },
    /// Something a v1 client must never get; the whole message.
    Foreign(Bytes),
    /// The end; it comes again and again.
    Closed(Closed),
}

/// A client of the original wire. Dropping it cuts the connection.
#[derive(Debug)]
pub struct V1Client {
    connection: Connection,
    id: ParticipantId,
}

impl V1Client {
    /// Connects to `/room/{room}`, with a host key or without, under a random id, and joins as
    /// `name`.
    ///
    /// # Errors
    /// What stands between here and an open WebSocket. A room that is not there is told later, by
    /// the close code 4004.
    pub async fn connect(
        url: &str,
        room: &str,
        key: Option<&str>,
        name: &str,
    ) -> Result<Self, ClientError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| ClientError::Random)?;
        let id = ParticipantId::from_random(random);
        let client = Self::open(url, room, key, id, &SocketOptions::default()).await?;
        client.send(FrameType::JoinRequest, name.as_bytes()).await?;
        Ok(client)
    }

    /// Connects under a chosen id and says nothing yet.
    ///
    /// # Errors
    /// As [`V1Client::connect`].
    pub async fn open(
        url: &str,
        room: &str,
        key: Option<&str>,
        id: ParticipantId,
        socket: &SocketOptions,
    ) -> Result<Self, ClientError> {
        let path = match key {
            Some(key) => format!("/room/{room}?key={key}"),
            None => format!("/room/{room}"),
        };
        let connection = Connection::open(&Address::parse(url)?, &path, None, socket).await?;
        Ok(Self { connection, id })
    }

    /// The id it chose.
    pub const fn id(&self) -> ParticipantId {
        self.id
    }

    /// The connection below, for messages that no honest client sends.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a frame of its own.
    ///
    /// # Errors
    /// [`ClientError::Closed`], as of every method that sends.
    pub async fn send(&self, kind: FrameType, payload: &[u8]) -> Result<(), ClientError> {
        self.connection
            .send(&Frame::new(self.id, kind, payload))
            .await
    }

    /// Sends a text.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn text(&self, at_ms: f64, text: &str) -> Result<(), ClientError> {
        self.send(FrameType::ChatV1, &chat(at_ms, ChatBody::Text(text)))
            .await
    }

    /// Sends an image.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn image(&self, at_ms: f64, image: &[u8]) -> Result<(), ClientError> {
        self.send(FrameType::ChatV1, &chat(at_ms, ChatBody::Image(image)))
            .await
    }

    /// The next event. Safe to drop before it is there.
    pub async fn next(&mut self) -> V1Event {
        match self.connection.next().await {
            Incoming::Binary(bytes) => {
                read(&bytes).unwrap_or_else(|| V1Event::Foreign(bytes.clone()))
            }
            Incoming::Text(text) => V1Event::Foreign(text.into()),
            Incoming::Closed(closed) => V1Event::Closed(closed),
        }
    }

    /// Stops reading, as a receiver whose network is too slow.
    pub fn pause_reading(&self) {
        self.connection.pause_reading();
    }

    /// Reads on.
    pub fn resume_reading(&self) {
        self.connection.resume_reading();
    }

    /// Closes, as a page that is left.
    pub async fn close(self) -> Closed {
        self.connection.close().await
    }
}

/// Reads what a v1 client knows.
fn read(bytes: &Bytes) -> Option<V1Event> {
    let frame = Frame::parse(bytes.clone()).ok()?;
    let sender = frame.sender();
    let payload = Bytes::copy_from_slice(frame.payload());
    match frame.kind() {
        FrameType::Audio => Some(V1Event::Audio {
            sender,
            samples: payload,
        }),
        FrameType::UserListUpdate => parse_user_list(&payload).map(V1Event::Users),
        FrameType::ScreenShare => Some(V1Event::Share {
            sender,
            chunk: payload,
        }),
        FrameType::ScreenShareStop => Some(V1Event::ShareStop { sender }),
        FrameType::ScreenShareStart => Some(V1Event::ShareStart {
            sender,
            mime: String::from_utf8(payload.to_vec()).ok()?,
        }),
        FrameType::ChatV1 => Some(match parse_chat(&payload).ok()? {
            (at_ms, ChatBody::Text(text)) => V1Event::Text {
                sender,
                at_ms,
                text: text.to_owned(),
            },
            (at_ms, ChatBody::Image(image)) => V1Event::Image {
                sender,
                at_ms,
                image: payload.slice_ref(image),
            },
        }),
        FrameType::JoinRequest
        | FrameType::Join
        | FrameType::Welcome
        | FrameType::Roster
        | FrameType::TrackConfig
        | FrameType::TrackStop
        | FrameType::Chat
        | FrameType::KeyframeRequest
        | FrameType::PublisherAck
        | FrameType::Ping
        | FrameType::Pong
        | FrameType::Error
        | FrameType::Subscribe
        | FrameType::Leave
        | FrameType::Media
        | FrameType::Demand
        | FrameType::Update
        | FrameType::Constrained
        | FrameType::Alternates => None,
    }
}
