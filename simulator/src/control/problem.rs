//! Error responses, as RFC 9457 describes them.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use tower_superoffice::simulator::SimulatorBody;

use super::response;

/// A request that is refused, with the advice for its sender.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    /// The methods that the route has, for 405.
    pub(super) allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), allow: None }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_allowed(allow: &'static str) -> Self {
        let detail = format!("This route takes {allow}.");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, detail, allow: Some(allow) }
    }

    pub(super) fn into_response(self) -> Response<SimulatorBody> {
        let members = json!({
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = response(self.status, kind, line(&members));
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Writes JSON for a terminal: indented, with a newline at its end.
pub(super) fn line(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
