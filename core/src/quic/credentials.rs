//! The certificate, key and authority of this server, and their replacement while it runs: new ones count
//! for every handshake from then on; connections that are there stay.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{error::CredentialsError, identity::PeerIdentity};
use crate::limits::CREDENTIALS_POLL;

const CERT: &str = "--cluster-cert";
const KEY: &str = "--cluster-key";
const CA: &str = "--cluster-ca";

/// Where this server's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFiles {
    /// The chain, its own first, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities whose servers are of this cluster, PEM.
    pub ca: PathBuf,
}

/// What the files held.
#[derive(Clone, PartialEq, Eq)]
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

/// What a handshake needs.
pub(super) struct Material {
    pem: Pem,
    pub(super) own: PeerIdentity,
    pub(super) key: Arc<CertifiedKey>,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}

/// This server's certificate as it is now.
#[derive(Clone)]
pub struct Credentials {
    files: Option<CredentialFiles>,
    now: Arc<Mutex<Arc<Material>>>,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CredentialsError`], with the flag to change.
    pub fn load(files: &CredentialFiles) -> Result<Self, CredentialsError> {
        let material = Material::new(read_all(files)?)?;
        Ok(Self {
            files: Some(files.clone()),
            now: Arc::new(Mutex::new(Arc::new(material))),
        })
    }

    /// Takes them from memory, for tests and simulations.
    ///
    /// # Errors
    /// [`CredentialsError`], with the flag that would have to change.
    pub fn from_pem(cert: &[u8], key: &[u8], ca: &[u8]) -> Result<Self, CredentialsError> {
        let (cert, key, ca) = (cert.to_vec(), key.to_vec(), ca.to_vec());
        let material = Material::new(Pem { cert, key, ca })?;
        Ok(Self {
            files: None,
            now: Arc::new(Mutex::new(Arc::new(material))),
        })
    }

    /// Who this server is.
    pub fn identity(&self) -> PeerIdentity {
        self.now().own.clone()
    }

    /// Looks at the files again; `true` if they are others now and in use.
    ///
    /// # Errors
    /// [`CredentialsError`]; the former ones stay in use.
    pub fn reload(&self) -> Result<bool, CredentialsError> {
        let Some(files) = &self.files else {
            return Ok(false);
        };
        self.replace(read_all(files)?)
    }

    /// Puts others in the place of these; `true` if they are others.
    ///
    /// # Errors
    /// [`CredentialsError`]; the former ones stay in use.
    pub fn replace_pem(
        &self,
        cert: &[u8],
        key: &[u8],
        ca: &[u8],
    ) -> Result<bool, CredentialsError> {
        let (cert, key, ca) = (cert.to_vec(), key.to_vec(), ca.to_vec());
        self.replace(Pem { cert, key, ca })
    }

    /// Looks at the files now and then until told to stop.
    pub async fn keep_fresh(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = sleep(CREDENTIALS_POLL) => {}
                () = stop.cancelled() => return,
            }
            match self.reload() {
                Ok(true) => tracing::info!("new certificates are in use"),
                Ok(false) => {}
                // Files that are being replaced one by one fit again at the next look.
                Err(error) => tracing::warn!(%error, "the former certificates stay in use"),
            }
        }
    }

    pub(super) fn now(&self) -> Arc<Material> {
        self.now
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn replace(&self, pem: Pem) -> Result<bool, CredentialsError> {
        let former = self.now();
        if former.pem == pem {
            return Ok(false);
        }
        let material = Material::new(pem)?;
        if material.own != former.own {
            return Err(CredentialsError::Changed {
                expected: former.own.clone(),
                found: material.own,
            });
        }
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
        Ok(true)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.now().own)
    }
}

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Material {
    fn new(pem: Pem) -> Result<Self, CredentialsError> {
        let wrong = |flag| move |reason| CredentialsError::Pem { flag, reason };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem.cert)
            .collect::<Result<_, _>>()
            .map_err(wrong(CERT))?;
        let leaf = chain.first().ok_or(CredentialsError::Pem {
            flag: CERT,
            reason: rustls::pki_types::pem::Error::NoItemsFound,
        })?;
        let own = PeerIdentity::of_certificate(leaf)?;
        let private = PrivateKeyDer::from_pem_slice(&pem.key).map_err(wrong(KEY))?;
        let key = CertifiedKey::from_der(chain, private, &provider())
            .map_err(CredentialsError::Unusable)?;
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(&pem.ca) {
            let authority = authority.map_err(wrong(CA))?;
            roots
                .add(authority)
                .map_err(|error| CredentialsError::Authority(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .build()
            .map_err(|error| CredentialsError::Authority(error.to_string()))?;
        Ok(Self {
            pem,
            own,
            key: Arc::new(key),
            roots,
            clients,
        })
    }
}

fn read_all(files: &CredentialFiles) -> Result<Pem, CredentialsError> {
    let read = |file: &Path, flag| {
        std::fs::read(file).map_err(|reason| CredentialsError::Read {
            file: file.display().to_string(),
            reason,
            flag,
        })
    };
    Ok(Pem {
        cert: read(&files.cert, CERT)?,
        key: read(&files.key, KEY)?,
        ca: read(&files.ca, CA)?,
    })
}
