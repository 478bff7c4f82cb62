//! `/check/{ctx}`: whether a call would pass, for proxies that ask before they forward.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, Response, StatusCode},
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use serde::Deserialize;
use tower_superoffice::TenantGate;
use utoipa::{
    IntoParams,
    openapi::{Object, ObjectBuilder, schema::Type},
};

use super::query::{self, Query};
use crate::forward::{problem, unavailable};

const REASON: HeaderName = HeaderName::from_static("x-tenant-reason");

/// The statuses that the asking proxy understands.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Statuses {
    /// The status for an open tenant.
    #[param(schema_with = open_statuses)]
    open: Option<u16>,
    /// The status for a closed tenant.
    #[param(schema_with = closed_statuses)]
    closed: Option<u16>,
}

fn open_statuses() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([200, 204])).build()
}

fn closed_statuses() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([401, 403])).build()
}

/// Answers for the calls of `gate`, all of which are forwarded when it observes only.
pub(super) fn route(gate: TenantGate, observe_only: bool) -> MethodRouter {
    get(check).with_state(Calls { gate, observe_only })
}

#[derive(Clone)]
struct Calls {
    gate: TenantGate,
    observe_only: bool,
}

/// Answers 204, or as a call would be answered, or with the requested statuses.
async fn check(
    State(Calls { gate, observe_only }): State<Calls>,
    query::Tenant(tenant): query::Tenant,
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
    let Err(unavailable_now) = gate.check(&tenant) else { return open.into_response() };
    // Where calls are only observed they are forwarded: the reason alone shows what they would get.
    let mut response =
        if observe_only { open.into_response() } else { unavailable(&unavailable_now) };
    let reason = HeaderValue::from_static(unavailable_now.reason().as_str());
    response.headers_mut().insert(REASON, reason);
    if let Some(closed) = closed.filter(|_| !observe_only) {
        *response.status_mut() = closed;
    }
    response
}
