//! The app: an axum server with the notification route.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_superoffice::{TenantGate, pull::Schedule, simulator::Simulator};

use crate::{Rule, scenario::BoxError};

/// Builds the gate, serves its notification route, and registers that route with the simulator.
pub async fn start(simulator: &Simulator, rule: Option<Rule>) -> Result<TenantGate, BoxError> {
    let audience = match rule {
        Some(Rule::Audience) => "another-application",
        _ => simulator.application_id(),
    };
    let gate = TenantGate::builder(simulator.environment())
        .audience(audience)
        // Minutes in production; the demo runs for seconds.
        .settle(Duration::from_millis(600))
        .upgrade_settle(Duration::from_millis(600))
        .schedule(schedule())
        .state_api(rule != Some(Rule::Pull))
        .build()
        .await?;

    let app = Router::new()
        .route(
            "/",
            get(async || "The app serves its own routes, whether tenants are open or closed."),
        )
        .route_service("/NotifyCustomerStateChange", gate.notification_service());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/NotifyCustomerStateChange", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    simulator.notify_to(url.parse()?);
    Ok(gate)
}

/// Pulls every few hundred milliseconds instead of minutes.
fn schedule() -> Schedule {
    let (first, longest) = (Duration::from_millis(200), Duration::from_millis(400));
    Schedule::new().first_after_upgrade(first).upgrading(first, longest).suspended(first, longest)
}
