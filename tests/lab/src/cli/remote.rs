//! Speaks to a lab that runs in another terminal, over its socket.

use std::{
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use pulse_lab::is_gone;
use serde_json::Value;

use super::serve::FOLDER;

/// Sends one line and returns what came back, unless it is an error.
pub(crate) fn ask(lab: Option<u32>, line: &str) -> Result<Value, String> {
    let path = find(lab)?;
    let text = exchange(&path, line)
        .map_err(|error| format!("The lab at {} does not answer: {error}", path.display()))?;
    let answer: Value = serde_json::from_str(&text)
        .map_err(|_| format!("The lab at {} ended without an answer.", path.display()))?;
    match answer.get("error").and_then(Value::as_str) {
        Some(problem) => Err(problem.to_owned()),
        None => Ok(answer),
    }
}

/// Becomes the program, on a host. Returns only if that fails.
pub(crate) fn exec(lab: Option<u32>, host: &str, command: &[String]) -> Result<(), String> {
    let answer = ask(lab, "hosts")?;
    let hosts = answer.get("hosts").and_then(Value::as_object);
    let namespace = hosts.and_then(|hosts| hosts.get(host)?.get("namespace")?.as_str());
    let namespace = namespace.ok_or_else(|| {
        let names = hosts.into_iter().flat_map(|hosts| hosts.keys().cloned());
        let names: Vec<String> = names.collect();
        format!(
            "There is no host \"{host}\". There are {}.",
            names.join(", ")
        )
    })?;
    let failure = Command::new("ip")
        .args(["netns", "exec", namespace])
        .args(command)
        .exec();
    Err(format!("Could not run ip: {failure}"))
}

fn exchange(path: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    writeln!(stream, "{line}")?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn find(lab: Option<u32>) -> Result<PathBuf, String> {
    if let Some(pid) = lab {
        return Ok(Path::new(FOLDER).join(format!("{pid}.sock")));
    }
    let mut running: Vec<(String, PathBuf)> = fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let pid = name.strip_suffix(".sock")?;
            (!is_gone(pid)).then(|| (pid.to_owned(), entry.path()))
        })
        .collect();
    running.sort();
    match running.as_slice() {
        [(_, path)] => Ok(path.clone()),
        [] => Err("No lab is up: start one with \"pulse-lab up\" (as the same user).".into()),
        several => {
            let pids: Vec<&str> = several.iter().map(|(pid, _)| pid.as_str()).collect();
            Err(format!(
                "Several labs are up: choose one with --lab {}.",
                pids.join(" or ")
            ))
        }
    }
}
