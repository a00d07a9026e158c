//! The words for both directions of a link: `mobile`, `3%-200ms`, `rate=256kbit,up.loss=3%`. Reads and
//! prints them; `profile.rs` knows the names, `units.rs` the numbers.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    limits::{MAX_PACKET_BYTES, MIN_MTU},
    profile,
    shape::{Flap, Loss, Shape},
    units,
};

/// Settings and what they take, as an error lists them.
const SETTINGS: &str = "delay=20ms, jitter=5ms, loss=3% (loss=3%/4: in bursts of 4), \
     bursts=ENTER%/LEAVE%/INSIDE%/OUTSIDE%, duplicate=1%, reorder=1%/10ms, rate=256kbit, queue=32KiB, \
     mtu=1280, silent-mtu=1280, flap=10s/2s (there/away); \
     =none takes one away, up. or down. before one means one direction";

/// A spec that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// No profile of this name.
    #[error(
        "There is no profile \"{0}\". Known are {known}, any LOSS%-RTTms such as 3%-200ms, and \
         settings such as rate=256kbit,delay=20ms.",
        known = profile::NAMES.join(", ")
    )]
    Profile(String),
    /// A profile that is not the first word.
    #[error("The profile \"{0}\" must come first: it says what the settings behind it change.")]
    Late(String),
    /// No setting of this name.
    #[error("There is no setting \"{0}\". Allowed are {SETTINGS}.")]
    Setting(String),
    /// A value that its setting does not take.
    #[error("\"{setting}={value}\" is not understood: write {expected}.")]
    Value {
        /// The setting's name.
        setting: String,
        /// What was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
}

/// One side of a link. `Up` is away from its host; on a path, from the first region to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// From the host.
    Up,
    /// To the host.
    Down,
}

/// Both directions of a link.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// From the host; on a path, from the first region to the second.
    pub up: Shape,
    /// To the host.
    pub down: Shape,
}

impl Spec {
    /// Changes what `text` names, in both directions or in one.
    ///
    /// # Errors
    /// Says which word is not understood, and what is allowed; nothing is changed then.
    pub fn apply(&mut self, text: &str, only: Option<Side>) -> Result<(), SpecError> {
        let mut changed = self.clone();
        for (position, word) in text.split(',').map(str::trim).enumerate() {
            let Some((name, value)) = word.split_once('=') else {
                let profile = profile::find(word).ok_or_else(|| SpecError::Profile(word.into()))?;
                if position > 0 {
                    return Err(SpecError::Late(word.into()));
                }
                if only != Some(Side::Down) {
                    changed.up = profile.up;
                }
                if only != Some(Side::Up) {
                    changed.down = profile.down;
                }
                continue;
            };
            let (side, name) = match name.split_once('.') {
                Some(("up", rest)) => (Some(Side::Up), rest),
                Some(("down", rest)) => (Some(Side::Down), rest),
                _ => (None, name),
            };
            // A word for one direction says nothing where only the other is meant.
            let concerns = |this| side.is_none_or(|s| s == this) && only.is_none_or(|o| o == this);
            set(&mut Shape::default(), name, value)?;
            if concerns(Side::Up) {
                set(&mut changed.up, name, value)?;
            }
            if concerns(Side::Down) {
                set(&mut changed.down, name, value)?;
            }
        }
        *self = changed;
        Ok(())
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut spec = Self::default();
        spec.apply(text, None)?;
        Ok(spec)
    }
}

fn set(shape: &mut Shape, setting: &str, value: &str) -> Result<(), SpecError> {
    let none = Shape::default();
    let is_none = value == "none";
    let wrong = |expected| {
        move || SpecError::Value {
            setting: setting.into(),
            value: value.into(),
            expected,
        }
    };
    let time = || units::time(value).ok_or_else(wrong("a time such as 20ms, at most an hour"));
    let share = |text| units::share(text).ok_or_else(wrong("a share such as 3%"));
    let mtu = || {
        let mtu = value.parse().ok();
        mtu.filter(|mtu| (MIN_MTU..=MAX_PACKET_BYTES).contains(mtu))
            .ok_or_else(wrong("bytes from 576 to 1500"))
    };
    match setting {
        "delay" if is_none => shape.delay = none.delay,
        "delay" => shape.delay = time()?,
        "jitter" if is_none => shape.jitter = none.jitter,
        "jitter" => shape.jitter = time()?,
        "loss" if is_none => shape.loss = none.loss,
        "loss" => {
            shape.loss = match value.split_once('/') {
                None => Loss::Uniform(share(value)?),
                Some((part, length)) => {
                    let length = length.parse().ok().filter(|length| *length >= 1.0);
                    let length = length.ok_or_else(wrong("a share and a length such as 3%/4"))?;
                    Loss::bursts(share(part)?, length)
                }
            };
        }
        "bursts" => {
            let shares: Option<Vec<f64>> = value.split('/').map(units::share).collect();
            let Some(&[enter, leave, inside, outside]) = shares.as_deref() else {
                return Err(wrong("four shares such as 0.5%/25%/90%/0.1%")());
            };
            shape.loss = Loss::Bursts {
                enter,
                leave,
                inside,
                outside,
            };
        }
        "duplicate" if is_none => shape.duplicate = none.duplicate,
        "duplicate" => shape.duplicate = share(value)?,
        "reorder" if is_none => {
            shape.reorder = none.reorder;
            shape.reorder_by = none.reorder_by;
        }
        "reorder" => {
            let expected = wrong("a share and a time such as 1%/10ms");
            let parts = value.split_once('/');
            let parts = parts.and_then(|(a, b)| Some((units::share(a)?, units::time(b)?)));
            (shape.reorder, shape.reorder_by) = parts.ok_or_else(expected)?;
        }
        "rate" if is_none => shape.rate_bps = none.rate_bps,
        "rate" => {
            let rate = units::rate(value).ok_or_else(wrong("a rate such as 256kbit, 1 bit up"))?;
            shape.rate_bps = Some(rate);
        }
        "queue" if is_none => shape.queue_bytes = none.queue_bytes,
        "queue" => {
            let bytes = units::bytes(value).ok_or_else(wrong("a size such as 32KiB"))?;
            shape.queue_bytes = Some(bytes);
        }
        "mtu" | "silent-mtu" if is_none => {
            shape.mtu = none.mtu;
            shape.mtu_told = none.mtu_told;
        }
        "mtu" | "silent-mtu" => {
            shape.mtu = mtu()?;
            shape.mtu_told = setting == "mtu";
        }
        "flap" if is_none => shape.flap = none.flap,
        "flap" => {
            let expected = wrong("two times such as 10s/2s");
            let parts = value.split_once('/');
            let parts = parts.and_then(|(a, b)| Some((units::time(a)?, units::time(b)?)));
            let (up, down) = parts
                .filter(|(up, down)| !(*up + *down).is_zero())
                .ok_or_else(expected)?;
            shape.flap = Some(Flap { up, down });
        }
        _ => return Err(SpecError::Setting(setting.into())),
    }
    Ok(())
}

/// As `apply` reads it, shares to a millionth; a shape that does nothing is `delay=0ms`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = Self::default();
        let time = |time: Duration| format!("{}ms", time.as_nanos() as f64 / 1e6);
        let share = |share: f64| format!("{}%", (share * 1e6).round() / 1e4);
        let mut words = vec![format!("delay={}", time(self.delay))];
        if self.jitter != none.jitter {
            words.push(format!("jitter={}", time(self.jitter)));
        }
        match self.loss {
            Loss::Uniform(part) if part > 0.0 => words.push(format!("loss={}", share(part))),
            Loss::Uniform(_) => {}
            Loss::Bursts {
                enter,
                leave,
                inside,
                outside,
            } => {
                let parts = [enter, leave, inside, outside].map(share).join("/");
                words.push(format!("bursts={parts}"));
            }
        }
        if self.duplicate > 0.0 {
            words.push(format!("duplicate={}", share(self.duplicate)));
        }
        if self.reorder > 0.0 {
            let (part, by) = (share(self.reorder), time(self.reorder_by));
            words.push(format!("reorder={part}/{by}"));
        }
        if let Some(rate) = self.rate_bps {
            words.push(match rate {
                _ if rate.is_multiple_of(1_000_000) => format!("rate={}mbit", rate / 1_000_000),
                _ if rate.is_multiple_of(1_000) => format!("rate={}kbit", rate / 1_000),
                _ => format!("rate={rate}bit"),
            });
            let queue = self.queue_bytes();
            words.push(match queue {
                _ if queue.is_multiple_of(1_024) => format!("queue={}KiB", queue / 1_024),
                _ => format!("queue={queue}"),
            });
        }
        if self.mtu != none.mtu || !self.mtu_told {
            let name = if self.mtu_told { "mtu" } else { "silent-mtu" };
            words.push(format!("{name}={}", self.mtu));
        }
        if let Some(Flap { up, down }) = self.flap {
            words.push(format!("flap={}/{}", time(up), time(down)));
        }
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests;
