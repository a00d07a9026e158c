//! The links with other edges: who is there ([`links`]), and one link with all that waits for it ([`peer`]).

pub(crate) mod links;
pub(crate) mod peer;
