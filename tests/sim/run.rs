//! Runs one world from its seed, on the thread that asks.

use std::{fmt, time::Duration};

use pulse_core::planted::{self, Bug};

use crate::{
    authority::Authority,
    check::Violation,
    counters::Counters,
    world::{Counts, World},
};

/// How one world went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) lived: Duration,
    pub(crate) counts: Counts,
    pub(crate) violation: Option<Violation>,
    /// Of all that was observed.
    pub(crate) digest: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {:?}, {:?}, digest {:x}",
            self.seed, self.lived, self.counts, self.digest
        )?;
        match &self.violation {
            None => Ok(()),
            Some(violation) => write!(
                f,
                "\n  {violation}\n  again: PULSE_SIM_SEED={} cargo test --release --features planted-bugs --test sim long",
                self.seed
            ),
        }
    }
}

/// Lets a world live so long, with a fault planted or none.
pub(crate) fn run(
    authority: &Authority,
    seed: u64,
    lasting: Duration,
    bug: Option<Bug>,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let counters = Counters::default();
    let _counting = metrics::set_default_local_recorder(&counters);
    planted::plant(bug);
    let outcome = runtime.block_on(async {
        let mut world = World::new(seed, counters.clone(), authority);
        world.live(lasting).await;
        Outcome {
            seed,
            lived: world.began.elapsed(),
            counts: world.counts,
            violation: world.violation.take(),
            digest: world.digest,
        }
    });
    planted::plant(None);
    outcome
}
