//! Methods and headers that a proxy has to understand: RFC 9110, sections 7.6, 9.3 and 10.1.

use super::{
    peer::{Peer, header},
    upstream::{OK, Upstream},
};

#[tokio::test]
async fn connect_is_501_and_not_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for target in ["/Cust1/x", "gateway:443", "http://gateway/Cust1/x"] {
        let mut peer = Peer::connect(&gateway).await;
        assert_eq!(peer.call("CONNECT", target, "").await.status(), 501, "{target}");
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn trace_is_405_and_not_forwarded() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for rest in ["", "max-forwards: 0\r\n", "max-forwards: 3\r\n"] {
        let received = peer.call("TRACE", "/Cust1/x", rest).await;
        assert_eq!(received.status(), 405, "{rest}");
        assert!(!received.header("allow").unwrap().contains("TRACE"));
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn max_forwards_counts_down_to_the_last_recipient() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for (method, sent, forwarded) in
        [("OPTIONS", "1", "0"), ("OPTIONS", "10", "9"), ("GET", "0", "0"), ("PROPFIND", "5", "5")]
    {
        let received = peer.call(method, "/Cust1/x", &format!("max-forwards: {sent}\r\n")).await;
        assert_eq!(received.status(), 200, "{method} {sent}");
        let heads = upstream.heads();
        let head = heads.last().unwrap();
        assert_eq!(header(head, "max-forwards"), Some(forwarded), "{method} {sent}");
    }
    let before = upstream.heads().len();
    let received = peer.call("OPTIONS", "/Cust1/x", "max-forwards: 0\r\n").await;
    assert_eq!(received.status(), 204);
    assert!(received.header("allow").unwrap().contains("OPTIONS"));
    for wrong in ["-1", "x", "1, 2", "+1", ""] {
        let received =
            peer.call("OPTIONS", "/Cust1/x", &format!("max-forwards: {wrong}\r\n")).await;
        assert_eq!(received.status(), 400, "{wrong}");
    }
    assert_eq!(upstream.heads().len(), before);
}

#[tokio::test]
async fn upgrade_is_forwarded_as_a_call_without_it() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for upgrade in [
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
    ] {
        let received = peer.call("GET", "/Cust1/x", upgrade).await;
        assert_eq!((received.status(), received.header("upgrade")), (200, None));
        let heads = upstream.heads();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(header(heads.last().unwrap(), name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn unasked_101_is_502() {
    const SWITCH: &str =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let upstream = Upstream::responding(SWITCH).await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for upgrade in ["", "connection: upgrade\r\nupgrade: x\r\n"] {
        peer.send(format!("GET /Cust1/x HTTP/1.1\r\nhost: g\r\n{upgrade}\r\n")).await;
        // A reader that skips 1xx would not see it.
        let mut received = peer.line().await;
        assert_eq!(received, "HTTP/1.1 502 Bad Gateway", "{upgrade}");
        while !received.is_empty() {
            received = peer.line().await;
        }
        peer = Peer::connect(&gateway).await;
    }
}

#[tokio::test]
async fn other_1xx_are_left_out() {
    let upstream = Upstream::responding(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for _ in 0..2 {
        peer.send("GET /Cust1/x HTTP/1.1\r\nhost: g\r\n\r\n").await;
        assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
        let received = peer.receive_rest().await;
        assert_eq!((received.header("link"), &*received.body), (None, &b"ok"[..]));
    }
}

#[tokio::test]
async fn expected_100_comes_before_the_content() {
    let upstream = Upstream::start(async |mut conversation| {
        while conversation.head().await.is_some() {
            conversation.send("HTTP/1.1 100 Continue\r\n\r\n").await;
            assert_eq!(conversation.body(5).await, b"hello");
            conversation.send(OK).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    for _ in 0..2 {
        let rest = "expect: 100-continue\r\ncontent-length: 5\r\n";
        peer.send(format!("POST /Cust1/x HTTP/1.1\r\nhost: g\r\n{rest}\r\n")).await;
        assert_eq!(peer.line().await, "HTTP/1.1 100 Continue");
        assert_eq!(peer.line().await, "");
        peer.send("hello").await;
        assert_eq!(peer.line().await, "HTTP/1.1 200 OK");
        peer.receive_rest().await;
        assert_eq!(header(upstream.heads().last().unwrap(), "expect"), Some("100-continue"));
    }
    // To HTTP/1.0 there is no 100.
    peer.send("POST /Cust1/x HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello")
        .await;
    assert_eq!(peer.line().await, "HTTP/1.0 200 OK");
}

#[tokio::test]
async fn closed_tenant_answers_an_expectation_without_100() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    gateway.close("Cust1").await;
    let mut peer = Peer::connect(&gateway).await;
    let rest = "expect: 100-continue\r\ncontent-length: 1000000\r\n";
    peer.send(format!("POST /Cust1/x HTTP/1.1\r\nhost: g\r\n{rest}\r\n")).await;
    assert_eq!(peer.line().await, "HTTP/1.1 503 Service Unavailable");
}

#[tokio::test]
async fn headers_of_one_connection_are_not_forwarded() {
    const FIELDS: &str = "connection: close, x-one\r\nconnection: X-Two\r\nx-one: 1\r\nx-two: 2\r\n\
        keep-alive: timeout=5\r\nproxy-connection: close\r\nte: trailers\r\nx-kept: 3\r\n";
    let upstream = Upstream::start(async |mut conversation| {
        while conversation.head().await.is_some() {
            let ok = format!("HTTP/1.1 200 OK\r\n{FIELDS}content-length: 0\r\n\r\n");
            conversation.send(ok).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    let received = peer.call("GET", "/Cust1/x", FIELDS).await;
    for head in [&upstream.heads()[0], &received.head] {
        for name in ["x-one", "x-two", "keep-alive", "proxy-connection", "te"] {
            assert_eq!(header(head, name), None, "{name}: {head}");
        }
        assert_eq!(header(head, "x-kept"), Some("3"));
    }
}

#[tokio::test]
async fn chunked_overrules_a_length_and_ends_the_connection() {
    let upstream = Upstream::start(async |mut conversation| {
        while let Some(head) = conversation.head().await {
            assert_eq!(header(&head, "content-length"), None);
            assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
            let content = b"5\r\nhello\r\n0\r\n\r\n";
            assert_eq!(conversation.body(content.len()).await, content);
            conversation.send(OK).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    for both in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    ] {
        let mut peer = Peer::connect(&gateway).await;
        peer.send(format!("POST /Cust1/x HTTP/1.1\r\nhost: g\r\n{both}\r\n")).await;
        peer.send("5\r\nhello\r\n0\r\n\r\nGET /Cust1/smuggled HTTP/1.1\r\nhost: g\r\n\r\n").await;
        assert_eq!(peer.receive("POST").await.status(), 200);
        assert_eq!(peer.closed().await, b"", "a second response");
    }
    assert_eq!(upstream.heads().len(), 2);
}

#[tokio::test]
async fn malformed_field_lines_are_400() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    for line in [
        "x-folded: a\r\n b\r\n",
        "x-folded: a\r\n\tb\r\n",
        " x: a\r\n",
        "x : a\r\n",
        "content-length : 5\r\n",
        "x\r\n",
        ": a\r\n",
        "x: a\0b\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
    ] {
        let mut peer = Peer::connect(&gateway).await;
        peer.send(format!("GET /Cust1/x HTTP/1.1\r\nhost: g\r\n{line}\r\n")).await;
        assert_eq!(peer.receive("GET").await.status(), 400, "{line:?}");
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[tokio::test]
async fn malformed_field_lines_of_a_response_are_repaired_or_502() {
    for (line, status) in
        [("x-spaced : a\r\n", 200), ("x: a\r\n b\r\n", 502), ("x: a\0b\r\n", 502), (": a\r\n", 502)]
    {
        let upstream = Upstream::start(move |mut conversation| async move {
            conversation.head().await.unwrap();
            conversation
                .send(format!("HTTP/1.1 200 OK\r\n{line}content-length: 2\r\n\r\nok"))
                .await;
        })
        .await;
        let gateway = upstream.gateway(&[]).await;
        let received = Peer::connect(&gateway).await.call("GET", "/Cust1/x", "").await;
        assert_eq!(received.status(), status, "{line:?}");
        if status == 200 {
            assert_eq!(received.header("x-spaced"), Some("a"));
        }
    }
}
