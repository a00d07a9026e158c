//! What an operator of a core can set, by flag or environment, with every default. No file, no layers.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use pulse_proto::cluster::to_core::MAX_CLUSTER_NAME;

use crate::quic::CredentialFiles;

/// Pulse core: says which edges of a cluster hold a room, and who is in it.
///
/// A single edge needs none: it has one inside. `edge-node certs init DIR --core core-1 --edge eu/fra-1`
/// makes the certificates of a cluster.
#[derive(Clone, Debug, Parser)]
#[command(name = "pulse-core", version)]
pub struct Config {
    /// Where edges dial, over UDP.
    #[arg(
        long,
        env = "PULSE_CORE_LISTEN",
        default_value = "0.0.0.0:7444",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,

    /// Where operators find /metrics, /healthz, /readyz, /v1/edges and /v1/rooms, and pages /v1/nearest.
    #[arg(
        long,
        env = "PULSE_CORE_HTTP_ADDR",
        default_value = "127.0.0.1:9444",
        value_name = "ADDR:PORT"
    )]
    pub http_addr: SocketAddr,

    /// The certificate chain of this core in the cluster, PEM.
    #[arg(long, env = "PULSE_CLUSTER_CERT", value_name = "FILE")]
    pub cluster_cert: PathBuf,

    /// The private key of --cluster-cert, PEM.
    #[arg(long, env = "PULSE_CLUSTER_KEY", value_name = "FILE")]
    pub cluster_key: PathBuf,

    /// The authorities whose servers are of the cluster, PEM.
    #[arg(long, env = "PULSE_CLUSTER_CA", value_name = "FILE")]
    pub cluster_ca: PathBuf,

    /// The cluster's name: edges of another are refused.
    #[arg(
        long,
        env = "PULSE_CLUSTER_ID",
        default_value = "pulse",
        value_name = "NAME",
        value_parser = parse_cluster
    )]
    pub cluster_id: String,

    /// A file whose first line operators show to see edges and rooms, as a bearer token. Without it nobody
    /// sees them there.
    #[arg(long, env = "PULSE_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub operator_token_file: Option<PathBuf>,

    /// Participants of one room at most, over all edges. Each edge has its own bound beside it.
    #[arg(
        long, env = "PULSE_CORE_MAX_PARTICIPANTS", value_name = "N",
        value_parser = clap::value_parser!(u32).range(2..=2_048)
    )]
    pub max_participants: Option<u32>,

    /// Send every edge on to the core at this address, to take this one out of service.
    #[arg(
        long,
        env = "PULSE_CORE_REDIRECT",
        value_name = "HOST:PORT",
        value_parser = parse_redirect
    )]
    pub redirect: Option<String>,

    /// Logs as JSON, one object a line. RUST_LOG chooses what is logged; the default is info.
    #[arg(long, env = "PULSE_LOG_JSON")]
    pub log_json: bool,
}

impl Config {
    /// Where this core's certificate is.
    pub fn credentials(&self) -> CredentialFiles {
        CredentialFiles {
            cert: self.cluster_cert.clone(),
            key: self.cluster_key.clone(),
            ca: self.cluster_ca.clone(),
        }
    }
}

fn parse_cluster(text: &str) -> Result<String, String> {
    let fits = (1..=MAX_CLUSTER_NAME).contains(&text.chars().count())
        && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a cluster's name has 1 to {MAX_CLUSTER_NAME} characters"
        ))
    }
}

fn parse_redirect(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(text.to_owned())
        }
        _ => Err(format!(
            "'{text}' is not HOST:PORT, such as core-2.example.org:7444"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTS: [&str; 7] = [
        "pulse-core",
        "--cluster-cert",
        "a",
        "--cluster-key",
        "b",
        "--cluster-ca",
        "c",
    ];

    #[test]
    fn operators_look_on_this_machine_by_default() {
        let config = Config::try_parse_from(CERTS).unwrap();
        assert!(config.http_addr.ip().is_loopback());
        assert_eq!(config.operator_token_file, None);
    }

    #[test]
    fn wrong_flags_get_a_sentence() {
        let without = Config::try_parse_from(["pulse-core"]).unwrap_err();
        assert!(without.to_string().contains("--cluster-cert"));
        for (flags, sentence) in [
            (["--listen", "7444"], "invalid socket address"),
            (["--cluster-id", ""], "1 to 64 characters"),
            (["--redirect", "core-2"], "not HOST:PORT"),
            (["--max-participants", "1"], "2..=2048"),
            (["--port", "1"], "unexpected argument"),
        ] {
            let words = CERTS.iter().copied().chain(flags);
            let error = Config::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains(sentence), "{flags:?}: {error}");
        }
    }
}
