//! The rows over HTTP: a server in a thread of its own, whose processor time is read.

use std::{fs, path::PathBuf, process::Command, sync::Arc, sync::mpsc, thread};

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

use crate::setup::{Body, Peer, Setup};

const URL: &str = "/NotifyCustomerStateChange";

/// A server that stops when it is dropped.
pub struct Server {
    url: Uri,
    /// The file that has the processor time of the server's thread.
    schedstat: PathBuf,
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
            let task = fs::read_link("/proc/thread-self").expect("the thread's folder in /proc");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (address, app) = (listener.local_addr().unwrap(), app().await);
                started.send((address, task)).expect("the measuring thread");
                tokio::select! {
                    result = axum::serve(listener, app) => result.expect("a server"),
                    _ = stopped => {}
                }
            });
        });
        let (address, task) = start.recv().expect("a server");
        pin(task.file_name().and_then(|tid| tid.to_str()).expect("a thread id"), 1);
        let schedstat = PathBuf::from("/proc").join(task).join("schedstat");
        let url = format!("http://{address}{URL}").parse().expect("a URL");
        Self { url, schedstat, _stop }
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
        let before = self.spent();
        for body in &setup.bodies {
            assert_eq!(post(body).await, StatusCode::NO_CONTENT);
        }
        (self.spent() - before) / setup.bodies.len() as f64
    }

    /// Returns the ns that the server's thread has run.
    fn spent(&self) -> f64 {
        let text = fs::read_to_string(&self.schedstat).expect("the thread's times");
        text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("ns")
    }
}

/// Keeps a thread, or this one, on one core, so that its caches stay its own.
pub fn pin(tid: &str, core: usize) {
    if thread::available_parallelism().is_ok_and(|cores| cores.get() < 2) {
        return;
    }
    let own = fs::read_link("/proc/thread-self").expect("the thread's folder in /proc");
    let own = own.file_name().and_then(|tid| tid.to_str()).expect("a thread id").to_owned();
    let tid = if tid == "self" { &own } else { tid };
    let pinned = Command::new("taskset").args(["-pc", &core.to_string(), tid]).output();
    if !pinned.is_ok_and(|output| output.status.success()) {
        eprintln!("taskset failed: the threads are not pinned");
    }
}
