//! Certificates of a cluster that lasts as long as a test.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a test that fails may say so by a panic, and every one uses another part"
)]

pub(crate) mod cluster;
pub(crate) mod network;

use std::time::Duration;

use pulse_core::quic::Credentials;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ED25519, SanType, date_time_ymd,
};

/// An authority.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate with these URIs that is valid until 4096, or was until 2001.
    pub(crate) fn leaf(&self, uris: &[&str], expired: bool) -> Leaf {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = params.not_before + Duration::from_secs(400 * 24 * 60 * 60);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Leaf {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate with a URI and a host.
    pub(crate) fn leaf_with_host(&self, uri: &str, host: &str) -> Leaf {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![
            SanType::URI(uri.try_into().unwrap()),
            SanType::DnsName(host.try_into().unwrap()),
        ];
        Leaf {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Credentials of a server that trusts this authority.
    pub(crate) fn credentials(&self, uri: &str) -> Credentials {
        self.with(&self.leaf(&[uri], false))
    }

    /// Credentials with a certificate of any authority.
    pub(crate) fn with(&self, leaf: &Leaf) -> Credentials {
        Credentials::from_pem(
            leaf.cert.as_bytes(),
            leaf.key.as_bytes(),
            self.pem.as_bytes(),
        )
        .unwrap()
    }

    pub(crate) fn edge(&self, id: &str) -> Credentials {
        self.credentials(&format!("spiffe://pulse/edge/eu/{id}"))
    }

    pub(crate) fn core(&self) -> Credentials {
        self.credentials("spiffe://pulse/core/one")
    }
}
