//! Responses that a browser shows, which have the gateway's own origin.

use super::{
    peer::Peer,
    upstream::{OK, Upstream},
};

const SANDBOX: &str = "sandbox allow-scripts allow-forms allow-popups allow-downloads";

const WITH_POLICY: &str = "HTTP/1.1 200 OK\r\ncontent-security-policy: default-src 'self'\r\n\
                           vary: Accept\r\ncontent-length: 2\r\n\r\nok";

/// The values of all headers with this lower-case name.
fn values<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn page_of_a_tenant_is_shown_in_a_sandbox() {
    let upstream = Upstream::responding(WITH_POLICY).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for header in [
        "sec-fetch-dest: document",
        "Sec-Fetch-Dest: iframe",
        "sec-fetch-dest: frame",
        "sec-fetch-dest: embed",
        "sec-fetch-dest: object",
        "sec-fetch-dest: empty\r\nsec-fetch-mode: navigate",
        "upgrade-insecure-requests: 1",
    ] {
        let received = peer.call("GET", "/Cust1/x", &format!("{header}\r\n")).await;
        let policies = values(&received.head, "content-security-policy");
        assert_eq!(policies, ["default-src 'self'", SANDBOX], "{header}");
        assert_eq!(values(&received.head, "vary"), ["Accept", "Sec-Fetch-Dest"], "{header}");
    }
    let part = peer.call("GET", "/Cust1/x", "sec-fetch-dest: image\r\n").await;
    assert_eq!(values(&part.head, "content-security-policy"), ["default-src 'self'"]);
    assert_eq!(values(&part.head, "vary"), ["Accept", "Sec-Fetch-Dest"]);
    let service = peer.call("GET", "/Cust1/x", "accept: text/html\r\n").await;
    assert_eq!(values(&service.head, "content-security-policy"), ["default-src 'self'"]);
    assert_eq!(values(&service.head, "vary"), ["Accept"]);
}

#[tokio::test]
async fn service_worker_of_a_tenant_is_not_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for header in ["sec-fetch-dest: serviceworker", "service-worker: script"] {
        let refused = peer.call("GET", "/Cust1/sw.js", &format!("{header}\r\n")).await;
        assert_eq!(refused.status(), 403, "{header}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(upstream.heads(), [""; 0]);
}
