//! The server's side of a test: one WebSocket at a time, played message by message.

use futures_util::{SinkExt, StreamExt};
use pulse_proto::{
    ErrorCode, Frame, ParticipantId,
    control::{Hello, RosterSnapshot, Welcome, encode},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::header::SEC_WEBSOCKET_PROTOCOL,
        protocol::CloseFrame,
    },
};

pub(crate) const ZERO: ParticipantId = ParticipantId::ZERO;

/// The server's end of one connection.
pub(crate) struct Served {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) path: String,
}

impl Served {
    pub(crate) async fn frame(&mut self) -> Frame {
        match self.socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => Frame::parse(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&mut self, frame: &Frame) {
        let message = Message::Binary(frame.bytes().clone());
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn end(mut self, code: ErrorCode) {
        let frame = CloseFrame {
            code: code.number().into(),
            reason: code.sentence().into(),
        };
        self.socket.close(Some(frame)).await.unwrap();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Accepts one connection and answers the subprotocol that it asks for.
pub(crate) async fn accept(listener: &TcpListener) -> Served {
    let (stream, _) = listener.accept().await.unwrap();
    let mut path = String::new();
    let socket = accept_hdr_async(
        stream,
        #[expect(
            clippy::result_large_err,
            reason = "the callback's type is the library's"
        )]
        |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            path = request.uri().to_string();
            if let Some(name) = request.headers().get(SEC_WEBSOCKET_PROTOCOL) {
                assert_eq!(name, "pulse.v2");
                response
                    .headers_mut()
                    .insert(SEC_WEBSOCKET_PROTOCOL, name.clone());
            }
            Ok(response)
        },
    )
    .await
    .unwrap();
    Served { socket, path }
}

pub(crate) fn welcome(id: ParticipantId, resumed: bool) -> Frame {
    encode(
        ZERO,
        &Welcome {
            hello: Hello {
                version: 2,
                features: vec!["resume".into()],
                agent: "test".into(),
            },
            id,
            resume: "token".into(),
            resumed,
            uploads: "u".into(),
            roster: RosterSnapshot {
                epoch: 4,
                participants: Vec::new(),
            },
            region: None,
            alternates: Vec::new(),
        },
    )
}
