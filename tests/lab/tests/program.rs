//! The program `pulse-lab`: what it prints, what it takes, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed, in its helpers too"
)]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pulse-lab");

struct Lab {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    ready: Value,
}

impl Lab {
    fn up(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["--json", "up", "--host", "edge=lan", "--host", "ada=mobile"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lab = Self {
            child,
            input,
            output,
            ready: Value::Null,
        };
        lab.ready = lab.read()["ready"].take();
        lab
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn say(&mut self, line: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.read()
    }

    fn namespace(&self, host: &str) -> String {
        self.ready["hosts"][host]["namespace"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn is_there(&self) -> [bool; 2] {
        ["edge", "ada"].map(|host| Path::new("/run/netns").join(self.namespace(host)).exists())
    }

    /// Another `pulse-lab` that speaks to this one.
    fn remote(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(PROGRAM)
            .args(["--lab", &self.child.id().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_are_answered_in_order() {
    if !common::is_permitted("lines_are_answered_in_order") {
        return;
    }
    let mut lab = Lab::up(&["--seed", "5", "--congestion", "edge=cubic"]);
    assert_eq!(lab.ready["seed"], 5);
    assert_eq!(lab.ready["hosts"]["edge"]["address"], "10.77.0.1");
    assert_eq!(
        lab.say("set ada down rate=256kbit loss=3%"),
        json!({ "ok": true })
    );
    let stats = lab.say("stats");
    let shape = stats["stats"]["links"]["ada down"]["shape"]
        .as_str()
        .unwrap();
    assert!(
        shape.contains("rate=256kbit") && shape.contains("loss=3%"),
        "{shape}"
    );
    let shape = stats["stats"]["links"]["ada up"]["shape"].as_str().unwrap();
    assert!(shape.contains("rate=3mbit"), "{shape}");
    assert_eq!(lab.say("blackhole ada up 10ms"), json!({ "ok": true }));
    assert_eq!(lab.say("blackhole edge on"), json!({ "ok": true }));
    assert_eq!(lab.say("blackhole edge off"), json!({ "ok": true }));
    assert_eq!(lab.say("congestion ada reno"), json!({ "ok": true }));
    for wrong in [
        "set bea lan",
        "set ada",
        "set ada rte=3",
        "dance",
        "blackhole ada soon",
    ] {
        assert!(lab.say(wrong)["error"].is_string(), "{wrong}");
    }
    assert_eq!(lab.say("quit"), json!({ "ok": true }));
    assert!(lab.child.wait().unwrap().success());
    assert_eq!(lab.is_there(), [false, false]);
}

#[test]
fn another_terminal_can_change_and_look_and_run() {
    if !common::is_permitted("another_terminal_can_change_and_look_and_run") {
        return;
    }
    let lab = Lab::up(&[]);
    let (ok, text) = lab.remote(&["set", "ada", "down", "rate=256kbit"]);
    assert!(ok && text == "ok\n", "{text}");
    let (ok, text) = lab.remote(&["stats"]);
    assert!(ok && text.contains("rate=256kbit"), "{text}");
    let (ok, text) = lab.remote(&["exec", "ada", "--", "ip", "-o", "addr"]);
    assert!(ok && text.contains("10.77.0.2"), "{text}");
    let (ok, text) = lab.remote(&["blackhole", "ada", "1s"]);
    assert!(ok, "{text}");
    let (ok, text) = lab.remote(&["set", "bea", "lan"]);
    assert!(!ok && text.contains("There are edge, ada"), "{text}");
    let (ok, text) = lab.remote(&["exec", "bea", "--", "true"]);
    assert!(!ok && text.contains("There is no host \"bea\""), "{text}");
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    if !common::is_permitted("a_signal_ends_it_and_nothing_is_left") {
        return;
    }
    for signal in ["TERM", "INT", "HUP"] {
        let mut lab = Lab::up(&[]);
        assert_eq!(lab.is_there(), [true, true]);
        lab.signal(signal);
        assert!(lab.child.wait().unwrap().success());
        assert_eq!(lab.is_there(), [false, false]);
        assert!(!Path::new(lab.ready["socket"].as_str().unwrap()).exists());
    }
}

#[test]
fn the_end_of_the_input_ends_it_only_when_asked() {
    if !common::is_permitted("the_end_of_the_input_ends_it_only_when_asked") {
        return;
    }
    let mut child = Lab::up(&["--until-stdin-closes"]);
    let mut daemon = Lab::up(&[]);
    child.input = None;
    daemon.input = None;
    assert!(child.child.wait().unwrap().success());
    assert_eq!(child.is_there(), [false, false]);
    let (ok, text) = daemon.remote(&["hosts"]);
    assert!(ok && text.contains("10.77.0.1"), "{text}");
    assert!(daemon.remote(&["quit"]).0);
    assert!(daemon.child.wait().unwrap().success());
}

#[test]
fn the_next_lab_removes_what_a_killed_one_has_left() {
    if !common::is_permitted("the_next_lab_removes_what_a_killed_one_has_left") {
        return;
    }
    let alive = Lab::up(&[]);
    let mut killed = Lab::up(&[]);
    killed.signal("KILL");
    killed.child.wait().unwrap();
    let next = Lab::up(&[]);
    assert_eq!(killed.is_there(), [false, false]);
    assert!(!Path::new(killed.ready["socket"].as_str().unwrap()).exists());
    assert_eq!(alive.is_there(), [true, true], "its owner lives");
    assert_eq!(next.is_there(), [true, true]);
}

#[test]
fn what_cannot_be_is_one_sentence() {
    let output = Command::new(PROGRAM)
        .args(["up", "--host", "ada=lann"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.starts_with("pulse-lab: There is no profile \"lann\""),
        "{text}"
    );
}
