//! Which pages may talk to this edge, and whom its own pages may talk to: the edges of the directory and what
//! the operator allows beside them. It refuses nobody itself; the routes do.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{directory::Directory, limits::MAX_NAMED_EDGES};

/// How long a browser may remember that it need not ask before it fetches images: Chromium's own bound.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Any page may see the answer, and when its bytes came.
pub(crate) const FOR_EVERY_PAGE: [(HeaderName, HeaderValue); 3] = [
    (
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    ),
    (
        HeaderName::from_static("timing-allow-origin"),
        HeaderValue::from_static("*"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What decides.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    pub(crate) directory: Directory,
    /// What the operator allows; any page, if it is empty.
    pub(crate) allowed: Arc<[String]>,
}

impl Origins {
    /// Whether the page that asks may. Programs that are no browsers name none.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let origin = origin.as_bytes();
        self.allowed.is_empty()
            || self.directory.has_origin(origin)
            || self.allowed.iter().any(|one| one.as_bytes() == origin)
    }

    /// What a page of this edge may do, opened by this host's name: run its own scripts alone, talk to the
    /// edges alone.
    pub(crate) fn page_policy(&self, host: Option<&HeaderValue>) -> HeaderValue {
        let mut sources = String::from("'self'");
        // Not every browser takes a socket to the same host for 'self'.
        if let Some(host) = host.and_then(host_source) {
            sources.push_str(&format!(" ws://{host} wss://{host}"));
        }
        let edges = self.directory.all();
        if edges.len() > MAX_NAMED_EDGES {
            sources.push_str(" https: wss:");
        } else {
            for edge in edges {
                let socket = edge.url.replacen("http", "ws", 1);
                sources.push_str(&format!(" {} {socket}", edge.url));
            }
        }
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src {sources}; \
             img-src 'self' blob:; media-src 'self' blob:; worker-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
}

/// A host as a policy can name it: one that would end the directive, or an IPv6 address, it cannot.
fn host_source(host: &HeaderValue) -> Option<&str> {
    let host = host.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}

/// Gives every answer its policy.
pub(crate) async fn with_policy(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let policy = origins.page_policy(request.headers().get(header::HOST));
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Lets pages of other edges fetch: answers what a browser asks before, and says whose page may read the answer.
pub(crate) async fn shared(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let reader = origin.filter(|_| origins.allow(request.headers()));
    let asked = request.method() == Method::OPTIONS;
    let mut response = match (asked, &reader) {
        (false, _) => next.run(request).await,
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        (true, None) => StatusCode::FORBIDDEN.into_response(),
    };
    let head = response.headers_mut();
    head.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(reader) = reader {
        head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        if asked {
            head.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, POST"),
            );
            head.insert(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("authorization, content-type"),
            );
            head.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use pulse_proto::cluster::{EdgeId, Region};

    use super::*;
    use crate::directory::PublicEdge;

    fn edge(number: usize) -> PublicEdge {
        PublicEdge {
            id: EdgeId::parse(&format!("edge-{number:02}")).unwrap(),
            region: Region::parse("fra").unwrap(),
            url: format!("https://edge-{number:02}.example"),
            draining: false,
        }
    }

    fn origins(edges: usize, allowed: &[&str]) -> Origins {
        let directory = Directory::new(edge(0));
        directory.replace((1..edges).map(edge).collect());
        Origins {
            directory,
            allowed: allowed.iter().map(|&one| one.to_owned()).collect(),
        }
    }

    fn page(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))])
    }

    #[test]
    fn pages_of_the_edges_are_allowed_beside_those_of_the_operator() {
        let strict = origins(2, &["https://meet.example"]);
        assert!(strict.allow(&HeaderMap::new()));
        assert!(strict.allow(&page("https://meet.example")));
        assert!(strict.allow(&page("https://edge-01.example")));
        assert!(!strict.allow(&page("https://edge-02.example")));
        assert!(!strict.allow(&page("null")));
        assert!(origins(1, &[]).allow(&page("https://anybody.example")));
    }

    #[test]
    fn a_page_may_talk_to_its_own_host_and_to_the_edges() {
        let connect = |origins: &Origins, host: &'static str| {
            let policy = origins.page_policy(Some(&HeaderValue::from_static(host)));
            let policy = policy.to_str().unwrap().to_owned();
            let directive = policy
                .split("; ")
                .find(|one| one.starts_with("connect-src"));
            directive.unwrap().to_owned()
        };
        assert_eq!(
            connect(&origins(2, &[]), "here:8080"),
            "connect-src 'self' ws://here:8080 wss://here:8080 \
             https://edge-00.example wss://edge-00.example \
             https://edge-01.example wss://edge-01.example"
        );
        for host in ["a; script-src *", "[::1]:8080", "a b", ""] {
            assert_eq!(
                connect(&origins(1, &[]), host),
                "connect-src 'self' https://edge-00.example wss://edge-00.example"
            );
        }
        let many = connect(&origins(MAX_NAMED_EDGES + 1, &[]), "here");
        assert!(many.ends_with(" https: wss:"), "{many}");
    }
}
