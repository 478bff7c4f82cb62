//! `/tenants/{ctx}` and `/tenants/{ctx}/wait`: one tenant.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde::Deserialize;
use tower_superoffice::TenantGate;
use utoipa::IntoParams;

use super::{
    query::{self, Query},
    tenants::Tenant,
};
use crate::forward::unavailable;

/// Seconds that `wait` takes without a `timeout`.
const DEFAULT_WAIT: u64 = 30;

/// Seconds that `wait` takes at most.
const MAX_WAIT: u64 = 300;

/// The response to a request that is refused.
pub(super) type Refusal = Box<Response<Body>>;

/// Answers with the tenant as it is in the list. A tenant without a record is an open one.
pub(super) async fn one(
    State(gate): State<TenantGate>,
    query::Tenant(tenant): query::Tenant,
) -> Response<Body> {
    Json(Tenant::new(&tenant, &gate.status(&tenant)).with_next_pull(&gate)).into_response()
}

/// The parameters of `wait`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Seconds to wait at most: 30 when left out, and no more than 300.
    #[param(value_type = Option<usize>)]
    timeout: Option<u64>,
}

/// Answers 204 when the tenant is open, and as a call would be answered when it stays closed.
pub(super) async fn wait(
    State(gate): State<TenantGate>,
    query::Tenant(tenant): query::Tenant,
    Query(Wait { timeout }): Query<Wait>,
) -> Response<Body> {
    let limit = Duration::from_secs(timeout.unwrap_or(DEFAULT_WAIT).min(MAX_WAIT));
    // After a time-out too, the answer is about the tenant as it is then.
    let _opened = tokio::time::timeout(limit, gate.available(&tenant)).await;
    match gate.check(&tenant) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(closed) => unavailable(&closed),
    }
}
