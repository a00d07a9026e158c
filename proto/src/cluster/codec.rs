//! Messages on a stream between servers: a big-endian u32 that says how long the protobuf behind it is.
//! Bounds what a peer may make the other side hold.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message;

use super::ClusterError;

/// A message between servers. The largest honest one is a room of 255 with 16 tracks of 300 bytes each,
/// 1.2 MB; real rooms stay below a tenth of it.
pub const MAX_CLUSTER_MESSAGE: usize = 2 * 1024 * 1024;

/// A chat image with its names.
pub const MAX_BULK_MESSAGE: usize = crate::limits::MAX_IMAGE + 1_024;

const LENGTH: usize = 4;

/// A message as it travels.
pub(crate) fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(LENGTH + length);
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

/// Raw bytes as they travel.
pub fn encode_raw(payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(LENGTH + payload.len());
    bytes.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    bytes.put_slice(payload);
    bytes.freeze()
}

/// Cuts a stream into messages.
#[derive(Debug)]
pub struct Decoder {
    bytes: BytesMut,
    limit: usize,
}

impl Decoder {
    /// Holds at most one message of `limit` bytes and what was pushed behind it.
    pub fn new(limit: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            limit,
        }
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if it has arrived.
    ///
    /// # Errors
    /// [`ClusterError::TooLong`]; the stream is of no use after it.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, ClusterError> {
        let Some(length) = self.bytes.first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.limit {
            return Err(ClusterError::TooLong {
                length,
                limit: self.limit,
            });
        }
        if self.bytes.len() < LENGTH + length {
            return Ok(None);
        }
        self.bytes.advance(LENGTH);
        Ok(Some(self.bytes.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_beyond_the_limit_ends_the_stream() {
        let mut decoder = Decoder::new(8);
        decoder.push(&[0, 0, 0, 9]);
        let (length, limit) = (9, 8);
        assert_eq!(
            decoder.next_message(),
            Err(ClusterError::TooLong { length, limit })
        );
    }

    proptest! {
        /// However a stream is cut on its way, the same messages come out.
        #[test]
        fn cuts_do_not_matter(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 1..9_usize,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|one| encode_raw(one).to_vec()).collect();
            let mut decoder = Decoder::new(64);
            let mut read = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some(message) = decoder.next_message().unwrap() {
                    read.push(message.to_vec());
                }
            }
            prop_assert_eq!(read, messages);
        }
    }
}
