//! Accepting connections: sockets tuned by hand, TLS where asked for, a bound on how many and on how
//! long a handshake takes. What is said over them is [`crate::http`]'s.

use std::sync::Arc;

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    limits::{ACCEPT_PAUSE, HANDSHAKE_TIMEOUT},
    metrics,
    socket::Socket,
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
            let socket = Socket::new(stream, peer);
            let (routes, tls) = (self.routes.clone(), self.tls.clone());
            self.tasks.spawn(async move {
                match tls {
                    None => serve(socket.clone(), socket, routes).await,
                    Some(tls) => match timeout(HANDSHAKE_TIMEOUT, tls.accept(socket.clone())).await
                    {
                        Ok(Ok(stream)) => serve(stream, socket, routes).await,
                        Ok(Err(_)) => metrics::refused("tls"),
                        Err(_) => metrics::refused("tls_timeout"),
                    },
                }
                drop(slot);
            });
        }
    }
}

/// Answers requests until the connection ends or becomes a WebSocket. Every request knows its socket.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    socket: Socket,
    routes: Router,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(socket.clone());
        routes.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}
