//! The rows over HTTP: a server in a thread of its own, whose processor time is read.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use axum::{Json, Router, extract::State, routing::post};
use bytes::Bytes;
use futures::channel::oneshot;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::decode;
use serde_json::Value;

use crate::{
    setup::{Body, Peer, Setup},
    thread::Thread,
};

const URL: &str = "/NotifyCustomerStateChange";

/// A server that stops when it is dropped.
pub struct Server {
    url: Uri,
    thread: Thread,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Starts the handler that a careful user writes without a gate.
    pub fn by_hand(setup: &Setup) -> Self {
        async fn handle(State(peer): State<Arc<Peer>>, Json(body): Json<Body>) -> StatusCode {
            let Ok(token) = decode::<Value>(&body.token, &peer.key, &peer.validation) else {
                return StatusCode::UNAUTHORIZED;
            };
            if token.claims["http://schemes.superoffice.net/identity/ctx"]
                != body.context_identifier
            {
                return StatusCode::FORBIDDEN;
            }
            peer.states.insert(body.context_identifier, body.change_type);
            StatusCode::NO_CONTENT
        }
        let peer = Arc::clone(&setup.peer);
        Self::start(async || Router::new().route(URL, post(handle)).with_state(peer))
    }

    /// Starts a gate, which has seen no notification yet.
    pub fn of_a_gate(setup: &Setup) -> Self {
        let parts = setup.gate.clone();
        Self::start(async move || {
            let service = parts.build().await.notification_service();
            Router::new().route_service(URL, service)
        })
    }

    fn start(app: impl AsyncFnOnce() -> Router + Send + 'static) -> Self {
        let (started, start) = mpsc::channel();
        let (_stop, stopped) = oneshot::channel();
        thread::spawn(move || {
            let thread = Thread::own();
            thread.pin(1);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (address, app) = (listener.local_addr().unwrap(), app().await);
                started.send((address, thread)).expect("the measuring thread");
                tokio::select! {
                    result = axum::serve(listener, app) => result.expect("a server"),
                    _ = stopped => {}
                }
            });
        });
        let (address, thread) = start.recv().expect("a server");
        let url = format!("http://{address}{URL}").parse().expect("a URL");
        Self { url, thread, _stop }
    }

    /// Posts the batch over one connection, and returns the ns of processor time that the server
    /// took for one notification.
    pub async fn processor_time(&self, setup: &Setup) -> f64 {
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let post = async |body: &Bytes| {
            let request = Request::post(self.url.clone())
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))
                .unwrap();
            client.request(request).await.unwrap().status()
        };
        // Connects before the time is taken.
        post(&Bytes::from_static(b"{}")).await;
        let before = self.thread.spent();
        for body in &setup.bodies {
            assert_eq!(post(body).await, StatusCode::NO_CONTENT);
        }
        (self.thread.spent() - before) / setup.bodies.len() as f64
    }
}
