//! Receivers behind a bad last mile, and receivers that take nothing: what they get, and that nobody
//! else pays for it. A time without and a time with the trouble are parts of one run, so that what
//! the machine does besides falls on both.

mod behind;
mod call;

use std::io::BufRead as _;

use behind::{frozen, narrow};
use call::{
    Failure,
    edge::can_pin,
    figures::{Options, Row, print},
};

/// How long somebody is in trouble, unless `--window-s` says otherwise.
const TROUBLE_S: u64 = 60;

/// Prints what other programs measured, too: their lines are its input.
const TABLE: &str = "--table";

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((frozen::SLEEPERS, rest)) =
        words.split_first().map(|(one, rest)| (one.as_str(), rest))
    {
        return frozen::sleepers(rest);
    }
    if words.iter().any(|word| word == TABLE) {
        return table();
    }
    let Some(options) = Options::read_with(TROUBLE_S)? else {
        return Ok(());
    };
    let pinned = can_pin();
    if !pinned {
        eprintln!("not pinned: the edge and what measures it share cores");
    }
    let during_s = options.window_s;
    let narrow_rows = ["narrow_cubic", "narrow_bbr", "narrow_baseline"];
    if let Err(why) = pulse_lab::check_permitted() {
        eprintln!("left out: {}: {why}", narrow_rows.join(", "));
    } else {
        for congestion in ["cubic", "bbr"] {
            let name = format!("narrow_{congestion}");
            show(&options, &name, || {
                narrow::measure(congestion, pinned, during_s)
            })?;
        }
        show(&options, "narrow_baseline", || {
            narrow::baseline(pinned, during_s)
        })?;
    }
    show(&options, "frozen", || frozen::measure(pinned, during_s))
}

/// Measures if it is wanted, and prints.
fn show(
    options: &Options,
    name: &str,
    measure: impl FnOnce() -> Result<Vec<Row>, Failure>,
) -> Result<(), Failure> {
    if options.wants(name) {
        print(options, name, &measure()?);
    }
    Ok(())
}

fn table() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for line in std::io::stdin().lock().lines() {
        rows.extend(Row::from_json(&serde_json::from_str(&line?)?));
    }
    let options = Options::default();
    print(&options, "Last miles", &rows);
    Ok(())
}
