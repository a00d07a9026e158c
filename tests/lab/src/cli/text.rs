//! Answers as people read them.

use std::fmt::Write;

use serde_json::Value;

/// Drops by cause, as the counters are called.
const CAUSES: [&str; 5] = ["queue", "loss", "away", "mtu", "flight"];

/// One answer, without a line's end.
pub(crate) fn of(answer: &Value) -> String {
    let ready = answer.get("ready");
    if let Some(hosts) = ready.unwrap_or(answer).get("hosts") {
        let mut text = hosts_of(hosts);
        if ready.is_some() {
            text += "Ready. Ctrl-C ends it; \"pulse-lab set|blackhole|stats|exec ...\" work here \
                     (without \"pulse-lab\") and from elsewhere.";
        }
        return text.trim_end().to_owned();
    }
    if let Some(stats) = answer.get("stats") {
        return stats_of(stats);
    }
    match answer.get("error").and_then(Value::as_str) {
        Some(problem) => format!("error: {problem}"),
        None => "ok".into(),
    }
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn hosts_of(hosts: &Value) -> String {
    let mut text = String::new();
    for (name, host) in entries(Some(hosts)) {
        let (address, namespace) = (field(host, "address"), field(host, "namespace"));
        let _ = writeln!(text, "{name:<16} {address:<14} {namespace}");
    }
    text
}

fn stats_of(stats: &Value) -> String {
    let mut text = format!(
        "{:<28} {:>9} {:>12} {:>9} {:>6} {:>5} {:>7}  dropped",
        "link", "packets", "bytes", "out", "held", "twice", "reorder"
    );
    for (name, link) in entries(stats.get("links")) {
        let get = |counter| field(link, counter);
        let _ = write!(
            text,
            "\n{name:<28} {:>9} {:>12} {:>9} {:>6} {:>5} {:>7} ",
            get("offered"),
            get("offered_bytes"),
            get("delivered"),
            get("held"),
            get("duplicated"),
            get("reordered"),
        );
        for cause in CAUSES {
            let count = field(link, &format!("dropped_{cause}"));
            if count != "0" {
                let _ = write!(text, " {cause} {count}");
            }
        }
        let _ = write!(text, "\n  {}", get("shape"));
    }
    for (name, device) in entries(stats.get("devices")) {
        let sending = field(device, "dropped_sending");
        let receiving = field(device, "dropped_receiving");
        if (&*sending, &*receiving) != ("0", "0") {
            let _ = write!(
                text,
                "\nThe device of {name} dropped {sending} sent and {receiving} received: the machine was too slow."
            );
        }
    }
    let _ = write!(text, "\nto nobody here: {}", field(stats, "unroutable"));
    text
}
