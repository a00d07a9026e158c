//! What one client may still do: errors, control and media have a budget each. It refuses and counts;
//! it never closes a socket itself.

use std::{sync::Arc, time::Instant};

use pulse_proto::{
    ErrorCode, ParticipantId,
    control::{self, ErrorMessage, Protocol},
    limits::{ERROR_BURST, UPDATE_BURST, UPDATES_PER_SECOND},
};

use super::Left;
use crate::{
    budget::Budget,
    limits::{CONTROL_BURST, CONTROL_PER_SECOND, MEDIA_BYTES_BURST, MEDIA_BYTES_PER_SECOND},
    metrics,
    outbox::{Class, Outbox},
};

/// What a client may still send: errors, control and media have a budget each.
pub(super) struct Gate {
    pub(super) outbox: Arc<Outbox>,
    protocol: Protocol,
    errors: Budget,
    control: Budget,
    media: Budget,
    updates: Budget,
}

impl Gate {
    pub(super) fn new(now: Instant, outbox: Arc<Outbox>, protocol: Protocol) -> Self {
        Self {
            outbox,
            protocol,
            errors: Budget::new(now, f64::from(ERROR_BURST), 1.0),
            control: Budget::new(now, CONTROL_BURST, CONTROL_PER_SECOND),
            media: Budget::new(now, MEDIA_BYTES_BURST, MEDIA_BYTES_PER_SECOND),
            updates: Budget::new(now, f64::from(UPDATE_BURST), f64::from(UPDATES_PER_SECOND)),
        }
    }

    pub(super) fn allows_control(&mut self, now: Instant) -> Result<(), ErrorCode> {
        if self.control.take(now, 1.0) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    /// Every update goes to the whole room: it has a budget of its own beside that of control.
    pub(super) fn allows_update(&mut self, now: Instant) -> Result<(), ErrorCode> {
        if self.updates.take(now, 1.0) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    pub(super) fn allows_media(&mut self, now: Instant, bytes: usize) -> Result<(), ErrorCode> {
        if self.media.take(now, bytes as f64) {
            Ok(())
        } else {
            Err(ErrorCode::RateLimited)
        }
    }

    /// Counts what was refused and tells the client, unless it has used up its errors.
    pub(super) fn refuse(&mut self, now: Instant, code: ErrorCode) -> Result<(), Left> {
        metrics::error(code);
        if code.ends() {
            return Err(Left::error(code));
        }
        if !self.errors.take(now, 1.0) {
            // What comes too fast is dropped, and that is enough: it was well-formed.
            if code == ErrorCode::RateLimited {
                return Ok(());
            }
            return Err(Left::error(ErrorCode::TooManyErrors));
        }
        if self.protocol == Protocol::V2 {
            let message = ErrorMessage::new(code, false);
            let frame = control::encode(ParticipantId::ZERO, &message);
            self.outbox.push(now, Class::Control, &frame);
        }
        Ok(())
    }
}
