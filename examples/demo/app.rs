//! The app: an axum server whose one route of interest is SuperOffice's.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use tower_superoffice::{Schedule, TenantGate, simulator::Simulator};

use crate::{Rule, story::BoxError};

/// Builds the gate and serves its notification route; SuperOffice is told where.
pub async fn start(simulator: &Simulator, rule: Option<Rule>) -> Result<TenantGate, BoxError> {
    let audience = match rule {
        Some(Rule::Audience) => "somebody-elses-application",
        _ => simulator.application_id(),
    };
    let gate = TenantGate::builder(simulator.environment())
        .audience(audience)
        // All of these are minutes in production, and a demo has seconds.
        .settle(Duration::from_millis(600))
        .upgrade_settle(Duration::from_millis(600))
        .schedule(schedule())
        .state_api(rule != Some(Rule::Pull))
        .build()
        .await?;

    let app = Router::new()
        .route("/", get(async || "The app itself is up, whatever its tenants are."))
        .route_service("/NotifyCustomerStateChange", gate.notification_service());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/NotifyCustomerStateChange", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    simulator.notify_to(url.parse()?);
    Ok(gate)
}

/// How often the state API is asked.
fn schedule() -> Schedule {
    let (often, seldom) = (Duration::from_millis(200), Duration::from_millis(400));
    Schedule::new().first_after_upgrade(often).upgrading(often, seldom).suspended(often, seldom)
}
