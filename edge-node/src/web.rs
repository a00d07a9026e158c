//! The web app, embedded in the binary: what a browser may fetch, and the headers that bound what the
//! page may do.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../clients/web"]
#[exclude = "test/*"]
#[exclude = "*.md"]
#[exclude = "*.json"]
#[exclude = "*.d.ts"]
#[exclude = "*.png"]
struct App;

/// Headers of everything served. The page runs its own scripts alone, talks to its own edge alone, and
/// is isolated (COOP and COEP), which lets audio ride shared memory.
pub(crate) const HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self' ws: wss:; img-src 'self' blob:; media-src 'self' blob:; \
             worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        HeaderValue::from_static("require-corp"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self)",
        ),
    ),
];

/// Serves a file of the app.
pub(crate) fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = App::get(path) else {
        return (
            StatusCode::NOT_FOUND,
            "There is nothing here. The app is at /\n",
        )
            .into_response();
    };
    let hash = file.metadata.sha256_hash();
    let etag = format!(
        "\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(hash.get(..12).unwrap_or(&hash))
    );
    let fresh = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == etag.as_str());
    let head = [
        (header::CONTENT_TYPE, content_type(path).to_owned()),
        // A new release must not meet scripts of the old one: every load asks.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, etag),
    ];
    if fresh {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, file.data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
