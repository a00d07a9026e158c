//! `pulse-lab up`: holds a world, and takes commands from standard input and from a socket until told
//! to end. Signals, input and socket have a thread each; the world is touched by one.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use pulse_lab::{
    World, is_gone,
    limits::{CONTROL_TIMEOUT, MAX_LINE_BYTES, MAX_PENDING_LINES},
};
use serde_json::{Value, json};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{
    Up,
    control::{self, Outcome},
    show,
};

/// Where the sockets of running labs are.
pub(crate) const FOLDER: &str = "/run/pulse-lab";

/// What the threads bring.
enum Event {
    /// A line, and who wants to know how it went; nobody is standard output.
    Line(String, Option<SyncSender<Value>>),
    /// A signal, or the input's end.
    End,
}

/// Removed on drop.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes the world, says so, and stays.
pub(crate) fn serve(up: &Up, json: bool) -> Result<(), String> {
    let (events, inbox) = sync_channel(MAX_PENDING_LINES);
    watch_signals(events.clone()).map_err(|error| format!("Could not watch signals: {error}"))?;
    let world = build(up)?;
    let socket = listen(events.clone());
    read_input(events, up.until_stdin_closes);

    let mut ready = control::hosts(&world);
    if let Some(object) = ready.as_object_mut() {
        object.insert("seed".into(), json!(up.seed));
        let path = socket.as_ref().ok().map(|socket| &socket.0);
        object.insert("socket".into(), json!(path));
    }
    show(&json!({ "ready": ready }), json);
    if let Err(error) = &socket {
        let _ = writeln!(
            io::stderr(),
            "pulse-lab: no commands from elsewhere: {FOLDER}: {error}"
        );
    }
    answer(&world, &inbox, json);
    Ok(())
}

fn answer(world: &World, inbox: &Receiver<Event>, json: bool) {
    while let Ok(Event::Line(line, reply)) = inbox.recv() {
        let (value, is_end) = match control::run(world, &line) {
            Outcome::Answer(value) => (value, false),
            Outcome::Quit => (json!({ "ok": true }), true),
        };
        match reply {
            // Whoever asked may have gone.
            Some(reply) => drop(reply.try_send(value)),
            None => show(&value, json),
        }
        if is_end {
            return;
        }
    }
}

fn build(up: &Up) -> Result<World, String> {
    let mut builder = World::builder().seed(up.seed);
    for text in &up.hosts {
        let (name, spec) = split(text, '=', "--host NAME=SPEC, such as ada=mobile")?;
        builder = match name.split_once('@') {
            Some((name, region)) => builder.host_in(region, name, spec),
            None => builder.host(name, spec),
        };
    }
    for text in &up.paths {
        let expected = "--path REGION:REGION=SPEC, such as frankfurt:virginia=transatlantic";
        let (place, spec) = split(text, '=', expected)?;
        let (first, second) = split(place, ':', expected)?;
        builder = builder.path(first, second, spec);
    }
    for text in &up.congestion {
        let (host, name) = split(text, '=', "--congestion HOST=NAME, such as edge=cubic")?;
        builder = builder.congestion(host, name);
    }
    builder.start().map_err(|error| error.to_string())
}

fn split<'a>(text: &'a str, at: char, expected: &str) -> Result<(&'a str, &'a str), String> {
    let parts = text.split_once(at);
    parts.ok_or_else(|| format!("\"{text}\" is not understood: write {expected}."))
}

fn watch_signals(events: SyncSender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if events.send(Event::End).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn read_input(events: SyncSender<Event>, ends: bool) {
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(line)) = read_line(&mut input) {
            if !line.is_empty() && events.send(Event::Line(line, None)).is_err() {
                return;
            }
        }
        if ends {
            let _ = events.send(Event::End);
        }
    });
}

/// The next line without its end; `None` at the end of all.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = input.take(MAX_LINE_BYTES as u64).read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim().to_owned()))
}

fn listen(events: SyncSender<Event>) -> io::Result<Socket> {
    fs::create_dir_all(FOLDER)?;
    for entry in fs::read_dir(FOLDER)?.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_suffix(".sock"));
        if owner.is_some_and(is_gone) {
            let _ = fs::remove_file(entry.path());
        }
    }
    let path = PathBuf::from(FOLDER).join(format!("{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // One at a time: a command takes milliseconds, and who is silent is cut off.
            let _ = converse(stream, &events);
        }
    });
    Ok(Socket(path))
}

fn converse(mut stream: UnixStream, events: &SyncSender<Event>) -> io::Result<()> {
    stream.set_read_timeout(Some(CONTROL_TIMEOUT))?;
    stream.set_write_timeout(Some(CONTROL_TIMEOUT))?;
    let Some(line) = read_line(&mut BufReader::new(&stream))? else {
        return Ok(());
    };
    let (reply, answer) = sync_channel(1);
    let sent = events.send(Event::Line(line, Some(reply)));
    if let (Ok(()), Ok(value)) = (sent, answer.recv()) {
        writeln!(stream, "{value}")?;
    }
    Ok(())
}
