//! A v2 client: joins a room, sends every message a client may send, and turns what arrives into
//! typed events. It decides nothing; whoever holds it does.

use std::time::Duration;

use bytes::Bytes;
use pulse_proto::{
    ErrorCode, Frame, FrameType, PROTOCOL_VERSION, ParticipantId, Rejection, SUBPROTOCOL,
    control::{
        Alternates, Chat, ChatSend, Constrained, Control, Demand, ErrorMessage, Hello, Join,
        KeyframeRequest, Leave, Ping, Pong, PublisherAck, Quality, Roster, Subscribe, TrackConfig,
        TrackStop, Update, Welcome, encode,
    },
    media::{MediaHeader, chunks},
};
use serde::Serialize;
use serde_json::Number;
use tokio::time::timeout;

use crate::{
    address::Address,
    connection::{Closed, Connection, Incoming, SocketOptions},
    error::ClientError,
    limits::{CLOSE_TIMEOUT, CONNECT_TIMEOUT},
};

/// Whom to join as, and how.
#[derive(Clone)]
pub struct JoinOptions {
    /// The room's name.
    pub room: String,
    /// The participant's name.
    pub name: String,
    /// The features to list, such as `v1-bridge`.
    pub features: Vec<String>,
    /// The token of an earlier welcome.
    pub resume: Option<String>,
    /// How the socket is made.
    pub socket: SocketOptions,
    /// Whether to send a PING every 2 s.
    pub pings: bool,
}

impl JoinOptions {
    /// A fresh join without features.
    pub fn new(room: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            room: room.into(),
            name: name.into(),
            features: Vec::new(),
            resume: None,
            socket: SocketOptions::default(),
            pings: true,
        }
    }

    /// Lists a feature.
    #[must_use]
    pub fn feature(mut self, feature: &str) -> Self {
        self.features.push(feature.to_owned());
        self
    }

    /// Resumes with the token of an earlier welcome.
    #[must_use]
    pub fn resume(mut self, token: &str) -> Self {
        self.resume = Some(token.to_owned());
        self
    }
}

/// Room names and tokens are secrets.
impl std::fmt::Debug for JoinOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinOptions")
            .field("features", &self.features)
            .field("resume", &self.resume.is_some())
            .field("socket", &self.socket)
            .field("pings", &self.pings)
            .finish_non_exhaustive()
    }
}

/// What an edge says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Who came, changed and went.
    Roster(Roster),
    /// A track began or changed.
    Track {
        /// Whose.
        participant: ParticipantId,
        /// The track.
        track: TrackConfig,
    },
    /// A track ended.
    TrackStop {
        /// Whose.
        participant: ParticipantId,
        /// Its number.
        track: u8,
    },
    /// A chat message, our own included.
    Chat {
        /// Who wrote it.
        sender: ParticipantId,
        /// The message.
        chat: Chat,
    },
    /// One chunk.
    Media {
        /// The publisher.
        sender: ParticipantId,
        /// Its header.
        header: MediaHeader,
        /// The whole message.
        frame: Frame,
    },
    /// Somebody cannot decode a track of ours.
    KeyframeRequest(KeyframeRequest),
    /// What arrived of our media.
    PublisherAck(PublisherAck),
    /// Who wants a track of ours; comes to those who join with the feature `demand`.
    Demand(Demand),
    /// What our link does not carry; comes to those who join with the feature `constrained`.
    Constrained(Constrained),
    /// Where to go when the edge is gone; comes to those who join with the feature `alternates`.
    Alternates(Alternates),
    /// A PING came back.
    Pong {
        /// The time that this took.
        round_trip: Duration,
    },
    /// Something we sent was refused.
    Error(ErrorMessage),
    /// A message of a v1 member: types 1, 5, 6 and 7.
    V1(Frame),
    /// A message that this wire does not have.
    Unreadable(Rejection),
    /// The end; it comes again and again.
    Closed(Closed),
}

/// A joined participant. Dropping it loses the connection without a goodbye.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    welcome: Welcome,
}

impl Client {
    /// Connects to `url` (ws, wss, http or https) and joins.
    ///
    /// # Errors
    /// Everything that can go wrong on the way to WELCOME; [`ClientError::Refused`] if the edge
    /// said no.
    pub async fn connect(url: &str, options: &JoinOptions) -> Result<Self, ClientError> {
        Self::join(&Address::parse(url)?, options).await
    }

    /// As [`Client::connect`], with an address that has been read already.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn join(address: &Address, options: &JoinOptions) -> Result<Self, ClientError> {
        let mut connection =
            Connection::open(address, "/v2", Some(SUBPROTOCOL), &options.socket).await?;
        let join = Join {
            hello: Hello {
                version: PROTOCOL_VERSION,
                features: options.features.clone(),
                agent: concat!("pulse-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            room: options.room.clone(),
            name: options.name.clone(),
            resume: options.resume.clone(),
        };
        connection.send(&encode(ParticipantId::ZERO, &join)).await?;
        let welcome = timeout(CONNECT_TIMEOUT, welcome(&mut connection))
            .await
            .map_err(|_| ClientError::Silent(address.authority()))??;
        if options.pings {
            connection.keep_alive(welcome.id).await?;
        }
        Ok(Self {
            connection,
            welcome,
        })
    }

    /// Our id.
    pub const fn id(&self) -> ParticipantId {
        self.welcome.id
    }

    /// What the edge said first.
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The connection below, for messages that no honest client sends.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The next event. Safe to drop before it is there.
    pub async fn next(&mut self) -> Event {
        loop {
            return match self.connection.next().await {
                Incoming::Binary(bytes) => match read(bytes) {
                    Ok(Read::Event(event)) => event,
                    Ok(Read::Pong(t)) => Event::Pong {
                        round_trip: self.connection.since_ping(t),
                    },
                    Ok(Read::Ping(t)) => {
                        // With a full queue it goes unanswered: our own pings say enough.
                        self.connection.try_send(&encode(self.id(), &Pong { t }));
                        continue;
                    }
                    Err(rejection) => Event::Unreadable(rejection),
                },
                Incoming::Text(_) => Event::Unreadable(ErrorCode::TextMessage.into()),
                Incoming::Closed(closed) => Event::Closed(closed),
            };
        }
    }

    /// Sends a control message.
    ///
    /// # Errors
    /// [`ClientError::Closed`], as of every method that sends.
    pub async fn send<M: Control + Serialize>(&self, message: &M) -> Result<(), ClientError> {
        self.connection.send(&encode(self.id(), message)).await
    }

    /// Announces or changes a track.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn announce(&self, track: &TrackConfig) -> Result<(), ClientError> {
        self.send(track).await
    }

    /// Ends a track.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn stop(&self, track: u8) -> Result<(), ClientError> {
        self.send(&TrackStop { track }).await
    }

    /// Sends a text to everybody.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn chat(&self, nonce: &str, text: &str) -> Result<(), ClientError> {
        self.send(&ChatSend {
            nonce: nonce.to_owned(),
            text: Some(text.to_owned()),
            image: None,
        })
        .await
    }

    /// Sends an uploaded image to everybody.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn chat_image(&self, nonce: &str, image: &str) -> Result<(), ClientError> {
        self.send(&ChatSend {
            nonce: nonce.to_owned(),
            text: None,
            image: Some(image.to_owned()),
        })
        .await
    }

    /// Asks a publisher for a keyframe.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn request_keyframe(
        &self,
        participant: ParticipantId,
        track: u8,
        layer: u8,
    ) -> Result<(), ClientError> {
        self.send(&KeyframeRequest {
            participant,
            track,
            layer,
        })
        .await
    }

    /// Says what to send us from now on.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn subscribe(&self, subscribe: &Subscribe) -> Result<(), ClientError> {
        self.send(subscribe).await
    }

    /// Raises or lowers our hand.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn raise_hand(&self, up: bool) -> Result<(), ClientError> {
        self.send(&Update {
            hand: Some(up),
            ..Update::default()
        })
        .await
    }

    /// Says how good our connection is.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn report_quality(&self, quality: Quality) -> Result<(), ClientError> {
        self.send(&Update {
            quality: Some(quality),
            ..Update::default()
        })
        .await
    }

    /// Cuts a codec frame into chunks and sends them, waiting while the queue is full.
    ///
    /// # Errors
    /// [`ClientError::FrameSize`], [`ClientError::Closed`].
    pub async fn send_media(
        &self,
        header: MediaHeader,
        codec_frame: &[u8],
    ) -> Result<(), ClientError> {
        let frames = chunks(self.id(), header, codec_frame).map_err(|_| ClientError::FrameSize)?;
        for frame in frames {
            self.connection.send(&frame).await?;
        }
        Ok(())
    }

    /// Sends a message of a type below 16, for the room's v1 members.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send_v1(&self, kind: FrameType, payload: &[u8]) -> Result<(), ClientError> {
        self.connection
            .send(&Frame::new(self.id(), kind, payload))
            .await
    }

    /// Sends any bytes at all.
    ///
    /// # Errors
    /// [`ClientError::Closed`].
    pub async fn send_bytes(&self, bytes: impl Into<Bytes>) -> Result<(), ClientError> {
        self.connection.send_bytes(bytes).await
    }

    /// Messages that can be sent right now without waiting.
    pub fn room(&self) -> usize {
        self.connection.room()
    }

    /// Stops reading, as a receiver whose network is too slow.
    pub fn pause_reading(&self) {
        self.connection.pause_reading();
    }

    /// Reads on.
    pub fn resume_reading(&self) {
        self.connection.resume_reading();
    }

    /// Says LEAVE and closes.
    pub async fn leave(self) -> Closed {
        // A connection that is over already needs no goodbye.
        let _ = timeout(CLOSE_TIMEOUT, self.send(&Leave {})).await;
        self.connection.close().await
    }

    /// Cuts the connection without a goodbye, as a network that fails.
    pub fn cut(self) {
        drop(self);
    }
}

/// Waits for the first message, which is WELCOME or the reason why there is none.
async fn welcome(connection: &mut Connection) -> Result<Welcome, ClientError> {
    loop {
        match connection.next().await {
            Incoming::Binary(bytes) => {
                let unexpected =
                    |rejection: Rejection| ClientError::Unexpected(rejection.to_string());
                let frame = Frame::parse(bytes).map_err(unexpected)?;
                match frame.kind() {
                    FrameType::Welcome => {
                        return Welcome::parse(frame.payload()).map_err(unexpected);
                    }
                    // Its code comes again with the close that follows.
                    FrameType::Error => {}
                    kind => return Err(ClientError::Unexpected(format!("{kind:?}"))),
                }
            }
            Incoming::Text(_) => return Err(ClientError::Unexpected("text".to_owned())),
            Incoming::Closed(closed) => return Err(ClientError::Refused(closed)),
        }
    }
}

enum Read {
    Event(Event),
    Ping(Number),
    Pong(f64),
}

/// Reads a message of an edge.
fn read(bytes: Bytes) -> Result<Read, Rejection> {
    let frame = Frame::parse(bytes)?;
    let payload = frame.payload();
    let sender = frame.sender();
    Ok(Read::Event(match frame.kind() {
        FrameType::Ping => return Ok(Read::Ping(Ping::parse(payload)?.t)),
        FrameType::Pong => {
            let t = Pong::parse(payload)?.t;
            return Ok(Read::Pong(t.as_f64().unwrap_or_default()));
        }
        FrameType::Roster => Event::Roster(Roster::parse(payload)?),
        FrameType::TrackConfig => Event::Track {
            participant: sender,
            track: TrackConfig::parse(payload)?,
        },
        FrameType::TrackStop => Event::TrackStop {
            participant: sender,
            track: TrackStop::parse(payload)?.track,
        },
        FrameType::Chat => Event::Chat {
            sender,
            chat: Chat::parse(payload)?,
        },
        FrameType::KeyframeRequest => Event::KeyframeRequest(KeyframeRequest::parse(payload)?),
        FrameType::PublisherAck => Event::PublisherAck(PublisherAck::parse(payload)?),
        FrameType::Demand => Event::Demand(Demand::parse(payload)?),
        FrameType::Constrained => Event::Constrained(Constrained::parse(payload)?),
        FrameType::Alternates => Event::Alternates(Alternates::parse(payload)?),
        FrameType::Error => Event::Error(ErrorMessage::parse(payload)?),
        FrameType::Media => Event::Media {
            sender,
            header: MediaHeader::parse(&frame)?,
            frame,
        },
        FrameType::Audio
        | FrameType::ScreenShare
        | FrameType::ScreenShareStop
        | FrameType::ScreenShareStart => Event::V1(frame),
        FrameType::UserListUpdate
        | FrameType::JoinRequest
        | FrameType::ChatV1
        | FrameType::Join
        | FrameType::Welcome
        | FrameType::Subscribe
        | FrameType::Leave
        | FrameType::Update => return Err(ErrorCode::WrongDirection.into()),
    }))
}
