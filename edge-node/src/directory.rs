//! The edges that people may connect to, as core said last; this one is always among them. It goes on being
//! served while core is gone.

use std::sync::Arc;

use pulse_proto::{
    cluster::{EdgeId, Region},
    control::Alternate,
    limits::MAX_ALTERNATES,
};
use tokio::sync::watch;

/// An edge as people reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicEdge {
    pub(crate) id: EdgeId,
    pub(crate) region: Region,
    /// The origin that browsers open, such as https://fra.example.org.
    pub(crate) url: String,
    /// It stops soon: nobody is to begin there.
    pub(crate) draining: bool,
}

/// What one client is told of the edges: where this one stands, and where to go when it is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) region: Option<String>,
    pub(crate) alternates: Vec<Alternate>,
}

/// The last copy of the list.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    own: EdgeId,
    edges: Arc<watch::Sender<Vec<PublicEdge>>>,
}

impl Directory {
    /// This edge alone.
    pub(crate) fn new(own: PublicEdge) -> Self {
        let id = own.id.clone();
        let (edges, _) = watch::channel(vec![own]);
        Self {
            own: id,
            edges: Arc::new(edges),
        }
    }

    /// What core says. A list without this edge does not lose it, and what it is is known here.
    pub(crate) fn replace(&self, others: Vec<PublicEdge>) {
        self.edges.send_if_modified(|edges| {
            let own = edges.iter().find(|edge| edge.id == self.own).cloned();
            let others = others.into_iter().filter(|edge| edge.id != self.own);
            let mut listed: Vec<PublicEdge> = own.into_iter().chain(others).collect();
            listed.sort_by(|a, b| a.id.cmp(&b.id));
            let changed = listed != *edges;
            *edges = listed;
            changed
        });
    }

    /// This edge stops soon.
    pub(crate) fn drain(&self) {
        self.edges.send_if_modified(|edges| {
            let own = edges.iter_mut().find(|edge| edge.id == self.own);
            own.is_some_and(|own| !std::mem::replace(&mut own.draining, true))
        });
    }

    /// Whether that is this edge.
    pub(crate) fn is_own(&self, edge: &EdgeId) -> bool {
        *edge == self.own
    }

    /// Everybody, by name.
    pub(crate) fn all(&self) -> Vec<PublicEdge> {
        self.edges.borrow().clone()
    }

    /// Wakes up whenever the list has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<Vec<PublicEdge>> {
        self.edges.subscribe()
    }

    /// What a client is told. `turn` is another number for each: where many lose this edge at once, they
    /// spread over the others.
    pub(crate) fn whereabouts(&self, turn: u64) -> Whereabouts {
        let edges = self.edges.borrow();
        let own = edges.iter().find(|edge| edge.id == self.own);
        let region = own.map(|own| own.region.to_string());
        let mut others: Vec<&PublicEdge> = edges
            .iter()
            .filter(|edge| edge.id != self.own && !edge.draining)
            .collect();
        if let Some(first) = turn.checked_rem(others.len() as u64) {
            others.rotate_left(usize::try_from(first).unwrap_or_default());
        }
        // The nearest first: those that stand where this one does.
        others.sort_by_key(|edge| own.is_none_or(|own| edge.region != own.region));
        let alternates = others.into_iter().take(MAX_ALTERNATES);
        Whereabouts {
            region,
            alternates: alternates
                .map(|edge| Alternate {
                    url: edge.url.clone(),
                    region: edge.region.to_string(),
                })
                .collect(),
        }
    }

    /// Whether a page of this origin comes from an edge of the cluster.
    pub(crate) fn has_origin(&self, origin: &[u8]) -> bool {
        let edges = self.edges.borrow();
        edges.iter().any(|edge| edge.url.as_bytes() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(id: &str, region: &str) -> PublicEdge {
        PublicEdge {
            id: EdgeId::parse(id).unwrap(),
            region: Region::parse(region).unwrap(),
            url: format!("https://{id}.example"),
            draining: false,
        }
    }

    fn alternates(directory: &Directory, turn: u64) -> Vec<String> {
        let told = directory.whereabouts(turn).alternates;
        told.into_iter().map(|edge| edge.url).collect()
    }

    #[test]
    fn this_edge_is_always_listed_and_never_its_own_alternate() {
        let directory = Directory::new(edge("b", "r"));
        assert_eq!(directory.whereabouts(7).region.as_deref(), Some("r"));
        assert!(alternates(&directory, 7).is_empty());
        let gone = PublicEdge {
            draining: true,
            ..edge("a", "r")
        };
        directory.replace(vec![edge("c", "r"), gone]);
        let names: Vec<String> = directory.all().iter().map(|e| e.id.to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(alternates(&directory, 0), ["https://c.example"]);
        assert!(directory.has_origin(b"https://a.example"));
        assert!(!directory.has_origin(b"https://d.example"));
    }

    #[test]
    fn those_nearby_are_first_and_everybody_begins_elsewhere() {
        let directory = Directory::new(edge("a", "fra"));
        directory.replace(vec![
            edge("b", "sgp"),
            edge("c", "fra"),
            edge("d", "fra"),
            edge("e", "iad"),
        ]);
        let (c, d) = ("https://c.example", "https://d.example");
        let told: Vec<Vec<String>> = (0..4).map(|turn| alternates(&directory, turn)).collect();
        for each in &told {
            assert!(*each == [c, d] || *each == [d, c], "{told:?}");
        }
        assert!(told.contains(&vec![c.into(), d.into()]));
        assert!(told.contains(&vec![d.into(), c.into()]));
    }

    #[test]
    fn only_what_is_new_wakes_anybody() {
        let directory = Directory::new(edge("a", "fra"));
        let mut changes = directory.changes();
        directory.replace(vec![edge("a", "elsewhere")]);
        assert!(!changes.has_changed().unwrap());
        directory.replace(vec![edge("b", "sgp")]);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        directory.drain();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        directory.drain();
        // What core says of this edge is older than what it says itself.
        directory.replace(vec![edge("a", "fra"), edge("b", "sgp")]);
        assert!(!changes.has_changed().unwrap());
        assert!(directory.all().iter().any(|edge| edge.draining));
    }
}
