//! What a page asks before it joins: which edges there are, and how far they are. It says what the directory
//! says; the page chooses.

use axum::{Json, extract::State, response::IntoResponse};
use serde::Serialize;

use crate::{
    directory::{Directory, PublicEdge},
    origins::FOR_EVERY_PAGE,
};

#[derive(Serialize)]
struct Listed {
    id: String,
    region: String,
    url: String,
    draining: bool,
    /// It is the one that answers: a page may know it by another address.
    own: bool,
}

#[derive(Serialize)]
struct List {
    edges: Vec<Listed>,
}

impl Listed {
    fn new(edge: PublicEdge, own: bool) -> Self {
        Self {
            id: edge.id.to_string(),
            region: edge.region.to_string(),
            url: edge.url,
            draining: edge.draining,
            own,
        }
    }
}

/// Every edge that is known here.
pub(crate) async fn list(State(directory): State<Directory>) -> impl IntoResponse {
    let edges = directory.all().into_iter();
    let edges = edges.map(|edge| {
        let own = directory.is_own(&edge.id);
        Listed::new(edge, own)
    });
    let edges = edges.collect();
    (FOR_EVERY_PAGE, Json(List { edges }))
}

/// The shortest answer there is: pages measure the way with it.
pub(crate) async fn healthz() -> impl IntoResponse {
    (FOR_EVERY_PAGE, "ok\n")
}
