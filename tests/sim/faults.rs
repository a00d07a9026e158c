//! What breaks, by chance, for how long, and how it is mended: ways are cut or lossy, servers stand still, die
//! and come back, clocks on walls are set.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    cluster::{CORES, Clock, core_node, edge_node},
    facts::DEAD_WITHIN,
    network::NODES,
    world::World,
};

/// Something that is broken.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    what: Fault,
    since: Instant,
    until: Instant,
}

#[derive(Clone, Debug)]
enum Fault {
    /// Nothing passes from one to the other, or both ways.
    Cut { from: usize, to: usize, both: bool },
    /// Nothing passes to or from one.
    Isolated { node: usize },
    /// An edge hears no core.
    CoreLost { edge: usize },
    /// Nothing passes between two, and then again.
    Flapping { a: usize, b: usize },
    /// So much is lost everywhere.
    Lossy { permille: u64 },
    /// Everything between two takes longer.
    Slow { a: usize, b: usize },
    /// Everything of one arrives later, together.
    Still,
    /// An edge does not run.
    NoEdge { edge: usize },
    /// A core does not run.
    NoCore { core: usize },
    /// A later core has taken the place of one that cannot be reached.
    Replaced { old: usize },
    /// The later one is gone, and the old one can be reached again.
    OldBack { old: usize },
}

impl World {
    /// Mends what is due, breaks something more in times of trouble.
    pub(crate) async fn break_and_mend(&mut self, now: Instant) {
        self.bury(now).await;
        let (over, left) = std::mem::take(&mut self.active)
            .into_iter()
            .partition::<Vec<_>, _>(|fault| now >= fault.until);
        self.active = left;
        for fault in &over {
            self.mend(now, &fault.what);
        }
        if over.iter().chain(&self.active).any(of_core) {
            self.core_changed_at = now;
        }
        // Each trouble begins with one fault, and others may join it; then there is calm.
        let troubled = !self.active.is_empty();
        let more = troubled && self.active.len() < 3 && self.random.chance(4);
        if now >= self.quiet_until && (now >= self.trouble_at || more) {
            let lasting = self.random.between_ms(200, 12_000);
            self.break_one(now, lasting).await;
            self.counts.faults += 1;
        }
        if !self.active.is_empty() {
            self.trouble_at = now + self.random.between_ms(8_000, 25_000);
        }
        // Who is dead for long enough is missed by nobody.
        let missed = |fault: &&Active| match fault.what {
            Fault::NoEdge { edge } => now < self.cluster.edges[edge].since + DEAD_WITHIN,
            _ => true,
        };
        if self.active.iter().any(|fault| missed(&fault)) {
            self.mended_since = None;
        } else if self.mended_since.is_none() {
            self.mended_since = Some(now);
        }
        let beside_core = |fault: &Active| !matches!(fault.what, Fault::CoreLost { .. });
        if self.active.iter().any(beside_core) {
            self.other_trouble_at = now;
        }
        if !over.is_empty() || !self.active.is_empty() {
            self.set_ways();
        }
    }

    async fn break_one(&mut self, now: Instant, mut lasting: Duration) {
        let edges = self.cluster.edges.len();
        let edge = self.random.index(edges);
        let other = (edge + 1 + self.random.index(edges - 1)) % edges;
        let (a, b) = (edge_node(edge), edge_node(other));
        let core = self.cluster.cores.iter().position(Option::is_some);
        let core_alone = !self.active.iter().any(of_core);
        let what = match (self.random.below(14), core) {
            (0, _) => Fault::Cut {
                from: a,
                to: b,
                both: true,
            },
            (1, _) => Fault::Cut {
                from: a,
                to: b,
                both: false,
            },
            (2, Some(core)) => Fault::Cut {
                from: if self.random.chance(500) {
                    core_node(core)
                } else {
                    a
                },
                to: if self.random.chance(500) {
                    core_node(core)
                } else {
                    a
                },
                both: false,
            },
            (3, _) => Fault::Isolated { node: a },
            (4, Some(core)) => Fault::Isolated {
                node: core_node(core),
            },
            (5, _) => {
                lasting = lasting.max(Duration::from_secs(8));
                Fault::CoreLost { edge }
            }
            (6, _) => Fault::Flapping { a, b },
            (7, _) => Fault::Lossy {
                permille: 20 + self.random.below(250),
            },
            (8, _) => Fault::Slow { a, b },
            (9, _) => {
                let node = if self.random.chance(300) {
                    core.map_or(a, core_node)
                } else {
                    a
                };
                self.cluster.network.stand_still(node, now + lasting / 2);
                Fault::Still
            }
            (10 | 11, _)
                if self.cluster.edges[edge].running.is_some()
                    && self.cluster.running().count() > 1 =>
            {
                self.flee(now, edge).await;
                if self.random.chance(700) {
                    self.cluster.kill_edge(edge);
                } else {
                    self.cluster.stop_edge(edge);
                }
                self.facts.edge_died(edge);
                self.set_clock(a);
                if self.random.chance(300) {
                    lasting = Duration::from_secs(25);
                }
                Fault::NoEdge { edge }
            }
            (12, Some(core)) if core_alone => {
                if self.random.chance(700) {
                    self.cluster.kill_core(core);
                } else {
                    self.cluster.stop_core(core);
                }
                Fault::NoCore { core }
            }
            (13, Some(old)) if core_alone => {
                self.cluster.start_core((old + 1) % CORES, Clock::Right);
                Fault::Replaced { old }
            }
            _ => Fault::Lossy { permille: 50 },
        };
        let until = now + lasting;
        self.tell(|| format!("{what:?} for {lasting:?}"));
        self.active.push(Active {
            what,
            since: now,
            until,
        });
    }

    /// Since when that edge cannot reach core, if it cannot.
    pub(crate) fn without_core_since(&self, edge: usize) -> Option<Instant> {
        let lost =
            |fault: &&Active| matches!(fault.what, Fault::CoreLost { edge: of } if of == edge);
        self.active
            .iter()
            .filter(lost)
            .map(|fault| fault.since)
            .min()
    }

    fn mend(&mut self, now: Instant, fault: &Fault) {
        self.mended_since = None;
        self.tell(|| format!("over: {fault:?}"));
        match fault {
            Fault::NoEdge { edge } => self.cluster.start_edge(*edge),
            Fault::NoCore { core } => {
                // A core whose clock was set back learns of it from edges that knew the one before: it must
                // hear of one of them while it collects.
                let known = now.checked_sub(Duration::from_secs(30)).unwrap_or(now);
                let settled = self.cluster.edges.iter().all(|edge| edge.since < known);
                let clock = if self.active.is_empty() && settled && self.random.chance(300) {
                    self.quiet_until = now + Duration::from_secs(5);
                    Clock::SetBack
                } else {
                    Clock::Right
                };
                self.cluster.start_core(*core, clock);
            }
            Fault::Replaced { old } => {
                self.cluster.kill_core((old + 1) % CORES);
                let until = now + Duration::from_secs(6);
                let what = Fault::OldBack { old: *old };
                self.active.push(Active {
                    what,
                    since: now,
                    until,
                });
            }
            Fault::OldBack { old } => {
                self.cluster.kill_core(*old);
                self.cluster.start_core((old + 1) % CORES, Clock::Right);
            }
            _ => {}
        }
    }

    /// The clock on the wall of a server is set now and then.
    fn set_clock(&mut self, node: usize) {
        if self.random.chance(300) {
            let by = i64::try_from(self.random.below(7_200_000)).unwrap();
            self.cluster.ahead_ms[node] = by - 3_600_000;
        }
    }

    /// Sets every way as what is broken makes it.
    pub(crate) fn set_ways(&mut self) {
        let network = self.cluster.network.clone();
        let mut cut = [[false; NODES]; NODES];
        let (mut loss, mut slow) = (self.loss_permille, Vec::new());
        for fault in &self.active {
            match fault.what {
                Fault::Cut { from, to, both } => {
                    cut[from][to] = true;
                    cut[to][from] |= both;
                }
                Fault::Isolated { node } => isolate(&mut cut, node),
                Fault::Replaced { old } => isolate(&mut cut, core_node(old)),
                Fault::CoreLost { edge } => {
                    for core in 0..CORES {
                        cut[edge_node(edge)][core_node(core)] = true;
                        cut[core_node(core)][edge_node(edge)] = true;
                    }
                }
                Fault::Flapping { a, b } => {
                    // A second each.
                    let now = self.began.elapsed().as_secs().is_multiple_of(2);
                    cut[a][b] |= now;
                    cut[b][a] |= now;
                }
                Fault::Lossy { permille } => loss += permille,
                Fault::Slow { a, b } => slow.extend([(a, b), (b, a)]),
                Fault::Still
                | Fault::NoEdge { .. }
                | Fault::NoCore { .. }
                | Fault::OldBack { .. } => {}
            }
        }
        for (from, cut) in cut.iter().enumerate() {
            for (to, cut) in cut.iter().enumerate() {
                let takes_longer = slow.contains(&(from, to));
                network.change(from, to, |way| {
                    way.cut = *cut;
                    way.loss_permille = loss;
                    way.more_us = if takes_longer { 300_000 } else { 0 };
                });
            }
        }
    }
}

/// Whether another core is to come, or has.
const fn of_core(fault: &Active) -> bool {
    matches!(
        fault.what,
        Fault::NoCore { .. } | Fault::Replaced { .. } | Fault::OldBack { .. }
    )
}

fn isolate(cut: &mut [[bool; NODES]; NODES], node: usize) {
    cut[node] = [true; NODES];
    for from in cut {
        from[node] = true;
    }
}
