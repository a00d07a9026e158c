//! What the second edge of a room costs: a cluster of processes, the two ends of a link without rooms, and
//! who speaks and listens. Nothing here decides what is good; the bars stand beside their figures.

pub mod core_killed;
pub mod cpu;
pub mod cut;
pub mod edge_killed;
pub mod ends;
pub mod given;
pub mod latency;
pub mod listeners;
pub mod lossy;
pub mod place;
pub mod servers;
pub mod speakers;
pub mod wire;

use hdrhistogram::Histogram;

use crate::call::figures::Row;

/// A row whose name begins with its measurement's.
pub fn named(run: &str, what: &str, value: f64, unit: &'static str) -> Row {
    Row::new(format!("{run}_{what}").leak(), value, unit)
}

/// A quantile of µs, in ms; unknown if there is nothing.
pub fn quantile_ms(ages_us: &Histogram<u64>, part: f64) -> f64 {
    if ages_us.is_empty() {
        return f64::NAN;
    }
    ages_us.value_at_quantile(part) as f64 / 1e3
}
