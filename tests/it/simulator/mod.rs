//! The simulator from outside: with plain clients, openssl and another JWT library.

mod control;
mod keys;
mod notifications;
mod sockets;
mod state_api;
mod tenants;

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tower_superoffice::{TenantId, simulator::Simulator};

fn tenant() -> TenantId {
    TenantId::new("Cust12345").unwrap()
}

async fn call(method: &str, url: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(url).body(Full::new(body.into())).unwrap();
    let answer = client.request(request).await.unwrap();
    (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
}

async fn get_json(url: &str) -> Value {
    let (status, body) = call("GET", url, "").await;
    assert_eq!(status, 200, "{url}");
    serde_json::from_slice(&body).unwrap()
}

fn state_url(simulator: &Simulator) -> String {
    simulator.environment().state_url(&tenant()).to_string()
}

fn key_url(simulator: &Simulator) -> String {
    simulator.environment().key_url().to_string()
}

/// Takes notifications and keeps their bodies.
async fn receiver(simulator: &Simulator, status: StatusCode) -> Arc<Mutex<Vec<Value>>> {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let route = axum::routing::post(move |axum::Json(body): axum::Json<Value>| async move {
        kept.lock().unwrap().push(body);
        status
    });
    let app = axum::Router::new().route("/changed", route);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/changed", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    simulator.notify_to(url.parse().unwrap());
    bodies
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
