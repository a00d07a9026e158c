//! Where a participant goes when its edge is gone, and when it counts as gone. Never opens anything and reads no
//! clock.

use pulse_proto::ErrorCode;
use tokio::time::Instant;

use crate::limits::{
    STAY_ASK, STAY_ATTEMPT, STAY_GIVE_UP, STAY_PAUSE_FIRST, STAY_PAUSE_LONGEST, STAY_SILENT,
};

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// Anything at all came from the edge.
    Heard,
    /// The connection ended, perhaps with a word.
    Lost { last_word: Option<ErrorCode> },
    /// An attempt came to a WELCOME.
    Joined,
    /// An attempt came to nothing.
    Failed { last_word: Option<ErrorCode> },
    /// A time that was asked for has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ask the edge for a word.
    Ask,
    /// Let go of the connection.
    Leave,
    /// Let go of an attempt.
    GiveUp,
    /// Join there.
    Join(String),
    /// It is in the room again.
    Back(String),
    /// Nobody takes it.
    End(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    In {
        heard_at: Instant,
        asked: bool,
    },
    /// Until when this attempt may take.
    Trying {
        until: Instant,
    },
    /// Until the next attempt.
    Pausing {
        until: Instant,
    },
    Over,
}

/// The course of a stay.
#[derive(Debug)]
pub(super) struct Course {
    here: String,
    alternates: Vec<String>,
    state: State,
    lost_at: Instant,
    /// Attempts since the edge was lost.
    attempts: usize,
}

impl Course {
    /// In the room, at this edge.
    pub(super) fn new(now: Instant, here: &str) -> Self {
        Self {
            here: here.to_owned(),
            alternates: Vec::new(),
            state: State::In {
                heard_at: now,
                asked: false,
            },
            lost_at: now,
            attempts: 0,
        }
    }

    /// The edge has said where else to go.
    pub(super) fn told(&mut self, alternates: impl Iterator<Item = String>) {
        self.alternates = alternates.collect();
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::In {
                heard_at,
                asked: false,
            } => Some(heard_at + STAY_ASK),
            State::In { heard_at, .. } => Some(heard_at + STAY_SILENT),
            State::Trying { until } | State::Pausing { until } => Some(until),
            State::Over => None,
        }
    }

    /// Takes what has happened.
    pub(super) fn handle(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        match (self.state, input) {
            (State::Over, _) => {}
            (State::In { .. }, Input::Heard) => {
                self.state = State::In {
                    heard_at: now,
                    asked: false,
                };
            }
            (State::In { .. }, Input::Lost { last_word }) => {
                self.lose(now, last_word, effects);
            }
            (State::In { heard_at, asked }, Input::Tick) => {
                if now >= heard_at + STAY_SILENT {
                    self.lose(now, None, effects);
                } else if now >= heard_at + STAY_ASK && !asked {
                    self.state = State::In {
                        heard_at,
                        asked: true,
                    };
                    effects.push(Effect::Ask);
                }
            }
            (State::Trying { .. }, Input::Joined) => {
                // The edges that were told are those to go to from there.
                self.here = self.goal();
                self.state = State::In {
                    heard_at: now,
                    asked: false,
                };
                effects.push(Effect::Back(self.here.clone()));
            }
            (State::Trying { .. }, Input::Failed { last_word }) => {
                self.fail(now, last_word, effects);
            }
            (State::Trying { until }, Input::Tick) if now >= until => {
                effects.push(Effect::GiveUp);
                self.fail(now, None, effects);
            }
            (State::Pausing { until }, Input::Tick) if now >= until => {
                self.attempts += 1;
                self.attempt(now, effects);
            }
            _ => {}
        }
    }

    fn lose(&mut self, now: Instant, last_word: Option<ErrorCode>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Leave);
        if let Some(word) = last_word.filter(|word| is_final(*word)) {
            return self.end(word.sentence(), effects);
        }
        self.lost_at = now;
        self.attempts = 0;
        self.attempt(now, effects);
    }

    fn attempt(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.state = State::Trying {
            until: now + STAY_ATTEMPT,
        };
        effects.push(Effect::Join(self.goal()));
    }

    /// The alternates in their order, then where it was, and again.
    fn goal(&self) -> String {
        let turn = self.attempts % (self.alternates.len() + 1);
        self.alternates.get(turn).unwrap_or(&self.here).clone()
    }

    fn fail(&mut self, now: Instant, last_word: Option<ErrorCode>, effects: &mut Vec<Effect>) {
        if let Some(word) = last_word.filter(|word| is_final(*word)) {
            return self.end(word.sentence(), effects);
        }
        if now >= self.lost_at + STAY_GIVE_UP {
            return self.end("no edge has answered for too long", effects);
        }
        let places = self.alternates.len() + 1;
        if !(self.attempts + 1).is_multiple_of(places) {
            // The next edge is another one: there is nothing to wait for.
            self.attempts += 1;
            return self.attempt(now, effects);
        }
        let rounds = u32::try_from((self.attempts + 1) / places).unwrap_or(u32::MAX);
        let pause = STAY_PAUSE_FIRST.saturating_mul(rounds);
        self.state = State::Pausing {
            until: now + pause.min(STAY_PAUSE_LONGEST),
        };
    }

    fn end(&mut self, why: &str, effects: &mut Vec<Effect>) {
        self.state = State::Over;
        effects.push(Effect::End(why.to_owned()));
    }
}

/// Whether trying again would meet the same refusal, as the browser's client has it.
fn is_final(word: ErrorCode) -> bool {
    let number = word.number();
    matches!(number, 4002 | 4015 | 4030) || ((4004..=4013).contains(&number) && number != 4012)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HERE: &str = "http://here";

    fn course(now: Instant, alternates: &[&str]) -> Course {
        let mut course = Course::new(now, HERE);
        course.told(alternates.iter().map(|&url| url.to_owned()));
        course
    }

    fn step(course: &mut Course, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        course.handle(now, input, &mut effects);
        effects
    }

    const LOST: Input = Input::Lost { last_word: None };
    const FAILED: Input = Input::Failed { last_word: None };

    fn join(url: &str) -> Effect {
        Effect::Join(url.to_owned())
    }

    #[test]
    fn a_lost_edge_is_left_for_the_next_one_at_once() {
        let now = Instant::now();
        let mut course = course(now, &["http://b", "http://c"]);
        let left = step(&mut course, now, LOST);
        assert_eq!(left, [Effect::Leave, join("http://b")]);
        assert_eq!(step(&mut course, now, FAILED), [join("http://c")]);
        let back = step(&mut course, now, Input::Joined);
        assert_eq!(back, [Effect::Back("http://c".to_owned())]);
    }

    #[test]
    fn a_silent_edge_is_asked_and_then_left() {
        let now = Instant::now();
        let mut course = course(now, &["http://b"]);
        assert_eq!(course.next_timeout(), Some(now + STAY_ASK));
        assert_eq!(
            step(&mut course, now + STAY_ASK, Input::Tick),
            [Effect::Ask]
        );
        let answered = now + STAY_ASK + Duration::from_millis(1);
        assert_eq!(step(&mut course, answered, Input::Heard), []);
        let early = answered + STAY_ASK / 2;
        assert_eq!(step(&mut course, early, Input::Tick), []);
        step(&mut course, answered + STAY_ASK, Input::Tick);
        assert_eq!(course.next_timeout(), Some(answered + STAY_SILENT));
        let left = step(&mut course, answered + STAY_SILENT, Input::Tick);
        assert_eq!(left, [Effect::Leave, join("http://b")]);
    }

    #[test]
    fn an_attempt_that_hangs_makes_way_for_the_next_and_a_round_is_followed_by_a_pause() {
        let now = Instant::now();
        let mut course = course(now, &["http://b"]);
        step(&mut course, now, LOST);
        let later = now + STAY_ATTEMPT;
        let next = step(&mut course, later, Input::Tick);
        assert_eq!(next, [Effect::GiveUp, join(HERE)]);
        assert_eq!(step(&mut course, later, FAILED), []);
        assert_eq!(course.next_timeout(), Some(later + STAY_PAUSE_FIRST));
        let again = step(&mut course, later + STAY_PAUSE_FIRST, Input::Tick);
        assert_eq!(again, [join("http://b")]);
    }

    #[test]
    fn who_is_refused_or_hears_nothing_for_too_long_gives_up() {
        let now = Instant::now();
        let mut course = course(now, &[]);
        let full = ErrorCode::from_number(4005);
        let refused = step(&mut course, now, Input::Lost { last_word: full });
        assert!(matches!(refused[..], [Effect::Leave, Effect::End(_)]));
        assert_eq!(course.next_timeout(), None);
        let mut alone = Course::new(now, HERE);
        step(&mut alone, now, LOST);
        let late = step(&mut alone, now + STAY_GIVE_UP, FAILED);
        assert!(matches!(late[..], [Effect::End(_)]));
    }
}
