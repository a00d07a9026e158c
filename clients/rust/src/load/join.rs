//! From an address to WELCOME, and what is left then: the bare stream. A load test reads thousands of
//! streams; what the library's client does for one would cost more than the server it measures.

use std::time::Duration;

use pulse_proto::{
    Frame, FrameType, PROTOCOL_VERSION, ParticipantId, SUBPROTOCOL,
    control::{Control, Hello, Join, Ping, Welcome, encode},
};
use serde_json::Number;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::MaybeTlsStream;

use super::wire::{self, Piece, Reader};
use crate::{
    address::Address,
    connection::{Closed, SocketOptions, open_stream},
    error::ClientError,
    limits::{CONNECT_TIMEOUT, READ_BUFFER_BYTES},
};

/// What is under a WebSocket.
pub(crate) type RawStream = MaybeTlsStream<TcpStream>;

/// A participant of a load test, just joined.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) stream: RawStream,
    /// It may hold the beginning of a message.
    pub(crate) reader: Reader,
    pub(crate) id: ParticipantId,
}

/// Connects and joins.
///
/// # Errors
/// As the library's client.
pub(crate) async fn join(
    address: &Address,
    room: String,
    name: String,
    socket: &SocketOptions,
    mask: u32,
) -> Result<Joined, ClientError> {
    let mut stream = open_stream(address, "/v2", Some(SUBPROTOCOL), socket).await?;
    let message = encode(
        ParticipantId::ZERO,
        &Join {
            hello: Hello {
                version: PROTOCOL_VERSION,
                features: Vec::new(),
                agent: concat!("pulse-load/", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            room,
            name,
            resume: None,
        },
    );
    let mut bytes = Vec::new();
    wire::append_binary(&mut bytes, message.bytes(), mask);
    let welcomed = async {
        let lost = |error: std::io::Error| ClientError::Refused(Closed::lost(error));
        stream.write_all(&bytes).await.map_err(lost)?;
        let mut reader = Reader::default();
        let id = welcome(&mut stream, &mut reader).await?;
        Ok((reader, id))
    };
    let (reader, id) = timeout(CONNECT_TIMEOUT, welcomed)
        .await
        .map_err(|_| ClientError::Silent(address.authority()))??;
    Ok(Joined { stream, reader, id })
}

/// Reads until WELCOME; what comes behind it in the same read is of no use to anybody yet.
async fn welcome(
    stream: &mut RawStream,
    reader: &mut Reader,
) -> Result<ParticipantId, ClientError> {
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    loop {
        let lost = |error: std::io::Error| ClientError::Refused(Closed::lost(error));
        let count = stream.read(&mut buffer).await.map_err(lost)?;
        if count == 0 {
            return Err(ClientError::Refused(Closed::lost("end of stream")));
        }
        let mut answer = None;
        reader
            .push(buffer.get(..count).unwrap_or_default(), |piece| {
                if answer.is_none() {
                    answer = first(piece);
                }
            })
            .map_err(|error| ClientError::Unexpected(error.to_string()))?;
        if let Some(answer) = answer {
            return answer;
        }
    }
}

fn first(piece: Piece<'_>) -> Option<Result<ParticipantId, ClientError>> {
    let unexpected = |text: String| Some(Err(ClientError::Unexpected(text)));
    let bytes = match piece {
        Piece::Binary(bytes) => bytes,
        Piece::Close(code) => return Some(Err(ClientError::Refused(Closed::with_code(code)))),
        Piece::Other => return None,
    };
    match Frame::parse(bytes.to_vec().into()) {
        Ok(frame) => match frame.kind() {
            FrameType::Welcome => match Welcome::parse(frame.payload()) {
                Ok(welcome) => Some(Ok(welcome.id)),
                Err(rejection) => unexpected(rejection.to_string()),
            },
            // Its code comes again with the close that follows.
            FrameType::Error => None,
            kind => unexpected(format!("{kind:?}")),
        },
        Err(rejection) => unexpected(rejection.to_string()),
    }
}

/// The PING of this participant at this time.
pub(crate) fn ping(id: ParticipantId, now: Duration) -> Frame {
    let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    encode(
        id,
        &Ping {
            t: Number::from(millis),
        },
    )
}
