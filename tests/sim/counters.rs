//! The counters of production code that invariants look at, for one thread.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Chunks that came from an edge which does not hold their sender.
    Foreign,
}

/// Counts for whoever runs under it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    foreign: Arc<AtomicU64>,
}

impl Counters {
    /// How many since it was asked last.
    pub(crate) fn take(&self, what: Counted) -> u64 {
        match what {
            Counted::Foreign => self.foreign.swap(0, Ordering::Relaxed),
        }
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let foreign = key.name() == "pulse_dropped_total"
            && key.labels().any(|label| label.value() == "foreign");
        if foreign {
            Counter::from_arc(self.foreign.clone())
        } else {
            Counter::noop()
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
