//! `/tenants/{ctx}` and `/tenants/{ctx}/wait`: one tenant.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde::Deserialize;
use tower_superoffice::{TenantGate, TenantId};

use super::tenants::Tenant;
use crate::forward::{problem, unavailable};

/// Seconds that `wait` takes without a `timeout`.
const DEFAULT_WAIT: u64 = 30;

/// Seconds that `wait` takes at most.
const MAX_WAIT: u64 = 300;

/// The response to a request that makes no sense.
pub(super) type Refusal = Box<Response<Body>>;

/// Reads a tenant's id from a path, or returns the problem with it.
pub(super) fn parse(ctx: &str) -> Result<TenantId, Refusal> {
    let no_tenant = || problem(StatusCode::BAD_REQUEST, "The path names no tenant.");
    TenantId::new(ctx).map_err(|_| Box::new(no_tenant()))
}

/// Answers with the tenant as it is in the list. A tenant without a record is an open one.
pub(super) async fn one(State(gate): State<TenantGate>, Path(ctx): Path<String>) -> Response<Body> {
    match parse(&ctx) {
        Ok(tenant) => Json(Tenant::new(&tenant, &gate.status(&tenant))).into_response(),
        Err(response) => *response,
    }
}

/// The parameters of `wait`.
#[derive(Deserialize)]
pub(super) struct Wait {
    /// In seconds.
    timeout: Option<u64>,
}

/// Answers 204 when the tenant is open, and as a call would be answered when it stays closed.
pub(super) async fn wait(
    State(gate): State<TenantGate>,
    Path(ctx): Path<String>,
    Query(Wait { timeout }): Query<Wait>,
) -> Response<Body> {
    let tenant = match parse(&ctx) {
        Ok(tenant) => tenant,
        Err(response) => return *response,
    };
    let limit = Duration::from_secs(timeout.unwrap_or(DEFAULT_WAIT).min(MAX_WAIT));
    // Whether it waited in vain or not, the answer is about the tenant as it is then.
    let _opened = tokio::time::timeout(limit, gate.available(&tenant)).await;
    match gate.check(&tenant) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(closed) => unavailable(&closed),
    }
}
