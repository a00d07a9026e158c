//! What can go wrong between this client and an edge, each with a sentence that helps.

use pulse_proto::ErrorCode;

use crate::connection::Closed;

/// Why a connection or a join failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be read.
    #[error("\"{0}\" is not an address like http://localhost:8080 or wss://pulse.example")]
    Address(String),
    /// Nobody listens there.
    #[error("Could not reach {address}: {source}. Is the edge running, and is the port right?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{0} did not answer within 10 seconds.")]
    Silent(String),
    /// TLS failed.
    #[error("The encrypted connection failed: {0}. For a self-signed certificate use --insecure.")]
    Tls(String),
    /// Something other than a WebSocket answered.
    #[error("The server refused the WebSocket ({0}). Is this the address of a Pulse edge?")]
    Handshake(String),
    /// The server is none that speaks this wire.
    #[error("The server does not speak pulse.v2. It may be older than this program.")]
    Subprotocol,
    /// The edge ended the connection before the join was complete.
    #[error("The server refused to let us in: {0}")]
    Refused(Closed),
    /// The first message was no WELCOME.
    #[error("The server's first message could not be understood: {0}")]
    Unexpected(String),
    /// The connection is over.
    #[error("The connection is closed.")]
    Closed,
    /// A codec frame that no number of messages can carry.
    #[error("A codec frame has 1 to 965,632 bytes.")]
    FrameSize,
    /// The system gave no randomness for an id.
    #[error("The system gave no random bytes.")]
    Random,
}

impl ClientError {
    /// The error code that the edge ended the connection with.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(closed) => closed.error(),
            _ => None,
        }
    }
}
