//! Where something runs: on loopback, or on a host of a lab.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr},
    process::Command,
    thread,
};

use pulse_lab::Host;

use crate::call::{Failure, edge::pin_generator};

/// A place.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    Loopback,
    On(&'a Host),
}

/// A thread at work.
pub type Working<T> = thread::JoinHandle<io::Result<Result<T, Failure>>>;

impl Place<'_> {
    /// The address of whoever listens here.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Loopback => Ipv4Addr::LOCALHOST.into(),
            Self::On(host) => host.address().into(),
        }
    }

    /// A program that runs here.
    pub fn command(&self, program: &str) -> Command {
        match self {
            Self::Loopback => Command::new(program),
            Self::On(host) => host.command(program),
        }
    }

    /// Runs a future on a thread and a runtime of its own, on the generator's core if `pinned`.
    pub fn run<T, F>(
        &self,
        pinned: bool,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Working<T>, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>>,
    {
        let work = move || {
            if pinned {
                pin_generator();
            }
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(work())
        };
        Ok(match self {
            Self::Loopback => thread::spawn(|| Ok(work())),
            Self::On(host) => host.run(work)?,
        })
    }
}

/// What came of it.
pub fn joined<T>(thread: Working<T>) -> Result<T, Failure> {
    thread
        .join()
        .map_err(|_| "a thread of the bench failed")??
}
