//! Responses to clients that are still sending their request: RFC 9112, section 9.6, and RFC 9113,
//! section 8.1.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;

use super::{
    http2,
    peer::Peer,
    upstream::{OK, Upstream},
};
use crate::process::Gateway;

const LENGTH: usize = 1 << 20;

/// Requests with content of a mebibyte, and the status that each gets before all of it was sent.
const EARLY: [(&str, &str, u16); 4] = [
    ("/NotifyCustomerStateChange", "", 413),
    ("/Cust1/x", "", 503),
    ("/a.b/x", "", 400),
    ("/unknown/../tenants/Cust1/open", "content-type: application/json\r\n", 404),
];

/// Starts a gateway with the closed tenant `Cust1`.
async fn gateway() -> Gateway {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    gateway.close("Cust1").await;
    gateway
}

#[tokio::test]
async fn early_answer_reaches_a_client_that_is_still_sending() {
    let gateway = gateway().await;
    for (path, rest, status) in EARLY {
        for framing in
            [format!("content-length: {LENGTH}"), "transfer-encoding: chunked".to_owned()]
        {
            let mut peer = Peer::connect(&gateway).await;
            peer.send(format!("POST {path} HTTP/1.1\r\nhost: g\r\n{rest}{framing}\r\n\r\n")).await;
            let chunk = vec![b'x'; LENGTH / 16];
            for _ in 0..16 {
                if framing.ends_with("chunked") {
                    peer.send(format!("{:x}\r\n", chunk.len())).await;
                }
                peer.send(&chunk).await;
                if framing.ends_with("chunked") {
                    peer.send("\r\n").await;
                }
                // Gives a gateway that closes at once the time to do so.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let received = peer.receive("POST").await;
            assert_eq!(received.status(), status, "{path} {framing}");
            assert!(received.complete, "{path} {framing}");
            peer.closed().await;
        }
    }
}

#[tokio::test]
async fn head_that_is_too_large_is_431_for_a_client_that_is_still_sending() {
    let gateway = gateway().await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send("GET /Cust1/x HTTP/1.1\r\nhost: g\r\n").await;
    let line = format!("x-filler: {}\r\n", "x".repeat(16 * 1024));
    for _ in 0..64 {
        peer.send(&line).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(peer.receive("GET").await.status(), 431);
}

#[tokio::test]
async fn client_that_sends_without_end_is_cut_off() {
    let gateway = gateway().await;
    for pause in [Duration::ZERO, Duration::from_millis(500)] {
        let mut peer = Peer::connect(&gateway).await;
        peer.send("POST /Cust1/x HTTP/1.1\r\nhost: g\r\ncontent-length: 9000000000\r\n\r\n").await;
        let start = Instant::now();
        let mut sent = 0;
        while peer.try_send([b'x'; 64 * 1024]).await.is_ok() {
            sent += 64 * 1024;
            assert!(start.elapsed() < Duration::from_secs(20), "after {sent} bytes");
            tokio::time::sleep(pause).await;
        }
        assert!(sent > LENGTH || !pause.is_zero(), "{sent}");
    }
}

#[tokio::test]
async fn idle_connection_is_closed_without_lingering() {
    let gateway = gateway().await;
    let mut peer = Peer::connect(&gateway).await;
    let start = Instant::now();
    let received = peer.call("GET", "/live", "connection: close\r\n").await;
    assert_eq!(received.status(), 200);
    peer.closed().await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn early_answer_over_http2_is_followed_by_no_error() {
    let gateway = gateway().await;
    let mut sender = http2::connect(&gateway).await;
    for (path, _, status) in EARLY {
        let request = http::Request::post(format!("http://gateway{path}"));
        let request = request.header("content-type", "application/json").body(()).unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from(vec![b'x'; LENGTH]), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let reason = std::future::poll_fn(|cx| body.poll_reset(cx)).await.unwrap();
        assert_eq!(reason, Reason::NO_ERROR, "{path}");
        let mut content = response.into_body();
        while let Some(data) = content.data().await {
            content.flow_control().release_capacity(data.unwrap().len()).unwrap();
        }
    }
    let request = http::Request::get("http://gateway/live").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
}
