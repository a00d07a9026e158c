//! What can go wrong between servers, in sentences that say what to do.

use std::{io, net::SocketAddr};

use super::identity::{Expected, IdentityError, PeerIdentity};

/// The certificate, the key or the authority of this server cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}. Check {flag}")]
    Read {
        /// The file.
        file: String,
        /// Why not.
        reason: io::Error,
        /// What to change.
        flag: &'static str,
    },
    /// What was read is not PEM.
    #[error("{flag} is not the PEM that it must be: {reason}")]
    Pem {
        /// What to change.
        flag: &'static str,
        /// What is wrong with it.
        reason: rustls::pki_types::pem::Error,
    },
    /// The chain is empty, or the key is another one's.
    #[error("--cluster-cert and --cluster-key cannot be used together: {0}")]
    Unusable(rustls::Error),
    /// The authority cannot be used.
    #[error("--cluster-ca is no authority that can be used: {0}")]
    Authority(String),
    /// The certificate does not say who this server is.
    #[error("--cluster-cert: {0}")]
    Identity(#[from] IdentityError),
    /// After a change the certificate is another server's.
    #[error("--cluster-cert is now that of {found}, but this is {expected}: restart to be another")]
    Changed {
        /// Who this is.
        expected: PeerIdentity,
        /// Who the new certificate is for.
        found: PeerIdentity,
    },
}

/// An endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken or not of this machine.
    #[error("cannot receive UDP at {address}: {reason}. Choose another address")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: io::Error,
    },
    /// The settings are out of what the library takes.
    #[error("the QUIC settings cannot be used: {0}")]
    Settings(String),
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Another authority signed it.
    #[error("is signed by an authority that is not this cluster's: compare --cluster-ca on both")]
    OtherAuthority,
    /// Its time is over, or has not come.
    #[error("is expired or not yet valid: renew it, and check both clocks")]
    Expired,
    /// It does not say for which server it is.
    #[error("names no server of a cluster: it needs one URI spiffe://pulse/…")]
    NoIdentity,
    /// There is none.
    #[error("was not shown")]
    Missing,
    /// Anything else.
    #[error("cannot be used for this")]
    Unusable,
}

impl CertificateFault {
    /// By the alert of TLS that ended a handshake.
    pub(super) fn of_alert(alert: u8) -> Option<Self> {
        match alert {
            44 | 45 => Some(Self::Expired),
            // Two authorities of one name differ in their signatures (51).
            48 | 51 => Some(Self::OtherAuthority),
            49 => Some(Self::NoIdentity),
            116 => Some(Self::Missing),
            42 | 43 | 46 => Some(Self::Unusable),
            _ => None,
        }
    }
}

/// There is no connection, or no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The other side does not take this server's certificate.
    #[error("the certificate of this server {0}")]
    OwnCertificate(CertificateFault),
    /// This server does not take the other side's.
    #[error("the certificate of the other server {0}")]
    PeerCertificate(CertificateFault),
    /// Somebody else answered.
    #[error("{found} answered where {expected} was expected: check the address")]
    WrongPeer {
        /// Who should have.
        expected: Expected,
        /// Who did.
        found: PeerIdentity,
    },
    /// The other side speaks something else there.
    #[error("the other side does not speak this protocol there: check the address and versions")]
    OtherProtocol,
    /// The address cannot be dialled.
    #[error("{0} cannot be dialled from here: check the address and its family")]
    Address(SocketAddr),
    /// Too many ask at once.
    #[error("the other side takes no more connections now: try again later")]
    Refused,
    /// Nothing was heard for too long.
    #[error("nothing was heard for too long: the network or the other side is gone")]
    TimedOut,
    /// The other side closed it.
    #[error("the other side closed the connection with code {code}: {reason}")]
    Closed {
        /// Its code.
        code: u32,
        /// Its words.
        reason: String,
    },
    /// This side closed it.
    #[error("this side closed the connection")]
    ClosedHere,
    /// The other side has restarted, or broke the protocol.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl From<quinn::ConnectionError> for ConnectionError {
    fn from(error: quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as Lost;
        match error {
            Lost::TransportError(error) => Self::of_code(u64::from(error.code), false, || {
                error.reason.chars().take(200).collect()
            }),
            Lost::ConnectionClosed(close) => {
                Self::of_code(u64::from(close.error_code), true, || words(&close.reason))
            }
            Lost::ApplicationClosed(close) => Self::Closed {
                code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
                reason: words(&close.reason),
            },
            Lost::TimedOut => Self::TimedOut,
            Lost::LocallyClosed => Self::ClosedHere,
            Lost::Reset => Self::Broken("the other side has restarted".to_owned()),
            Lost::VersionMismatch => Self::OtherProtocol,
            Lost::CidsExhausted => Self::Broken("no connection id is left".to_owned()),
        }
    }
}

impl ConnectionError {
    fn of_code(code: u64, by_peer: bool, reason: impl FnOnce() -> String) -> Self {
        /// Of TLS: no common protocol.
        const NO_PROTOCOL: u8 = 120;
        /// Of QUIC: the server takes no new connection.
        const CONNECTION_REFUSED: u64 = 2;
        let alert = u8::try_from(code.wrapping_sub(0x100)).ok();
        match (alert, alert.and_then(CertificateFault::of_alert)) {
            (_, Some(fault)) if by_peer => Self::OwnCertificate(fault),
            (_, Some(fault)) => Self::PeerCertificate(fault),
            (Some(NO_PROTOCOL), None) => Self::OtherProtocol,
            _ if code == CONNECTION_REFUSED && by_peer => Self::Refused,
            _ => Self::Broken(reason()),
        }
    }
}

/// What the other side says is shown to people: no more than a line of it.
fn words(reason: &[u8]) -> String {
    String::from_utf8_lossy(reason)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

/// A stream has ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// With its connection.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The other side gave it up.
    #[error("the other side gave the stream up with code {0}")]
    GivenUp(u32),
    /// It was finished here before.
    #[error("the stream is finished")]
    Finished,
}

impl From<quinn::WriteError> for StreamError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(error) => Self::Connection(error.into()),
            quinn::WriteError::Stopped(code) => Self::GivenUp(number(code)),
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => Self::Finished,
        }
    }
}

impl From<quinn::ReadError> for StreamError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::ConnectionLost(error) => Self::Connection(error.into()),
            quinn::ReadError::Reset(code) => Self::GivenUp(number(code)),
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => Self::Finished,
        }
    }
}

fn number(code: quinn::VarInt) -> u32 {
    u32::try_from(code.into_inner()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_blamed_on_whose_certificate_it_is() {
        let none = String::new;
        assert_eq!(
            ConnectionError::of_code(0x100 + 48, true, none),
            ConnectionError::OwnCertificate(CertificateFault::OtherAuthority)
        );
        assert_eq!(
            ConnectionError::of_code(0x100 + 45, false, none),
            ConnectionError::PeerCertificate(CertificateFault::Expired)
        );
        assert_eq!(
            ConnectionError::of_code(0x178, false, none),
            ConnectionError::OtherProtocol
        );
        assert_eq!(
            ConnectionError::of_code(2, true, none),
            ConnectionError::Refused
        );
        assert_eq!(
            ConnectionError::of_code(10, true, none),
            ConnectionError::Broken(String::new())
        );
    }
}
