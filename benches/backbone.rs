//! What the second edge of a room costs: delay, bytes on the wire, processor time, and what arrives over
//! paths that lose. Real edges and a core where rooms matter, the two ends of a link where they do not.

mod across;
mod call;

use across::{core_killed, cpu, cut, edge_killed, latency, lossy, wire};
use call::{
    Failure,
    edge::can_pin,
    figures::{Options, Row, print},
};

/// How long each figure is taken, unless `--window-s` says otherwise.
const WINDOW_S: u64 = 10;

fn main() -> Result<(), Failure> {
    let Some(options) = Options::read_with(WINDOW_S)? else {
        return Ok(());
    };
    let pinned = can_pin();
    if !pinned {
        eprintln!("not pinned: the edges and what measures them share cores");
    }
    let window_s = options.window_s;
    let lab = pulse_lab::check_permitted();
    let mut rows: Vec<Row> = Vec::new();
    if options.wants("latency") {
        rows.extend(latency::measure(pinned, window_s)?);
    }
    if options.wants("cpu") {
        rows.extend(cpu::measure(window_s)?);
    }
    if options.wants("core-killed") {
        rows.extend(core_killed::measure(pinned)?);
    }
    match lab {
        Err(why) => eprintln!("left out: wire, lossy, cut, edge-killed: {why}"),
        Ok(()) => {
            if options.wants("wire") {
                rows.extend(wire::measure(pinned, window_s)?);
            }
            if options.wants("lossy") {
                rows.extend(lossy::measure(window_s)?);
            }
            if options.wants("cut") {
                rows.extend(cut::measure(pinned)?);
            }
            if options.wants("edge-killed") {
                rows.extend(edge_killed::measure(pinned)?);
            }
        }
    }
    print(&options, "The backbone", &rows);
    Ok(())
}
