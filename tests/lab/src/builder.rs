//! Describes a world and makes it. What is wrong with a description is found before anything is made;
//! what has been made is removed when the rest fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    driver::{Driver, Shared},
    error::{LabError, names},
    limits::{HOSTS_PER_BLOCK, MAX_HOSTS},
    netns::{self, Namespace},
    router::{HostId, RegionId, Router},
    tun::Tun,
    world::{Host, Path, World},
};

/// Tells the worlds of one process apart.
static NEXT_WORLD: AtomicUsize = AtomicUsize::new(0);

/// Says why there can be no lab on this machine.
///
/// # Errors
/// `LabError::NotPermitted`, whose text says what to do.
pub fn check_permitted() -> Result<(), LabError> {
    netns::check_permitted()
}

/// What a world is to be.
#[derive(Debug, Default)]
pub struct Builder {
    seed: u64,
    hosts: Vec<HostPlan>,
    paths: Vec<PathPlan>,
    congestion: BTreeMap<String, String>,
}

#[derive(Debug)]
struct HostPlan {
    name: String,
    region: String,
    spec: String,
}

#[derive(Debug)]
struct PathPlan {
    regions: [String; 2],
    spec: String,
}

impl Builder {
    /// What all chance follows from. 0 unless set.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A host in a region of its own. `spec` describes its access link: `mobile`,
    /// `rate=256kbit,delay=20ms`.
    #[must_use]
    pub fn host(self, name: &str, spec: &str) -> Self {
        self.host_in(name, name, spec)
    }

    /// A host in a region that others may be in too.
    #[must_use]
    pub fn host_in(mut self, region: &str, name: &str, spec: &str) -> Self {
        self.hosts.push(HostPlan {
            name: name.into(),
            region: region.into(),
            spec: spec.into(),
        });
        self
    }

    /// What lies between two regions; nothing unless set.
    #[must_use]
    pub fn path(mut self, first: &str, second: &str, spec: &str) -> Self {
        self.paths.push(PathPlan {
            regions: [first.into(), second.into()],
            spec: spec.into(),
        });
        self
    }

    /// The congestion control of a host's TCP: `cubic`, `bbr`. The kernel's default unless set.
    #[must_use]
    pub fn congestion(mut self, host: &str, name: &str) -> Self {
        self.congestion.insert(host.into(), name.into());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// What is wrong with the description, or why this machine cannot. Nothing is left behind.
    pub fn start(self) -> Result<World, LabError> {
        let (router, paths) = self.plan()?;
        netns::check_permitted()?;
        netns::remove_leftovers();
        let world = NEXT_WORLD.fetch_add(1, Ordering::Relaxed);
        let mut hosts = Vec::new();
        let mut devices = Vec::new();
        for (number, plan) in self.hosts.into_iter().enumerate() {
            let namespace = Namespace::create(world, &plan.name)?;
            let name = format!("pl{:x}w{world:x}h{number:x}", std::process::id());
            let device = Tun::create(&name).map_err(|source| {
                LabError::NotPermitted(format!(
                    "/dev/net/tun refuses ({source}). Run as root; in a container pass \
                     --cap-add NET_ADMIN."
                ))
            })?;
            let congestion = self.congestion.get(&plan.name).map(String::as_str);
            namespace.furnish(&name, address(number), congestion)?;
            devices.push(device);
            hosts.push(Host {
                name: plan.name,
                address: address(number),
                id: HostId(number),
                namespace,
            });
        }
        let cannot = || LabError::system("Could not start the router");
        let shared = Shared::new(router).map_err(cannot())?;
        let driver = Driver::new(Arc::clone(&shared), devices).map_err(cannot())?;
        let thread = thread::Builder::new()
            .name("lab router".into())
            .spawn(move || driver.run())
            .map_err(cannot())?;
        Ok(World {
            shared,
            thread: Some(thread),
            hosts,
            paths,
        })
    }

    /// Reads the description. Touches nothing.
    fn plan(&self) -> Result<(Router, Vec<Path>), LabError> {
        if self.hosts.len() > MAX_HOSTS {
            return Err(LabError::TooMany);
        }
        let mut router = Router::new(self.seed);
        let mut seen = BTreeSet::new();
        let mut regions: Vec<&str> = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            check_name(&host.name)?;
            check_name(&host.region)?;
            if !seen.insert(&host.name) {
                return Err(LabError::Twice(host.name.clone()));
            }
            let region = position(&regions, &host.region).unwrap_or_else(|| {
                regions.push(&host.region);
                RegionId(regions.len() - 1)
            });
            let spec = host.spec.parse()?;
            router.add_host(&host.name, address(number), region, &spec);
        }
        if let Some(unknown) = self.congestion.keys().find(|name| !seen.contains(name)) {
            return Err(LabError::Host(unknown.clone(), names(seen.iter())));
        }
        let find = |name: &str| {
            let missing = || LabError::Region(name.into(), names(regions.iter()));
            position(&regions, name).ok_or_else(missing)
        };
        let mut paths = Vec::new();
        for PathPlan {
            regions: [a, b],
            spec,
        } in &self.paths
        {
            let (first, second) = (find(a)?, find(b)?);
            router.add_path((a, first), (b, second), &spec.parse()?);
            paths.push(Path {
                names: [a.clone(), b.clone()],
                regions: [first, second],
            });
        }
        Ok((router, paths))
    }
}

fn position(regions: &[&str], name: &str) -> Option<RegionId> {
    let place = regions.iter().position(|region| *region == name);
    place.map(RegionId)
}

/// 10.77.0.1 and on.
fn address(number: usize) -> Ipv4Addr {
    let (block, place) = (number / HOSTS_PER_BLOCK, number % HOSTS_PER_BLOCK + 1);
    Ipv4Addr::new(10, 77, block as u8, place as u8)
}

/// A name becomes part of a namespace's name, which is a file's.
fn check_name(name: &str) -> Result<(), LabError> {
    let fits = (1..=32).contains(&name.len());
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if fits && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(LabError::Name(name.into()))
    }
}
