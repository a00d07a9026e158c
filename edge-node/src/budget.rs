//! A token bucket. Pure: time is an argument.

use std::time::Instant;

/// So much at once, refilled at a rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    level: f64,
    burst: f64,
    per_second: f64,
    at: Instant,
}

impl Budget {
    /// A full bucket.
    pub(crate) const fn new(now: Instant, burst: f64, per_second: f64) -> Self {
        Self {
            level: burst,
            burst,
            per_second,
            at: now,
        }
    }

    /// Takes `amount` if it is there.
    pub(crate) fn take(&mut self, now: Instant, amount: f64) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.per_second).min(self.burst);
        if self.level < amount {
            return false;
        }
        self.level -= amount;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = tokio::time::Instant::now().into_std();
        let mut budget = Budget::new(start, 5.0, 2.0);
        assert_eq!((0..10).filter(|_| budget.take(start, 1.0)).count(), 5);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..10).filter(|_| budget.take(later, 1.0)).count(), 4);
    }
}
