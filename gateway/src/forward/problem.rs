//! Error responses, as RFC 9457 describes them.

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use tower_superoffice::{GuardError, TenantUnavailable};
use utoipa::ToSchema;

use super::{client::CallError, framing::InvalidFraming, path::NoTenant, progress::Expired};
use crate::{log::Limit, schemas};

/// Why a request was refused, as RFC 9457 has it. The last three members are there when a tenant is
/// closed: the library writes that problem.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem<'a> {
    title: Option<&'a str>,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schemas::TenantId)]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schemas::Reason)]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime)]
    since: Option<String>,
}

static FAILURES: Limit = Limit::per_minute(30);
static LOOPS: Limit = Limit::per_minute(6);

/// The response to a call that was not sent, or got no response.
pub(super) fn for_error(error: &GuardError<CallError>) -> Response<Body> {
    let error = match error {
        GuardError::Unavailable(closed) => return unavailable(closed),
        GuardError::Inner(error) => error,
    };
    if let Some(suppressed) = FAILURES.pass() {
        let error = error as &(dyn std::error::Error + 'static);
        tracing::warn!(error, suppressed, "call failed");
    }
    problem(
        StatusCode::BAD_GATEWAY,
        match error {
            CallError::Client(_) => "The tenant could not be reached.",
            CallError::Framing(InvalidFraming::UnaskedUpgrade) => {
                "The tenant's response switches to another protocol unasked."
            }
            CallError::Framing(_) => "The tenant's response does not say where it ends.",
        },
    )
}

/// The response to a call that did not move in time.
pub(super) fn for_expired(expired: Expired) -> Response<Body> {
    match expired {
        Expired::Request => {
            problem(StatusCode::REQUEST_TIMEOUT, "The request was not continued in time.")
        }
        Expired::Response => {
            problem(StatusCode::GATEWAY_TIMEOUT, "The tenant did not respond in time.")
        }
    }
}

/// The response to a call that has passed this process before.
pub(super) fn for_loop() -> Response<Body> {
    if let Some(suppressed) = LOOPS.pass() {
        tracing::warn!(suppressed, "call came back: its target leads to this gateway");
    }
    problem(
        StatusCode::LOOP_DETECTED,
        "The call came back to the gateway: its target must not lead there.",
    )
}

/// The response to a call whose path leads to no tenant.
pub(super) fn for_path(no_tenant: NoTenant) -> Response<Body> {
    match no_tenant {
        NoTenant::Ambiguous => problem(
            StatusCode::BAD_REQUEST,
            "The path can be read in more than one way: write it without unusual escapes.",
        ),
        NoTenant::Reserved => problem(StatusCode::NOT_FOUND, "The gateway has no such route."),
        NoTenant::NoId => problem(
            StatusCode::BAD_REQUEST,
            "The path does not begin with a tenant: /{ContextIdentifier}/...",
        ),
    }
}

/// The response about a closed tenant.
pub(crate) fn unavailable(closed: &TenantUnavailable) -> Response<Body> {
    closed.to_response().map(Body::from)
}

/// A problem with no members but the standard ones.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let members = Problem {
        title: status.canonical_reason(),
        status: status.as_u16(),
        detail,
        tenant: None,
        reason: None,
        since: None,
    };
    let mut response = (status, Json(members)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
