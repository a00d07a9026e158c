//! What operators ask core, and pages that look for an edge. The names of open rooms are secrets: they are
//! told to whoever shows the operators' token, and are in no metric.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics::{describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    limits::{ACCEPT_PAUSE, HTTP_HEADER_TIMEOUT, MAX_HTTP_CONNECTIONS},
    membership::EdgeInfo,
    server::{RoomSummary, Service},
    token::{OperatorToken, Shown},
};

/// What the routes need.
#[derive(Clone, Debug)]
pub(crate) struct HttpContext {
    pub(crate) service: Service,
    pub(crate) prometheus: PrometheusHandle,
    pub(crate) token: OperatorToken,
}

/// Answers until told to stop.
pub(crate) async fn run(
    listener: TcpListener,
    context: HttpContext,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let routes = routes(context);
    let slots = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Whoever finds no place is closed.
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            continue;
        };
        let service = TowerToHyperService::new(routes.clone());
        let stopped = stop.clone();
        tasks.spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HTTP_HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = served => {}
                () = stopped.cancelled() => {}
            }
            drop(slot);
        });
    }
}

fn routes(context: HttpContext) -> Router {
    let for_operators = Router::new()
        .route("/v1/edges", get(edges))
        .route("/v1/rooms", get(rooms))
        .layer(middleware::from_fn_with_state(context.clone(), authorise));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/nearest", get(nearest))
        .merge(for_operators)
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "Operators find /metrics, /healthz, /readyz, /v1/edges and /v1/rooms here.\n",
            )
        })
        .layer(CatchPanicLayer::new())
        .with_state(context)
}

async fn authorise(State(context): State<HttpContext>, request: Request, next: Next) -> Response {
    match context.token.check(bearer(request.headers())) {
        Shown::Right => next.run(request).await,
        Shown::Wrong => (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer")],
            "Show the operators' token: Authorization: Bearer TOKEN.\n",
        )
            .into_response(),
        Shown::Off => (
            StatusCode::NOT_FOUND,
            "This is off: start core with --operator-token-file to see edges and rooms here.\n",
        )
            .into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

async fn readyz(State(context): State<HttpContext>) -> Response {
    if context.service.health().issuing {
        return "ready\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "Not ready: no edge has registered yet, or they are still declaring their rooms.\n",
    )
        .into_response()
}

async fn metrics(State(context): State<HttpContext>) -> String {
    context.prometheus.run_upkeep();
    context.prometheus.render()
}

#[derive(Serialize)]
struct Near {
    id: String,
    region: String,
    url: String,
    draining: bool,
}

#[derive(Serialize)]
struct NearList {
    edges: Vec<Near>,
}

/// Every edge that browsers can open; the page finds out which is the nearest.
async fn nearest(State(context): State<HttpContext>) -> impl IntoResponse {
    let edges = context.service.edges().await;
    let edges = edges
        .into_iter()
        .filter_map(|info| {
            Some(Near {
                id: info.card.edge.to_string(),
                region: info.card.region.to_string(),
                url: info.card.public_url?,
                draining: info.draining,
            })
        })
        .collect();
    let any = HeaderValue::from_static("*");
    let fresh = HeaderValue::from_static("no-store");
    (
        [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, any),
            (header::CACHE_CONTROL, fresh),
        ],
        Json(NearList { edges }),
    )
}

#[derive(Serialize)]
struct EdgeRow {
    id: String,
    region: String,
    incarnation: u64,
    url: Option<String>,
    backbone: Option<String>,
    draining: bool,
    participants: u32,
    capacity: u32,
}

impl From<EdgeInfo> for EdgeRow {
    fn from(info: EdgeInfo) -> Self {
        Self {
            id: info.card.edge.to_string(),
            region: info.card.region.to_string(),
            incarnation: info.card.incarnation.0,
            url: info.card.public_url,
            backbone: info.card.backbone.map(|address| address.to_string()),
            draining: info.draining,
            participants: info.participants,
            capacity: info.capacity,
        }
    }
}

#[derive(Serialize)]
struct EdgeList {
    term: u64,
    epoch: u64,
    edges: Vec<EdgeRow>,
}

async fn edges(State(context): State<HttpContext>) -> impl IntoResponse {
    let stamp = context.service.health().stamp;
    let edges = context.service.edges().await;
    Json(EdgeList {
        term: stamp.term,
        epoch: stamp.epoch,
        edges: edges.into_iter().map(EdgeRow::from).collect(),
    })
}

#[derive(Serialize)]
struct RoomRow {
    room: String,
    edges: usize,
    participants: usize,
}

impl From<RoomSummary> for RoomRow {
    fn from(summary: RoomSummary) -> Self {
        Self {
            room: summary.room.reveal().to_owned(),
            edges: summary.edges,
            participants: summary.participants,
        }
    }
}

#[derive(Serialize)]
struct RoomList {
    rooms: Vec<RoomRow>,
}

async fn rooms(State(context): State<HttpContext>) -> impl IntoResponse {
    let rooms = context.service.rooms().await;
    let rooms = rooms.into_iter().map(RoomRow::from).collect();
    let never = HeaderValue::from_static("no-store");
    ([(header::CACHE_CONTROL, never)], Json(RoomList { rooms }))
}

/// Describes every metric; what has not happened yet is 0, not absent.
pub(crate) fn describe() {
    describe_gauge!("pulse_core_edges", "Edges that core knows.");
    describe_gauge!("pulse_core_rooms", "Rooms with somebody in them.");
    describe_gauge!("pulse_core_connections", "Connections of edges.");
    describe_gauge!(
        "pulse_core_issuing",
        "1 once core says what it knows; 0 while it collects what edges declare."
    );
    describe_counter!(
        "pulse_core_refused_total",
        "Edges that were refused or ended, by cause."
    );
    describe_counter!(
        "pulse_core_dropped_total",
        "What edges said that was not taken, by cause."
    );
    for name in [
        "pulse_core_edges",
        "pulse_core_rooms",
        "pulse_core_connections",
        "pulse_core_issuing",
    ] {
        gauge!(name).set(0.0);
    }
}
