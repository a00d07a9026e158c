//! Whether a link carries more than it is given. While something is left out for want of it, copies of what has left
//! fill what the budget allows, so that the budget grows as it does when something waits; at the first sign of a
//! queue they stop for a while. Never chooses what comes back.

use std::time::{Duration, Instant};

use pulse_proto::backbone::{Budget, BudgetState, limits::QUEUE_LOW};

use crate::limits::{LINK_MORE_LOOK, LINK_MORE_MARGIN, LINK_MORE_PAUSE, LINK_MORE_SHARE};

/// The search for more.
pub(super) struct More {
    /// No copies before.
    quiet_until: Instant,
    looked_at: Instant,
    /// Bytes of media that had left at the last look, and how many a second since the one before.
    left: u64,
    used: f64,
}

impl More {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            quiet_until: now,
            looked_at: now,
            left: 0,
            used: 0.0,
        }
    }

    /// Whether a look is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.looked_at + LINK_MORE_LOOK
    }

    /// So many bytes of media have left by now, copies not counted: the bytes a second that the link carries
    /// beside them.
    pub(super) fn look(&mut self, now: Instant, left: u64, budget: &Budget) -> u64 {
        let since = now.saturating_duration_since(self.looked_at);
        let more = left.saturating_sub(self.left) as f64;
        let used = more / since.max(Duration::from_millis(1)).as_secs_f64();
        // What has just come back counts at once, and what has just ended for a moment yet.
        self.used = used.max((self.used + used) / 2.0);
        self.looked_at = now;
        self.left = left;
        if !matches!(budget.state(), BudgetState::Clear | BudgetState::Full) {
            return 0;
        }
        (budget.rate() * LINK_MORE_SHARE - self.used).max(0.0) as u64
    }

    /// Whether copies are to leave now, so many bytes a second being left out.
    pub(super) fn wants(&mut self, now: Instant, missing: Option<u64>, budget: &Budget) -> bool {
        let Some(missing) = missing else { return false };
        if budget.state() != BudgetState::Clear || budget.queue_delay() > QUEUE_LOW {
            self.quiet_until = now + LINK_MORE_PAUSE;
        }
        let enough = (self.used + missing as f64) / LINK_MORE_SHARE;
        // A little more than enough, or the last of it would never come back.
        now >= self.quiet_until && budget.rate() < enough * LINK_MORE_MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_leave_only_while_something_is_missing_and_the_budget_is_less_than_it_needs() {
        let now = tokio::time::Instant::now().into_std();
        let budget = Budget::new(now);
        let mut more = More::new(now);
        assert!(!more.wants(now, None, &budget));
        assert!(more.wants(now, Some(1_000_000), &budget));
        assert!(!more.wants(now, Some(1_000), &budget));
    }

    #[test]
    fn room_is_what_the_budget_leaves() {
        let now = tokio::time::Instant::now().into_std();
        let budget = Budget::new(now);
        let mut more = More::new(now);
        let later = now + LINK_MORE_LOOK;
        assert!(!more.is_due(now) && more.is_due(later));
        let unused = more.look(later, 0, &budget);
        let half = (budget.rate() * LINK_MORE_LOOK.as_secs_f64() / 2.0) as u64;
        let used = more.look(later + LINK_MORE_LOOK, half, &budget);
        assert!(used < unused && used > unused / 4, "{unused} {used}");
    }
}
