//! The host that a request names: RFC 9112, section 3.2, and RFC 9113, section 8.3.1.

use super::{
    peer::Peer,
    upstream::{OK, Upstream},
};

const ORDER: &str = "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn request_without_one_valid_host_is_400() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for host in [
        "",
        "host:\r\n",
        "host: g\r\nhost: g\r\n",
        "host: g\r\nhost: h\r\n",
        "host: g h\r\n",
        "host: g:h\r\n",
        "host: g:65536\r\n",
        "host: g:80:80\r\n",
        "host: :80\r\n",
        "host: user@g\r\n",
        "host: g/Cust2\r\n",
        "host: http://g\r\n",
        "host: [::1\r\n",
        "host: [::g]\r\n",
        "host: \u{e9}\r\n",
    ] {
        for path in ["/Cust1/x", "/live", "/NotifyCustomerStateChange", "http://g/Cust1/x"] {
            let mut peer = Peer::connect(&gateway).await;
            peer.send(format!("GET {path} HTTP/1.1\r\n{host}\r\n")).await;
            assert_eq!(peer.receive("GET").await.status(), 400, "{path} {host:?}");
        }
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn request_with_one_valid_host_is_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for host in ["g", "G.example.", "g:80", "g:", "127.0.0.1:8080", "[::1]:80", "[::1]", "a_b-c"] {
        peer.send(format!("GET /Cust1/x HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        assert_eq!(peer.receive("GET").await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn http_1_0_without_a_host_is_served() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for (host, status) in [("", 200), ("host: g\r\n", 200), ("host: g\r\nhost: g\r\n", 400)] {
        let mut peer = Peer::connect(&gateway).await;
        peer.send(format!("GET /Cust1/x HTTP/1.0\r\n{host}\r\n")).await;
        assert_eq!(peer.receive("GET").await.status(), status, "{host:?}");
    }
}

#[tokio::test]
async fn absolute_target_overrules_the_host() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for (target, host, status) in [
        ("http://127.0.0.1", "evil.example", 200),
        ("http://evil.example", "127.0.0.1", 403),
        ("http://evil.example", "evil.example", 403),
        ("http://user@127.0.0.1", "127.0.0.1", 400),
        ("ftp://127.0.0.1", "127.0.0.1", 400),
    ] {
        let mut peer = Peer::connect(&gateway).await;
        let target = format!("{target}/tenants/Cust1/open");
        peer.send(format!("POST {target} HTTP/1.1\r\nhost: {host}\r\n{ORDER}")).await;
        assert_eq!(peer.receive("POST").await.status(), status, "{target} {host}");
    }
    let mut peer = Peer::connect(&gateway).await;
    let target = "http://elsewhere.example/Cust1/x?y";
    assert_eq!(peer.call("GET", target, "").await.status(), 200);
    assert!(upstream.heads()[0].starts_with("GET /Cust1/x?y HTTP/1.1\r\n"));
}
