//! The answer to an order that is not carried out.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use crate::forward::problem;

/// Why an order is not carried out, for the log and as a response.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    /// Seconds after which it may be given again.
    retry_after: Option<u64>,
    /// Whether the order is in force all the same, and only not stored.
    pub(super) in_force: bool,
}

impl Failure {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None, in_force: false }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Creates the failure of what may go well `seconds` later.
    pub(super) fn unavailable(detail: impl Into<String>, seconds: u64) -> Self {
        let failure = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        Self { retry_after: Some(seconds), ..failure }
    }

    /// Says that the order is in force all the same.
    pub(super) fn in_force(self) -> Self {
        Self { in_force: true, ..self }
    }

    pub(super) fn to_response(&self) -> Response<Body> {
        let mut response = problem(self.status, &self.detail);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
