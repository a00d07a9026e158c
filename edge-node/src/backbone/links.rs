//! The edges that there is a link with now. Rooms look here when they begin; later they are told.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pulse_proto::cluster::EdgeId;

use super::peer::PeerLink;

/// All links of this edge.
#[derive(Clone, Default)]
pub(crate) struct Links {
    by_edge: Arc<Mutex<BTreeMap<EdgeId, Arc<PeerLink>>>>,
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
