//! Connections of which nothing useful has come yet, oldest first: when all places are taken the oldest
//! makes way, so that whoever opens sockets and says nothing cannot keep others out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All of one kind. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

impl Unfinished {
    /// Nothing useful has come of this connection; `make_way` ends it. It may be ended until the
    /// ticket is dropped.
    pub(crate) fn enter(&self, make_way: &CancellationToken) -> Ticket {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(number, make_way.clone());
        drop(waiting);
        Ticket {
            all: self.clone(),
            number,
        }
    }

    /// Ends the oldest, if there is one.
    pub(crate) fn displace_oldest(&self) -> bool {
        let oldest = self.lock().by_age.pop_first();
        oldest.is_some_and(|(_, make_way)| {
            make_way.cancel();
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every statement leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the row.
#[derive(Debug)]
pub(crate) struct Ticket {
    all: Unfinished,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.all.lock().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_way_and_who_is_done_does_not() {
        let all = Unfinished::default();
        let tokens: Vec<CancellationToken> = (0..3).map(|_| CancellationToken::new()).collect();
        let mut tickets: Vec<Ticket> = tokens.iter().map(|token| all.enter(token)).collect();
        drop(tickets.remove(0));
        assert!(all.displace_oldest());
        let ended: Vec<bool> = tokens.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(ended, [false, true, false]);
        tickets.push(all.enter(&tokens[0]));
        assert!(all.displace_oldest() && all.displace_oldest());
        assert!(!all.displace_oldest());
        drop(tickets);
        assert!(all.lock().by_age.is_empty());
    }
}
