//! One client's TCP connection, shared by whoever serves it and whoever looks at its kernel: the stream
//! that HTTP, TLS and WebSocket run on, its options, and what it holds. It decides nothing.

mod tcp_info;

use std::{
    io,
    net::{Shutdown, SocketAddr},
    os::fd::AsFd as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{limits::NOTSENT_LOWAT_MAX, pace::Reading};

/// A connection. Clones are the same one; it closes with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Socket(Arc<TcpStream>);

impl Socket {
    /// Small frames leave at once, and little waits in the kernel, where it can no longer be dropped.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        let socket = SockRef::from(&stream);
        let tuned = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_notsent_lowat(NOTSENT_LOWAT_MAX));
        if let Err(error) = tuned {
            tracing::debug!(%error, %peer, "socket options were refused");
        }
        Self(Arc::new(stream))
    }

    /// What its kernel knows of the way to the client; `None` where it does not tell.
    pub(crate) fn read_kernel(&self) -> Option<Reading> {
        tcp_info::read(self.0.as_fd()).ok()
    }

    /// How many bytes the kernel may hold that it has not sent yet.
    pub(crate) fn set_unsent_max(&self, bytes: u32) {
        // A socket that is gone says so when it is written to.
        let _ = SockRef::from(&*self.0).set_tcp_notsent_lowat(bytes);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read_buf(buffer) {
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
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(slices) {
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
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
