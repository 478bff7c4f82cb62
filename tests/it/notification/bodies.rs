//! The notification route takes every kind of body, and the layer in front of an app changes none.

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
use tower_superoffice::{
    ChangeType, TenantGate, TenantId, simulator::Simulator, token::SigningKeys,
};

struct World {
    simulator: Simulator,
    gate: TenantGate,
}

impl World {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
            .state_api(false)
            .build()
            .await
            .unwrap();
        Self { simulator, gate }
    }

    fn genuine(&self) -> Bytes {
        let tenant = TenantId::new("Cust1").unwrap();
        self.simulator.notification(ChangeType::Suspend, &tenant).body()
    }

    /// Posts a body to the service, and through the layer, in front of an app that answers with a
    /// body of type `R`.
    async fn post<R: Default, B: Body>(&self, make: impl Fn(Bytes) -> B) -> [StatusCode; 2] {
        let request =
            || Request::post("/NotifyCustomerStateChange").body(make(self.genuine())).unwrap();
        let alone = self.gate.notification_service().oneshot(request()).await.unwrap();
        let app = service_fn(|_| ready(Ok::<Response<R>, Infallible>(Response::default())));
        let layered = self.gate.notification_layer().layer(app);
        let layered = layered.oneshot(request()).await.unwrap();
        [alone.status(), layered.status()]
    }
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
        // Now and then it has nothing yet.
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

const TAKEN: [StatusCode; 2] = [StatusCode::NO_CONTENT; 2];

#[tokio::test]
async fn every_body_type_is_accepted() {
    let world = World::new().await;
    assert_eq!(world.post::<Full<Bytes>, _>(Full::new).await, TAKEN);
    assert_eq!(world.post::<Empty<Bytes>, _>(|bytes| Full::new(bytes).boxed()).await, TAKEN);
    let unsync = |bytes| Full::new(bytes).boxed_unsync();
    assert_eq!(world.post::<BoxBody<Bytes, Infallible>, _>(unsync).await, TAKEN);
    assert_eq!(world.post::<UnsyncBoxBody<Bytes, Infallible>, _>(in_pieces).await, TAKEN);
    assert_eq!(world.post::<axum::body::Body, _>(axum::body::Body::from).await, TAKEN);
    assert_eq!(world.post::<String, _>(|bytes| Stubborn::new(&bytes)).await, TAKEN);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(world.post::<Full<VecDeque<u8>>, _>(text).await, TAKEN);
}

#[tokio::test]
async fn empty_or_failing_body_is_400() {
    let world = World::new().await;
    let refused = [StatusCode::BAD_REQUEST; 2];
    assert_eq!(world.post::<Full<Bytes>, _>(|_| Empty::<Bytes>::new()).await, refused);
    let broken = |bytes: Bytes| {
        let frames = [Ok(Frame::data(bytes)), Err("the sender went away")];
        StreamBody::new(futures::stream::iter(frames))
    };
    assert_eq!(world.post::<Full<Bytes>, _>(broken).await, refused, "half is not the whole");
}

/// What the app behind the layer is sent and what it answers are of the very types it names.
async fn there_and_back<B: Body + Default>(gate: &TenantGate, body: B) -> B {
    let echo = service_fn(|request: Request<B>| {
        ready(Ok::<_, Infallible>(Response::new(request.into_body())))
    });
    let layered = gate.notification_layer().layer(echo);
    layered.oneshot(Request::post("/elsewhere").body(body).unwrap()).await.unwrap().into_body()
}

#[tokio::test]
async fn request_for_the_app_passes_unchanged() {
    let gate = World::new().await.gate;
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
    let world = World::new().await;
    let app = service_fn(|request: Request<Incoming>| {
        // `Incoming` has no `Default`: it is boxed on its way back.
        ready(Ok::<_, Infallible>(Response::new(request.into_body().boxed_unsync())))
    });
    let app = world.gate.notification_layer().layer(app);
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
    let notified = send("/NotifyCustomerStateChange", world.genuine()).await;
    assert_eq!(notified, (StatusCode::NO_CONTENT, Bytes::new()));
    let large = Bytes::from(vec![7_u8; 300_000]);
    assert_eq!(send("/elsewhere", large.clone()).await, (StatusCode::OK, large));
}
