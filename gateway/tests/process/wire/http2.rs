//! Calls that arrive over HTTP/2 and leave over HTTP/1.1.

use bytes::Bytes;
use h2::{
    Reason,
    client::{SendRequest, handshake},
};
use http::Request;
use tokio::sync::mpsc;

use super::{
    peer::{Peer, header},
    upstream::{OK, Upstream},
};
use crate::process::Gateway;

pub(super) async fn connect(gateway: &Gateway) -> SendRequest<Bytes> {
    let stream = Peer::connect(gateway).await.into_stream();
    let (sender, connection) = handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    sender.ready().await.unwrap()
}

fn request(method: &str) -> http::request::Builder {
    Request::builder().method(method).uri("http://gateway/Cust1/x")
}

#[tokio::test]
async fn cookie_fields_are_joined() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut sender = connect(&gateway).await;
    let request = request("GET").header("cookie", "a=1").header("cookie", "b=2; c=3");
    let (response, _) = sender.send_request(request.body(()).unwrap(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(header(&upstream.heads()[0], "cookie"), Some("a=1; b=2; c=3"));
}

#[tokio::test]
async fn write_without_content_says_so() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut sender = connect(&gateway).await;
    for method in ["POST", "PUT", "PATCH"] {
        let request = request(method).body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
        let heads = upstream.heads();
        assert_eq!(header(heads.last().unwrap(), "content-length"), Some("0"), "{method}");
        assert_eq!(header(heads.last().unwrap(), "transfer-encoding"), None, "{method}");
    }
}

#[tokio::test]
async fn get_with_a_body_is_forwarded_with_it() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut conversation| {
        let tx = tx.clone();
        async move {
            let head = conversation.head().await.unwrap();
            assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
            tx.send(conversation.body(b"5\r\nhello\r\n0\r\n\r\n".len()).await).unwrap();
            conversation.send(OK).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut sender = connect(&gateway).await;
    let (response, mut body) =
        sender.send_request(request("GET").body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    assert_eq!(rx.recv().await.unwrap(), b"5\r\nhello\r\n0\r\n\r\n");
}

#[tokio::test]
async fn abandoned_upload_is_not_a_whole_one() {
    for reason in [Reason::NO_ERROR, Reason::CANCEL] {
        let (tx, mut rx) = mpsc::unbounded_channel();
        let upstream = Upstream::start(move |mut conversation| {
            let tx = tx.clone();
            async move {
                conversation.head().await.unwrap();
                assert_eq!(conversation.body(9).await, b"4\r\nhalf\r\n"[..9]);
                tx.send(None).unwrap();
                let rest = conversation.closed().await;
                tx.send(Some(rest)).unwrap();
            }
        })
        .await;
        let gateway = upstream.gateway(&[]).await;
        let mut sender = connect(&gateway).await;
        let request = request("POST").body(()).unwrap();
        let (_response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"half"), false).unwrap();
        assert_eq!(rx.recv().await.unwrap(), None);
        body.send_reset(reason);
        let rest = rx.recv().await.unwrap().expect("the end");
        assert_eq!(rest, b"", "{reason:?}: the upload was ended as if whole");
    }
}

#[tokio::test]
async fn host_that_differs_from_the_authority_is_400() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let mut sender = connect(&gateway).await;
    for (host, status) in [
        ("gateway", 200),
        ("GATEWAY", 200),
        ("gateway:80", 200),
        ("gateway:81", 400),
        ("elsewhere", 400),
        ("", 400),
    ] {
        let request = request("GET").header("host", host).body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), status, "{host}");
    }
}
