//! The crate's TLS and an application's, both with ring.

use std::time::Duration;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use tokio::{io::AsyncReadExt, net::TcpListener};
use tower_superoffice::{
    Environment, TenantGate, TenantId,
    status::Record,
    store::{RedisStore, Store},
};

/// Accepts a connection and returns its first byte.
async fn first_byte(listener: TcpListener) -> u8 {
    let (mut socket, _) = listener.accept().await.unwrap();
    socket.read_u8().await.unwrap()
}

#[tokio::test]
async fn both_the_gate_and_the_application_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://{}", listener.local_addr().unwrap());
    let gate = TenantGate::builder(Environment::custom(origin.parse().unwrap()))
        .audience("app")
        .build()
        .await
        .unwrap();
    let first = tokio::time::timeout(Duration::from_secs(10), first_byte(listener)).await.unwrap();
    assert_eq!(first, 0x16, "a TLS handshake record");
    assert!(CryptoProvider::get_default().is_none(), "the gate has set the process's default");

    // It panics if the choice is not clear.
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    assert!(!config.crypto_provider().cipher_suites.is_empty());
    drop(gate);
}

#[tokio::test]
async fn redis_is_reached_by_tls() {
    let (tenant, record) = (TenantId::new("Cust12345").unwrap(), Record::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rediss://{}", listener.local_addr().unwrap());
    let store = RedisStore::connect(&url, &Environment::Production).unwrap();
    let server = tokio::time::timeout(Duration::from_secs(10), first_byte(listener));
    let (first, _) = tokio::join!(server, store.merge(&tenant, &record));
    assert_eq!(first.unwrap(), 0x16, "a TLS handshake record");
}
