//! One client's TCP connection, shared by whoever serves it and whoever looks at its kernel: the stream
//! that HTTP, TLS and WebSocket run on, its options, and what it holds. It decides nothing.

mod tcp_info;

use std::{
    fmt, io,
    net::{Shutdown, SocketAddr},
    os::fd::AsFd as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::metrics::Gauge;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use crate::{
    limits::{NOTSENT_LOWAT_MAX, UNACKNOWLEDGED_TIMEOUT},
    metrics,
    pace::Reading,
};

/// What serves lossy last miles best where the kernel has it: at 1 % loss and 40 ms cubic carries
/// 3 Mbit/s, bbr 244.
const CONGESTION: &str = "bbr";

/// The kernel has no such congestion control.
#[derive(Debug, thiserror::Error)]
#[error(
    "this machine has no congestion control '{asked}': {reason}. Give --tcp-congestion one of: {offered}"
)]
pub struct CongestionError {
    asked: String,
    offered: String,
    reason: io::Error,
}

/// Connections of a listener get its congestion control, unless a route says otherwise.
///
/// # Errors
/// The kernel refuses the one asked for; without one, nothing is an error.
pub(crate) fn choose_congestion(
    listener: &TcpListener,
    asked: Option<&str>,
) -> Result<(), CongestionError> {
    let name = asked.unwrap_or(CONGESTION);
    match (
        SockRef::from(listener).set_tcp_congestion(name.as_bytes()),
        asked,
    ) {
        (Err(reason), Some(asked)) => Err(CongestionError {
            asked: asked.to_owned(),
            offered: std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
                .map_or_else(
                    |_| "(unknown)".to_owned(),
                    |all| all.trim().replace(' ', ", "),
                ),
            reason,
        }),
        (Err(reason), None) => {
            tracing::info!(%reason, "no bbr here: the kernel's own congestion control stays");
            Ok(())
        }
        (Ok(()), _) => Ok(()),
    }
}

/// A connection. Clones are the same one; it closes with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Socket(Arc<Shared>);

struct Shared {
    stream: TcpStream,
    /// Counts it by its congestion control.
    counted: Gauge,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.counted.decrement(1.0);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt(f)
    }
}

impl Socket {
    /// Small frames leave at once, little waits in the kernel, where it can no longer be dropped, and who
    /// acknowledges nothing is let go.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        let socket = SockRef::from(&stream);
        let tuned = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_MAX))
            .and_then(|()| socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIMEOUT)));
        if let Err(error) = tuned {
            tracing::debug!(%error, %peer, "socket options were refused");
        }
        // The kernel gives 16 bytes, the rest of them zeros.
        let name = socket.tcp_congestion().unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let counted = metrics::tcp_connections(name.trim_end_matches('\0'));
        counted.increment(1.0);
        Self(Arc::new(Shared { stream, counted }))
    }

    /// What its kernel knows of the way to the client; `None` where it does not tell.
    pub(crate) fn read_kernel(&self) -> Option<Reading> {
        tcp_info::read(self.0.stream.as_fd()).ok()
    }

    /// How many bytes the kernel may hold that it has not sent yet.
    pub(crate) fn set_unsent_max(&self, bytes: u32) {
        // A socket that is gone says so when it is written to.
        let _ = SockRef::from(&self.0.stream).set_tcp_notsent_lowat(bytes);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(cx))?;
            match self.0.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|_| ())),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0.stream).shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_congestion_control_is_an_error_that_lists_the_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        choose_congestion(&listener, None).unwrap();
        choose_congestion(&listener, Some("reno")).unwrap();
        let chosen = SockRef::from(&listener).tcp_congestion().unwrap();
        assert!(chosen.starts_with(b"reno"));
        let error = choose_congestion(&listener, Some("warp")).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("'warp'") && text.contains("reno, "), "{text}");
    }
}
