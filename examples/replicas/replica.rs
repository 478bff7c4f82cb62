//! A replica: a gate with the shared store, and an app that receives notifications and calls
//! tenants.

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_superoffice::{
    GuardError, TenantGate, TenantId,
    guard::Guard,
    simulator::Simulator,
    store::{PostgresStore, RedisStore},
};

use crate::{BoxError, server::Server};

pub struct Replica {
    pub gate: TenantGate,
    origin: String,
    client: reqwest::Client,
}

impl Replica {
    /// Starts a replica on a free port of loopback.
    pub async fn start(simulator: &Simulator, server: &Server) -> Result<Self, BoxError> {
        let (environment, url) = (simulator.environment(), server.url());
        let builder = TenantGate::builder(environment.clone())
            .audience(simulator.application_id())
            // Off, so that only the store can carry a change from one replica to the other.
            .state_api(false);
        let builder = match server {
            Server::Postgres(_) => builder.store(PostgresStore::connect(&url, &environment)?),
            Server::Redis(_) => builder.store(RedisStore::connect(&url, &environment)?),
        };
        let gate = builder.build().await?;
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let tenants = gate.guard_layer().layer(client.clone());
        let app = Router::new()
            .route("/contacts/{tenant}", get(contact))
            .with_state((tenants, simulator.clone()))
            .route_service("/NotifyCustomerStateChange", gate.notification_service());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { gate, origin, client })
    }

    /// Returns the URL of its notification route.
    pub fn notification_url(&self) -> Result<Uri, BoxError> {
        Ok(format!("{}/NotifyCustomerStateChange", self.origin).parse()?)
    }

    /// Requests a contact of `tenant` from the app, and returns the status and the time it took.
    pub async fn call(&self, tenant: &TenantId) -> Result<(StatusCode, Duration), BoxError> {
        let start = Instant::now();
        let url = format!("{}/contacts/{tenant}", self.origin);
        let status = self.client.get(url).send().await?.status();
        Ok((status, start.elapsed()))
    }
}

/// Fetches a contact from its tenant. A closed tenant is a 503.
async fn contact(
    State((tenants, simulator)): State<(Guard<reqwest::Client>, Simulator)>,
    Path(tenant): Path<TenantId>,
) -> Result<Response, StatusCode> {
    let url = simulator.url(&tenant, "api/v1/Contact/1");
    let url = url.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    match tenants.oneshot(reqwest::Request::new(reqwest::Method::GET, url)).await {
        Ok(answer) => Ok(answer.status().into_response()),
        Err(GuardError::Unavailable(closed)) => Ok(closed.to_http_parts().into_response()),
        Err(GuardError::Inner(_)) => Err(StatusCode::BAD_GATEWAY),
    }
}
