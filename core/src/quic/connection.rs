//! A connection to a server whose identity is known, and its streams and datagrams.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use quinn::VarInt;
use rustls::pki_types::CertificateDer;

use super::{
    error::{CertificateFault, ConnectionError, StreamError},
    identity::PeerIdentity,
};

/// What a connection has seen of its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathStats {
    /// The round trip, smoothed.
    pub rtt: Duration,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets that were sent and lost.
    pub lost_packets: u64,
    /// UDP payload sent, in bytes.
    pub sent_bytes: u64,
    /// UDP payload received, in bytes.
    pub received_bytes: u64,
}

/// A connection. It stays open while any clone of it, or a stream, is held.
#[derive(Clone)]
pub struct Connection {
    inner: quinn::Connection,
    identity: PeerIdentity,
}

impl Connection {
    pub(super) fn new(inner: quinn::Connection) -> Result<Self, ConnectionError> {
        let shown = inner
            .peer_identity()
            .and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
        let leaf = shown.as_ref().and_then(|chain| chain.first());
        let identity = leaf
            .ok_or(CertificateFault::Missing)
            .and_then(|leaf| {
                PeerIdentity::of_certificate(leaf).map_err(|_| CertificateFault::NoIdentity)
            })
            .map_err(ConnectionError::PeerCertificate)?;
        Ok(Self { inner, identity })
    }

    /// Who is at the other end.
    pub const fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Where the other end is.
    pub fn remote_addr(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Opens a stream for both directions; waits while the peer allows no more. The peer sees it once
    /// something is written.
    ///
    /// # Errors
    /// [`ConnectionError`] if the connection is no more.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let (send, recv) = self.inner.open_bi().await?;
        Ok((SendStream(send), RecvStream(recv)))
    }

    /// The next stream for both directions that the peer opened.
    ///
    /// # Errors
    /// [`ConnectionError`] if the connection is no more.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let (send, recv) = self.inner.accept_bi().await?;
        Ok((SendStream(send), RecvStream(recv)))
    }

    /// Opens a stream to the peer; waits while it allows no more.
    ///
    /// # Errors
    /// [`ConnectionError`] if the connection is no more.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        Ok(SendStream(self.inner.open_uni().await?))
    }

    /// The next stream from the peer.
    ///
    /// # Errors
    /// [`ConnectionError`] if the connection is no more.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        Ok(RecvStream(self.inner.accept_uni().await?))
    }

    /// Sends a datagram, or drops it: one that is too large, or the connection is no more. When the
    /// library's buffer is full its oldest make way.
    ///
    /// Returns whether it was taken.
    pub fn send_datagram(&self, datagram: Bytes) -> bool {
        self.inner.send_datagram(datagram).is_ok()
    }

    /// Sends a datagram, after a wait for room if the library's buffer is full: none makes way.
    ///
    /// Returns whether it was taken: not if it is too large, or the connection is no more.
    pub async fn send_datagram_in_turn(&self, datagram: Bytes) -> bool {
        self.inner.send_datagram_wait(datagram).await.is_ok()
    }

    /// Bytes of datagrams that the library takes before it drops its oldest.
    pub fn datagram_room(&self) -> usize {
        self.inner.datagram_send_buffer_space()
    }

    /// The next datagram.
    ///
    /// # Errors
    /// [`ConnectionError`] if the connection is no more.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        Ok(self.inner.read_datagram().await?)
    }

    /// The largest datagram that may be sent now; 0 if the peer takes none.
    pub fn max_datagram(&self) -> usize {
        self.inner.max_datagram_size().unwrap_or(0)
    }

    /// The round trip, smoothed.
    pub fn rtt(&self) -> Duration {
        self.inner.rtt()
    }

    /// What it has seen of its path.
    pub fn stats(&self) -> PathStats {
        let stats = self.inner.stats();
        PathStats {
            rtt: stats.path.rtt,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
        }
    }

    /// Ends it, and tells the peer why.
    pub fn close(&self, code: u32, reason: &str) {
        self.inner.close(VarInt::from_u32(code), reason.as_bytes());
    }

    /// Waits until it has ended, and says why.
    pub async fn closed(&self) -> ConnectionError {
        self.inner.closed().await.into()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.identity)
    }
}

/// The sending end of a stream. Dropped without [`SendStream::finish`], it finishes too.
#[derive(Debug)]
pub struct SendStream(quinn::SendStream);

impl SendStream {
    /// Writes all of it; waits while the peer takes no more.
    ///
    /// # Errors
    /// [`StreamError`] if the stream or its connection has ended.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        Ok(self.0.write_chunk(bytes).await?)
    }

    /// Writes all of several, in order.
    ///
    /// # Errors
    /// [`StreamError`] if the stream or its connection has ended.
    pub async fn write_all(&mut self, batch: &mut [Bytes]) -> Result<(), StreamError> {
        Ok(self.0.write_all_chunks(batch).await?)
    }

    /// Streams of a higher priority are sent first; 0 is everybody's.
    pub fn set_priority(&self, priority: i32) {
        // Of no use to a stream that has ended.
        let _ = self.0.set_priority(priority);
    }

    /// Says that nothing follows.
    pub fn finish(&mut self) {
        let _ = self.0.finish();
    }

    /// Gives it up: what is under way need not arrive.
    pub fn reset(&mut self, code: u32) {
        let _ = self.0.reset(VarInt::from_u32(code));
    }
}

/// The receiving end of a stream.
#[derive(Debug)]
pub struct RecvStream(quinn::RecvStream);

impl RecvStream {
    /// What comes next, at most so many bytes; none once the peer has finished.
    ///
    /// # Errors
    /// [`StreamError`] if the stream or its connection has ended.
    pub async fn read(&mut self, max: usize) -> Result<Option<Bytes>, StreamError> {
        let chunk = self.0.read_chunk(max, true).await?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }

    /// Tells the peer that no more is read.
    pub fn stop(&mut self, code: u32) {
        let _ = self.0.stop(VarInt::from_u32(code));
    }
}
