//! A guarded hyper-util client, with a concurrency limit and a time-out outside the guard.
//!
//! ```sh
//! cargo run --example hyper_client --features simulator,tower
//! ```
#![allow(clippy::print_stdout)]

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_superoffice::{
    TenantGate, TenantId, TenantUnavailable, client::BoxClient, simulator::Simulator,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The part of a service that reads contacts. Its type says nothing of the layers around the
/// client.
#[derive(Clone)]
struct Contacts {
    client: BoxClient<Empty<Bytes>, Incoming>,
}

impl Contacts {
    fn new(gate: &TenantGate) -> Self {
        let client: Client<HttpConnector, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let client = ServiceBuilder::new()
            .timeout(Duration::from_secs(10))
            .concurrency_limit(8)
            .layer(gate.client_layer())
            .service(client);
        Self { client: BoxClient::new(client) }
    }

    /// Makes one call. A refusal is no failure: the caller retries when the tenant is open.
    async fn read(&mut self, url: &str) -> Result<(), BoxError> {
        let request = Request::get(url).body(Empty::new())?;
        match self.client.ready().await?.call(request).await {
            Ok(answer) => println!("answered {}", answer.status()),
            // The time-out layer boxes the guard's error; `find` looks through the box.
            Err(error) => match TenantUnavailable::find(error.as_ref()) {
                Some(closed) => println!("refused: {closed}"),
                None => return Err(error),
            },
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .build()
        .await?;
    // In a real service this is the notification route of its server.
    simulator.notify_service(gate.notification_service());

    let mut contacts = Contacts::new(&gate);
    let tenant = TenantId::new("Cust12345")?;
    let url = simulator.url(&tenant, "api/v1/Contact/7");
    contacts.read(&url).await?;
    simulator.upgrade(&tenant).await?;
    contacts.read(&url).await?;

    let resumed = tokio::spawn({
        let (simulator, tenant) = (simulator.clone(), tenant.clone());
        async move { simulator.resume(&tenant).await }
    });
    // Resolves as soon as the tenant opens; an error if it is deleted.
    gate.available(&tenant).await?;
    contacts.read(&url).await?;
    resumed.await??;
    println!("calls that reached the tenant while closed: {}", simulator.calls_while_closed());
    Ok(())
}
