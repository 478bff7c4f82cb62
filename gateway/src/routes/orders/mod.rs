//! `POST /tenants/{ctx}/open` and its kin: an operator's orders for a tenant.

mod access;
mod terms;

use std::{error::Error, net::SocketAddr};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderValue, Response, StatusCode, header, request::Parts},
    response::IntoResponse,
    routing::post,
};
use tower_superoffice::{
    TenantGate, TenantId, events::ForgetError, pull::RefreshError, store::StoreError,
};

pub(crate) use self::access::Access;
pub(super) use self::terms::Members;
use self::terms::Terms;
use super::{query, tenant::Refusal, tenants::Tenant};
use crate::forward::problem;

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
    let terms = Terms::read(body).await?;
    if terms.until.is_some() && !matches!(order, Order::Open | Order::Close) {
        return Err(Box::new(problem(
            StatusCode::BAD_REQUEST,
            "until ends an open or close: leave it out here.",
        )));
    }
    let environment = gate.environment().name();
    let (order_name, note) = (order.name(), &terms.note);
    let client = client(&parts);
    tracing::info!(
        environment,
        %tenant,
        order = order_name,
        note,
        client,
        "operator's order received"
    );
    execute(order, gate, &tenant, &terms).await?;
    Ok(Json(Tenant::new(&tenant, &gate.status(&tenant)).with_next_pull(gate)).into_response())
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
) -> Result<(), Refusal> {
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
    stored.map_err(|error| not_stored(&error))
}

fn not_stored(error: &StoreError) -> Refusal {
    retry_later(StatusCode::SERVICE_UNAVAILABLE, &error.to_string(), Some(RETRY_AFTER))
}

fn not_refreshed(error: &RefreshError) -> Refusal {
    let (status, retry_after) = match error {
        RefreshError::StateApiOff => {
            let advice = "The state API is off: start the gateway with --state-api on.";
            return Box::new(problem(StatusCode::CONFLICT, advice));
        }
        RefreshError::RateLimited { retry_after } => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(retry_after.as_secs().max(1)))
        }
        RefreshError::Busy | RefreshError::ShutDown => {
            (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER))
        }
        // The state API failed, or has no state of the tenant.
        _ => (StatusCode::BAD_GATEWAY, None),
    };
    let detail = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    retry_later(status, &detail, retry_after)
}

fn not_forgotten(error: &ForgetError) -> Refusal {
    // Names its source itself.
    let detail = error.to_string();
    match error {
        ForgetError::Store(_) => {
            retry_later(StatusCode::SERVICE_UNAVAILABLE, &detail, Some(RETRY_AFTER))
        }
        // The tenant is not known to be deleted for good.
        _ => Box::new(problem(StatusCode::CONFLICT, &detail)),
    }
}

fn retry_later(status: StatusCode, detail: &str, seconds: Option<u64>) -> Refusal {
    let mut response = problem(status, detail);
    if let Some(seconds) = seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Box::new(response)
}
