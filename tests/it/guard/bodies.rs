//! The guard passes every body as it is, in both directions.

use std::{
    convert::Infallible,
    future::ready,
    marker::PhantomPinned,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{TenantGate, notification::EmptyBody};

use harness::{call_to, gate_with_closed};

/// Sends a request with `body` through the guard, to a client that gives the body back.
async fn there_and_back<B: Body>(gate: &TenantGate, body: B) -> Response<B> {
    let echo = service_fn(|request: Request<B>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let guard = gate.guard_layer().layer(echo);
    guard.oneshot(call_to("Open", body)).await.unwrap()
}

async fn text_of<B: Body>(response: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    let collected = response.into_body().collect().await.unwrap();
    String::from_utf8(collected.to_bytes().to_vec()).unwrap()
}

/// Neither `Unpin` nor, with its `Rc`, `Send`.
struct Stubborn {
    left: Option<Rc<str>>,
    _pinned: PhantomPinned,
}

impl Body for Stubborn {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        // A pinned body can't be emptied: `is_end_stream` keeps it from repeating itself.
        let text = self.left.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes()));
        Poll::Ready(text.filter(|_| !self.is_end_stream()).map(|text| Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none()
    }
}

#[tokio::test]
async fn every_body_type_passes() {
    let gate = gate_with_closed().await;
    let full = || Full::new(Bytes::from_static(b"hello"));
    assert_eq!(text_of(there_and_back(&gate, full()).await).await, "hello");
    assert_eq!(text_of(there_and_back(&gate, full().boxed()).await).await, "hello");
    assert_eq!(text_of(there_and_back(&gate, full().boxed_unsync()).await).await, "hello");
    assert_eq!(text_of(there_and_back(&gate, "hello".to_owned()).await).await, "hello");
    assert_eq!(
        text_of(there_and_back(&gate, axum::body::Body::from("hello")).await).await,
        "hello"
    );
    assert_eq!(text_of(there_and_back(&gate, Empty::<Bytes>::new()).await).await, "");
    assert_eq!(text_of(there_and_back(&gate, EmptyBody::default()).await).await, "");
}

#[tokio::test]
async fn body_without_unpin_and_send_passes() {
    let gate = gate_with_closed().await;
    let body = Stubborn { left: Some("hello".into()), _pinned: PhantomPinned };
    let response = there_and_back(&gate, body).await;
    let mut body = Box::pin(response.into_body());
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
}

#[tokio::test]
async fn trailers_and_errors_of_a_body_pass() {
    let gate = gate_with_closed().await;
    let trailers =
        http::HeaderMap::from_iter([(http::header::ETAG, http::HeaderValue::from_static("\"1\""))]);
    let frames = [Ok(Frame::data(Bytes::from_static(b"x"))), Ok(Frame::trailers(trailers))];
    let frames = frames.into_iter().chain([Err("broken")]);
    let body = StreamBody::new(futures::stream::iter(frames));
    let mut body = there_and_back(&gate, body).await.into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(body.frame().await.unwrap().unwrap_err(), "broken");
}

#[tokio::test]
async fn response_body_may_differ_from_the_request_body() {
    let gate = gate_with_closed().await;
    let client = service_fn(|_: Request<Empty<Bytes>>| {
        let body: BoxBody<Bytes, Infallible> = Full::new(Bytes::from_static(b"hello")).boxed();
        ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let response = gate.guard_layer().layer(client).oneshot(call_to("Open", Empty::new())).await;
    assert_eq!(text_of(response.unwrap()).await, "hello");
}

#[tokio::test]
async fn body_streams_while_it_arrives() {
    let gate = gate_with_closed().await;
    let (theirs, ours) = tokio::io::duplex(64);
    // A proxy: what comes in over a connection goes out through the guard, as it comes.
    let proxy = hyper::service::service_fn(move |request: Request<Incoming>| {
        let gate = gate.clone();
        async move {
            let echoed = there_and_back(&gate, request.into_body()).await;
            Ok::<_, Infallible>(echoed)
        }
    });
    tokio::spawn(
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(ours), proxy),
    );
    let (mut send, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(connection);

    let (sender, mut body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Infallible>>(1);
    let body = StreamBody::new(futures::stream::poll_fn(move |cx| body.poll_recv(cx)));
    let sending = tokio::spawn(async move {
        let response = send.send_request(Request::post("/x").body(body).unwrap()).await.unwrap();
        response.into_body()
    });
    sender.send(Ok(Frame::data(Bytes::from_static(b"one")))).await.unwrap();
    let mut answer = sending.await.unwrap();
    // The first part is back before the last was sent.
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    sender.send(Ok(Frame::data(Bytes::from_static(b"two")))).await.unwrap();
    assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
    drop(sender);
    assert!(answer.frame().await.is_none());
}
