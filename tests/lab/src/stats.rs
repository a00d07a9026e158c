//! What a world counts, to be read and printed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::link::Counters;

/// Everything counted so far.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// By `HOST up`, `HOST down` and `REGION to REGION`.
    pub links: BTreeMap<String, LinkStats>,
    /// By host.
    pub devices: BTreeMap<String, DeviceStats>,
    /// Packets to nobody here: other addresses, multicast, no IPv4.
    pub unroutable: u64,
    /// Packets that a device did not take.
    pub refused: u64,
}

/// One direction of one link.
#[derive(Debug, Clone, Serialize)]
pub struct LinkStats {
    /// What it does, as `pulse-lab set` takes it.
    pub shape: String,
    /// What it has done.
    #[serde(flatten)]
    pub counters: Counters,
}

/// What the kernel dropped because the lab or the host was too slow. Anything but 0 says that figures
/// are not the links' alone.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DeviceStats {
    /// On the way from the host to the lab.
    pub dropped_sending: u64,
    /// On the way from the lab to the host.
    pub dropped_receiving: u64,
}
