//! The web app, embedded in the binary: what a browser may fetch, and the headers that bound what the
//! page may do.

mod coding;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rust_embed::RustEmbed;

use self::coding::{Coding, compressed};

#[derive(RustEmbed)]
#[folder = "../clients/web"]
#[exclude = "test/*"]
#[exclude = "*.md"]
#[exclude = "*.json"]
#[exclude = "*.d.ts"]
#[exclude = "*.png"]
struct App;

/// Headers of everything served, beside the policy that [`crate::origins`] gives it. The page is isolated
/// (COOP and COEP), which lets audio ride shared memory.
pub(crate) const HEADERS: [(HeaderName, HeaderValue); 6] = [
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
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
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
    let (content_type, is_text) = content_type(path);
    let coded = match Coding::accepted(&headers).filter(|_| is_text) {
        Some(coding) => compressed(path, hash, &file.data, coding)
            .await
            .map(|bytes| (coding, bytes)),
        None => None,
    };
    // The same file in another coding is another representation: it has a tag of its own.
    let tag = BASE64_URL_SAFE_NO_PAD.encode(hash.get(..12).unwrap_or(&hash));
    let etag = match &coded {
        Some((coding, _)) => format!("\"{tag}-{}\"", coding.name()),
        None => format!("\"{tag}\""),
    };
    let fresh = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == etag.as_str());
    let mut response = match (fresh, coded) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Some((coding, bytes))) => (
            [(header::CONTENT_ENCODING, coding.name())],
            Body::from(bytes),
        )
            .into_response(),
        (false, None) => file.data.into_response(),
    };
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // A new release must not meet scripts of the old one: every load asks.
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_text {
        head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        head.insert(header::ETAG, etag);
    }
    response
}

/// The MIME type of a file, and whether it is text, which compresses.
fn content_type(path: &str) -> (&'static str, bool) {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => ("text/html; charset=utf-8", true),
        Some("js") => ("text/javascript; charset=utf-8", true),
        Some("css") => ("text/css; charset=utf-8", true),
        Some("svg") => ("image/svg+xml", true),
        Some("png") => ("image/png", false),
        _ => ("application/octet-stream", false),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    async fn ask(path: &'static str, asked: &[(HeaderName, &str)]) -> (Response<()>, Vec<u8>) {
        let mut headers = HeaderMap::new();
        for (name, value) in asked {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let (parts, body) = serve(Uri::from_static(path), headers).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        (Response::from_parts(parts, ()), body)
    }

    fn header<'a>(response: &'a Response<()>, name: &HeaderName) -> Option<&'a str> {
        response.headers().get(name)?.to_str().ok()
    }

    #[tokio::test]
    async fn text_is_compressed_for_who_takes_it() {
        let (plain, whole) = ask("/", &[]).await;
        assert_eq!(header(&plain, &header::CONTENT_ENCODING), None);
        assert_eq!(header(&plain, &header::VARY), Some("accept-encoding"));
        let known = header(&plain, &header::ETAG).unwrap();

        let chrome = [(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd")];
        let (coded, body) = ask("/", &chrome).await;
        assert_eq!(header(&coded, &header::CONTENT_ENCODING), Some("br"));
        assert_eq!(header(&coded, &header::VARY), Some("accept-encoding"));
        assert_eq!(header(&coded, &header::CACHE_CONTROL), Some("no-cache"));
        let kind = header(&coded, &header::CONTENT_TYPE);
        assert_eq!(kind, Some("text/html; charset=utf-8"));
        let mut back = Vec::new();
        brotli::BrotliDecompress(&mut &body[..], &mut back).unwrap();
        assert_eq!(back, whole);
        assert!(body.len() < whole.len());

        // A tag is of one coding: it is fresh there, and nowhere else.
        let tag = header(&coded, &header::ETAG).unwrap();
        assert_ne!(tag, known);
        let (again, body) = ask("/", &[chrome[0].clone(), (header::IF_NONE_MATCH, tag)]).await;
        assert_eq!((again.status(), body.len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(header(&again, &header::ETAG), Some(tag));
        assert_eq!(header(&again, &header::VARY), Some("accept-encoding"));
        assert_eq!(header(&again, &header::CONTENT_ENCODING), None);
        for (asked, status) in [(known, StatusCode::NOT_MODIFIED), (tag, StatusCode::OK)] {
            let (plain, _) = ask("/", &[(header::IF_NONE_MATCH, asked)]).await;
            assert_eq!(plain.status(), status);
        }
        let (gzip, body) = ask("/app.css", &[(header::ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!(header(&gzip, &header::CONTENT_ENCODING), Some("gzip"));
        assert_eq!(body.get(..2), Some(&[0x1f, 0x8b][..]));
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_compressed() {
        let (missing, _) = ask("/none.js", &[(header::ACCEPT_ENCODING, "br")]).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
        assert_eq!(header(&missing, &header::CONTENT_ENCODING), None);
    }

    #[test]
    fn pictures_stay_as_they_are() {
        for (path, is_text) in [
            ("a.js", true),
            ("a.svg", true),
            ("a.png", false),
            ("a", false),
        ] {
            assert_eq!(content_type(path).1, is_text, "{path}");
        }
    }
}
