//! Where a client may go when its edge is gone. PROTOCOL.md 4.13.

use serde::{Deserialize, Serialize};

use super::{Control, at_most, bad_json};
use crate::{cluster::MAX_SERVER_NAME, code::Rejection, frame::FrameType, limits::MAX_ALTERNATES};

/// The longest name that the DNS carries (253), `https://` and a port.
const MAX_ORIGIN_CHARS: usize = 267;

/// Another edge, as people reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternate {
    /// Its origin, such as `https://sgp.example.org`.
    pub url: String,
    /// Where it stands.
    pub region: String,
}

/// 4.13 ALTERNATES: all of them; none when there is nowhere else to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternates {
    /// The edges, the one to be tried first before.
    pub alternates: Vec<Alternate>,
}

impl Control for Alternates {
    const KIND: FrameType = FrameType::Alternates;

    fn check(&self) -> Result<(), Rejection> {
        check(&self.alternates)
    }
}

/// The bounds that types alone do not express.
pub(super) fn check(alternates: &[Alternate]) -> Result<(), Rejection> {
    if alternates.len() > MAX_ALTERNATES {
        return Err(bad_json("over 2 alternates"));
    }
    alternates.iter().try_for_each(|alternate| {
        check_region(&alternate.region)?;
        if is_origin(&alternate.url) {
            Ok(())
        } else {
            Err(bad_json("an alternate's url is no origin"))
        }
    })
}

/// A region's name is for people: it is bounded and not read.
pub(super) fn check_region(region: &str) -> Result<(), Rejection> {
    at_most(region, MAX_SERVER_NAME, "region too long")
}

/// Scheme, host and perhaps a port, nothing behind it.
fn is_origin(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    url.len() <= MAX_ORIGIN_CHARS
        && host.is_some_and(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alternate_is_an_origin_and_a_region() {
        let read = |url: &str, region: &str| {
            let alternate = Alternate {
                url: url.to_owned(),
                region: region.to_owned(),
            };
            check(&[alternate]).map_err(|rejection| rejection.code)
        };
        for url in [
            "https://a.example",
            "http://[::1]:8080",
            "http://localhost:1",
        ] {
            assert_eq!(read(url, "fra"), Ok(()), "{url}");
        }
        let long = format!("https://{}", "a".repeat(MAX_ORIGIN_CHARS));
        for url in [
            "",
            "a.example",
            "wss://a",
            "https://",
            "https://a/",
            "https://a b",
            "https://u@a",
            &long,
        ] {
            assert!(read(url, "fra").is_err(), "{url}");
        }
        assert!(read("https://a.example", &"r".repeat(33)).is_err());
    }
}
