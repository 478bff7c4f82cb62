//! `/check/{ctx}`: whether a call would pass, for proxies that ask before they forward.

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, Response, StatusCode},
    response::IntoResponse,
};
use serde::Deserialize;
use tower_superoffice::TenantGate;

use super::tenant;
use crate::forward::{problem, unavailable};

const REASON: HeaderName = HeaderName::from_static("x-tenant-reason");

/// The statuses that the asking proxy understands.
#[derive(Deserialize)]
pub(super) struct Statuses {
    open: Option<u16>,
    closed: Option<u16>,
}

/// Answers 204, or what a call would be answered, or with the statuses asked for.
pub(super) async fn check(
    State(gate): State<TenantGate>,
    Path(ctx): Path<String>,
    Query(Statuses { open, closed }): Query<Statuses>,
) -> Response<Body> {
    let open = match open {
        None | Some(204) => StatusCode::NO_CONTENT,
        Some(200) => StatusCode::OK,
        Some(_) => return problem(StatusCode::BAD_REQUEST, "open is 200 or 204."),
    };
    let closed = match closed {
        None => None,
        Some(401) => Some(StatusCode::UNAUTHORIZED),
        Some(403) => Some(StatusCode::FORBIDDEN),
        Some(_) => return problem(StatusCode::BAD_REQUEST, "closed is 401 or 403."),
    };
    let tenant = match tenant::parse(&ctx) {
        Ok(tenant) => tenant,
        Err(response) => return *response,
    };
    let Err(unavailable_now) = gate.check(&tenant) else { return open.into_response() };
    let mut response = unavailable(&unavailable_now);
    let reason = HeaderValue::from_static(unavailable_now.reason().as_str());
    response.headers_mut().insert(REASON, reason);
    if let Some(closed) = closed {
        *response.status_mut() = closed;
    }
    response
}
