//! Where an edge is, read from whatever a person has at hand: a WebSocket address, the address of
//! the page, or an invitation with its room behind the `#`.

use crate::error::ClientError;

/// Where an edge is, and perhaps which room.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Whether to speak TLS.
    pub tls: bool,
    /// The host's name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The room that stood behind `#`.
    pub room: Option<String>,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::Address(text.split('#').next().unwrap_or_default().to_owned());
        let (address, room) = match text.trim().split_once('#') {
            Some((address, room)) => (address, Some(room.trim_start_matches('/'))),
            None => (text.trim(), None),
        };
        let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
        let tls = match scheme {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return Err(bad()),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(bad)?,
            None => match authority.find(':') {
                Some(at) => authority.split_at(at),
                None => (authority, ""),
            },
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| bad())?,
            None if port.is_empty() => 80 + u16::from(tls) * 363,
            None => return Err(bad()),
        };
        if host.is_empty() || host.contains(['@', ' ']) {
            return Err(bad());
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            room: room.filter(|room| !room.is_empty()).map(str::to_owned),
        })
    }

    /// Host and port, as a URL and a person write them.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The WebSocket URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.authority())
    }
}

/// The name of an open room is a secret.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_read() {
        for (text, url, room) in [
            ("ws://localhost:8080", "ws://localhost:8080/v2", None),
            (
                "http://localhost:8080/#team",
                "ws://localhost:8080/v2",
                Some("team"),
            ),
            (
                "https://pulse.example/#a-b",
                "wss://pulse.example:443/v2",
                Some("a-b"),
            ),
            (
                "https://pulse.example:8443/x?y#r",
                "wss://pulse.example:8443/v2",
                Some("r"),
            ),
            ("http://[::1]:8080", "ws://[::1]:8080/v2", None),
            ("127.0.0.1:80", "ws://127.0.0.1:80/v2", None),
            ("http://host/#", "ws://host:80/v2", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.url("/v2"), url);
            assert_eq!(address.room.as_deref(), room);
        }
    }

    #[test]
    fn nonsense_is_refused_without_its_room() {
        for text in [
            "",
            "ftp://host",
            "http://",
            "http://host:99999",
            "http://u@host",
            "http://[::1",
            "http://[::1]8080",
            "http://#secret",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
