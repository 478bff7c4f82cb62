//! The notification route accepts every body type, and the layer in front of an app changes none.

use std::{
    collections::VecDeque,
    convert::Infallible,
    error::Error,
    future::ready,
    marker::PhantomPinned,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use harness::TestEnv;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{
    BodyExt, Empty, Full, StreamBody,
    combinators::{BoxBody, UnsyncBoxBody},
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{ChangeType, TenantGate};

async fn env() -> TestEnv {
    TestEnv::with(|builder| builder.state_api(false)).await
}

fn genuine(env: &TestEnv) -> Bytes {
    env.notification(ChangeType::Suspend).body()
}

/// Posts a body to the service, and through the layer, in front of an app that answers with a body
/// of type `R`.
async fn post<R: Default, B: Body>(env: &TestEnv, make: impl Fn(Bytes) -> B) -> [StatusCode; 2] {
    let request = || Request::post("/NotifyCustomerStateChange").body(make(genuine(env))).unwrap();
    let alone = env.gate.notification_service().oneshot(request()).await.unwrap();
    let app = service_fn(|_| ready(Ok::<Response<R>, Infallible>(Response::default())));
    let layered = env.gate.notification_layer().layer(app);
    let layered = layered.oneshot(request()).await.unwrap();
    [alone.status(), layered.status()]
}

/// Neither `Unpin` nor, with its `Rc`, `Send`; it comes in pieces.
struct Stubborn {
    pieces: Rc<std::cell::RefCell<VecDeque<Bytes>>>,
    _pinned: PhantomPinned,
}

impl Stubborn {
    fn new(bytes: &Bytes) -> Self {
        let pieces = bytes.chunks(100).map(Bytes::copy_from_slice).collect();
        Self { pieces: Rc::new(std::cell::RefCell::new(pieces)), _pinned: PhantomPinned }
    }
}

impl Body for Stubborn {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Pending now and then.
        if fastrand::bool() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.pieces.borrow_mut().pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// In pieces, with empty ones and trailers among them.
fn in_pieces(bytes: Bytes) -> impl Body<Data = Bytes, Error = Infallible> {
    let mut frames: Vec<Frame<Bytes>> = bytes
        .chunks(7)
        .flat_map(|piece| [Frame::data(Bytes::new()), Frame::data(Bytes::copy_from_slice(piece))])
        .collect();
    frames.push(Frame::trailers(HeaderMap::new()));
    StreamBody::new(futures::stream::iter(frames.into_iter().map(Ok)))
}

const ACCEPTED: [StatusCode; 2] = [StatusCode::NO_CONTENT; 2];

#[tokio::test]
async fn every_body_type_is_accepted() {
    let env = env().await;
    assert_eq!(post::<Full<Bytes>, _>(&env, Full::new).await, ACCEPTED);
    assert_eq!(post::<Empty<Bytes>, _>(&env, |bytes| Full::new(bytes).boxed()).await, ACCEPTED);
    let unsync = |bytes| Full::new(bytes).boxed_unsync();
    assert_eq!(post::<BoxBody<Bytes, Infallible>, _>(&env, unsync).await, ACCEPTED);
    assert_eq!(post::<UnsyncBoxBody<Bytes, Infallible>, _>(&env, in_pieces).await, ACCEPTED);
    assert_eq!(post::<axum::body::Body, _>(&env, axum::body::Body::from).await, ACCEPTED);
    assert_eq!(post::<String, _>(&env, |bytes| Stubborn::new(&bytes)).await, ACCEPTED);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(post::<Full<VecDeque<u8>>, _>(&env, text).await, ACCEPTED);
}

#[tokio::test]
async fn empty_or_failing_body_is_400() {
    let env = env().await;
    let refused = [StatusCode::BAD_REQUEST; 2];
    assert_eq!(post::<Full<Bytes>, _>(&env, |_| Empty::<Bytes>::new()).await, refused);
    let broken = |bytes: Bytes| {
        let frames = [Ok(Frame::data(bytes)), Err("the sender disconnected")];
        StreamBody::new(futures::stream::iter(frames))
    };
    assert_eq!(post::<Full<Bytes>, _>(&env, broken).await, refused, "a partial body is accepted");
}

/// Sends `body` through the layer to an app that returns it: both keep the types that the app
/// names.
async fn there_and_back<B: Body + Default>(gate: &TenantGate, body: B) -> B {
    let echo = service_fn(|request: Request<B>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let layered = gate.notification_layer().layer(echo);
    layered.oneshot(Request::post("/elsewhere").body(body).unwrap()).await.unwrap().into_body()
}

#[tokio::test]
async fn request_for_the_app_passes_unchanged() {
    let gate = env().await.gate;
    let full = || Full::new(Bytes::from_static(b"hello"));
    let text = async |body: BoxBody<Bytes, Box<dyn Error + Send + Sync>>| {
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    let boxed = there_and_back(&gate, full().boxed()).await;
    assert_eq!(text(boxed.map_err(Into::into).boxed()).await, "hello");
    let plain = there_and_back(&gate, full()).await;
    assert_eq!(text(plain.map_err(Into::into).boxed()).await, "hello");
    let own = there_and_back(&gate, "hello".to_owned()).await;
    assert_eq!(own, "hello");
    let unsync = there_and_back(&gate, full().boxed_unsync()).await;
    assert_eq!(unsync.collect().await.unwrap().to_bytes(), "hello");
    let axum = there_and_back(&gate, axum::body::Body::from("hello")).await;
    assert_eq!(axum.collect().await.unwrap().to_bytes(), "hello");
    assert!(there_and_back(&gate, Empty::<Bytes>::new()).await.is_end_stream());
}

#[tokio::test]
async fn hyper_body_is_accepted_and_passed() {
    let env = env().await;
    let app = service_fn(|request: Request<Incoming>| {
        // `Incoming` has no `Default`: it is boxed on its way back.
        ready(Ok::<_, Infallible>(Response::new(request.into_body().boxed_unsync())))
    });
    let app = env.gate.notification_layer().layer(app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let serve = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app.clone()));
            tokio::spawn(serve);
        }
    });
    let client = Client::builder(TokioExecutor::new()).build_http();
    let send = async |path: &str, body: Bytes| {
        let url = format!("http://{address}{path}");
        let request = Request::post(url).body(Full::new(body)).unwrap();
        let response = client.request(request).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    };
    let notified = send("/NotifyCustomerStateChange", genuine(&env)).await;
    assert_eq!(notified, (StatusCode::NO_CONTENT, Bytes::new()));
    let large = Bytes::from(vec![7_u8; 300_000]);
    assert_eq!(send("/elsewhere", large.clone()).await, (StatusCode::OK, large));
}
