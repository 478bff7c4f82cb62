//! `/status`: what the gateway knows of itself.

use axum::{Json, extract::State};
use serde::Serialize;
use tower_superoffice::{TenantGate, health::Health, token::KeysReport};

/// The answer.
#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    health: Health,
    keys: KeysReport,
}

/// Answers with health, keys and version.
pub(super) async fn status(State(gate): State<TenantGate>) -> Json<Status> {
    Json(Status { version: env!("CARGO_PKG_VERSION"), health: gate.health(), keys: gate.keys() })
}
