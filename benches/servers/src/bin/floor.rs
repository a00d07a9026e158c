//! The floor: the least that a fan-out over WebSockets can cost. One thread and one epoll; each turn
//! reads every socket that is ready, frames what came once, and writes to each receiver once.

use std::{
    collections::HashMap,
    io::{self, IoSlice, Read as _, Write as _},
    net::SocketAddr,
    ops::Range,
    process::ExitCode,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use pulse_bench_servers::{
    QUEUE_BYTES, Said, announce, read, serve, tell_dropped,
    wire::{self, Taken},
};

const LISTENER: Token = Token(0);

/// Sockets looked at in one turn.
const EVENTS: usize = 4_096;

/// One read.
const READ_BYTES: usize = 64 * 1024;

/// One client.
struct Client {
    stream: TcpStream,
    /// What came and is no whole frame yet.
    carry: Vec<u8>,
    upgraded: bool,
    room: Option<usize>,
    wants: bool,
    /// What the socket did not take.
    pending: Vec<u8>,
    writable_wanted: bool,
    over: bool,
}

/// What one turn has to send to a room.
#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// Framed messages, one behind the other.
    turn: Vec<u8>,
    /// Where those of each sender lie.
    from: Vec<(usize, Range<usize>)>,
}

struct Floor {
    poll: Poll,
    clients: HashMap<usize, Client>,
    rooms: Vec<Room>,
    names: HashMap<String, usize>,
    next: usize,
    dropped: u64,
}

fn main() -> ExitCode {
    serve(run)
}

fn run(address: SocketAddr) -> io::Result<()> {
    let mut listener = TcpListener::bind(address)?;
    announce(listener.local_addr()?);
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor {
        poll,
        clients: HashMap::new(),
        rooms: Vec::new(),
        names: HashMap::new(),
        next: 1,
        dropped: 0,
    };
    let mut events = Events::with_capacity(EVENTS);
    let mut buffer = vec![0; READ_BYTES];
    let mut told = 0;
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener)?,
                Token(number) => {
                    if event.is_writable() {
                        floor.write_on(number);
                    }
                    if event.is_readable() {
                        floor.read(number, &mut buffer);
                    }
                }
            }
        }
        floor.fan_out();
        if floor.dropped > told {
            told = floor.dropped;
            tell_dropped(told);
        }
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let number = self.next;
            self.next += 1;
            let interest = Interest::READABLE;
            self.poll
                .registry()
                .register(&mut stream, Token(number), interest)?;
            self.clients.insert(
                number,
                Client {
                    stream,
                    carry: Vec::new(),
                    upgraded: false,
                    room: None,
                    wants: true,
                    pending: Vec::new(),
                    writable_wanted: false,
                    over: false,
                },
            );
        }
    }

    /// Reads everything that is there.
    fn read(&mut self, number: usize, buffer: &mut [u8]) {
        loop {
            let Some(client) = self.clients.get_mut(&number) else {
                return;
            };
            match client.stream.read(buffer) {
                Ok(0) => return self.remove(number),
                Ok(count) => {
                    client
                        .carry
                        .extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if !self.understand(number) {
                        return self.remove(number);
                    }
                    if count < buffer.len() {
                        // Less than there was place for: it is empty now.
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.remove(number),
            }
        }
    }

    /// Takes every whole frame of a client; `false` ends its connection.
    fn understand(&mut self, number: usize) -> bool {
        let Some(client) = self.clients.get_mut(&number) else {
            return false;
        };
        let mut bytes = std::mem::take(&mut client.carry);
        let mut done = 0;
        if !client.upgraded {
            match wire::upgrade(&bytes) {
                Ok(None) => {
                    client.carry = bytes;
                    return true;
                }
                Ok(Some((length, answer))) => {
                    client.upgraded = true;
                    client.pending.extend_from_slice(answer.as_bytes());
                    done = length;
                }
                Err(_) => return false,
            }
        }
        let good = loop {
            match wire::take(bytes.get_mut(done..).unwrap_or_default()) {
                Ok(Taken::Partial) => break true,
                Ok(Taken::Other(end)) => done += end,
                Ok(Taken::Binary { begin, end }) => {
                    let message = bytes.get(done + begin..done + end).unwrap_or_default();
                    done += end;
                    if !self.message(number, message) {
                        break false;
                    }
                }
                Ok(Taken::Close) | Err(_) => break false,
            }
        };
        bytes.drain(..done.min(bytes.len()));
        if let Some(client) = self.clients.get_mut(&number) {
            client.carry = bytes;
        }
        self.write_on(number);
        good
    }

    fn message(&mut self, number: usize, message: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(&number) else {
            return false;
        };
        match read(message) {
            Said::Media => {
                if let Some(room) = client.room.and_then(|room| self.rooms.get_mut(room)) {
                    let begin = room.turn.len();
                    wire::append(&mut room.turn, message);
                    let end = room.turn.len();
                    match room.from.last_mut() {
                        Some((from, range)) if *from == number => range.end = end,
                        _ => room.from.push((number, begin..end)),
                    }
                }
            }
            Said::Join { room, welcome } => {
                wire::append(&mut client.pending, welcome.bytes());
                let index = *self.names.entry(room).or_insert_with(|| {
                    self.rooms.push(Room::default());
                    self.rooms.len() - 1
                });
                client.room = Some(index);
                if let Some(room) = self.rooms.get_mut(index) {
                    room.members.push(number);
                }
            }
            Said::Wants(wants) => client.wants = wants,
            Said::Answer(answer) => wire::append(&mut client.pending, answer.bytes()),
            Said::Leave => return false,
            Said::Nothing => {}
        }
        true
    }

    /// Sends each room's turn to its members, one write each.
    fn fan_out(&mut self) {
        let mut over = Vec::new();
        for room in &mut self.rooms {
            if room.turn.is_empty() {
                continue;
            }
            for number in &room.members {
                let Some(client) = self.clients.get_mut(number).filter(|client| client.wants)
                else {
                    continue;
                };
                let own = room.from.iter().any(|(from, _)| from == number);
                if own {
                    let others = room.from.iter().filter(|(from, _)| from != number);
                    let parts: Vec<&[u8]> = others
                        .filter_map(|(_, range)| room.turn.get(range.clone()))
                        .collect();
                    self.dropped += client.send(&parts);
                } else {
                    self.dropped += client.send(&[&room.turn]);
                }
                client.want_writable(&self.poll, *number);
                if client.over {
                    over.push(*number);
                }
            }
            room.turn.clear();
            room.from.clear();
        }
        for number in over {
            self.remove(number);
        }
    }

    /// Writes what waits.
    fn write_on(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        client.send(&[]);
        client.want_writable(&self.poll, number);
        if client.over {
            self.remove(number);
        }
    }

    fn remove(&mut self, number: usize) {
        if let Some(mut client) = self.clients.remove(&number) {
            // Closing it does the same.
            let _ = self.poll.registry().deregister(&mut client.stream);
            let room = client.room.and_then(|room| self.rooms.get_mut(room));
            if let Some(room) = room {
                room.members.retain(|member| *member != number);
            }
        }
    }
}

impl Client {
    /// Writes these behind what waits already; says how many turns were dropped, 0 or 1.
    fn send(&mut self, parts: &[&[u8]]) -> u64 {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if !self.pending.is_empty() {
            let dropped = self.pending.len() + size > QUEUE_BYTES;
            if !dropped {
                parts
                    .iter()
                    .for_each(|part| self.pending.extend_from_slice(part));
            }
            match self.stream.write(&self.pending) {
                Ok(count) => _ = self.pending.drain(..count),
                Err(error) => self.over = error.kind() != io::ErrorKind::WouldBlock,
            }
            return dropped.into();
        }
        if size == 0 {
            return 0;
        }
        let written = match parts {
            [one] => self.stream.write(one),
            several => {
                let slices: Vec<IoSlice<'_>> =
                    several.iter().map(|part| IoSlice::new(part)).collect();
                self.stream.write_vectored(&slices)
            }
        };
        let mut taken = match written {
            Ok(count) => count,
            Err(error) => {
                self.over = error.kind() != io::ErrorKind::WouldBlock;
                0
            }
        };
        for part in parts {
            let skip = taken.min(part.len());
            taken -= skip;
            self.pending
                .extend_from_slice(part.get(skip..).unwrap_or_default());
        }
        0
    }

    /// Asks to be told when the socket takes something, exactly while something waits.
    fn want_writable(&mut self, poll: &Poll, number: usize) {
        let wanted = !self.pending.is_empty();
        if wanted == self.writable_wanted {
            return;
        }
        self.writable_wanted = wanted;
        let interest = if wanted {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let registry = poll.registry();
        if registry
            .reregister(&mut self.stream, Token(number), interest)
            .is_err()
        {
            self.over = true;
        }
    }
}
