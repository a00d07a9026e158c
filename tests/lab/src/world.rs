//! A world while it runs: hosts, what joins them, and the thread that carries their packets. Gone when
//! dropped. `builder.rs` makes it.

use std::{
    collections::BTreeMap, fs::File, io, net::Ipv4Addr, os::fd::AsFd, process::Command, sync::Arc,
    thread, time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{
    builder::Builder,
    driver::Shared,
    error::{LabError, names},
    netns::Namespace,
    router::{HostId, LinkId, RegionId},
    spec::{Side, Spec},
    stats::{DeviceStats, LinkStats, Stats},
};

/// Hosts, joined by links that can be changed.
#[derive(Debug)]
pub struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) thread: Option<thread::JoinHandle<()>>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) paths: Vec<Path>,
}

/// The path between two regions.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) names: [String; 2],
    pub(crate) regions: [RegionId; 2],
}

/// A host: a namespace with one address.
#[derive(Debug)]
pub struct Host {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) id: HostId,
    pub(crate) namespace: Namespace,
}

impl World {
    /// Describes a world.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A host by name.
    ///
    /// # Errors
    /// There is none; the text lists those there are.
    pub fn host(&self, name: &str) -> Result<&Host, LabError> {
        let found = self.hosts.iter().find(|host| host.name == name);
        let known = || names(self.hosts.iter().map(|host| host.name.as_str()));
        found.ok_or_else(|| LabError::Host(name.into(), known()))
    }

    /// All hosts, in the order in which they were described.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Changes an access link (`place` is a host) or a path (`place` is `region:region`) while it
    /// runs: what `spec` names, in both directions or one. A profile replaces everything.
    ///
    /// # Errors
    /// The place or the spec is not understood; nothing is changed.
    pub fn set(&self, place: &str, side: Option<Side>, spec: &str) -> Result<(), LabError> {
        let [up, down] = self.links(place)?;
        let mut result = Ok(());
        self.shared.change(|router, now| {
            let shape = |link| router.shape(link).cloned().unwrap_or_default();
            let mut both = Spec {
                up: shape(up),
                down: shape(down),
            };
            result = both.apply(spec, side);
            if result.is_ok() {
                // A schedule begins again only where something was said.
                if side != Some(Side::Down) {
                    router.set_shape(now, up, both.up);
                }
                if side != Some(Side::Up) {
                    router.set_shape(now, down, both.down);
                }
            }
        });
        Ok(result?)
    }

    /// Lets nothing through a place for so long, or until `restore` with `None`. It returns by itself.
    ///
    /// # Errors
    /// There is no such place.
    pub fn blackhole(
        &self,
        place: &str,
        side: Option<Side>,
        time: Option<Duration>,
    ) -> Result<(), LabError> {
        self.set_away(place, side, |now| time.map_or(Duration::MAX, |t| now + t))
    }

    /// Ends a blackhole.
    ///
    /// # Errors
    /// There is no such place.
    pub fn restore(&self, place: &str, side: Option<Side>) -> Result<(), LabError> {
        self.set_away(place, side, |_| Duration::ZERO)
    }

    fn set_away(
        &self,
        place: &str,
        side: Option<Side>,
        until: impl Fn(Duration) -> Duration,
    ) -> Result<(), LabError> {
        let [up, down] = self.links(place)?;
        self.shared.change(|router, now| {
            if side != Some(Side::Down) {
                router.set_away_until(now, up, until(now));
            }
            if side != Some(Side::Up) {
                router.set_away_until(now, down, until(now));
            }
        });
        Ok(())
    }

    /// Everything counted so far. Asks `ip` for each device, a few ms a host.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn stats(&self) -> Result<Stats, LabError> {
        let mut devices = BTreeMap::new();
        for host in &self.hosts {
            let (dropped_sending, dropped_receiving) = host.namespace.device_drops()?;
            let counts = DeviceStats {
                dropped_sending,
                dropped_receiving,
            };
            devices.insert(host.name.clone(), counts);
        }
        let router = self.shared.router();
        let links = router.links().map(|(name, shape, counters)| {
            let shape = shape.to_string();
            (name.to_owned(), LinkStats { shape, counters })
        });
        Ok(Stats {
            links: links.collect(),
            devices,
            unroutable: router.unroutable(),
            refused: self.shared.refused(),
        })
    }

    /// The links there and back.
    fn links(&self, place: &str) -> Result<[LinkId; 2], LabError> {
        let router = self.shared.router();
        if let Some((first, second)) = place.split_once(':') {
            let find = |a: &str, b: &str| {
                let path = self.paths.iter().find(|path| path.names == [a, b])?;
                let [from, to] = path.regions;
                Some([router.path(from, to)?, router.path(to, from)?])
            };
            // The other way round, up and down are the other way round too.
            let found = find(first, second).or_else(|| find(second, first).map(|[a, b]| [b, a]));
            return found.ok_or_else(|| {
                let known = self.paths.iter().map(|path| path.names.join(":"));
                LabError::Path(first.into(), second.into(), names(known))
            });
        }
        let host = self.host(place)?;
        let find = |side| router.access(host.id, side);
        let found = find(Side::Up).zip(find(Side::Down));
        let (up, down) = found.ok_or_else(|| LabError::Host(place.into(), String::new()))?;
        Ok([up, down])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its only address beside loopback.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its namespace, as `ip netns` knows it.
    pub fn namespace(&self) -> &str {
        self.namespace.name()
    }

    /// A program that runs on this host, to be furnished and started as any. The process that starts
    /// is the program itself, so killing it ends it; ending it is up to whoever starts it.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Runs a function on a thread of its own whose sockets are this host's, and a runtime's that it
    /// builds (a current-thread one: other threads would stand outside).
    ///
    /// # Errors
    /// The system gave no thread, or the thread could not move in.
    pub fn run<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<thread::JoinHandle<io::Result<T>>, LabError> {
        let path = self.namespace.path();
        let namespace =
            File::open(&path).map_err(LabError::system("Could not open the namespace"))?;
        thread::Builder::new()
            .name(format!("on {}", self.name))
            .spawn(move || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(function())
            })
            .map_err(LabError::system("Could not start a thread"))
    }

    /// Changes the congestion control of connections that begin from now on; `None` is the kernel's.
    ///
    /// # Errors
    /// The kernel has none of this name.
    pub fn set_congestion(&self, name: Option<&str>) -> Result<(), LabError> {
        self.namespace.set_congestion(name)
    }
}
