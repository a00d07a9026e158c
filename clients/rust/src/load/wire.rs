//! WebSocket frames (RFC 6455) after the handshake, as a load test needs them: what a server sends is
//! read where it lies, without an allocation for each message; what a client sends is masked. Pure.
//! It knows no fragments: no server of this wire sends any, and one that does is told apart.

use crate::limits::MAX_INCOMING_BYTES;

const FINAL: u8 = 0x80;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const MASKED: u8 = 0x80;

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A binary message.
    Binary(&'a [u8]),
    /// The close, with its code.
    Close(Option<u16>),
    /// A text, a ping or a pong.
    Other,
}

/// A server that does not keep to RFC 6455, or fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent something that is no whole WebSocket message of a server")]
pub(crate) struct BadFrame;

/// Reads frames from a stream that is cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of a frame whose end has not come.
    carry: Vec<u8>,
}

/// Where a frame's payload begins and ends.
#[derive(Clone, Copy)]
struct Extent {
    opcode: u8,
    begin: usize,
    end: usize,
}

impl Reader {
    /// Takes what came next, and gives away every message that is whole now.
    ///
    /// # Errors
    /// [`BadFrame`]; nothing that follows can be understood.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Piece<'_>),
    ) -> Result<(), BadFrame> {
        while !self.carry.is_empty() {
            // First the header, then the payload: each step takes what is missing to the next.
            let missing = match extent(&self.carry)? {
                Ok(extent) => extent.end - self.carry.len(),
                Err(missing) => missing,
            };
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.carry.extend_from_slice(taken);
            bytes = rest;
            match extent(&self.carry)? {
                Ok(extent) if extent.end <= self.carry.len() => {
                    each(piece(&self.carry, extent)?);
                    self.carry.clear();
                }
                _ if bytes.is_empty() => return Ok(()),
                _ => {}
            }
        }
        loop {
            match extent(bytes)? {
                Ok(extent) if extent.end <= bytes.len() => {
                    each(piece(bytes, extent)?);
                    bytes = bytes.get(extent.end..).unwrap_or_default();
                }
                _ => break,
            }
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where the first frame's payload lies, or how many bytes of its header are missing at least.
fn extent(bytes: &[u8]) -> Result<Result<Extent, usize>, BadFrame> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(Err(2 - bytes.len()));
    };
    if first & 0xf0 != FINAL || second & MASKED != 0 {
        return Err(BadFrame);
    }
    let (size, length) = match second {
        127 => match rest.first_chunk::<8>() {
            Some(length) => (8, u64::from_be_bytes(*length)),
            None => return Ok(Err(8 - rest.len())),
        },
        126 => match rest.first_chunk::<2>() {
            Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
            None => return Ok(Err(2 - rest.len())),
        },
        length => (0, u64::from(length)),
    };
    let length = usize::try_from(length).map_err(|_| BadFrame)?;
    if length > MAX_INCOMING_BYTES {
        return Err(BadFrame);
    }
    let begin = 2 + size;
    Ok(Ok(Extent {
        opcode: first & 0x0f,
        begin,
        end: begin + length,
    }))
}

fn piece(bytes: &[u8], extent: Extent) -> Result<Piece<'_>, BadFrame> {
    let payload = bytes.get(extent.begin..extent.end).ok_or(BadFrame)?;
    match extent.opcode {
        BINARY => Ok(Piece::Binary(payload)),
        CLOSE => Ok(Piece::Close(
            payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
        )),
        0x1 | 0x9 | 0xa => Ok(Piece::Other),
        _ => Err(BadFrame),
    }
}

/// Appends a binary message as a client sends it.
pub(crate) fn append_binary(out: &mut Vec<u8>, payload: &[u8], mask: u32) {
    append(out, BINARY, payload, mask);
}

/// Appends a close with this code as a client sends it.
pub(crate) fn append_close(out: &mut Vec<u8>, code: u16, mask: u32) {
    append(out, CLOSE, &code.to_be_bytes(), mask);
}

fn append(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: u32) {
    out.reserve(payload.len() + 14);
    out.push(FINAL | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    let mask = mask.to_be_bytes();
    out.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    out.extend(masked.map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Owned {
        Binary(Vec<u8>),
        Close(Option<u16>),
        Other,
    }

    fn owned(piece: Piece<'_>) -> Owned {
        match piece {
            Piece::Binary(bytes) => Owned::Binary(bytes.to_vec()),
            Piece::Close(code) => Owned::Close(code),
            Piece::Other => Owned::Other,
        }
    }

    /// A message as a server sends it.
    fn served(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![FINAL | opcode];
        match payload.len() {
            length @ ..=125 => bytes.push(length as u8),
            length @ ..=65_535 => {
                bytes.push(126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    fn read(reader: &mut Reader, bytes: &[u8]) -> Result<Vec<Owned>, BadFrame> {
        let mut all = Vec::new();
        reader.push(bytes, |piece| all.push(owned(piece)))?;
        Ok(all)
    }

    proptest! {
        #[test]
        fn messages_come_out_however_the_stream_is_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..20),
            large in 65_000..66_500_usize,
            cuts in prop::collection::vec(1..700_usize, 1..30),
        ) {
            let mut bytes: Vec<u8> = messages.iter().flat_map(|m| served(BINARY, m)).collect();
            bytes.extend(served(BINARY, &vec![5; large]));
            bytes.extend(served(0x9, b"ping"));
            bytes.extend(served(CLOSE, &4_033_u16.to_be_bytes()));
            let mut expected: Vec<Owned> = messages.into_iter().map(Owned::Binary).collect();
            expected.push(Owned::Binary(vec![5; large]));
            expected.extend([Owned::Other, Owned::Close(Some(4_033))]);
            let mut reader = Reader::default();
            let mut all = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                all.extend(read(&mut reader, now).unwrap());
                rest = later;
            }
            prop_assert_eq!(all, expected);
            prop_assert!(reader.carry.is_empty());
        }

        #[test]
        fn anything_is_read_without_a_panic(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
        ) {
            let mut reader = Reader::default();
            for part in parts {
                if read(&mut reader, &part).is_err() {
                    break;
                }
            }
        }

        #[test]
        fn what_a_client_sends_is_masked(payload in prop::collection::vec(any::<u8>(), 0..70_000), mask: u32) {
            let mut bytes = Vec::new();
            append_binary(&mut bytes, &payload, mask);
            // A server's reader refuses it as it is, and reads it unmasked.
            prop_assert_eq!(read(&mut Reader::default(), &bytes), Err(BadFrame));
            let header = bytes.len() - payload.len() - 4;
            let mask = mask.to_be_bytes();
            let body = bytes[header + 4..].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m);
            let unmasked: Vec<u8> = body.collect();
            prop_assert_eq!(&unmasked, &payload);
            let mut plain = bytes[..header].to_vec();
            plain[1] &= !MASKED;
            plain.extend(unmasked);
            prop_assert_eq!(read(&mut Reader::default(), &plain), Ok(vec![Owned::Binary(payload)]));
        }
    }

    #[test]
    fn what_no_server_sends_is_refused() {
        for bytes in [
            &[0x02, 0][..],
            &[0x80, 0],
            &[0xc2, 0],
            &[0x82, 0x80],
            &[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0],
            &[0x82, 127, 0xff, 0, 1, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(
                read(&mut Reader::default(), bytes),
                Err(BadFrame),
                "{bytes:x?}"
            );
        }
    }
}
