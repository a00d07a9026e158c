//! The token that operators show. It is compared in a time that says nothing of it, and never printed.

use std::{fmt, io, path::Path, sync::Arc};

/// Characters that a token must have at least: 128 bits in base 64.
const MIN_CHARS: usize = 22;

/// The file of the token cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read {file}: {reason}. Check --operator-token-file")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        reason: io::Error,
    },
    /// It is too easily guessed.
    #[error(
        "the first line of {0} is shorter than {MIN_CHARS} characters: \
         make one with `openssl rand -base64 32`"
    )]
    Short(String),
}

/// The token, if there is one.
#[derive(Clone)]
pub(crate) struct OperatorToken(Option<Arc<str>>);

/// What a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The token.
    Right,
    /// Another one, or none.
    Wrong,
    /// There is none that would be right.
    Off,
}

impl OperatorToken {
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, TokenError> {
        let Some(file) = file else {
            return Ok(Self(None));
        };
        let name = || file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|reason| TokenError::Read {
            file: name(),
            reason,
        })?;
        let token = text.lines().next().unwrap_or_default().trim();
        if token.len() < MIN_CHARS {
            return Err(TokenError::Short(name()));
        }
        Ok(Self(Some(token.into())))
    }

    pub(crate) fn check(&self, shown: Option<&str>) -> Shown {
        let Some(token) = &self.0 else {
            return Shown::Off;
        };
        let (token, shown) = (token.as_bytes(), shown.unwrap_or_default().as_bytes());
        // Every byte is looked at, whatever the ones before it were.
        let differ = token
            .iter()
            .zip(shown)
            .fold(0, |differ, (a, b)| differ | (a ^ b));
        if token.len() == shown.len() && differ == 0 {
            Shown::Right
        } else {
            Shown::Wrong
        }
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_right() {
        let token = OperatorToken(Some("0123456789012345678901".into()));
        assert_eq!(token.check(Some("0123456789012345678901")), Shown::Right);
        for wrong in ["", "0123456789012345678902", "01234567890123456789011"] {
            assert_eq!(token.check(Some(wrong)), Shown::Wrong);
        }
        assert_eq!(token.check(None), Shown::Wrong);
        assert_eq!(OperatorToken(None).check(Some("")), Shown::Off);
        assert!(!format!("{token:?}").contains("0123"));
    }
}
