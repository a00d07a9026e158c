//! Options in, rows out: a table for people, one JSON object a line for programs.

use std::time::Duration;

use super::Failure;

/// What the command line says.
pub struct Options {
    /// One object a line in place of a table.
    pub json: bool,
    /// Baseline and stalled windows, each so often.
    pub pairs: usize,
    /// Length of a window.
    pub window_s: u64,
    /// The one measurement to make, of a bench that makes several.
    pub only: Option<String>,
}

/// The edge gives up a socket that takes nothing for 30 s.
const LONGEST_WINDOW_S: u64 = 25;

impl Default for Options {
    fn default() -> Self {
        Self {
            json: false,
            pairs: 5,
            window_s: 10,
            only: None,
        }
    }
}

impl Options {
    /// Reads them. `None`: this is no benchmark run but `cargo test --benches`.
    pub fn read() -> Result<Option<Self>, Failure> {
        let options = Self::read_any(Self::default())?;
        match options {
            Some(options) if options.window_s > LONGEST_WINDOW_S => {
                Err(format!("a window lasts at most {LONGEST_WINDOW_S} s").into())
            }
            options => Ok(options),
        }
    }

    /// The same with another length of windows, which may be any.
    pub fn read_with(window_s: u64) -> Result<Option<Self>, Failure> {
        Self::read_any(Self {
            window_s,
            ..Self::default()
        })
    }

    fn read_any(mut options: Self) -> Result<Option<Self>, Failure> {
        let mut benchmark = false;
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            if word == "--only" {
                let name = words.next().ok_or("--only needs a name")?;
                options.only = Some(name);
                continue;
            }
            let mut number = || -> Result<u64, Failure> {
                let number = words.next().and_then(|text| text.parse().ok());
                number
                    .filter(|number| *number > 0)
                    .ok_or_else(|| format!("{word} needs a number over 0").into())
            };
            match word.as_str() {
                "--bench" => benchmark = true,
                "--json" => options.json = true,
                "--pairs" => options.pairs = usize::try_from(number()?)?,
                "--window-s" => options.window_s = number()?,
                _ => return Err(format!("{word} is no option: {USAGE}").into()),
            }
        }
        Ok(benchmark.then_some(options))
    }

    /// Whether a measurement is to be made.
    pub fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

const USAGE: &str = "benches/run [--json] [--pairs N] [--window-s N]";

/// One figure.
pub struct Row {
    name: &'static str,
    /// Not finite: it could not be measured, which meets no bar.
    value: f64,
    unit: &'static str,
    /// The most it may be, or the least; missing where it explains another one only.
    bar: Option<Bar>,
}

#[derive(Clone, Copy)]
enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// Another program's, which has said whether it is met.
    Judged(f64, bool),
}

impl Bar {
    fn value(self) -> f64 {
        match self {
            Self::AtMost(bar) | Self::AtLeast(bar) | Self::Judged(bar, _) => bar,
        }
    }
}

impl Row {
    /// A figure that explains others.
    pub fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            name,
            value,
            unit,
            bar: None,
        }
    }

    /// A time, in ms.
    pub fn ms(name: &'static str, value: Duration) -> Self {
        Self::new(name, value.as_secs_f64() * 1e3, "ms")
    }

    /// The most it may be.
    #[must_use]
    pub fn at_most(mut self, bar: f64) -> Self {
        self.bar = Some(Bar::AtMost(bar));
        self
    }

    /// The least it may be.
    #[must_use]
    pub fn at_least(mut self, bar: f64) -> Self {
        self.bar = Some(Bar::AtLeast(bar));
        self
    }

    /// Only to compare with.
    #[must_use]
    pub fn without_bar(mut self) -> Self {
        self.bar = None;
        self
    }

    /// What a program printed with `--json`; `None`, if that is none of these lines.
    pub fn from_json(line: &serde_json::Value) -> Option<Self> {
        let bar = line["bar"].as_f64();
        Some(Self {
            name: line["name"].as_str()?.to_owned().leak(),
            value: line["value"].as_f64().unwrap_or(f64::NAN),
            unit: line["unit"].as_str()?.to_owned().leak(),
            bar: bar.map(|bar| Bar::Judged(bar, line["ok"] == true)),
        })
    }

    fn ok(&self) -> Option<bool> {
        self.bar.map(|bar| match bar {
            Bar::AtMost(bar) => self.value <= bar,
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::Judged(_, ok) => ok,
        })
    }
}

/// Prints all rows.
pub fn print(options: &Options, title: &str, rows: &[Row]) {
    if options.json {
        for row in rows {
            let Row {
                name, value, unit, ..
            } = row;
            let bar = row
                .bar
                .map_or("null".to_owned(), |bar| format!("{:.3}", bar.value()));
            let ok = row.ok().map_or("null".to_owned(), |ok| ok.to_string());
            let value = match value.is_finite() {
                true => format!("{value:.3}"),
                false => "null".to_owned(),
            };
            println!(
                r#"{{"name":"{name}","value":{value},"unit":"{unit}","bar":{bar},"ok":{ok}}}"#
            );
        }
        return;
    }
    println!("\n{title}, load {}", load());
    println!("  {:<38} {:>12} {:<8} {:>12}", "", "value", "", "bar");
    for row in rows {
        let bar = match row.bar {
            Some(Bar::AtMost(bar)) => format!("≤ {}", short(bar)),
            Some(Bar::AtLeast(bar)) => format!("≥ {}", short(bar)),
            Some(Bar::Judged(bar, _)) => short(bar),
            None => String::new(),
        };
        let verdict = match row.ok() {
            Some(true) => "ok",
            Some(false) => "missed",
            None => "",
        };
        println!(
            "  {:<38} {:>12} {:<8} {bar:>12} {verdict}",
            row.name,
            short(row.value),
            row.unit
        );
    }
}

fn short(value: f64) -> String {
    if value.is_nan() {
        "unknown".to_owned()
    } else if value.is_infinite() {
        "never".to_owned()
    } else if value.fract() == 0.0 || value.abs() >= 1e4 {
        format!("{value:.0}")
    } else {
        // Adding nothing turns a rounded -0 into 0.
        format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0)
    }
}

/// The machine's load over the last minute: what else runs spoils every time.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (values[half - 1] + values[half]) / 2.0,
        _ => values[half],
    }
}
