//! The certificate that browsers see: from PEM files, or made at start. It never writes a key
//! anywhere.

use std::{path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

use crate::config::Config;

/// HTTPS cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {file} as PEM: {reason}. Give --tls-cert a chain and --tls-key its key")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: rustls::pki_types::pem::Error,
    },
    /// The key does not fit the certificate, or neither can be used.
    #[error("the certificate and its key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
    /// No certificate can be made for the names.
    #[error("no certificate can be made for these names: {0}. Check --tls-names")]
    SelfSigned(#[from] rcgen::Error),
}

/// What accepts TLS, if the flags ask for it.
///
/// # Errors
/// [`TlsError`], with what to do.
pub(crate) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, TlsError> {
    let (chain, key) = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => (read_chain(cert)?, read_key(key)?),
        _ if config.tls_self_signed => self_signed(config)?,
        _ => return Ok(None),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(tls))))
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|reason| TlsError::Pem {
            file: file.display().to_string(),
            reason,
        })
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|reason| TlsError::Pem {
        file: file.display().to_string(),
        reason,
    })
}

fn self_signed(
    config: &Config,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(config.tls_names.iter().cloned());
    let host = &config.listen.host;
    if !names.contains(host) && host != "0.0.0.0" && host != "::" {
        names.push(host.clone());
    }
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der())
        .map_err(|reason| rustls::Error::General(reason.to_owned()))?;
    Ok((vec![certificate.der().clone()], key))
}
