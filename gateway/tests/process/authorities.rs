//! Certificates of an authority of one's own.

use std::{fs, sync::Arc};

use harness::{Directory, RedisServer, certificates, simulator_at_own_host, until};
use http::StatusCode;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::process::Gateway;

/// Starts a TLS server with the certificate in `directory`, which forwards to `port`; returns its
/// URL.
async fn serve_tls(directory: &Directory, port: u16) -> String {
    let chain = CertificateDer::pem_file_iter(directory.join("host.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("host.key")).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(socket).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // Ends with an error when a side breaks off, which is its right.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

#[tokio::test]
async fn ca_file_is_trusted_for_keys_and_calls() {
    let directory = Directory::new();
    let Some(()) = certificates(&directory.join(""), "IP:127.0.0.1") else { return };
    let simulator = simulator_at_own_host().await;
    let url = serve_tls(&directory, simulator.hosts()[0].port_u16().unwrap()).await;
    let base = ["--listen", "127.0.0.1:0", "--any-audience", "--base-url", &url];
    let root = directory.join("root.pem");

    let public = Gateway::start(&base).await;
    assert_eq!(public.get("/Cust1/x").await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(public.get("/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let own = Gateway::start(&[&base[..], &["--ca-file", root.to_str().unwrap()]].concat()).await;
    assert_eq!(own.get("/Cust1/x").await.status, StatusCode::OK);
    until("keys are fetched", async || own.get("/ready").await.status == StatusCode::OK).await;
}

#[tokio::test]
async fn ca_file_is_trusted_for_the_store() {
    let Some(mut server) = RedisServer::stopped(&[]) else { return };
    let Some(()) = certificates(&server.file(""), "IP:127.0.0.1") else { return };
    let path = |name: &str| server.file(name).to_str().unwrap().to_owned();
    let (port, root) = (server.port().to_string(), path("root.pem"));
    let arguments = [
        ["--port", "0"],
        ["--tls-port", &port],
        ["--tls-cert-file", &path("host.pem")],
        ["--tls-key-file", &path("host.key")],
        ["--tls-ca-cert-file", &root],
        ["--tls-auth-clients", "no"],
    ];
    server.set_arguments(arguments.as_flattened());
    server.run();
    let store = format!("rediss://127.0.0.1:{port}");
    let base = ["--listen", "127.0.0.1:0", "--any-audience", "--base-url", "http://127.0.0.1:1"];
    let base = [&base[..], &["--store", &store]].concat();
    let (code, _) = Gateway::fails(&base).await;
    assert_eq!(code, Some(1), "the public authorities have not signed it");
    let gateway = Gateway::start(&[&base[..], &["--ca-file", &root]].concat()).await;
    assert_eq!(gateway.get("/live").await.status, StatusCode::OK);
}

#[tokio::test]
async fn ca_file_without_certificates_fails_the_start() {
    let directory = Directory::new();
    let (empty, nowhere) = (directory.join("empty"), directory.join("nowhere"));
    fs::write(&empty, "no certificate").unwrap();
    let base = ["--listen", "127.0.0.1:0", "--any-audience", "--base-url", "http://127.0.0.1:1"];
    for (file, said) in [(&empty, "PEM"), (&nowhere, "--ca-file")] {
        let more = ["--ca-file", file.to_str().unwrap()];
        let (code, stderr) = Gateway::fails(&[&base[..], &more].concat()).await;
        assert_eq!(code, Some(1));
        assert!(stderr.contains(said), "{stderr}");
    }
}
