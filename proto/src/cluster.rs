//! What servers call each other, and how their messages travel on a stream: a length, then protobuf.
//! The messages are in [`link`] (edge to edge) and [`to_core`] (edge and core). Nothing here opens a connection.

pub mod codec;
#[cfg(test)]
mod golden;
pub mod link;
pub mod to_core;

use std::{fmt, sync::Arc};

/// Characters of an edge's or a region's name.
pub const MAX_SERVER_NAME: usize = 32;

/// What another server sent cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A message that is longer than any may be.
    #[error("a message of {length} bytes is longer than the {limit} that one may have")]
    TooLong {
        /// What it said.
        length: usize,
        /// What may be.
        limit: usize,
    },
    /// Not the protobuf that was expected.
    #[error("a message could not be read: both sides must run versions that know each other")]
    Malformed,
    /// A field that must be there is not, or has a value that it may not have.
    #[error("the field {0} of a message is missing or out of its bounds")]
    Field(&'static str),
}

macro_rules! server_name {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name: 1 to 32 of `a-z 0-9 -`.
            ///
            /// # Errors
            /// [`ClusterError::Field`] for anything else.
            pub fn parse(text: &str) -> Result<Self, ClusterError> {
                let fits = (1..=MAX_SERVER_NAME).contains(&text.len())
                    && text
                        .bytes()
                        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
                if fits {
                    Ok(Self(text.into()))
                } else {
                    Err(ClusterError::Field($field))
                }
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

server_name! {
    /// The name an operator gave an edge; no two edges of a cluster have the same.
    EdgeId, "edge id"
}
server_name! {
    /// Where an edge stands, as its operator calls it.
    Region, "region"
}

/// One run of an edge's process; a later run has a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Orders all that core says: `term` is when this core started, `epoch` counts its changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The start of the core that said it.
    pub term: u64,
    /// Its change.
    pub epoch: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers_fit_a_label_and_a_uri() {
        assert_eq!(EdgeId::parse("fra-1").unwrap().as_str(), "fra-1");
        for bad in ["", "Fra", "a b", "a/b", "ä", &"a".repeat(33)] {
            assert_eq!(EdgeId::parse(bad), Err(ClusterError::Field("edge id")));
            assert_eq!(Region::parse(bad), Err(ClusterError::Field("region")));
        }
    }

    #[test]
    fn a_later_term_outranks_any_epoch() {
        let stamp = |term, epoch| Stamp { term, epoch };
        assert!(stamp(2, 0) > stamp(1, 99));
        assert!(stamp(1, 2) > stamp(1, 1));
    }
}
