//! The routes of the two listeners.

mod check;
mod ready;
mod state;
mod status;
mod tenant;
mod tenants;
mod timestamp;

use axum::{Router, routing::get};
use tower::Layer;
use tower_superoffice::TenantGate;

pub(crate) use self::timestamp::rfc3339;
use self::{ready::Probe, tenants::Snapshots};
use crate::{
    forward::Forward,
    server::{self, Draining},
};

const LIVE: &str = "/live";
const READY: &str = "/ready";
const HEALTHZ: &str = "/healthz";
const STATUS: &str = "/status";
const TENANTS: &str = "/tenants";

/// The gateway's own paths without parameters, besides that of notifications.
pub(crate) const PATHS: [&str; 5] = [LIVE, READY, HEALTHZ, STATUS, TENANTS];

/// The routes for services: the gateway's own paths and the forwarded calls. `hold_tracked` says whether
/// tracked tenants are closed until something is known of them.
pub(crate) fn internal(
    gate: &TenantGate,
    draining: &Draining,
    forward: Forward,
    hold_tracked: bool,
) -> Router {
    let tenants = get(tenants::list).with_state(Snapshots::new(gate.clone()));
    let probe = Probe::new(gate.clone(), draining.clone(), hold_tracked);
    let routes = Router::new()
        .route(LIVE, get(async || "ok\n"))
        .route(READY, get(ready::ready).with_state(probe.clone()))
        .route(HEALTHZ, get(ready::ready).with_state(probe))
        .route(STATUS, get(status::status).with_state(gate.clone()))
        .route(TENANTS, tenants)
        .route("/tenants/{ctx}", get(tenant::one).with_state(gate.clone()))
        .route("/tenants/{ctx}/wait", get(tenant::wait).with_state(gate.clone()))
        .route("/check/{ctx}", get(check::check).with_state(gate.clone()))
        .route("/api/state/{ctx}", get(state::state).with_state(gate.clone()))
        .fallback_service(forward);
    server::middleware(routes)
}

/// The notification path in front of `rest`. It is compared exactly, not as a pattern.
pub(crate) fn public(gate: &TenantGate, rest: Router) -> Router {
    server::middleware(Router::new().fallback_service(gate.notification_layer().layer(rest)))
}
