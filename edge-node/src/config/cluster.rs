//! What an operator sets for an edge that is one of several.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use pulse_proto::cluster::{EdgeId, Region};

/// An edge of a cluster. Without --core it is a whole service by itself.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterConfig {
    /// This edge's name, another for each edge of a cluster.
    #[arg(
        long,
        env = "PULSE_EDGE_ID",
        default_value = "edge-1",
        value_name = "NAME",
        value_parser = parse_edge_id
    )]
    pub edge_id: EdgeId,

    /// Where this edge stands, such as fra or sgp.
    #[arg(
        long,
        env = "PULSE_REGION",
        default_value = "local",
        value_name = "NAME",
        value_parser = parse_region
    )]
    pub region: Region,

    /// The core of the cluster, HOST:PORT over UDP; several are tried in turn. Without it this edge is alone,
    /// with a core of its own inside.
    #[arg(
        long,
        env = "PULSE_CORE",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        requires_all = ["cluster_cert", "cluster_key", "cluster_ca"]
    )]
    pub core: Vec<String>,

    /// The cluster's name: servers of another are refused.
    #[arg(
        long,
        env = "PULSE_CLUSTER_ID",
        default_value = "pulse",
        value_name = "NAME"
    )]
    pub cluster_id: String,

    /// This edge's certificate in the cluster, PEM; `edge-node certs init` makes one.
    #[arg(long, env = "PULSE_CLUSTER_CERT", value_name = "FILE")]
    pub cluster_cert: Option<PathBuf>,

    /// The private key of --cluster-cert, PEM.
    #[arg(long, env = "PULSE_CLUSTER_KEY", value_name = "FILE")]
    pub cluster_key: Option<PathBuf>,

    /// The authority whose servers are of the cluster, PEM.
    #[arg(long, env = "PULSE_CLUSTER_CA", value_name = "FILE")]
    pub cluster_ca: Option<PathBuf>,

    /// Where other edges reach this one, over UDP.
    #[arg(
        long,
        env = "PULSE_BACKBONE_ADDR",
        default_value = "0.0.0.0:7443",
        value_name = "ADDR:PORT"
    )]
    pub backbone_addr: SocketAddr,

    /// What other edges dial, where that differs from --backbone-addr; needed when it is 0.0.0.0 or [::].
    #[arg(long, env = "PULSE_BACKBONE_PUBLIC", value_name = "ADDR:PORT")]
    pub backbone_public: Option<SocketAddr>,

    /// What browsers open to reach this edge from outside, such as https://fra.example.org.
    #[arg(
        long,
        env = "PULSE_PUBLIC_URL",
        value_name = "URL",
        value_parser = parse_public_url
    )]
    pub public_url: Option<String>,
}

fn parse_edge_id(text: &str) -> Result<EdgeId, String> {
    EdgeId::parse(text).map_err(|_| wrong_name(text, "fra-1"))
}

fn parse_region(text: &str) -> Result<Region, String> {
    Region::parse(text).map_err(|_| wrong_name(text, "fra"))
}

fn wrong_name(text: &str, such_as: &str) -> String {
    format!("'{text}' is not a name of 1 to 32 of a-z, 0-9 and -, such as {such_as}")
}

/// An origin: scheme, host and perhaps a port, nothing behind it.
fn parse_public_url(text: &str) -> Result<String, String> {
    let url = text.strip_suffix('/').unwrap_or(text);
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(host)
            if !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ', '"', ';', ',']) =>
        {
            Ok(url.to_owned())
        }
        _ => Err(format!(
            "'{text}' is not an address such as https://fra.example.org"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        let read = |text| parse_public_url(text);
        assert_eq!(
            read("https://a.example/"),
            Ok("https://a.example".to_owned())
        );
        assert_eq!(
            read("http://[::1]:8080"),
            Ok("http://[::1]:8080".to_owned())
        );
        for bad in [
            "a.example",
            "https://",
            "https://a/b",
            "ftp://a",
            "https://a b",
            "https://a;b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
