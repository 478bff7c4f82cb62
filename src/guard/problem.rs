//! The response that one's own callers get because a tenant is closed.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

use super::TenantUnavailable;

/// A problem, as RFC 9457 describes it.
#[derive(Serialize)]
struct Problem<'a> {
    title: Option<&'a str>,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl TenantUnavailable {
    /// Returns the response that a server gives *its* caller because of this: status and headers
    /// of [`to_http_parts`](Self::to_http_parts), and the tenant, the reason and the time as
    /// `application/problem+json`.
    ///
    /// With the feature `axum` this is its `IntoResponse`.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let (status, headers) = self.to_http_parts();
        let mut response = problem(status, "The tenant is closed.", Some(self));
        response.headers_mut().extend(headers);
        response
    }
}

/// Returns the response to a request that is for no tenant.
pub(super) fn no_tenant() -> Response<Bytes> {
    problem(StatusCode::BAD_REQUEST, "The request is for no tenant.", None)
}

fn problem(
    status: StatusCode,
    detail: &str,
    closed: Option<&TenantUnavailable>,
) -> Response<Bytes> {
    let problem = Problem {
        title: status.canonical_reason(),
        status: status.as_u16(),
        detail,
        tenant: closed.map(|closed| closed.tenant().as_str()),
        reason: closed.map(|closed| closed.reason().as_str()),
        since: closed.and_then(TenantUnavailable::since_text),
    };
    // Texts and a number always make JSON.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for TenantUnavailable {
    fn into_response(self) -> axum::response::Response {
        self.to_response().map(axum::body::Body::from)
    }
}
