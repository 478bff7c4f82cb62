//! `--upstream-timeout`: from the end of the request to the start of the response, and an idle
//! time-out while bodies flow.

use std::time::{Duration, Instant};

use super::{
    peer::Peer,
    upstream::{OK, Upstream},
};

const CHUNK: [u8; 1000] = [b'x'; 1000];
const PAUSE: Duration = Duration::from_millis(150);
const CHUNKS: usize = 12;

async fn upload(peer: &mut Peer) {
    let length = CHUNKS * CHUNK.len();
    peer.send(format!("POST /Cust1/doc HTTP/1.1\r\nhost: g\r\ncontent-length: {length}\r\n\r\n"))
        .await;
    for _ in 0..CHUNKS {
        tokio::time::sleep(PAUSE).await;
        peer.send(CHUNK).await;
    }
}

#[tokio::test]
async fn upload_longer_than_the_timeout_is_forwarded() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        assert_eq!(conversation.body(CHUNKS * CHUNK.len()).await.len(), CHUNKS * CHUNK.len());
        // It counts from here.
        tokio::time::sleep(Duration::from_millis(500)).await;
        conversation.send(OK).await;
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "1"]).await;
    let mut peer = Peer::connect(&gateway).await;
    upload(&mut peer).await;
    assert_eq!(peer.receive("POST").await.status(), 200);
}

#[tokio::test]
async fn silence_after_a_long_upload_is_504() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        conversation.closed().await;
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "1"]).await;
    let mut peer = Peer::connect(&gateway).await;
    upload(&mut peer).await;
    let end_of_request = Instant::now();
    assert_eq!(peer.receive("POST").await.status(), 504);
    assert!(end_of_request.elapsed() > Duration::from_millis(900), "{end_of_request:?}");
}

#[tokio::test]
async fn upload_to_a_slow_reader_is_forwarded() {
    // Far more than the buffers on the way hold: what is left in them when the gateway has sent
    // everything must be read within the time-out.
    const LENGTH: usize = 30_000_000;
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        conversation.slow_body(LENGTH, 1_000_000, Duration::from_millis(100)).await;
        conversation.send(OK).await;
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "1.5"]).await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send(format!("PUT /Cust1/doc HTTP/1.1\r\nhost: g\r\ncontent-length: {LENGTH}\r\n\r\n"))
        .await;
    peer.send(vec![b'x'; LENGTH]).await;
    assert_eq!(peer.receive("PUT").await.status(), 200);
}

#[tokio::test]
async fn upload_that_is_not_read_is_504() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        std::future::pending().await
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "1"]).await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send("PUT /Cust1/doc HTTP/1.1\r\nhost: g\r\ncontent-length: 90000000\r\n\r\n").await;
    let received = async {
        // More than all buffers on the way hold.
        while peer.try_send([b'x'; 64 * 1024]).await.is_ok() {}
    };
    // The gateway stops reading, then responds; only the latter ends this.
    let _ = tokio::time::timeout(Duration::from_secs(3), received).await;
    assert_eq!(peer.receive("PUT").await.status(), 504);
}

#[tokio::test]
async fn upload_that_stalls_is_408() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        conversation.closed().await;
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "0.5"]).await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send("POST /Cust1/doc HTTP/1.1\r\nhost: g\r\ncontent-length: 9\r\n\r\nhalf").await;
    assert_eq!(peer.receive("POST").await.status(), 408);
    peer.closed().await;
}

#[tokio::test]
async fn response_longer_than_the_timeout_arrives_whole() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        let length = CHUNKS * CHUNK.len();
        conversation.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n")).await;
        for _ in 0..CHUNKS {
            tokio::time::sleep(PAUSE).await;
            conversation.send(CHUNK).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "1"]).await;
    let mut peer = Peer::connect(&gateway).await;
    let received = peer.call("GET", "/Cust1/doc", "").await;
    assert_eq!((received.status(), received.body.len()), (200, CHUNKS * CHUNK.len()));
}

#[tokio::test]
async fn response_that_stalls_is_cut() {
    for head in ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let upstream = Upstream::start(move |mut conversation| async move {
            conversation.head().await.unwrap();
            conversation.send(format!("HTTP/1.1 200 OK\r\n{head}")).await;
            conversation.closed().await;
        })
        .await;
        let gateway = upstream.gateway(&["--upstream-timeout", "0.5"]).await;
        let mut peer = Peer::connect(&gateway).await;
        let received = peer.call("GET", "/Cust1/doc", "").await;
        assert_eq!(received.body, b"half");
        assert!(!received.complete, "{received:?}");
    }
}

#[tokio::test]
async fn response_to_a_slow_reader_arrives_whole() {
    const LENGTH: usize = 20_000_000;
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await.unwrap();
        conversation.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n")).await;
        conversation.send(vec![b'x'; LENGTH]).await;
    })
    .await;
    let gateway = upstream.gateway(&["--upstream-timeout", "0.5"]).await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send("GET /Cust1/doc HTTP/1.1\r\nhost: g\r\n\r\n").await;
    // The pause is the caller's, not the tenant's.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let received = peer.receive("GET").await;
    assert_eq!((received.status(), received.body.len()), (200, LENGTH));
}
