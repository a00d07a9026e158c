//! Accepting connections: sockets tuned by hand, TLS where asked for, a bound on how many and on how
//! long a handshake takes. What is said over them is [`crate::http`]'s.

use std::sync::{Arc, Mutex, PoisonError};

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
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    limits::{ACCEPT_PAUSE, DISPLACE_TIMEOUT, HANDSHAKE_TIMEOUT},
    metrics,
    socket::Socket,
    unfinished::{Ticket, Unfinished},
};

/// What accepting needs.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) routes: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) unfinished: Unfinished,
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
                    // Descriptors have run out: whoever has been silent longest gives one back.
                    self.unfinished.displace_oldest();
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(slot) = self.place().await else {
                metrics::refused("server_full");
                continue;
            };
            let socket = Socket::new(stream, peer);
            let (routes, tls) = (self.routes.clone(), self.tls.clone());
            let make_way = CancellationToken::new();
            let row = Row::new(self.unfinished.clone(), make_way.clone());
            self.tasks.spawn(async move {
                let served = async {
                    match tls {
                        None => serve(socket.clone(), socket, row, routes).await,
                        Some(tls) => {
                            let shaken = timeout(HANDSHAKE_TIMEOUT, tls.accept(socket.clone()));
                            match shaken.await {
                                Ok(Ok(stream)) => serve(stream, socket, row, routes).await,
                                Ok(Err(_)) => metrics::refused("tls"),
                                Err(_) => metrics::refused("tls_timeout"),
                            }
                        }
                    }
                };
                tokio::select! {
                    () = served => {}
                    () = make_way.cancelled() => metrics::refused("displaced"),
                }
                drop(slot);
            });
        }
    }

    /// A place for one more connection, if need be that of the one that has been silent longest.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Some(slot);
        }
        if !self.unfinished.displace_oldest() {
            return None;
        }
        let freed = timeout(DISPLACE_TIMEOUT, self.slots.clone().acquire_owned());
        freed.await.ok()?.ok()
    }
}

/// A connection's place among those of which no request is being answered.
#[derive(Clone)]
struct Row {
    unfinished: Unfinished,
    make_way: CancellationToken,
    ticket: Arc<Mutex<Option<Ticket>>>,
}

impl Row {
    fn new(unfinished: Unfinished, make_way: CancellationToken) -> Self {
        let ticket = Arc::new(Mutex::new(Some(unfinished.enter(&make_way))));
        Self {
            unfinished,
            make_way,
            ticket,
        }
    }

    /// A request has come.
    fn leave(&self) {
        self.put(None);
    }

    /// It has been answered.
    fn enter_again(&self) {
        self.put(Some(self.unfinished.enter(&self.make_way)));
    }

    fn put(&self, ticket: Option<Ticket>) {
        *self.ticket.lock().unwrap_or_else(PoisonError::into_inner) = ticket;
    }
}

/// Answers requests until the connection ends or becomes a WebSocket. Every request knows its socket.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    socket: Socket,
    row: Row,
    routes: Router,
) {
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(socket.clone());
        row.leave();
        let (answer, row) = (routes.call(request), row.clone());
        async move {
            let answer = answer.await;
            row.enter_again();
            answer
        }
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
