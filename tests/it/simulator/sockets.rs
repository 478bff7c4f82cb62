//! Connections, and the network without any.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use tower_superoffice::simulator::{Fault, Simulator};

use super::{state_url, tenant};

#[tokio::test(start_paused = true)]
async fn network_works_with_paused_time() {
    let simulator = Simulator::start().await.unwrap();
    let get = |uri: String| {
        simulator.network().oneshot(Request::get(uri).body(Empty::<Bytes>::new()).unwrap())
    };
    simulator.state_api(Fault::Hang);
    let hung = tokio::time::timeout(Duration::from_secs(3600), get(state_url(&simulator))).await;
    assert!(hung.is_err());

    simulator.state_api(Fault::Slow(Duration::from_secs(4)));
    let began = tokio::time::Instant::now();
    assert_eq!(get(state_url(&simulator)).await.unwrap().status(), 200);
    assert_eq!(began.elapsed(), Duration::from_secs(4));

    assert_eq!(get(simulator.url(&tenant(), "api")).await.unwrap().status(), 200);
    assert_eq!(simulator.calls(&tenant()), 1);
    let refused = get("http://127.0.0.1:1/Cust12345".to_owned()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn raw_requests_share_one_connection() {
    let simulator = Simulator::builder().tenants_at_own_host().start().await.unwrap();
    let address = simulator.hosts()[0].authority().unwrap().as_str();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (head, expected) in [
        ("GET /Cust12345/api HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        (
            "HEAD /login/.well-known/jwks HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n",
        ),
    ] {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn sockets_close_with_the_last_handle() {
    let simulator = Simulator::start().await.unwrap();
    let address = simulator.hosts()[1].authority().unwrap().to_string();
    let mut idle = TcpStream::connect(&address).await.unwrap();
    let other = simulator.clone();
    drop(simulator);
    assert!(TcpStream::connect(&address).await.is_ok(), "a handle is left");
    drop(other);
    let read = tokio::time::timeout(Duration::from_secs(5), idle.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "the connection was closed");
    assert!(TcpStream::connect(&address).await.is_err());
}
