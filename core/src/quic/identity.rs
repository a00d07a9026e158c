//! Who a certificate is for: one URI, read by us, for no library checks names of this kind.

use std::fmt;

use pulse_proto::cluster::{EdgeId, Region};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _, prelude::X509Certificate};

const SCHEME: &str = "spiffe://pulse/";

/// The name an operator gave a core.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(EdgeId);

impl CoreId {
    /// Reads a name: 1 to 32 of `a-z 0-9 -`.
    ///
    /// # Errors
    /// [`IdentityError::Name`] for anything else.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        EdgeId::parse(text)
            .map(Self)
            .map_err(|_| IdentityError::Name(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A certificate does not say who it is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// There is not exactly one URI in it.
    #[error(
        "the certificate has {0} URIs among its names and needs exactly one: \
         make it with `edge-node certs add`"
    )]
    Uris(usize),
    /// The URI is another kind of name.
    #[error(
        "'{0}' is neither spiffe://pulse/edge/REGION/ID nor spiffe://pulse/core/ID, \
         each part 1 to 32 of a-z, 0-9 and -"
    )]
    Name(String),
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerIdentity {
    /// An edge.
    Edge {
        /// Where it stands.
        region: Region,
        /// Its name.
        id: EdgeId,
    },
    /// A core.
    Core {
        /// Its name.
        id: CoreId,
    },
}

impl PeerIdentity {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`IdentityError::Name`] for anything but the two forms.
    pub fn parse(uri: &str) -> Result<Self, IdentityError> {
        let wrong = || IdentityError::Name(uri.chars().take(128).collect());
        let path = uri.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let mut parts = path.split('/');
        let identity = match (parts.next(), parts.next(), parts.next()) {
            (Some("edge"), Some(region), Some(id)) => Self::Edge {
                region: Region::parse(region).map_err(|_| wrong())?,
                id: EdgeId::parse(id).map_err(|_| wrong())?,
            },
            (Some("core"), Some(id), None) => Self::Core {
                id: CoreId::parse(id).map_err(|_| wrong())?,
            },
            _ => return Err(wrong()),
        };
        match parts.next() {
            None => Ok(identity),
            Some(_) => Err(wrong()),
        }
    }

    /// The URI.
    pub fn uri(&self) -> String {
        match self {
            Self::Edge { region, id } => format!("{SCHEME}edge/{region}/{id}"),
            Self::Core { id } => format!("{SCHEME}core/{id}"),
        }
    }

    /// Reads the one URI of a certificate.
    ///
    /// # Errors
    /// [`IdentityError`] if there is none, or more, or another kind.
    pub(super) fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| IdentityError::Unreadable)?;
        let uris: Vec<&str> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            })
            .collect();
        match uris.as_slice() {
            [uri] => Self::parse(uri),
            _ => Err(IdentityError::Uris(uris.len())),
        }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge { region, id } => write!(f, "edge {region}/{id}"),
            Self::Core { id } => write!(f, "core {id}"),
        }
    }
}

/// Whom a connection must lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This edge.
    Edge(EdgeId),
    /// Any core of the cluster.
    AnyCore,
}

impl Expected {
    pub(super) fn is(&self, found: &PeerIdentity) -> bool {
        match (self, found) {
            (Self::Edge(expected), PeerIdentity::Edge { id, .. }) => expected == id,
            (Self::AnyCore, PeerIdentity::Core { .. }) => true,
            (Self::Edge(_), PeerIdentity::Core { .. })
            | (Self::AnyCore, PeerIdentity::Edge { .. }) => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(id) => write!(f, "edge {id}"),
            Self::AnyCore => f.write_str("a core"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_an_edge_or_a_core() {
        for uri in [
            "spiffe://pulse/edge/eu-central/fra-1",
            "spiffe://pulse/core/one",
        ] {
            assert_eq!(PeerIdentity::parse(uri).unwrap().uri(), uri);
        }
    }

    #[test]
    fn no_other_uri_names_anybody() {
        for uri in [
            "",
            "spiffe://pulse/",
            "spiffe://other/core/one",
            "spiffe://pulse/core/",
            "spiffe://pulse/core/One",
            "spiffe://pulse/core/one/",
            "spiffe://pulse/edge/fra-1",
            "spiffe://pulse/edge//fra-1",
            "spiffe://pulse/edge/eu/fra-1/more",
            "https://pulse/core/one",
        ] {
            assert!(PeerIdentity::parse(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn what_is_no_certificate_names_nobody() {
        assert_eq!(
            PeerIdentity::of_certificate(b"no"),
            Err(IdentityError::Unreadable)
        );
    }
}
