//! What losses say of a path. Most say nothing: lossy paths carry what they are given. Loss that follows the
//! rate is a bottleneck without a queue. Never sets the rate.

use std::time::Instant;

use crate::backbone::limits::{
    LOSS_HIGH, LOSS_MARGIN, LOSS_MEMORY, LOSS_OVER, LOSS_SPAN, LOSS_VAIN,
};

/// What a window of loss leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The path is full: no more than it delivers is to be sent.
    Full,
    /// The last such cut has changed nothing: the rate before it is as good.
    InVain { rate_before: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// Not known yet.
    Awaited,
    /// Only so much is lost now: the path was full.
    Less(f64),
    /// As much is lost as before: it was not.
    Vain,
}

/// What a cut has taught.
#[derive(Clone, Copy, Debug)]
struct Lesson {
    at: Instant,
    /// The rate at which there was loss, and how much.
    rate: f64,
    before: f64,
    outcome: Outcome,
}

/// Judges the losses of one direction.
#[derive(Debug)]
pub(super) struct Loss {
    part: f64,
    last: f64,
    lesson: Option<Lesson>,
}

impl Loss {
    pub(super) const fn new() -> Self {
        Self {
            part: 0.0,
            last: 0.0,
            lesson: None,
        }
    }

    /// The part that was lost in the last window.
    pub(super) const fn part(&self) -> f64 {
        self.part
    }

    /// Whether that was more than bad luck.
    pub(super) fn is_high(&self) -> bool {
        self.part >= LOSS_HIGH
    }

    /// After a silence: what was lost in it says nothing.
    pub(super) const fn restart(&mut self) {
        self.last = 0.0;
    }

    /// Whether a rate that was higher is known to lead to loss.
    pub(super) fn limits(&self) -> bool {
        self.lesson
            .is_some_and(|lesson| lesson.outcome != Outcome::Vain)
    }

    /// Whether this rate begins to.
    pub(super) fn begins(&self) -> bool {
        match self.lesson.map(|lesson| lesson.outcome) {
            Some(Outcome::Less(after)) => self.part >= after + LOSS_MARGIN / 2.0,
            Some(Outcome::Awaited) => true,
            Some(Outcome::Vain) | None => false,
        }
    }

    /// So much was lost in a window that ends now, in which so much was sent. While a queue is drained nothing is
    /// learnt: what overflowed was that queue.
    pub(super) fn on_window(
        &mut self,
        now: Instant,
        part: f64,
        rate: f64,
        draining: bool,
    ) -> Option<Verdict> {
        self.last = std::mem::replace(&mut self.part, part);
        let holds = |lesson: &Lesson| {
            let recent = now.saturating_duration_since(lesson.at) <= LOSS_MEMORY;
            recent && (rate <= lesson.rate * LOSS_OVER || lesson.outcome == Outcome::Vain)
        };
        self.lesson = self.lesson.filter(holds);
        if draining {
            return None;
        }
        if let Some(lesson) = &mut self.lesson
            && lesson.outcome == Outcome::Awaited
        {
            // The first whole window after the cut.
            if now.saturating_duration_since(lesson.at) <= LOSS_SPAN * 2 {
                return None;
            }
            if part < lesson.before * LOSS_VAIN {
                lesson.outcome = Outcome::Less(part);
                return None;
            }
            lesson.outcome = Outcome::Vain;
            return Some(Verdict::InVain {
                rate_before: lesson.rate,
            });
        }
        if part.min(self.last) < self.limit() {
            return None;
        }
        self.lesson = Some(Lesson {
            at: now,
            rate,
            before: part,
            outcome: Outcome::Awaited,
        });
        Some(Verdict::Full)
    }

    /// The loss from which on the path is believed to be full.
    fn limit(&self) -> f64 {
        match self.lesson.map(|lesson| (lesson.before, lesson.outcome)) {
            Some((_, Outcome::Less(after))) => after + LOSS_MARGIN,
            Some((before, Outcome::Vain)) => before + LOSS_HIGH,
            Some((_, Outcome::Awaited)) | None => LOSS_HIGH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::testing::{ms, start};

    /// Windows of 300 ms, and what each led to.
    fn judge(loss: &mut Loss, begin: Instant, from: u64, parts: &[f64]) -> Vec<Option<Verdict>> {
        let windows = parts.iter().zip(from..);
        let judged = windows
            .map(|(part, index)| loss.on_window(begin + ms(index * 300), *part, 1_000.0, false));
        judged.collect()
    }

    #[test]
    fn bad_luck_and_single_windows_are_borne() {
        let mut loss = Loss::new();
        let parts = [0.05, 0.1, 0.19, 0.19, 0.9, 0.0, 0.9, 0.1];
        let judged = judge(&mut loss, start(), 0, &parts);
        assert_eq!(judged, [None; 8]);
        assert!(!loss.limits());
    }

    #[test]
    fn loss_that_a_cut_lessens_teaches_where_it_begins() {
        let (mut loss, begin) = (Loss::new(), start());
        let judged = judge(&mut loss, begin, 0, &[0.4, 0.4, 0.3, 0.02, 0.02]);
        assert_eq!(judged, [None, Some(Verdict::Full), None, None, None]);
        assert!(loss.limits() && !loss.begins());
        let judged = judge(&mut loss, begin, 5, &[0.05, 0.08, 0.08]);
        assert_eq!(judged, [None, None, Some(Verdict::Full)]);
        // Forgotten after 20 s, or at a rate that is higher by far.
        judge(&mut loss, begin, 8, &[0.0; 3]);
        assert!(loss.limits());
        loss.on_window(begin + ms(4_000), 0.0, 1_300.0, false);
        assert!(!loss.limits());
    }

    #[test]
    fn loss_that_a_cut_does_not_lessen_is_borne() {
        let (mut loss, begin) = (Loss::new(), start());
        let judged = judge(&mut loss, begin, 0, &[0.3, 0.3, 0.3, 0.3, 0.35, 0.35]);
        let in_vain = Some(Verdict::InVain {
            rate_before: 1_000.0,
        });
        assert_eq!(
            judged,
            [None, Some(Verdict::Full), None, in_vain, None, None]
        );
        assert!(!loss.limits() && !loss.begins());
    }
}
