//! Connections to a tenant that it closes as the next call goes out.

use super::{
    peer::Peer,
    upstream::{OK, Upstream},
};

/// Responds once on each connection, then closes it as soon as it has read the next request.
async fn closing_second() -> Upstream {
    Upstream::start(async |mut conversation| {
        if conversation.head().await.is_some() {
            conversation.send(OK).await;
        }
        conversation.head().await;
    })
    .await
}

#[tokio::test]
async fn safe_call_on_a_closed_connection_is_repeated() {
    let upstream = closing_second().await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for method in ["GET", "HEAD", "OPTIONS"].repeat(20) {
        assert_eq!(peer.call(method, "/Cust1/x", "").await.status(), 200, "{method}");
    }
}

#[tokio::test]
async fn other_call_on_a_closed_connection_is_sent_once() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        conversation.send(OK).await;
        if let Some(head) = conversation.head().await
            && head.contains("content-length: 5")
        {
            conversation.body(5).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for (method, rest) in [
        ("POST", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("PROPFIND", ""),
        ("GET", "content-length: 5\r\n\r\nhello"),
        ("OPTIONS", "content-length: 5\r\n\r\nhello"),
    ] {
        // Leaves an idle connection behind.
        let before = upstream.heads().len();
        assert_eq!(peer.call("GET", "/Cust1/first", "").await.status(), 200);
        let rest = if rest.is_empty() { "\r\n" } else { rest };
        peer.send(format!("{method} /Cust1/second HTTP/1.1\r\nhost: g\r\n{rest}")).await;
        assert_eq!(peer.receive(method).await.status(), 502, "{method}");
        assert_eq!(upstream.methods()[before..], ["GET", method]);
    }
}

#[tokio::test]
async fn repeated_call_is_not_repeated_again() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        if conversation.number == 0 {
            conversation.send(OK).await;
            conversation.head().await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 200);
    assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 502);
    assert_eq!(upstream.heads().len(), 3);
}

#[tokio::test]
async fn call_on_a_fresh_connection_is_not_repeated() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 502);
    assert_eq!(upstream.heads().len(), 1);
}
