//! `edge-node certs`: an authority for one cluster and certificates for its servers, for trying a cluster
//! out and for small ones. It never overwrites a file, and every key it writes is its owner's alone.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use pulse_core::quic::{CoreId, PeerIdentity};
use pulse_proto::cluster::{EdgeId, Region};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, date_time_ymd,
};

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
/// Ten years.
const CA_DAYS: u32 = 3_650;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks of servers may differ by so much.
const CLOCKS: Duration = Duration::from_secs(60 * 60);

/// What is to be made.
#[derive(Clone, Debug, Subcommand)]
pub enum CertsCommand {
    /// Make an authority for a cluster, and certificates for its servers.
    Init(CertsArgs),
    /// Make certificates for more servers, or new ones, with the authority that is there.
    Add(CertsArgs),
}

/// For which servers, and where.
#[derive(Clone, Debug, Args)]
pub struct CertsArgs {
    /// The folder; it is made if need be.
    pub dir: PathBuf,

    /// An edge, by its region and its name: each 1 to 32 of a-z, 0-9 and -.
    #[arg(long = "edge", value_name = "REGION/ID", value_parser = parse_edge)]
    pub edges: Vec<PeerIdentity>,

    /// A core, by its name.
    #[arg(long = "core", value_name = "ID", value_parser = parse_core)]
    pub cores: Vec<PeerIdentity>,

    /// Days that the servers' certificates are valid.
    #[arg(
        long, default_value_t = 90, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=3_650)
    )]
    pub days: u32,
}

fn parse_edge(text: &str) -> Result<PeerIdentity, String> {
    let wrong =
        || format!("'{text}' is not REGION/ID, each 1 to 32 of a-z, 0-9 and -, such as eu/fra-1");
    let (region, id) = text.split_once('/').ok_or_else(wrong)?;
    Ok(PeerIdentity::Edge {
        region: Region::parse(region).map_err(|_| wrong())?,
        id: EdgeId::parse(id).map_err(|_| wrong())?,
    })
}

fn parse_core(text: &str) -> Result<PeerIdentity, String> {
    let id = CoreId::parse(text)
        .map_err(|_| format!("'{text}' is not 1 to 32 of a-z, 0-9 and -, such as core-1"))?;
    Ok(PeerIdentity::Core { id })
}

/// Certificates cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertsError {
    /// Something is there already.
    #[error(
        "{0} is there already, and nothing is overwritten: move it away, or choose another folder"
    )]
    Exists(PathBuf),
    /// A file or the folder cannot be written or read.
    #[error("cannot use {file}: {reason}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The authority that is there cannot be used.
    #[error("{file} is no authority that can sign: {reason}. Make one with `edge-node certs init`")]
    Authority {
        /// Which.
        file: PathBuf,
        /// Why not.
        reason: rcgen::Error,
    },
    /// The library refused.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Makes what was asked for, valid from now on.
///
/// # Errors
/// [`CertsError`], with what to do.
pub fn make(command: &CertsCommand) -> Result<Vec<String>, CertsError> {
    run(command, crate::clock::wall_ms() / 1_000)
}

/// Makes what was asked for, at a time in seconds since 1970. Returns lines that say what was written
/// and what it is for.
///
/// # Errors
/// [`CertsError`], with what to do. Files that were there are as they were.
fn run(command: &CertsCommand, now_s: u64) -> Result<Vec<String>, CertsError> {
    let args = match command {
        CertsCommand::Init(args) | CertsCommand::Add(args) => args,
    };
    let servers: Vec<Paths> = args
        .edges
        .iter()
        .chain(&args.cores)
        .map(|identity| Paths::new(&args.dir, identity.clone()))
        .collect();
    let (ca, ca_key) = (args.dir.join(CA), args.dir.join(CA_KEY));
    let own: &[PathBuf] = match command {
        CertsCommand::Init(_) => &[ca.clone(), ca_key.clone()],
        CertsCommand::Add(_) => &[],
    };
    let leaves = servers.iter().flat_map(|paths| [&paths.cert, &paths.key]);
    if let Some(taken) = own.iter().chain(leaves).find(|file| file.exists()) {
        return Err(CertsError::Exists(taken.clone()));
    }
    let mut said = Vec::new();
    let (ca_pem, ca_key_pem) = match command {
        CertsCommand::Init(_) => {
            let made = authority(now_s)?;
            make_dir(&args.dir)?;
            write_new(&ca, &made.0)?;
            write_new(&ca_key, &made.1)?;
            said.push(format!(
                "wrote {} (the authority: every server has it) and {} (keep it where no server is)",
                ca.display(),
                ca_key.display()
            ));
            made
        }
        CertsCommand::Add(_) => (read(&ca)?, read(&ca_key)?),
    };
    let unusable = |reason| CertsError::Authority {
        file: ca.clone(),
        reason,
    };
    let key = KeyPair::from_pem(&ca_key_pem).map_err(unusable)?;
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).map_err(unusable)?;
    for paths in &servers {
        let (cert, key) = leaf(&paths.identity, &issuer, now_s, args.days)?;
        write_new(&paths.cert, &cert)?;
        write_new(&paths.key, &key)?;
        said.push(paths.describe(&ca, args.days));
    }
    if servers.is_empty() {
        said.push(format!(
            "add servers: edge-node certs add {} --core core-1 --edge eu/fra-1",
            args.dir.display()
        ));
    }
    Ok(said)
}

/// The files of one server.
struct Paths {
    identity: PeerIdentity,
    cert: PathBuf,
    key: PathBuf,
}

impl Paths {
    fn new(dir: &Path, identity: PeerIdentity) -> Self {
        let name = match &identity {
            PeerIdentity::Edge { id, .. } => format!("edge-{id}"),
            PeerIdentity::Core { id } => format!("core-{id}"),
        };
        Self {
            cert: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}-key.pem")),
            identity,
        }
    }

    fn describe(&self, ca: &Path, days: u32) -> String {
        let program = match &self.identity {
            PeerIdentity::Edge { region, id } => {
                format!("edge-node --edge-id {id} --region {region}")
            }
            PeerIdentity::Core { .. } => "pulse-core".to_owned(),
        };
        format!(
            "wrote the certificate of {} for {days} days:\n    \
             {program} --cluster-cert {} --cluster-key {} --cluster-ca {}",
            self.identity,
            self.cert.display(),
            self.key.display(),
            ca.display()
        )
    }
}

fn authority(now_s: u64) -> Result<(String, String), CertsError> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = valid_for(now_s, CA_DAYS);
    params.distinguished_name = named("Pulse cluster authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn leaf(
    identity: &PeerIdentity,
    issuer: &Issuer<'_, KeyPair>,
    now_s: u64,
    days: u32,
) -> Result<(String, String), CertsError> {
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = valid_for(now_s, days);
    params.distinguished_name = named(&identity.to_string());
    params.subject_alt_names = vec![SanType::URI(identity.uri().as_str().try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn valid_for(now_s: u64, days: u32) -> CertificateParams {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now_s);
    let mut params = CertificateParams::default();
    params.not_before = now - CLOCKS;
    params.not_after = now + DAY * days;
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn make_dir(dir: &Path) -> Result<(), CertsError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|reason| CertsError::File {
            file: dir.to_owned(),
            reason,
        })
}

fn read(file: &Path) -> Result<String, CertsError> {
    fs::read_to_string(file).map_err(|reason| CertsError::File {
        file: file.to_owned(),
        reason,
    })
}

fn write_new(file: &Path, text: &str) -> Result<(), CertsError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut open| open.write_all(text.as_bytes()))
        .map_err(|reason| match reason.kind() {
            io::ErrorKind::AlreadyExists => CertsError::Exists(file.to_owned()),
            _ => CertsError::File {
                file: file.to_owned(),
                reason,
            },
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use pulse_core::quic::{CredentialFiles, Credentials};

    use super::*;

    /// A folder of its own, gone with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("pulse-certs-{}", crate::random::token())))
        }

        fn args(&self, edges: &[&str], cores: &[&str]) -> CertsArgs {
            CertsArgs {
                dir: self.0.clone(),
                edges: edges.iter().map(|text| parse_edge(text).unwrap()).collect(),
                cores: cores.iter().map(|text| parse_core(text).unwrap()).collect(),
                days: 30,
            }
        }

        fn load(&self, name: &str) -> Credentials {
            Credentials::load(&CredentialFiles {
                cert: self.0.join(format!("{name}.pem")),
                key: self.0.join(format!("{name}-key.pem")),
                ca: self.0.join(CA),
            })
            .unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_made_names_its_server_and_is_its_owners_alone() {
        let folder = Folder::new();
        let init = CertsCommand::Init(folder.args(&["eu/fra-1"], &["one"]));
        let said = make(&init).unwrap().join("\n");
        assert!(
            said.contains("--edge-id fra-1 --region eu --cluster-cert"),
            "{said}"
        );
        assert_eq!(
            folder.load("edge-fra-1").identity().to_string(),
            "edge eu/fra-1"
        );
        assert_eq!(folder.load("core-one").identity().to_string(), "core one");
        for file in fs::read_dir(&folder.0).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let add = CertsCommand::Add(folder.args(&["us/iad-1"], &[]));
        make(&add).unwrap();
        assert_eq!(
            folder.load("edge-iad-1").identity().to_string(),
            "edge us/iad-1"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = Folder::new();
        let init = CertsCommand::Init(folder.args(&["eu/fra-1"], &[]));
        run(&init, 1_000_000).unwrap();
        let before = read(&folder.0.join(CA)).unwrap();
        assert!(matches!(run(&init, 1_000_000), Err(CertsError::Exists(_))));
        let add = CertsCommand::Add(folder.args(&["us/iad-1", "eu/fra-1"], &[]));
        assert!(matches!(run(&add, 1_000_000), Err(CertsError::Exists(_))));
        assert!(!folder.0.join("edge-iad-1.pem").exists());
        assert_eq!(read(&folder.0.join(CA)).unwrap(), before);
    }

    #[test]
    fn without_an_authority_nothing_is_added() {
        let folder = Folder::new();
        let add = CertsCommand::Add(folder.args(&["eu/fra-1"], &[]));
        let error = run(&add, 1_000_000).unwrap_err().to_string();
        assert!(error.contains(CA), "{error}");
    }

    #[test]
    fn wrong_names_get_a_sentence() {
        for bad in ["fra-1", "EU/fra-1", "eu/", "eu/fra/1"] {
            assert!(parse_edge(bad).unwrap_err().contains("REGION/ID"));
        }
        assert!(parse_core("One").unwrap_err().contains("core-1"));
    }
}
