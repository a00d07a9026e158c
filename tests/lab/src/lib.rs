//! Hosts in network namespaces, joined by links that delay, lose and go away.
//!
//! Programs on a host are real programs with the kernel's real TCP and UDP; only what lies between the
//! hosts is played, by one thread that reads and writes their TUN devices.
//!
//! ```no_run
//! # fn main() -> Result<(), pulse_lab::LabError> {
//! let world = pulse_lab::World::builder()
//!     .seed(1)
//!     .host("edge", "lan")
//!     .host("ada", "mobile")
//!     .congestion("edge", "cubic")
//!     .start()?;
//! let mut edge = world.host("edge")?.command("edge-node");
//! edge.args(["--listen", "0.0.0.0:8080"]);
//! world.set("ada", Some(pulse_lab::Side::Down), "rate=256kbit")?;
//! # Ok(())
//! # }
//! ```
//!
//! Dropping the world removes everything. A process that is killed leaves its namespaces to the next
//! world on the machine, which removes them.

mod builder;
mod clock;
mod driver;
mod error;
pub mod limits;
pub mod link;
mod netns;
mod packet;
mod profile;
pub mod router;
pub mod shape;
mod spec;
mod stats;
mod tun;
mod units;
mod world;

pub use builder::{Builder, check_permitted};
pub use error::LabError;
pub use link::Counters;
pub use netns::is_gone;
pub use profile::NAMES as PROFILES;
pub use shape::{Flap, Loss, Shape};
pub use spec::{Side, Spec, SpecError};
pub use stats::{DeviceStats, LinkStats, Stats};
pub use units::time as parse_time;
pub use world::{Host, World};
