//! What can go wrong with a world, each with a sentence that helps.

use std::io;

use crate::{limits::MAX_HOSTS, spec::SpecError};

/// Why a world could not be built or changed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// This machine or this user cannot have a lab. Tests say "skipped: " and this.
    #[error("No network lab here: {0}")]
    NotPermitted(String),
    /// A link's description.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A host's or a region's name that cannot be part of a namespace's name.
    #[error("\"{0}\" is no name: use 1 to 32 letters, digits, - and _.")]
    Name(String),
    /// Two hosts of one name.
    #[error("There are two hosts \"{0}\": give each a name of its own.")]
    Twice(String),
    /// More hosts than addresses.
    #[error("A world has at most {MAX_HOSTS} hosts.")]
    TooMany,
    /// A name that no host has.
    #[error("There is no host \"{0}\". There are {1}.")]
    Host(String, String),
    /// A path to a region without hosts.
    #[error(
        "No host is in the region \"{0}\". There are {1}. (A host without a region is its own.)"
    )]
    Region(String, String),
    /// Two names without a path between them.
    #[error("There is no path between \"{0}\" and \"{1}\". There are {2}.")]
    Path(String, String, String),
    /// `ip` refused.
    #[error("\"ip {command}\" failed: {said}")]
    Ip {
        /// Its arguments.
        command: String,
        /// What it said.
        said: String,
    },
    /// The system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system says.
        source: io::Error,
    },
}

impl LabError {
    /// Whether no lab can be had here, whatever is asked for.
    pub const fn is_not_permitted(&self) -> bool {
        matches!(self, Self::NotPermitted(_))
    }

    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// A list for an error's text.
pub(crate) fn names(all: impl Iterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<String> = all.map(|name| name.as_ref().to_owned()).collect();
    if all.is_empty() {
        return "none".into();
    }
    all.join(", ")
}
