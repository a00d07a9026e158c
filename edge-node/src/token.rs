//! What of a token may be told to others: its digest, by which any edge tells who holds the token, and
//! from which nobody finds it.

use pulse_proto::cluster::link::DIGEST;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a token's text.
pub(crate) fn digest(token: &str) -> [u8; DIGEST] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest("abc").first_chunk(), Some(&[0xba, 0x78, 0x16, 0xbf]));
    }
}
