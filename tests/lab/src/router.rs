//! Which way each packet goes: out of its host's access link, over the path between the two regions
//! if there is one, into the other host's access link. Pure; owns all links and their order in time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    net::Ipv4Addr,
    time::Duration,
};

use crate::{
    link::{Counters, Link, Packet, TooLong},
    packet,
    shape::Shape,
    spec::{Side, Spec},
};

/// Whom routers say they are.
const ROUTER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 254);

/// A host, in the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostId(pub(crate) usize);

/// A place with paths to others, in the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegionId(pub(crate) usize);

/// One direction of one link, in the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(usize);

/// Where what comes out of a link goes.
#[derive(Debug, Clone, Copy)]
enum Role {
    Up(RegionId),
    Path,
    Down(HostId),
}

#[derive(Debug)]
struct Entry {
    name: String,
    role: Role,
    link: Link,
    /// The time in `agenda` that counts; others are stale.
    armed: Option<Duration>,
}

#[derive(Debug)]
struct Access {
    region: RegionId,
    up: LinkId,
    down: LinkId,
}

/// All links of a world.
#[derive(Debug)]
pub struct Router {
    seed: u64,
    hosts: Vec<Access>,
    by_address: HashMap<Ipv4Addr, HostId>,
    paths: HashMap<(RegionId, RegionId), LinkId>,
    links: Vec<Entry>,
    agenda: BinaryHeap<Reverse<(Duration, LinkId)>>,
    arrived: Vec<Packet>,
    unroutable: u64,
}

impl Router {
    /// A router without hosts. The decisions of all links follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            hosts: Vec::new(),
            by_address: HashMap::new(),
            paths: HashMap::new(),
            links: Vec::new(),
            agenda: BinaryHeap::new(),
            arrived: Vec::new(),
            unroutable: 0,
        }
    }

    /// Adds a host and its access link. Its name decides the randomness, not its place.
    pub fn add_host(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        region: RegionId,
        spec: &Spec,
    ) -> HostId {
        let id = HostId(self.hosts.len());
        let up = self.add_link(format!("{name} up"), Role::Up(region), &spec.up);
        let down = self.add_link(format!("{name} down"), Role::Down(id), &spec.down);
        self.hosts.push(Access { region, up, down });
        self.by_address.insert(address, id);
        id
    }

    /// Adds the path between two regions: `up` is from the first to the second.
    pub fn add_path(&mut self, first: (&str, RegionId), second: (&str, RegionId), spec: &Spec) {
        for (from, to, shape) in [(first, second, &spec.up), (second, first, &spec.down)] {
            let link = self.add_link(format!("{} to {}", from.0, to.0), Role::Path, shape);
            self.paths.insert((from.1, to.1), link);
        }
    }

    fn add_link(&mut self, name: String, role: Role, shape: &Shape) -> LinkId {
        let id = LinkId(self.links.len());
        let link = Link::new(shape.clone(), self.seed, stream(&name));
        self.links.push(Entry {
            name,
            role,
            link,
            armed: None,
        });
        id
    }

    /// A host's access link.
    pub fn access(&self, host: HostId, side: Side) -> Option<LinkId> {
        let access = self.hosts.get(host.0)?;
        Some(match side {
            Side::Up => access.up,
            Side::Down => access.down,
        })
    }

    /// The path from one region to another.
    pub fn path(&self, from: RegionId, to: RegionId) -> Option<LinkId> {
        self.paths.get(&(from, to)).copied()
    }

    /// What a link does.
    pub fn shape(&self, link: LinkId) -> Option<&Shape> {
        self.links.get(link.0).map(|entry| entry.link.shape())
    }

    /// Lets a link do something else from now on.
    pub fn set_shape(&mut self, now: Duration, link: LinkId, shape: Shape) {
        if let Some(entry) = self.links.get_mut(link.0) {
            entry.link.set_shape(now, shape);
        }
        self.arm(link);
    }

    /// Lets nothing into a link until then.
    pub fn set_away_until(&mut self, now: Duration, link: LinkId, until: Duration) {
        if let Some(entry) = self.links.get_mut(link.0) {
            entry.link.set_away_until(now, until);
        }
        self.arm(link);
    }

    /// Name, shape and counters of every link.
    pub fn links(&self) -> impl Iterator<Item = (&str, &Shape, Counters)> {
        self.links
            .iter()
            .map(|entry| (&*entry.name, entry.link.shape(), entry.link.counters()))
    }

    /// Packets so far that went to nobody here: other addresses, multicast, no IPv4.
    pub const fn unroutable(&self) -> u64 {
        self.unroutable
    }

    /// Takes a packet that a host sends. Call `advance` with the same time first.
    pub fn handle(&mut self, now: Duration, from: HostId, packet: Packet) {
        let known =
            packet::addresses(&packet).is_some_and(|(_, to)| self.by_address.contains_key(&to));
        match self.access(from, Side::Up).filter(|_| known) {
            Some(up) => self.feed(now, up, packet),
            None => self.unroutable += 1,
        }
    }

    /// When `advance` has something to do next.
    pub fn next_timeout(&mut self) -> Option<Duration> {
        while let Some(&Reverse((at, id))) = self.agenda.peek() {
            if self
                .links
                .get(id.0)
                .is_some_and(|entry| entry.armed == Some(at))
            {
                return Some(at);
            }
            self.agenda.pop();
        }
        None
    }

    /// Moves every packet as far as it is by now, in the order of time, and appends what hosts receive.
    pub fn advance(&mut self, now: Duration, out: &mut Vec<(HostId, Packet)>) {
        while let Some(at) = self.next_timeout().filter(|at| *at <= now) {
            let Some(Reverse((_, id))) = self.agenda.pop() else {
                return;
            };
            let Some(entry) = self.links.get_mut(id.0) else {
                return;
            };
            entry.armed = None;
            let role = entry.role;
            let mut arrived = std::mem::take(&mut self.arrived);
            entry.link.poll(at, &mut arrived);
            for packet in arrived.drain(..) {
                if let Role::Down(host) = role {
                    out.push((host, packet));
                } else if let Some(next) = self.next_link(role, &packet) {
                    self.feed(at, next, packet);
                } else {
                    self.unroutable += 1;
                }
            }
            self.arrived = arrived;
            self.arm(id);
        }
    }

    fn next_link(&self, role: Role, packet: &[u8]) -> Option<LinkId> {
        let (_, to) = packet::addresses(packet)?;
        let access = self.hosts.get(self.by_address.get(&to)?.0)?;
        let path = match role {
            Role::Up(region) => self.path(region, access.region),
            Role::Path | Role::Down(_) => None,
        };
        Some(path.unwrap_or(access.down))
    }

    fn feed(&mut self, now: Duration, id: LinkId, packet: Packet) {
        let Some(entry) = self.links.get_mut(id.0) else {
            return;
        };
        let result = entry.link.handle(now, packet);
        self.arm(id);
        if let Err(TooLong { packet, mtu }) = result {
            self.refuse(now, &packet, mtu);
        }
    }

    /// Tells the sender, over its own access link. Its own answer is short, so this ends here.
    fn refuse(&mut self, now: Duration, packet: &[u8], mtu: usize) {
        let sender = packet::addresses(packet).and_then(|(from, _)| self.by_address.get(&from));
        let down = sender.and_then(|host| self.access(*host, Side::Down));
        let answer = packet::fragmentation_needed(packet, ROUTER_ADDRESS, mtu);
        if let (Some(down), Some(answer)) = (down, answer) {
            self.feed(now, down, answer);
        }
    }

    fn arm(&mut self, id: LinkId) {
        let Some(entry) = self.links.get_mut(id.0) else {
            return;
        };
        let next = entry.link.next_timeout();
        if entry.armed != next {
            entry.armed = next;
            if let Some(at) = next {
                self.agenda.push(Reverse((at, id)));
            }
        }
    }
}

/// A link's own stream of randomness, from its name (FNV-1a): hosts that come or go beside it change
/// nothing.
fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
