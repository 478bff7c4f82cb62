//! The routes of the two listeners.

mod check;
mod events;
mod orders;
mod ready;
mod state;
mod status;
mod tenant;
mod tenants;
mod timestamp;

use axum::{Router, routing::get};
use tower::Layer;
use tower_superoffice::TenantGate;

use self::{events::Feed, ready::Probe, tenants::Snapshots};
pub(crate) use self::{orders::Access, timestamp::rfc3339};
use crate::{
    forward::Forward,
    metrics::{self, Metrics},
    server::{self, Draining},
};

/// What a listener for services serves besides the state of its gate.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether tracked tenants are closed until something is known of them.
    pub(crate) hold_tracked: bool,
    /// Whether calls to closed tenants are forwarded.
    pub(crate) observe_only: bool,
    /// The numbers of this process.
    pub(crate) metrics: Metrics,
    /// What an operator's order has to show; `None` when none is taken.
    pub(crate) orders: Option<Access>,
}

/// The routes for services: the gateway's own paths and the forwarded calls.
pub(crate) fn internal(
    gate: &TenantGate,
    draining: &Draining,
    forward: Forward,
    options: Options,
) -> Router {
    let snapshots = Snapshots::new(gate.clone());
    let feed = Feed::new(gate.clone(), snapshots.clone(), draining.clone());
    let probe = Probe::new(gate.clone(), draining.clone(), options.hold_tracked);
    let mut routes = Router::new()
        .route("/live", get(async || "ok\n"))
        .route("/ready", get(ready::ready).with_state(probe.clone()))
        .route("/healthz", get(ready::ready).with_state(probe))
        .route("/status", get(status::status).with_state(gate.clone()))
        .route("/metrics", get(metrics::scrape).with_state(options.metrics.clone()))
        .route("/tenants", get(tenants::list).with_state(snapshots))
        .route("/tenants/{ctx}", get(tenant::one).with_state(gate.clone()))
        .route("/tenants/{ctx}/wait", get(tenant::wait).with_state(gate.clone()))
        .route("/events", get(events::events).with_state(feed))
        .route("/check/{ctx}", check::route(gate.clone(), options.observe_only))
        .route("/api/state/{ctx}", get(state::state).with_state(gate.clone()));
    if let Some(access) = options.orders {
        routes = routes.merge(orders::routes(gate, access));
    }
    let calls = options.metrics.calls(forward, &gate.environment().name());
    server::middleware(routes.fallback_service(calls))
}

/// The notification path in front of `rest`. It is compared exactly, not as a pattern.
pub(crate) fn public(gate: &TenantGate, rest: Router) -> Router {
    server::middleware(Router::new().fallback_service(gate.notification_layer().layer(rest)))
}
