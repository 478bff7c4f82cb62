//! The routes of the two listeners.

mod check;
mod events;
mod openapi;
mod orders;
mod query;
mod ready;
mod scrape;
mod state;
mod status;
mod tenant;
mod tenants;
mod timestamp;

use axum::{Router, http::StatusCode, routing::get};
use tower::Layer;
use tower_superoffice::TenantGate;

use self::{events::Feed, scrape::Scraped};
pub(crate) use self::{
    orders::Access,
    query::Query,
    ready::{Probe, Report},
    tenants::{REASONS, Snapshots, Unavailable},
    timestamp::rfc3339,
};
use crate::{
    forward::{Forwards, problem},
    metrics::Metrics,
    page::Page,
    served::Served,
    server::Draining,
};

/// The settings of a listener for services, besides its gates.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether tracked tenants are closed until something is known of them.
    pub(crate) hold_tracked: bool,
    /// Whether calls to closed tenants are forwarded.
    pub(crate) observe_only: bool,
    /// The numbers of this process.
    pub(crate) metrics: Metrics,
    /// Where notifications are posted, for the description.
    pub(crate) notification_path: String,
    /// The access check of an operator's orders; `None` when none are taken.
    pub(crate) orders: Option<Access>,
}

/// The routes for services: the gateway's own paths and the forwarded calls.
pub(crate) fn internal(
    served: &Served,
    draining: &Draining,
    forwards: Forwards,
    options: Options,
) -> Router {
    let Options { hold_tracked, observe_only, metrics, notification_path, orders } = options;
    let settings = openapi::Settings {
        environments: served.gates().iter().filter_map(|gate| served.label(gate)).collect(),
        notification_path: &notification_path,
        orders: orders.as_ref(),
    };
    let snapshots: Vec<_> = served.gates().iter().cloned().map(Snapshots::new).collect();
    let feed = Feed::new(served, &snapshots, draining.clone());
    let probe = Probe::new(served.clone(), draining.clone(), hold_tracked);
    let page = Page::new(served, &snapshots, probe.clone(), orders.as_ref(), observe_only);
    let scraped =
        Scraped { served: served.clone(), probe: probe.clone(), metrics: metrics.clone() };
    let mut routes = Router::new()
        .route("/", page.into_route())
        .route("/live", get(async || "ok\n"))
        .route("/ready", get(ready::ready).with_state(probe.clone()))
        .route("/healthz", get(ready::ready).with_state(probe))
        .route("/status", get(status::status).with_state(served.clone()))
        .route("/metrics", get(scrape::scrape).with_state(scraped))
        .route("/events", get(events::events).with_state(feed))
        .route("/openapi.json", openapi::route(&settings));
    for (gate, snapshots) in served.gates().iter().zip(snapshots) {
        let prefix = served.prefix(gate);
        routes = routes.merge(tenant_routes(&prefix, gate, snapshots, observe_only));
        if let Some(access) = &orders {
            routes = routes.merge(orders::routes(&prefix, gate, access.clone()));
        }
    }
    let routes = routes.method_not_allowed_fallback(async || {
        problem(StatusCode::METHOD_NOT_ALLOWED, "The route does not take this method.")
    });
    let calls = forwards.into_service(|forward, environment| metrics.calls(forward, environment));
    routes.fallback_service(calls)
}

/// The routes about tenants of `gate`, below `prefix`.
fn tenant_routes(
    prefix: &str,
    gate: &TenantGate,
    snapshots: Snapshots,
    observe_only: bool,
) -> Router {
    let path = |path: &str| format!("{prefix}{path}");
    Router::new()
        .route(&path("/tenants"), get(tenants::list).with_state(snapshots))
        .route(&path("/tenants/{ctx}"), get(tenant::one).with_state(gate.clone()))
        .route(&path("/tenants/{ctx}/wait"), get(tenant::wait).with_state(gate.clone()))
        .route(&path("/check/{ctx}"), check::route(gate.clone(), observe_only))
        .route(&path("/api/state/{ctx}"), get(state::state).with_state(gate.clone()))
}

/// The notification path in front of `rest`. It is compared exactly, not as a pattern.
pub(crate) fn public(served: &Served, rest: Router) -> Router {
    Router::new().fallback_service(served.notification_layer().layer(rest))
}
