//! What the servers that an edge is compared with have in common: the little of the wire that lets a
//! load test in. They forward every media message to everybody else in the room who did not say that
//! it wants none; they keep no roster, cache nothing, refuse nothing and know no tracks. Their queues
//! are bounded like an edge's, and what they drop they count.

pub mod rooms;
pub mod wire;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use pulse_proto::{
    Frame, FrameType, PROTOCOL_VERSION, ParticipantId,
    control::{Control, Hello, Join, Ping, Pong, RosterSnapshot, Subscribe, Welcome, encode},
};

/// Messages that may wait for one receiver: with 10 speakers of 50 packets a second two seconds.
pub const QUEUE_MESSAGES: usize = 1_024;

/// Bytes that may wait for one receiver: the same of 180 bytes each.
pub const QUEUE_BYTES: usize = 192 * 1024;

/// What a client's message means to such a server.
#[derive(Debug)]
pub enum Said {
    /// It joins: the room, and its welcome.
    Join {
        /// The room's name.
        room: String,
        /// What it is answered.
        welcome: Frame,
    },
    /// For everybody else in the room.
    Media,
    /// Whether it wants media from now on.
    Wants(bool),
    /// To be answered so.
    Answer(Frame),
    /// It leaves.
    Leave,
    /// Nothing that such a server knows.
    Nothing,
}

/// Reads a message.
pub fn read(message: &[u8]) -> Said {
    // The hot case first, and without a copy.
    if message.get(pulse_proto::id::ID_LEN) == Some(&FrameType::Media.number()) {
        return Said::Media;
    }
    let Ok(frame) = Frame::parse(message.to_vec().into()) else {
        return Said::Nothing;
    };
    let payload = frame.payload();
    match frame.kind() {
        FrameType::Join => Join::parse(payload).map_or(Said::Nothing, |join| Said::Join {
            room: join.room,
            welcome: welcome(),
        }),
        FrameType::Subscribe => Subscribe::parse(payload)
            .map_or(Said::Nothing, |wish| Said::Wants(wish.audio || wish.video)),
        FrameType::Ping => Ping::parse(payload).map_or(Said::Nothing, |ping| {
            Said::Answer(encode(ParticipantId::ZERO, &Pong { t: ping.t }))
        }),
        FrameType::Leave => Said::Leave,
        _ => Said::Nothing,
    }
}

/// A welcome with an id of its own and an empty roster.
fn welcome() -> Frame {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        features: Vec::new(),
        agent: concat!("pulse-bench-servers/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    // The standard library's maps are seeded from the system: random enough for a name.
    let random = |about: u8| RandomState::new().hash_one(about).to_be_bytes();
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().zip(random(0).into_iter().chain(random(1))) {
        *place = byte;
    }
    encode(
        ParticipantId::ZERO,
        &Welcome {
            hello,
            id: ParticipantId::from_random(id),
            resume: "none".to_owned(),
            resumed: false,
            uploads: "none".to_owned(),
            roster: RosterSnapshot {
                epoch: 1,
                participants: Vec::new(),
            },
            region: None,
            alternates: Vec::new(),
        },
    )
}

/// The address to listen at: the only argument, which is an address and port, or a port on loopback;
/// without it any free port there.
///
/// # Errors
/// What a person typed that is neither.
pub fn listen_address() -> Result<SocketAddr, String> {
    let port = match std::env::args().nth(1) {
        None => 0,
        Some(text) => match text.parse() {
            Ok(address) => return Ok(address),
            Err(_) => text.parse().map_err(|_| {
                format!(
                    "'{text}' is neither a port nor ADDRESS:PORT; give one, or nothing for any port"
                )
            })?,
        },
    };
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Says where it listens, as an edge does.
pub fn announce(address: SocketAddr) {
    // Whoever closed the pipe does not want to know.
    let _ = writeln!(io::stdout(), "open http://{address}");
}

/// Says how many messages were dropped so far, when it has become more.
pub fn tell_dropped(dropped: u64) {
    let _ = writeln!(io::stderr(), "dropped {dropped}");
}

/// Runs a server until it fails, and says why it did.
pub fn serve(server: impl FnOnce(SocketAddr) -> io::Result<()>) -> ExitCode {
    let failure = match listen_address() {
        Ok(address) => match server(address) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => error.to_string(),
        },
        Err(failure) => failure,
    };
    let _ = writeln!(io::stderr(), "{failure}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_little_that_is_known_is_read() {
        let join = Join {
            hello: Hello {
                version: 2,
                features: Vec::new(),
                agent: "test".to_owned(),
            },
            room: "room".to_owned(),
            name: "Ada".to_owned(),
            resume: None,
        };
        let said = read(encode(ParticipantId::ZERO, &join).bytes());
        let Said::Join { room, welcome } = said else {
            panic!("{said:?}");
        };
        assert_eq!(room, "room");
        assert!(Welcome::parse(welcome.payload()).is_ok());
        let nothing = Subscribe {
            audio: false,
            video: false,
            ..Subscribe::everything()
        };
        let said = read(encode(ParticipantId::ZERO, &nothing).bytes());
        assert!(matches!(said, Said::Wants(false)));
        let media = Frame::new(ParticipantId::ZERO, FrameType::Media, b"x");
        assert!(matches!(read(media.bytes()), Said::Media));
        assert!(matches!(read(b"short"), Said::Nothing));
    }
}
