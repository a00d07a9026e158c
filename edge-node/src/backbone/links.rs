//! The edges that there is a link with now. Rooms look here when they begin; later they are told.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[cfg(feature = "simulation")]
use pulse_proto::backbone::Aliases;
use pulse_proto::cluster::EdgeId;

use super::peer::PeerLink;

/// All links of this edge.
#[derive(Clone, Default)]
pub(crate) struct Links {
    by_edge: Arc<Mutex<BTreeMap<EdgeId, Arc<PeerLink>>>>,
    /// Of links that are over; only a planted fault keeps any.
    #[cfg(feature = "simulation")]
    aliases: Arc<Mutex<BTreeMap<EdgeId, Aliases>>>,
}

impl Links {
    /// There is a link now. Returns the one that it replaces.
    pub(crate) fn insert(&self, link: Arc<PeerLink>) -> Option<Arc<PeerLink>> {
        self.lock().insert(link.edge().clone(), link)
    }

    /// A link is over; whether it was the one in use.
    pub(crate) fn remove(&self, link: &Arc<PeerLink>) -> bool {
        let mut links = self.lock();
        let in_use = links
            .get(link.edge())
            .is_some_and(|used| Arc::ptr_eq(used, link));
        if in_use {
            links.remove(link.edge());
        }
        in_use
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<PeerLink>> {
        self.lock().values().cloned().collect()
    }

    /// The short names that the last link with an edge gave.
    #[cfg(feature = "simulation")]
    pub(crate) fn take_aliases(&self, edge: &EdgeId) -> Option<Aliases> {
        let mut kept = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(edge)
    }

    /// Keeps them for the next.
    #[cfg(feature = "simulation")]
    pub(crate) fn keep_aliases(&self, edge: EdgeId, aliases: Aliases) {
        let mut kept = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(edge, aliases);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EdgeId, Arc<PeerLink>>> {
        // Every statement leaves the map whole.
        self.by_edge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}
