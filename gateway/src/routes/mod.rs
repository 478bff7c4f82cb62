//! The routes of the two listeners.

mod healthz;
mod tenants;
mod timestamp;

use axum::{Router, routing::get};
use tower::Layer;
use tower_superoffice::TenantGate;

use self::tenants::Snapshots;
pub(crate) use self::timestamp::rfc3339;
use crate::{forward::Forward, server};

const HEALTHZ: &str = "/healthz";
const TENANTS: &str = "/tenants";

/// The gateway's own paths, besides that of notifications.
pub(crate) const PATHS: [&str; 2] = [HEALTHZ, TENANTS];

/// The routes for services: the gateway's own paths and the forwarded calls.
pub(crate) fn internal(gate: &TenantGate, forward: Forward) -> Router {
    let tenants = get(tenants::list).with_state(Snapshots::new(gate.clone()));
    let routes = Router::new()
        .route(HEALTHZ, get(healthz::healthz).with_state(gate.clone()))
        .route(TENANTS, tenants)
        .fallback_service(forward);
    server::middleware(routes)
}

/// The notification path in front of `rest`. It is compared exactly, not as a pattern.
pub(crate) fn public(gate: &TenantGate, rest: Router) -> Router {
    server::middleware(Router::new().fallback_service(gate.notification_layer().layer(rest)))
}
