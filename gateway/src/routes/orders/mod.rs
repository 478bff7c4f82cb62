//! `POST /tenants/{ctx}/open` and its kin: an operator's orders for a tenant.

mod access;
mod failure;
mod terms;

use std::{error::Error, net::SocketAddr};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{Response, StatusCode, request::Parts},
    response::IntoResponse,
    routing::post,
};
use tower_superoffice::{TenantGate, TenantId, events::ForgetError, pull::RefreshError};

pub(crate) use self::access::Access;
pub(super) use self::terms::Members;
use self::{failure::Failure, terms::Terms};
use super::{query, rfc3339, tenant::Refusal, tenants::Tenant};

/// Seconds after which an order that failed for want of the store may be given again.
const RETRY_AFTER: u64 = 5;

/// An operator's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    Open,
    Close,
    Release,
    Refresh,
    Forget,
}

impl Order {
    pub(super) const ALL: [Self; 5] =
        [Self::Open, Self::Close, Self::Release, Self::Refresh, Self::Forget];

    /// The last segment of its route.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Release => "release",
            Self::Refresh => "refresh",
            Self::Forget => "forget",
        }
    }
}

/// The routes of all orders below `prefix`, for those that `access` lets in.
pub(super) fn routes(prefix: &str, gate: &TenantGate, access: Access) -> Router {
    let mut routes = Router::new();
    for order in Order::ALL {
        let give = move |State((gate, access)): State<(TenantGate, Access)>,
                         tenant: Result<query::Tenant, Response<Body>>,
                         request: Request| async move {
            match give(order, &gate, &access, tenant, request).await {
                Ok(response) => response,
                Err(refusal) => *refusal,
            }
        };
        routes = routes.route(&format!("{prefix}/tenants/{{ctx}}/{}", order.name()), post(give));
    }
    routes.with_state((gate.clone(), access))
}

/// Gives the order, and answers with the tenant as it is then.
async fn give(
    order: Order,
    gate: &TenantGate,
    access: &Access,
    tenant: Result<query::Tenant, Response<Body>>,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    access::check(access, &parts)?;
    let query::Tenant(tenant) = tenant?;
    let (environment, client) = (gate.environment().name(), client(&parts));
    let order_name = order.name();
    // An operator has sent it: so a line for each is no flood.
    let Err(failure) = carry_out(order, gate, &tenant, body, client.as_deref()).await else {
        tracing::info!(
            environment,
            %tenant,
            order = order_name,
            client,
            "operator's order carried out"
        );
        let status = gate.status(&tenant);
        return Ok(Json(Tenant::new(&tenant, &status).with_next_pull(gate)).into_response());
    };
    let (status, reason) = (failure.status.as_u16(), failure.detail.as_str());
    if failure.in_force {
        tracing::warn!(
            environment,
            %tenant,
            order = order_name,
            client,
            status,
            reason,
            "operator's order in force, but not stored"
        );
    } else {
        tracing::warn!(
            environment,
            %tenant,
            order = order_name,
            client,
            status,
            reason,
            "operator's order refused"
        );
    }
    Err(Box::new(failure.to_response()))
}

async fn carry_out(
    order: Order,
    gate: &TenantGate,
    tenant: &TenantId,
    body: Body,
    client: Option<&str>,
) -> Result<(), Failure> {
    let terms = Terms::read(body).await?;
    if terms.until.is_some() && !matches!(order, Order::Open | Order::Close) {
        return Err(Failure::bad_request("until ends an open or close: leave it out here."));
    }
    let environment = gate.environment().name();
    let (order_name, note, until) = (order.name(), &terms.note, terms.until.map(rfc3339));
    tracing::info!(
        environment,
        %tenant,
        order = order_name,
        note,
        until,
        client,
        "operator's order received"
    );
    execute(order, gate, tenant, &terms).await
}

/// Returns the address that sent a request, which may be a proxy's.
fn client(request: &Parts) -> Option<String> {
    let client: Option<&ConnectInfo<SocketAddr>> = request.extensions.get();
    client.map(|ConnectInfo(address)| address.to_string())
}

async fn execute(
    order: Order,
    gate: &TenantGate,
    tenant: &TenantId,
    Terms { note, until }: &Terms,
) -> Result<(), Failure> {
    let stored = match (order, *until) {
        (Order::Open, None) => gate.open(tenant, note).await,
        (Order::Open, Some(end)) => gate.open_until(tenant, note, end).await,
        (Order::Close, None) => gate.close(tenant, note).await,
        (Order::Close, Some(end)) => gate.close_until(tenant, note, end).await,
        (Order::Release, _) => gate.release(tenant, note).await,
        (Order::Refresh, _) => {
            let pulled = gate.refresh(tenant).await;
            return pulled.map(drop).map_err(|error| not_refreshed(&error));
        }
        (Order::Forget, _) => {
            return gate.forget(tenant).await.map_err(|error| not_forgotten(&error));
        }
    };
    stored.map_err(|error| Failure::unavailable(error.to_string(), RETRY_AFTER).in_force())
}

fn not_refreshed(error: &RefreshError) -> Failure {
    let detail = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match error {
        RefreshError::StateApiOff => {
            let advice = "The state API is off: start the gateway with --state-api on.";
            Failure::new(StatusCode::CONFLICT, advice)
        }
        RefreshError::RateLimited { retry_after } => {
            Failure::unavailable(detail, retry_after.as_secs().max(1))
        }
        RefreshError::Busy | RefreshError::ShutDown => Failure::unavailable(detail, RETRY_AFTER),
        // The state API failed, or has no state of the tenant.
        _ => Failure::new(StatusCode::BAD_GATEWAY, detail),
    }
}

fn not_forgotten(error: &ForgetError) -> Failure {
    // Names its source itself.
    let detail = error.to_string();
    match error {
        ForgetError::Store(_) => Failure::unavailable(detail, RETRY_AFTER),
        // The tenant is not known to be deleted for good.
        _ => Failure::new(StatusCode::CONFLICT, detail),
    }
}
