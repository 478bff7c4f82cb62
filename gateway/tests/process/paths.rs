//! Paths: which are forwarded, which are the gateway's own, and which are refused.

use harness::free_port;

use crate::{
    process::Gateway,
    wire::{
        peer::Peer,
        upstream::{OK, Upstream},
    },
};

#[tokio::test]
async fn ambiguous_path_is_400_and_not_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for path in [
        "/Cust2/%u002e%u002e/Cust1",
        "/Cust%u0031/x",
        "/Cust2/%252e%252e/Cust1",
        "/%2543ust1",
        "/Cust1%00/x",
        "/Cust2/..%09/Cust1",
        "/%2FCust1/x",
        "/%5CCust1/x",
        "/\\Cust1/x",
        "/Cust1%2f..%2fCust2",
        "/x/%2e%2e/Cust1/y",
        "/Cust2/.%2e/Cust1/y",
        "/Cust2/..%2fCust1",
        "/Cust2/..\\Cust1",
        "/Cust1./x",
        "/Cust1%20/x",
        "/Cust1%2e/x",
        "/Cust2/..%20/Cust1",
    ] {
        for method in ["GET", "POST"] {
            let received = peer.call(method, path, "").await;
            assert_eq!(received.status(), 400, "{method} {path}");
            assert_eq!(received.header("content-type"), Some("application/problem+json"));
        }
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn unambiguous_path_is_forwarded_byte_for_byte() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for path in [
        "/Cust1",
        "//Cust1//Remote//Services88/",
        "/%43ust1/a%20b%2Fc%5cd/%C3%A9",
        "/Cust1/a\\b",
        "/Cust1/./a/../b",
        "/x/../Cust1/y",
        "/./Cust1/",
        "/Cust1/100%/50%25/%25zz",
        "/Cust1/x?q=%u0041%252e/../%00\\",
        "/Cust1/a./b%20/c..",
    ] {
        assert_eq!(peer.call("GET", path, "").await.status(), 200, "{path}");
        let heads = upstream.heads();
        assert_eq!(heads.last().unwrap().split(' ').nth(1), Some(path));
    }
}

#[tokio::test]
async fn own_first_segment_is_never_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let internal = format!("127.0.0.1:{}", free_port());
    let alone = upstream.gateway(&[]).await;
    let split = upstream.gateway(&["--internal-listen", &internal]).await;
    let address = |gateway: &Gateway| gateway.url("/").authority().unwrap().to_string();
    for listener in [address(&alone), address(&split), internal] {
        let mut peer = Peer::connect_to(&listener).await;
        for segment in [
            "live",
            "READY",
            "Healthz",
            "status",
            "metrics",
            "TENANTS",
            "events",
            "Check",
            "api",
            "openapi.json",
            "LOGIN",
            "%6cogin",
            "/healthz",
            "notifycustomerstatechange",
        ] {
            for path in [format!("/{segment}/"), format!("/{segment}/Cust1/x")] {
                for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
                    let status = peer.call(method, &path, "").await.status();
                    assert_eq!(status, 404, "{listener} {method} {path}");
                }
            }
        }
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn wrong_method_on_an_own_path_is_405() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for (path, allow) in [
        ("/live", "GET,HEAD"),
        ("/ready", "GET,HEAD"),
        ("/healthz", "GET,HEAD"),
        ("/status", "GET,HEAD"),
        ("/tenants", "GET,HEAD"),
        ("/tenants/Cust1", "GET,HEAD"),
        ("/tenants/Cust1/wait", "GET,HEAD"),
        ("/tenants/Cust1/close", "POST"),
        ("/check/Cust1", "GET,HEAD"),
        ("/events", "GET,HEAD"),
        ("/api/state/Cust1", "GET,HEAD"),
        ("/NotifyCustomerStateChange", "POST"),
    ] {
        for method in ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"] {
            if allow.split(',').any(|allowed| allowed == method) {
                continue;
            }
            let received = peer.call(method, path, "").await;
            assert_eq!(received.status(), 405, "{method} {path}");
            assert_eq!(received.header("allow"), Some(allow), "{method} {path}");
        }
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn default_notification_path_is_a_tenant_with_another_in_use() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&["--notification-path", "/hook/superoffice"]).await;
    let mut peer = Peer::connect(&gateway).await;
    assert_eq!(peer.call("GET", "/NotifyCustomerStateChange/x", "").await.status(), 200);
    assert_eq!(peer.call("POST", "/Hook/SuperOffice", "").await.status(), 404);
    assert_eq!(upstream.heads().len(), 1);
}
