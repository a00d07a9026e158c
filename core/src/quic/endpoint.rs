//! A UDP address that accepts and dials. Whoever is accepted or reached has shown a certificate of the
//! cluster that names it.

use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Weak},
};

use quinn::{
    AsyncUdpSocket, ClientConfig, EndpointConfig as LibraryConfig, Runtime, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};

use super::{
    connection::Connection,
    connection_id::ConnectionIds,
    credentials::Credentials,
    error::{BindError, ConnectionError},
    identity::Expected,
    transport::Transport,
    verify,
};
use crate::limits::{
    INCOMING_BYTES, INCOMING_BYTES_ALL, MAX_INCOMING, MTU, RETRY_ABOVE, UDP_BUFFER,
};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Between an edge and core: `pulse-core/1`.
    Core,
    /// Between edges: `pulse-edge/1`.
    Edge,
}

impl Protocol {
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Core => b"pulse-core/1",
            Self::Edge => b"pulse-edge/1",
        }
    }
}

/// How an endpoint is made.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Who this server is, and who counts as of its cluster.
    pub credentials: Credentials,
    /// What it accepts; none: it only dials.
    pub accepts: Option<Protocol>,
    /// Its settings.
    pub transport: Transport,
    /// Makes a simulation repeat itself; none outside of one.
    pub rng_seed: Option<[u8; 32]>,
}

/// A UDP address that accepts and dials.
#[derive(Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    credentials: Credentials,
    transport: Arc<TransportConfig>,
    /// One for each handshake that was accepted and goes on.
    handshakes: Arc<()>,
}

impl Endpoint {
    /// Takes a UDP address of this machine.
    ///
    /// # Errors
    /// [`BindError`], with what to do.
    pub fn bind(address: SocketAddr, config: EndpointConfig) -> Result<Self, BindError> {
        let taken = |reason| BindError::Address { address, reason };
        let socket = UdpSocket::bind(address).map_err(taken)?;
        // As much as the kernel grants.
        let buffers = socket2::SockRef::from(&socket);
        let _ = buffers.set_recv_buffer_size(UDP_BUFFER);
        let _ = buffers.set_send_buffer_size(UDP_BUFFER);
        let runtime = Arc::new(TokioRuntime);
        let socket = runtime.wrap_udp_socket(socket).map_err(taken)?;
        Self::over(socket, runtime, config)
    }

    /// Takes a socket and a runtime that somebody else made: a simulated network in virtual time.
    ///
    /// # Errors
    /// [`BindError`], with what to do.
    pub fn over(
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
        config: EndpointConfig,
    ) -> Result<Self, BindError> {
        let EndpointConfig {
            credentials,
            accepts,
            transport,
            rng_seed,
        } = config;
        let wrong = |error: &dyn fmt::Display| BindError::Settings(error.to_string());
        let transport = transport.config()?;
        let mut library = LibraryConfig::default();
        library
            .max_udp_payload_size(MTU)
            .map_err(|error| wrong(&error))?
            .cid_generator(move || Box::new(ConnectionIds::new(rng_seed)))
            .rng_seed(rng_seed);
        let server = match accepts {
            None => None,
            Some(protocol) => {
                let tls = verify::server(&credentials, protocol.alpn()).map_err(|e| wrong(&e))?;
                let crypto = QuicServerConfig::try_from(tls).map_err(|error| wrong(&error))?;
                let mut server = ServerConfig::with_crypto(Arc::new(crypto));
                server
                    .transport_config(transport.clone())
                    .migration(false)
                    .max_incoming(MAX_INCOMING)
                    .incoming_buffer_size(INCOMING_BYTES)
                    .incoming_buffer_size_total(INCOMING_BYTES_ALL);
                Some(server)
            }
        };
        let address = socket.local_addr();
        let inner = quinn::Endpoint::new_with_abstract_socket(library, server, socket, runtime)
            .map_err(|reason| BindError::Address {
                address: address.unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
                reason,
            })?;
        Ok(Self {
            inner,
            credentials,
            transport,
            handshakes: Arc::new(()),
        })
    }

    /// Dials, and makes sure of who answers. Whether the other side takes this one's certificate shows
    /// only at the first thing that is waited for on the connection.
    ///
    /// # Errors
    /// [`ConnectionError`]; in particular if another server answers than was expected.
    pub async fn connect(
        &self,
        address: SocketAddr,
        protocol: Protocol,
        expected: &Expected,
    ) -> Result<Connection, ConnectionError> {
        let broken = |error: &dyn fmt::Display| ConnectionError::Broken(error.to_string());
        let tls =
            verify::client(&self.credentials, protocol.alpn()).map_err(|error| broken(&error))?;
        let crypto = QuicClientConfig::try_from(tls).map_err(|error| broken(&error))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.transport.clone());
        let connecting = self
            .inner
            .connect_with(config, address, "pulse")
            .map_err(|error| match error {
                quinn::ConnectError::InvalidRemoteAddress(address) => {
                    ConnectionError::Address(address)
                }
                quinn::ConnectError::EndpointStopping => ConnectionError::ClosedHere,
                error => broken(&error),
            })?;
        let connection = Connection::new(connecting.await?)?;
        if expected.is(connection.identity()) {
            return Ok(connection);
        }
        let found = connection.identity().clone();
        connection.close(0, "another server was meant");
        let expected = expected.clone();
        Err(ConnectionError::WrongPeer { expected, found })
    }

    /// The next one who dials; none once the endpoint is closed. [`Handshake::finish`] belongs on a task
    /// of its own.
    pub async fn accept(&self) -> Option<Handshake> {
        loop {
            let incoming = self.inner.accept().await?;
            let going_on = Arc::weak_count(&self.handshakes);
            if going_on >= RETRY_ABOVE
                && !incoming.remote_address_validated()
                && incoming.may_retry()
            {
                // It comes again with proof of its address, or never.
                let _ = incoming.retry();
                continue;
            }
            if going_on >= MAX_INCOMING {
                incoming.refuse();
                continue;
            }
            return Some(Handshake {
                incoming,
                _counted: Arc::downgrade(&self.handshakes),
            });
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Ends every connection and accepts no more.
    pub fn close(&self, code: u32, reason: &str) {
        self.inner.close(VarInt::from_u32(code), reason.as_bytes());
    }

    /// Waits until every connection that was closed has said so.
    pub async fn idle(&self) {
        self.inner.wait_idle().await;
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("identity", &self.credentials.identity())
            .finish_non_exhaustive()
    }
}

/// Somebody dials.
pub struct Handshake {
    incoming: quinn::Incoming,
    _counted: Weak<()>,
}

impl Handshake {
    /// Waits until it is known who it is.
    ///
    /// # Errors
    /// [`ConnectionError`]; certificates that are not of this cluster are the usual one.
    pub async fn finish(self) -> Result<Connection, ConnectionError> {
        let connecting = self.incoming.accept()?;
        Connection::new(connecting.await?)
    }

    /// Who it says it is, by address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.incoming.remote_address()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handshake({})", self.remote_addr())
    }
}
