//! Redirects: followed by reqwest itself they carry secrets to another host, past the guard.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, extract::Request, http::HeaderMap, response::Redirect, routing::any};
use harness::operator_gate;
use reqwest::{Client, redirect::Policy};
use tokio::{net::TcpListener, sync::Mutex};
use tower::{Layer, ServiceExt};
use tower_superoffice::TenantGate;

/// A tenant's host that redirects every call to another host, which keeps what it receives.
struct Hosts {
    tenant_host: SocketAddr,
    received: Arc<Mutex<Vec<HeaderMap>>>,
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

impl Hosts {
    async fn new() -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let other = any(move |request: Request| async move {
            kept.lock().await.push(request.headers().clone());
        });
        let other = serve(Router::new().fallback(other)).await;
        // Another host to the client, and the same machine.
        let elsewhere = format!("http://localhost:{}/Cust2/api", other.port());
        let redirect = any(move || async move { Redirect::temporary(&elsewhere) });
        Self { tenant_host: serve(Router::new().fallback(redirect)).await, received }
    }

    /// Calls the tenant through a guarded `client`, and returns the status and what the other host
    /// received.
    async fn call(&self, gate: &TenantGate, client: Client) -> (u16, Vec<HeaderMap>) {
        let request = client
            .get(format!("http://{}/Cust1/api?person=7", self.tenant_host))
            .header("authorization", "Bearer secret")
            .header("so-apptoken", "secret")
            .build()
            .unwrap();
        let client = gate.endpoint_layer().layer(gate.guard_layer().layer(client));
        let response = client.oneshot(request).await.unwrap();
        (response.status().as_u16(), self.received.lock().await.drain(..).collect())
    }
}

#[tokio::test]
async fn default_client_carries_secrets_to_the_redirect_target() {
    let (gate, hosts) = (operator_gate().await, Hosts::new().await);
    gate.close(&"Cust2".parse().unwrap(), "test").await.unwrap();
    let (status, received) = hosts.call(&gate, Client::new()).await;
    // Cust2 is closed, and was called: the guard sees no redirect that the client follows.
    assert_eq!((status, received.len()), (200, 1));
    let [headers] = &*received else { panic!("{received:?}") };
    assert_eq!(headers["so-apptoken"], "secret");
    assert!(headers["referer"].to_str().unwrap().ends_with("/Cust1/api?person=7"));
    assert_eq!(headers.get("authorization"), None);
}

#[tokio::test]
async fn client_without_redirects_sends_nothing_elsewhere() {
    let (gate, hosts) = (operator_gate().await, Hosts::new().await);
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let (status, received) = hosts.call(&gate, client).await;
    assert_eq!((status, received.len()), (307, 0));
}
