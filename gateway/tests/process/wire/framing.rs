//! Where a message ends: RFC 9112, section 6.

use super::{
    peer::{Peer, header},
    upstream::{OK, Upstream},
};

#[tokio::test]
async fn response_with_ambiguous_framing_is_502() {
    for response in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n8\r\n12345678\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n",
        "transfer-encoding: chunked, chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n",
        "transfer-encoding: gzip\r\nconnection: close\r\n\r\n12345678",
        "transfer-encoding: identity\r\nconnection: close\r\n\r\n12345678",
        "content-length: 3\r\ncontent-length: 8\r\n\r\n12345678",
        "content-length: 8x\r\n\r\n12345678",
    ] {
        let upstream = Upstream::start(move |mut conversation| async move {
            // What follows on the same connection may be read as the rest of this response.
            while conversation.head().await.is_some() {
                conversation.send(format!("HTTP/1.1 200 OK\r\n{response}")).await;
                if response.contains("close") {
                    return;
                }
            }
        })
        .await;
        let gateway = upstream.gateway(&[]).await;
        let mut peer = Peer::connect(&gateway).await;
        for _ in 0..2 {
            let received = peer.call("GET", "/Cust1/x", "").await;
            assert_eq!(received.status(), 502, "{response}: {received:?}");
            assert!(received.complete);
        }
    }
}

#[tokio::test]
async fn connection_of_an_ambiguous_response_is_not_reused() {
    const BOTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
        8\r\n12345678\r\n0\r\n\r\n";
    let upstream = Upstream::start(move |mut conversation| async move {
        conversation.head().await.unwrap();
        conversation.send(BOTH).await;
        assert_eq!(conversation.head().await, None, "reused");
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for _ in 0..10 {
        assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 502);
    }
    assert_eq!(upstream.heads().len(), 10);
}

#[tokio::test]
async fn response_in_plain_framing_arrives_whole() {
    for (response, body) in [
        ("content-length: 8\r\n\r\n12345678", "12345678"),
        ("content-length: 8\r\ncontent-length: 8\r\n\r\n12345678", "12345678"),
        ("transfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n", "12345678"),
        ("Transfer-Encoding: Chunked\r\n\r\n8;x=y\r\n12345678\r\n0\r\n\r\n", "12345678"),
        ("connection: close\r\n\r\n12345678", "12345678"),
    ] {
        let upstream = Upstream::start(move |mut conversation| async move {
            conversation.head().await.unwrap();
            conversation.send(format!("HTTP/1.1 200 OK\r\n{response}")).await;
        })
        .await;
        let gateway = upstream.gateway(&[]).await;
        let mut peer = Peer::connect(&gateway).await;
        let received = peer.call("GET", "/Cust1/x", "").await;
        assert_eq!(received.status(), 200, "{response}");
        assert_eq!((received.body, received.complete), (body.as_bytes().to_vec(), true));
    }
}

#[tokio::test]
async fn response_without_content_keeps_its_headers() {
    const BOTH: &str =
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\netag: \"1\"\r\n\r\n";
    let upstream = Upstream::responding(BOTH).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    // Nothing follows the head, so nothing can be cut off.
    let received = peer.call("HEAD", "/Cust1/x", "").await;
    assert_eq!((received.status(), received.header("etag")), (200, Some("\"1\"")));
}

#[tokio::test]
async fn request_with_an_unknown_transfer_coding_is_501() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for coding in ["gzip, chunked", "chunked, chunked"] {
        let mut peer = Peer::connect(&gateway).await;
        let rest = format!("transfer-encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n");
        assert_eq!(peer.call("POST", "/Cust1/x", &rest).await.status(), 501, "{coding}");
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn get_with_a_body_is_forwarded_with_it() {
    let upstream = Upstream::start(async |mut conversation| {
        while let Some(head) = conversation.head().await {
            let expected = match header(&head, "transfer-encoding") {
                Some(coding) => {
                    assert_eq!(coding, "chunked");
                    "5\r\nhello\r\n0\r\n\r\n"
                }
                None => "hello",
            };
            assert_eq!(conversation.body(expected.len()).await, expected.as_bytes());
            conversation.send(OK).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    for rest in [
        "content-length: 5\r\n\r\nhello",
        "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut peer = Peer::connect(&gateway).await;
        for method in ["GET", "DELETE", "OPTIONS"] {
            peer.send(format!("{method} /Cust1/x HTTP/1.1\r\nhost: g\r\n{rest}")).await;
            assert_eq!(peer.receive(method).await.status(), 200, "{method} {rest}");
        }
    }
}

#[tokio::test]
async fn write_without_content_says_so() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for (method, length) in [
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
        ("GET", None),
        ("DELETE", None),
    ] {
        assert_eq!(peer.call(method, "/Cust1/x", "").await.status(), 200);
        let heads = upstream.heads();
        assert_eq!(header(heads.last().unwrap(), "content-length"), length, "{method}");
    }
}
