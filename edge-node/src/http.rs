//! Every route that clients and operators can ask for. Handlers are thin: sockets go to
//! [`crate::session`], images to [`crate::images`], files to [`crate::web`].

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request, State,
        WebSocketUpgrade,
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use pulse_proto::{
    ErrorCode, RoomName, SUBPROTOCOL,
    control::ErrorMessage,
    limits::{MAX_IMAGE, MAX_MESSAGE},
};
use serde::Deserialize;
use tokio::time::timeout;
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

use crate::{
    clock,
    images::StoredImage,
    limits::{MAX_WRITE_BUFFER, READ_BUFFER, UPLOAD_TIMEOUT},
    metrics, nearest,
    origins::{self, Origins},
    session::{self, Ask, SessionContext, V1Request},
    socket::Socket,
    web,
};

/// What the routes need.
#[derive(Clone, Debug)]
pub(crate) struct HttpContext {
    pub(crate) sessions: SessionContext,
    pub(crate) origins: Origins,
}

/// The routes of clients.
pub(crate) fn client_routes(context: HttpContext) -> Router {
    let origins = context.origins.clone();
    let images = Router::new()
        .route(
            "/v2/images",
            post(upload_image).layer(DefaultBodyLimit::max(MAX_IMAGE)),
        )
        .route("/v2/images/{reference}", get(fetch_image))
        .layer(from_fn_with_state(origins.clone(), origins::shared));
    let directory = Router::new()
        .route("/v1/nearest", get(nearest::list))
        .with_state(origins.directory.clone());
    let mut router = Router::new()
        .route("/v2", get(v2_socket))
        .route("/room/{room}", get(v1_socket))
        .route("/healthz", get(nearest::healthz))
        .merge(images)
        .fallback(get(|uri: Uri, headers: HeaderMap| async move {
            web::serve(uri, headers).await
        }))
        .with_state(context)
        .merge(directory)
        .layer(from_fn_with_state(origins, origins::with_policy));
    for (name, value) in web::HEADERS {
        router = router.layer(SetResponseHeaderLayer::if_not_present(name, value));
    }
    router.layer(CatchPanicLayer::new())
}

/// The routes of operators.
pub(crate) fn ops_routes(prometheus: PrometheusHandle) -> Router {
    Router::new()
        .route("/healthz", get(nearest::healthz))
        .route("/metrics", get(|| async move { prometheus.render() }))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "Operators find /metrics and /healthz here.\n",
            )
        })
}

async fn v2_socket(State(context): State<HttpContext>, request: Request) -> Response {
    upgrade(&context, request, Ask::V2).await
}

#[derive(Deserialize)]
struct V1Query {
    key: Option<String>,
}

async fn v1_socket(
    State(context): State<HttpContext>,
    Path(room): Path<String>,
    Query(query): Query<V1Query>,
    request: Request,
) -> Response {
    let name = RoomName::parse(&room);
    if !request.headers().contains_key(header::UPGRADE) {
        // The original's page had this address; the app takes the room behind the #.
        return match name {
            Ok(room) => Redirect::to(&format!("/#{}", room.reveal())).into_response(),
            Err(code) => refuse(StatusCode::NOT_FOUND, code),
        };
    }
    match name {
        Ok(room) => {
            let has_key = query.key.is_some_and(|key| !key.is_empty());
            upgrade(&context, request, Ask::V1(V1Request { room, has_key })).await
        }
        Err(code) => refuse(StatusCode::BAD_REQUEST, code),
    }
}

/// Turns a request into a socket, on its own task.
async fn upgrade(context: &HttpContext, request: Request, ask: Ask) -> Response {
    if !context.origins.allow(request.headers()) {
        metrics::refused("origin");
        return (
            StatusCode::FORBIDDEN,
            "Pages of this origin may not connect here.\n",
        )
            .into_response();
    }
    let (mut parts, _) = request.into_parts();
    let kernel = parts.extensions.get::<Socket>().cloned();
    let socket = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(socket) => socket.protocols([SUBPROTOCOL]),
        Err(_) => {
            return (
                StatusCode::UPGRADE_REQUIRED,
                "This address speaks WebSocket.\n",
            )
                .into_response();
        }
    };
    let spoken = socket
        .selected_protocol()
        .and_then(|name| name.to_str().ok());
    match (&ask, spoken) {
        (Ask::V2, Some(SUBPROTOCOL)) | (Ask::V1(_), None) => {}
        (Ask::V2, _) => {
            return (
                StatusCode::BAD_REQUEST,
                "Ask for the subprotocol pulse.v2 here.\n",
            )
                .into_response();
        }
        (Ask::V1(_), Some(_)) => {
            return (StatusCode::BAD_REQUEST, "pulse.v2 is spoken at /v2.\n").into_response();
        }
    }
    let sessions = context.sessions.clone();
    let tasks = sessions.tasks.clone();
    socket
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(READ_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| tasks.track_future(session::serve(socket, kernel, ask, sessions)))
}

async fn upload_image(State(context): State<HttpContext>, request: Request) -> Response {
    // Nothing is read of a body whose sender may not upload.
    let opened = bearer(request.headers())
        .and_then(|token| context.sessions.images.open_for_upload(clock::now(), token));
    let stored = match opened {
        Ok(room) => match timeout(UPLOAD_TIMEOUT, Bytes::from_request(request, &())).await {
            Ok(Ok(image)) => room.store(image),
            Ok(Err(_)) => Err(ErrorCode::ImageTooLarge),
            Err(_) => Err(ErrorCode::RateLimited),
        },
        Err(code) => Err(code),
    };
    match stored {
        Ok(image) => (StatusCode::CREATED, Json(image.describe())).into_response(),
        Err(code) => refuse(status(code), code),
    }
}

async fn fetch_image(
    State(context): State<HttpContext>,
    Path(reference): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = bearer(&headers)
        .and_then(|token| context.sessions.images.open(token))
        .and_then(|room| room.get(&reference).ok_or(ErrorCode::NoSuchImage));
    match found {
        Ok(StoredImage { mime, bytes, .. }) => {
            let mime = HeaderValue::from_static(mime);
            let cache = HeaderValue::from_static("private, no-store");
            (
                [(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, cache)],
                bytes,
            )
                .into_response()
        }
        Err(code) => refuse(status(code), code),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, ErrorCode> {
    headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(ErrorCode::BadToken)
}

const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadToken => StatusCode::UNAUTHORIZED,
        ErrorCode::NoSuchImage => StatusCode::NOT_FOUND,
        ErrorCode::ImageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::NotAnImage => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn refuse(status: StatusCode, code: ErrorCode) -> Response {
    metrics::error(code);
    (status, Json(ErrorMessage::new(code, false))).into_response()
}
