//! The server's side of a WebSocket (RFC 6455) for the floor: the upgrade, what a client sends, and
//! the header of what a server sends. Pure. It knows no fragments, and closes on whatever it does not
//! know.

use pulse_proto::SUBPROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The largest message that a client of a load test sends, with room to spare.
const MAX_MESSAGE: usize = 64 * 1024;

/// Headers of an upgrade request at most.
const MAX_HEADERS: usize = 32;

/// A client that does not keep to the little that is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// Reads an upgrade request, if it is whole: how many bytes it has, and the answer.
///
/// # Errors
/// [`Unknown`], if it is none for this wire.
pub fn upgrade(bytes: &[u8]) -> Result<Option<(usize, String)>, Unknown> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes).map_err(|_| Unknown)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let key = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"))
        .ok_or(Unknown)?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n",
        derive_accept_key(key.value)
    );
    Ok(Some((length, answer)))
}

/// One frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// More bytes are needed.
    Partial,
    /// A binary message, unmasked in its place.
    Binary {
        /// Where its payload begins.
        begin: usize,
        /// Where the frame ends.
        end: usize,
    },
    /// A ping, a pong or a text; the frame ends here.
    Other(usize),
    /// The close.
    Close,
}

/// Reads the first frame of a client and unmasks it where it lies.
///
/// # Errors
/// [`Unknown`].
pub fn take(bytes: &mut [u8]) -> Result<Taken, Unknown> {
    let &mut [first, second, ref rest @ ..] = bytes else {
        return Ok(Taken::Partial);
    };
    if first & 0xf0 != 0x80 || second & 0x80 == 0 {
        return Err(Unknown);
    }
    let (size, length) = match second & 0x7f {
        127 => return Err(Unknown),
        126 => match rest.first_chunk::<2>() {
            Some(length) => (2, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(Taken::Partial),
        },
        length => (0, usize::from(length)),
    };
    if length > MAX_MESSAGE {
        return Err(Unknown);
    }
    let begin = 2 + size + 4;
    let end = begin + length;
    let Some(frame) = bytes.get_mut(..end) else {
        return Ok(Taken::Partial);
    };
    let Some((head, payload)) = frame.split_at_mut_checked(begin) else {
        return Err(Unknown);
    };
    let mask = *head.last_chunk::<4>().ok_or(Unknown)?;
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    match first & 0x0f {
        0x2 => Ok(Taken::Binary { begin, end }),
        0x8 => Ok(Taken::Close),
        0x1 | 0x9 | 0xa => Ok(Taken::Other(end)),
        _ => Err(Unknown),
    }
}

/// Appends a binary message as a server sends it.
pub fn append(out: &mut Vec<u8>, message: &[u8]) {
    out.push(0x82);
    match (u8::try_from(message.len()), u16::try_from(message.len())) {
        (Ok(length @ ..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(message.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(message);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, payload);
        let begin = bytes.len() - payload.len();
        bytes[1] |= 0x80;
        bytes.splice(begin..begin, mask);
        for (byte, mask) in bytes[begin + 4..].iter_mut().zip(mask.into_iter().cycle()) {
            *byte ^= mask;
        }
        bytes
    }

    #[test]
    fn an_upgrade_is_answered_once_it_is_whole() {
        let request =
            b"GET /v2 HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert_eq!(upgrade(&request[..40]), Ok(None));
        let (length, answer) = upgrade(request).unwrap().unwrap();
        assert_eq!(length, request.len());
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(upgrade(b"GET / HTTP/1.1\r\n\r\n"), Err(Unknown));
    }

    proptest! {
        #[test]
        fn what_a_client_sends_is_read(payload in prop::collection::vec(any::<u8>(), 0..2_000), mask: [u8; 4], cut in 1..2_000_usize) {
            let mut bytes = sent(&payload, mask);
            let cut = cut.min(bytes.len() - 1);
            let mut part = bytes[..cut].to_vec();
            prop_assert_eq!(take(&mut part), Ok(Taken::Partial));
            let whole = bytes.len();
            let begin = whole - payload.len();
            prop_assert_eq!(take(&mut bytes), Ok(Taken::Binary { begin, end: whole }));
            prop_assert_eq!(&bytes[begin..], &payload[..]);
        }

        #[test]
        fn anything_is_read_without_a_panic(mut bytes: Vec<u8>) {
            let _ = upgrade(&bytes);
            let _ = take(&mut bytes);
        }
    }
}
