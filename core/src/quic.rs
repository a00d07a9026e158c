//! The one place that knows the QUIC library: identities, certificates that are replaced without a
//! connection being dropped, endpoints, connections and streams, with errors of their own. It never
//! reads what travels on them.
//!
//! A cluster's servers know each other by certificates of one authority, each with one URI:
//! `spiffe://pulse/edge/REGION/ID` or `spiffe://pulse/core/ID`. Both sides check it in the handshake.

mod congestion;
mod connection;
mod connection_id;
mod credentials;
mod endpoint;
mod error;
mod identity;
mod transport;
mod verify;

/// What an [`Endpoint`] runs over that is not the system's network: a simulated one, in virtual time.
pub mod over {
    pub use quinn::{
        AsyncTimer, AsyncUdpSocket, Runtime, UdpPoller,
        udp::{RecvMeta, Transmit},
    };
}

pub use self::{
    connection::{Connection, PathStats, RecvStream, SendStream},
    credentials::{CredentialFiles, Credentials},
    endpoint::{Endpoint, EndpointConfig, Handshake, Protocol},
    error::{BindError, CertificateFault, ConnectionError, CredentialsError, StreamError},
    identity::{CoreId, Expected, IdentityError, PeerIdentity},
    transport::{Congestion, Transport},
};
