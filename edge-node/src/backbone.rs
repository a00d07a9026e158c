//! The links with other edges. [`mesh`] dials and accepts, [`link`] runs one connection, [`send`] and [`receive`]
//! carry its media, [`streams`] what is too large for datagrams. Rooms see a [`peer::PeerLink`] and no more.

mod link;
pub(crate) mod links;
pub(crate) mod mesh;
mod more;
mod paused;
pub(crate) mod peer;
mod receive;
pub(crate) mod report;
mod send;
mod streams;

pub(crate) use self::link::LinkContext;

#[cfg(test)]
mod tests;
