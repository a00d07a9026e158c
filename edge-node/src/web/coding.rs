//! The app's text files as browsers take them: compressed once, when the first one asks, and kept. Pictures
//! are compressed already and stay as they are.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::{LazyLock, Mutex, PoisonError},
};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::task::spawn_blocking;

use crate::limits::{BROTLI_QUALITY, BROTLI_WINDOW};

/// A content coding (RFC 9110, 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// The best one that a request accepts.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        [Self::Brotli, Self::Gzip].into_iter().find(|coding| {
            let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
            let mut listed = values
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','));
            listed.any(|one| coding.is_accepted_by(one))
        })
    }

    /// Its name in `Content-Encoding`; also what its entity tags end with.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Whether one entry of `Accept-Encoding` names it, with a weight above 0.
    fn is_accepted_by(self, entry: &str) -> bool {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(self.name()));
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then_some(value)
        });
        named && weight.is_none_or(|value| value.trim().parse().is_ok_and(|q: f32| q > 0.0))
    }

    fn compress(self, file: &[u8]) -> io::Result<Vec<u8>> {
        let mut compressed = Vec::new();
        match self {
            Self::Brotli => {
                let params = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW,
                    size_hint: file.len(),
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut &*file, &mut compressed, &params)?;
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(&mut compressed, Compression::best());
                encoder.write_all(file)?;
                encoder.finish()?;
            }
        }
        Ok(compressed)
    }
}

/// What has been compressed: at most one entry for each file of the app and coding.
static DONE: LazyLock<Mutex<HashMap<(String, Coding), Done>>> = LazyLock::new(Mutex::default);

#[derive(Clone)]
struct Done {
    /// Of the file; a debug build reads files from the disk, where they change.
    hash: [u8; 32],
    bytes: Bytes,
}

/// A file of the app under a coding; `None` if that is no smaller.
pub(super) async fn compressed(
    path: &str,
    hash: [u8; 32],
    file: &[u8],
    coding: Coding,
) -> Option<Bytes> {
    let key = (path.to_owned(), coding);
    let known = DONE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&key)
        .filter(|done| done.hash == hash)
        .map(|done| done.bytes.clone());
    let bytes = match known {
        Some(bytes) => bytes,
        None => {
            // It takes some milliseconds, which media must not wait for.
            let whole = file.to_vec();
            let bytes = spawn_blocking(move || coding.compress(&whole)).await;
            let bytes = Bytes::from(bytes.ok()?.ok()?);
            let done = Done {
                hash,
                bytes: bytes.clone(),
            };
            DONE.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, done);
            bytes
        }
    };
    (bytes.len() < file.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::http::HeaderValue;

    use super::*;

    fn accepted(value: &'static str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        Coding::accepted(&headers)
    }

    #[test]
    fn the_best_accepted_coding_is_used() {
        assert_eq!(Coding::accepted(&HeaderMap::new()), None);
        assert_eq!(accepted("gzip, deflate, br, zstd"), Some(Coding::Brotli));
        assert_eq!(accepted("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(accepted("BR;q=0.1, gzip"), Some(Coding::Brotli));
        assert_eq!(accepted("br;q=0, gzip; Q=0.5"), Some(Coding::Gzip));
        for none in ["", "identity", "br;q=0.0", "br;q=x", "*", "brotli, x-gzip"] {
            assert_eq!(accepted(none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn what_is_compressed_is_the_file() {
        let file = b"const a = 1\n".repeat(1_000);
        let gzip = compressed("a.js", [0; 32], &file, Coding::Gzip).await;
        let mut back = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(&*gzip.unwrap()).read_to_end(&mut back);
        assert_eq!((gzip.as_mut().unwrap(), &back), (&mut file.len(), &file));
        for (hash, text) in [([1; 32], &file[..]), ([2; 32], &file[..6_000])] {
            for _ in 0..2 {
                let brotli = compressed("a.js", hash, text, Coding::Brotli).await;
                let mut back = Vec::new();
                brotli::BrotliDecompress(&mut &*brotli.unwrap(), &mut back).unwrap();
                assert_eq!(back, text);
            }
        }
        assert_eq!(compressed("b.js", [3; 32], b"a", Coding::Gzip).await, None);
    }
}
