//! What the gateway says of itself.

use std::time::SystemTime;

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_superoffice::TenantGate;

/// `/healthz` and `/tenants`.
pub(crate) fn routes(gate: &TenantGate) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/tenants", get(tenants))
        .with_state(gate.clone())
}

async fn tenants(State(gate): State<TenantGate>) -> Json<Value> {
    let tenants = gate.snapshot().into_iter().map(|(tenant, status)| {
        json!({
            "tenant": tenant,
            "available": status.is_available(),
            "reason": status.reason().map(|reason| reason.as_str()),
            "since": status.since().map(rfc3339),
            "endpoint": status.endpoint(),
            "epoch": status.epoch(),
            "evidence": status.evidence().as_str(),
            "confirmed": status.is_confirmed(),
        })
    });
    Json(tenants.collect())
}

/// A time as RFC 3339 writes it, in whole milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}
