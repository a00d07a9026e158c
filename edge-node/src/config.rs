//! What an operator can set, by flag or environment, with every default. No file, no layers.

mod cluster;

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgGroup, Parser, Subcommand};

use crate::certs::CertsCommand;

pub use self::cluster::ClusterConfig;

/// What the binary is asked to do.
#[derive(Clone, Debug, Parser)]
#[command(name = "edge-node", version)]
pub struct Cli {
    /// Something else than serving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// How to serve.
    #[command(flatten)]
    pub config: Config,
}

/// Something else than serving.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make the certificates by which the servers of a cluster know each other.
    #[command(subcommand)]
    Certs(CertsCommand),
}

/// Pulse edge node: real-time audio, video and screen sharing for groups, in the browser.
///
/// Without any flag it serves http://localhost:8080, on this machine only. Cameras and microphones
/// need HTTPS everywhere else: give --tls-cert and --tls-key, or --tls-self-signed.
#[derive(Clone, Debug, Parser)]
#[command(name = "edge-node", version)]
#[command(group = ArgGroup::new("certificate").args(["tls_cert", "tls_self_signed"]))]
pub struct Config {
    /// Where clients connect: HOST:PORT. `localhost` is both loopback addresses; 0.0.0.0 or [::] is
    /// every interface; port 0 is any free port.
    #[arg(long, env = "PULSE_LISTEN", default_value = "localhost:8080", value_parser = parse_listen)]
    pub listen: Listen,

    /// Where operators find /metrics and /healthz. Keep it private.
    #[arg(
        long,
        env = "PULSE_OPS_ADDR",
        default_value = "127.0.0.1:9090",
        value_name = "ADDR:PORT"
    )]
    pub ops_addr: SocketAddr,

    /// The certificate chain for HTTPS, PEM.
    #[arg(
        long,
        env = "PULSE_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert, PEM.
    #[arg(
        long,
        env = "PULSE_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// HTTPS with a certificate made at start: browsers warn once, and then allow the camera.
    #[arg(long, env = "PULSE_TLS_SELF_SIGNED")]
    pub tls_self_signed: bool,

    /// Names and addresses that the self-signed certificate is for, beside localhost.
    #[arg(
        long,
        env = "PULSE_TLS_NAMES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub tls_names: Vec<String>,

    /// Origins whose pages may connect, such as https://meet.example.org. Any, if none is given:
    /// there are no cookies to steal.
    #[arg(
        long,
        env = "PULSE_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub allow_origin: Vec<String>,

    /// Connections that may be open at once.
    #[arg(
        long,
        env = "PULSE_MAX_CONNECTIONS",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub max_connections: usize,

    /// Participants of one room at most, up to 255.
    #[arg(
        long, env = "PULSE_MAX_PARTICIPANTS", default_value_t = 100, value_name = "N",
        value_parser = clap::value_parser!(u8).range(2..)
    )]
    pub max_participants: u8,

    /// Congestion control of clients' connections, such as bbr or cubic. Without it bbr where the
    /// kernel has it, else the kernel's own.
    #[arg(long, env = "PULSE_TCP_CONGESTION", value_name = "NAME")]
    pub tcp_congestion: Option<String>,

    /// Logs as JSON, one object a line. RUST_LOG chooses what is logged; the default is info.
    #[arg(long, env = "PULSE_LOG_JSON")]
    pub log_json: bool,

    /// What an edge of several needs.
    #[command(flatten)]
    pub cluster: ClusterConfig,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `localhost` or an address.
    pub host: String,
    /// 0 is any free port.
    pub port: u16,
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    let wrong = || format!("'{text}' is not HOST:PORT, such as localhost:8080 or 0.0.0.0:443");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host != "localhost" && host.parse::<std::net::IpAddr>().is_err() {
        return Err(format!(
            "'{host}' is neither localhost nor an address of this machine"
        ));
    }
    let port = port.parse().map_err(|_| wrong())?;
    Ok(Listen {
        host: host.to_owned(),
        port,
    })
}

impl Listen {
    /// The addresses to bind, the first of which must work.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let hosts: &[&str] = if self.host == "localhost" {
            &["127.0.0.1", "::1"]
        } else {
            &[&self.host]
        };
        hosts
            .iter()
            .filter_map(|host| host.parse().ok())
            .map(|ip| SocketAddr::new(ip, self.port))
            .collect()
    }
}

impl Config {
    /// The defaults with any free ports, for tests and for whoever embeds an edge.
    ///
    /// # Panics
    /// Never: the defaults parse.
    #[expect(clippy::expect_used, reason = "a unit test parses the same words")]
    pub fn on_free_ports() -> Self {
        Self::try_parse_from([
            "edge-node",
            "--listen",
            "localhost:0",
            "--ops-addr",
            "127.0.0.1:0",
        ])
        .expect("the defaults parse")
    }

    /// Whether clients connect by HTTPS.
    pub const fn is_tls(&self) -> bool {
        self.tls_self_signed || self.tls_cert.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_loopback_only() {
        let config = Config::try_parse_from(["edge-node"]).unwrap();
        assert!(
            config
                .listen
                .addresses()
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        assert_eq!(config.listen.addresses().len(), 2);
        assert!(config.ops_addr.ip().is_loopback());
        assert!(!config.is_tls());
        Config::on_free_ports();
    }

    #[test]
    fn wrong_flags_get_a_sentence() {
        for (flags, sentence) in [
            (&["--listen", "8080"][..], "not HOST:PORT"),
            (
                &["--listen", "example.org:80"],
                "neither localhost nor an address",
            ),
            (&["--tls-cert", "a.pem"], "--tls-key"),
            (
                &["--tls-self-signed", "--tls-cert", "a", "--tls-key", "b"],
                "cannot be used with",
            ),
            (&["--max-participants", "256"], "256"),
            (&["--port", "1"], "unexpected argument"),
            (&["certs", "init"], "<DIR>"),
            (&["certs", "add", "d", "--edge", "fra"], "REGION/ID"),
        ] {
            let words = std::iter::once("edge-node").chain(flags.iter().copied());
            let error = Cli::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains(sentence), "{flags:?}: {error}");
        }
    }
}
