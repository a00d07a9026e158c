//! The language of commands, one a line, the same on standard input, on the socket and as arguments:
//! carries one out and says in one JSON value how it went.

use pulse_lab::{Side, World, parse_time};
use serde_json::{Value, json};

/// What a line leads to.
pub(crate) enum Outcome {
    /// An answer.
    Answer(Value),
    /// The end.
    Quit,
}

const COMMANDS: &str = "set PLACE [up|down] SPEC, blackhole PLACE [up|down] TIME|on|off, congestion HOST NAME|none, \
     stats, hosts, quit";

/// Carries out one line.
pub(crate) fn run(world: &World, line: &str) -> Outcome {
    let words: Vec<&str> = line.split_whitespace().collect();
    let answer = match words.as_slice() {
        ["quit"] => return Outcome::Quit,
        ["stats"] => stats(world),
        ["hosts"] => Ok(hosts(world)),
        ["set", place, rest @ ..] => set(world, place, rest),
        ["blackhole", place, rest @ ..] => blackhole(world, place, rest),
        ["congestion", host, name] => congestion(world, host, name),
        _ => Err(format!("\"{line}\" is no command. Commands: {COMMANDS}.")),
    };
    Outcome::Answer(answer.unwrap_or_else(|problem| json!({ "error": problem })))
}

/// Names, addresses and namespaces.
pub(crate) fn hosts(world: &World) -> Value {
    let each = world.hosts().iter().map(|host| {
        let value = json!({ "address": host.address(), "namespace": host.namespace() });
        (host.name().to_owned(), value)
    });
    json!({ "hosts": each.collect::<serde_json::Map<_, _>>() })
}

fn stats(world: &World) -> Result<Value, String> {
    let stats = world.stats().map_err(|error| error.to_string())?;
    Ok(json!({ "stats": stats }))
}

fn set(world: &World, place: &str, words: &[&str]) -> Result<Value, String> {
    let (side, words) = side(words);
    if words.is_empty() {
        return Err("Say what to set, such as: set ada down rate=256kbit".into());
    }
    let result = world.set(place, side, &words.join(","));
    result.map(|()| ok()).map_err(|error| error.to_string())
}

fn blackhole(world: &World, place: &str, words: &[&str]) -> Result<Value, String> {
    let (side, words) = side(words);
    let result = match words {
        ["off"] => world.restore(place, side),
        [] | ["on"] => world.blackhole(place, side, None),
        [time] => {
            let parsed = parse_time(time);
            let parsed = parsed.ok_or_else(|| {
                format!("\"{time}\" is no time: write 10s, or \"on\" and later \"off\".")
            })?;
            world.blackhole(place, side, Some(parsed))
        }
        _ => return Err("Say: blackhole ada [up|down] 10s".into()),
    };
    result.map(|()| ok()).map_err(|error| error.to_string())
}

fn congestion(world: &World, host: &str, name: &str) -> Result<Value, String> {
    let name = Some(name).filter(|name| *name != "none");
    let result = world.host(host).and_then(|host| host.set_congestion(name));
    result.map(|()| ok()).map_err(|error| error.to_string())
}

fn ok() -> Value {
    json!({ "ok": true })
}

fn side<'a>(words: &'a [&'a str]) -> (Option<Side>, &'a [&'a str]) {
    match words {
        ["up", rest @ ..] => (Some(Side::Up), rest),
        ["down", rest @ ..] => (Some(Side::Down), rest),
        _ => (None, words),
    }
}
