//! Servers reach each other over QUIC only by certificates of their cluster, and those can be replaced
//! while connections live.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails may say so by a panic"
)]
mod common;

use std::net::SocketAddr;

use bytes::Bytes;
use common::Authority;
use pulse_core::quic::{
    CertificateFault, Connection, ConnectionError, Credentials, CredentialsError, Endpoint,
    EndpointConfig, Expected, PeerIdentity, Protocol, StreamError, Transport,
};
use pulse_proto::cluster::EdgeId;

fn endpoint(credentials: Credentials) -> Endpoint {
    let config = EndpointConfig {
        credentials,
        accepts: Some(Protocol::Edge),
        transport: Transport::media(64),
        rng_seed: None,
    };
    Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), config).unwrap()
}

fn edge(id: &str) -> Expected {
    Expected::Edge(EdgeId::parse(id).unwrap())
}

async fn dial(
    from: &Endpoint,
    to: &Endpoint,
    whom: &Expected,
) -> Result<Connection, ConnectionError> {
    let address = to.local_addr().unwrap();
    from.connect(address, Protocol::Edge, whom).await
}

async fn accept(at: &Endpoint) -> Result<Connection, ConnectionError> {
    at.accept().await.unwrap().finish().await
}

#[tokio::test]
async fn two_edges_know_each_other_and_speak() {
    let cluster = Authority::new();
    let (a, b) = (endpoint(cluster.edge("a")), endpoint(cluster.edge("b")));
    let whom = edge("b");
    let (there, here) = tokio::join!(dial(&a, &b, &whom), accept(&b));
    let (there, here) = (there.unwrap(), here.unwrap());
    let identity = |uri| PeerIdentity::parse(uri).unwrap();
    assert_eq!(there.identity(), &identity("spiffe://pulse/edge/eu/b"));
    assert_eq!(here.identity(), &identity("spiffe://pulse/edge/eu/a"));

    // What the packing of media counts on.
    assert!(there.max_datagram() >= 1_162, "{}", there.max_datagram());
    assert!(there.send_datagram(Bytes::from(vec![7; 1_162])));
    assert_eq!(here.read_datagram().await.unwrap(), vec![7; 1_162]);

    let (mut send, _) = there.open_bi().await.unwrap();
    send.write(Bytes::from_static(b"hello")).await.unwrap();
    send.finish();
    let (_, mut recv) = here.accept_bi().await.unwrap();
    assert_eq!(
        recv.read(100).await.unwrap(),
        Some(Bytes::from_static(b"hello"))
    );
    assert_eq!(recv.read(100).await.unwrap(), None);

    there.close(9, "enough");
    let (code, reason) = (9, "enough".to_owned());
    assert_eq!(
        here.closed().await,
        ConnectionError::Closed { code, reason }
    );
    assert_eq!(
        recv_after_close(&here).await,
        StreamError::Connection(ConnectionError::Closed {
            code: 9,
            reason: "enough".to_owned()
        })
    );
}

async fn recv_after_close(connection: &Connection) -> StreamError {
    match connection.accept_uni().await {
        Ok(_) => panic!("a stream on a connection that is closed"),
        Err(error) => error.into(),
    }
}

#[tokio::test]
async fn whoever_is_not_of_the_cluster_stays_out() {
    let (cluster, other) = (Authority::new(), Authority::new());
    let good = "spiffe://pulse/edge/eu/a";
    let cases = [
        // Its authority is another one, which goes by the same name.
        (other.leaf(&[good], false), CertificateFault::OtherAuthority),
        (cluster.leaf(&[good], true), CertificateFault::Expired),
    ];
    for (leaf, fault) in cases {
        let b = endpoint(cluster.edge("b"));
        let a = endpoint(cluster.with(&leaf));
        let whom = edge("b");
        let (there, here) = tokio::join!(dial(&a, &b, &whom), accept(&b));
        assert_eq!(here.unwrap_err(), ConnectionError::PeerCertificate(fault));
        // The dialling side may be through with its half before it hears of it.
        let refused = match there {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        };
        assert_eq!(refused, ConnectionError::OwnCertificate(fault));

        // And the other way round.
        let whom = edge("a");
        let (there, here) = tokio::join!(dial(&b, &a, &whom), accept(&a));
        assert_eq!(there.unwrap_err(), ConnectionError::PeerCertificate(fault));
        assert_eq!(here.unwrap_err(), ConnectionError::OwnCertificate(fault));
    }
}

#[tokio::test]
async fn a_certificate_without_one_uri_of_ours_is_refused_by_its_own_server() {
    let cluster = Authority::new();
    let cases: [&[&str]; 4] = [
        &[],
        &["https://example.org/"],
        &["spiffe://elsewhere/edge/eu/a"],
        &["spiffe://pulse/edge/eu/a", "spiffe://pulse/edge/eu/b"],
    ];
    for uris in cases {
        let leaf = cluster.leaf(uris, false);
        let loaded = Credentials::from_pem(
            leaf.cert.as_bytes(),
            leaf.key.as_bytes(),
            cluster.pem().as_bytes(),
        );
        assert!(
            matches!(loaded, Err(CredentialsError::Identity(_))),
            "{uris:?}"
        );
    }
}

/// A client that shows whatever it is given.
async fn intrude(cluster: &Authority, leaf: Option<&common::Leaf>, at: SocketAddr) {
    use quinn::crypto::rustls::QuicClientConfig;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(cluster.pem().as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match leaf {
        Some(leaf) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(leaf.cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"pulse-edge/1".to_vec()];
    let crypto = QuicClientConfig::try_from(tls).unwrap();
    let client = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    let config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
    let dialled = client.connect_with(config, at, "localhost").unwrap();
    // What it learns is its own affair: it expects a name in a certificate that has none.
    let _ = dialled.await;
    client.wait_idle().await;
}

#[tokio::test]
async fn a_client_without_one_uri_of_ours_is_refused_by_the_server() {
    let cluster = Authority::new();
    let server = "spiffe://pulse/edge/eu/b";
    // The intruder checks names of hosts, so that this server must have one beside its URI.
    let b = endpoint(cluster.with(&cluster.leaf_with_host(server, "localhost")));
    let at = b.local_addr().unwrap();
    let nameless = cluster.leaf(&[], false);
    let elsewhere = cluster.leaf(&["spiffe://elsewhere/edge/eu/a"], false);
    let cases = [
        (Some(&nameless), CertificateFault::NoIdentity),
        (Some(&elsewhere), CertificateFault::NoIdentity),
        (None, CertificateFault::Missing),
    ];
    for (leaf, fault) in cases {
        let ((), refused) = tokio::join!(intrude(&cluster, leaf, at), accept(&b));
        assert_eq!(
            refused.unwrap_err(),
            ConnectionError::PeerCertificate(fault)
        );
    }
}

#[tokio::test]
async fn another_server_than_was_meant_is_left() {
    let cluster = Authority::new();
    let (a, b) = (endpoint(cluster.edge("a")), endpoint(cluster.edge("b")));
    for whom in [edge("c"), Expected::AnyCore] {
        let (there, here) = tokio::join!(dial(&a, &b, &whom), accept(&b));
        let error = there.unwrap_err();
        assert!(
            matches!(error, ConnectionError::WrongPeer { .. }),
            "{error}"
        );
        assert!(matches!(
            here.unwrap().closed().await,
            ConnectionError::Closed { .. }
        ));
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_says_so() {
    let cluster = Authority::new();
    let (a, b) = (endpoint(cluster.edge("a")), endpoint(cluster.edge("b")));
    let address = b.local_addr().unwrap();
    let whom = Expected::AnyCore;
    let (there, here) = tokio::join!(a.connect(address, Protocol::Core, &whom), accept(&b));
    assert_eq!(there.unwrap_err(), ConnectionError::OtherProtocol);
    assert_eq!(here.unwrap_err(), ConnectionError::OtherProtocol);
}

#[tokio::test]
async fn new_certificates_count_for_new_connections_and_end_no_other() {
    let (old, new) = (Authority::new(), Authority::new());
    let both = format!("{}{}", old.pem(), new.pem());
    let uri = "spiffe://pulse/edge/eu/b";
    let credentials = old.credentials(uri);
    let b = endpoint(credentials.clone());
    let a = endpoint(old.edge("a"));
    let whom = edge("b");
    let (there, here) = tokio::join!(dial(&a, &b, &whom), accept(&b));
    let (there, here) = (there.unwrap(), here.unwrap());

    let leaf = new.leaf(&[uri], false);
    let replace = |leaf: &common::Leaf, ca: &str| {
        credentials.replace_pem(leaf.cert.as_bytes(), leaf.key.as_bytes(), ca.as_bytes())
    };
    assert!(replace(&leaf, &both).unwrap());
    assert!(
        !replace(&leaf, &both).unwrap(),
        "the same again changes nothing"
    );
    let someone = new.leaf(&["spiffe://pulse/edge/eu/c"], false);
    assert!(matches!(
        replace(&someone, &both),
        Err(CredentialsError::Changed { .. })
    ));

    // Who trusts the new authority alone comes in by the new certificate, and a's connection lives.
    let c = endpoint(new.edge("c"));
    let (second, _) = tokio::join!(dial(&c, &b, &whom), accept(&b));
    assert!(second.is_ok());
    assert!(there.send_datagram(Bytes::from_static(b"still here")));
    assert_eq!(here.read_datagram().await.unwrap(), "still here");
    // a does not know the new authority yet.
    let (third, _) = tokio::join!(dial(&a, &b, &whom), accept(&b));
    assert_eq!(
        third.unwrap_err(),
        ConnectionError::PeerCertificate(CertificateFault::OtherAuthority)
    );
}
