//! Accepting connections: sockets tuned by hand, TLS where asked for, a bound on how many and on how
//! long a handshake takes. What is said over them is [`crate::http`]'s.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    limits::{ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, NOTSENT_LOWAT},
    metrics,
};

/// What accepting needs.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) routes: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Acceptor {
    /// Accepts until told to stop.
    pub(crate) async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    metrics::refused("accept");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = self.slots.clone().try_acquire_owned() else {
                metrics::refused("server_full");
                continue;
            };
            tune(&stream, peer);
            let (routes, tls) = (self.routes.clone(), self.tls.clone());
            self.tasks.spawn(async move {
                match tls {
                    None => serve(stream, routes).await,
                    Some(tls) => match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => serve(stream, routes).await,
                        Ok(Err(_)) => metrics::refused("tls"),
                        Err(_) => metrics::refused("tls_timeout"),
                    },
                }
                drop(slot);
            });
        }
    }
}

/// Small frames leave at once, and little waits in the kernel, where it can no longer be dropped.
fn tune(stream: &TcpStream, peer: SocketAddr) {
    let socket = SockRef::from(stream);
    let tuned = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_notsent_lowat(NOTSENT_LOWAT));
    if let Err(error) = tuned {
        tracing::debug!(%error, %peer, "socket options were refused");
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, routes: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}
