//! The span of a notification, from its whole body to its answer.

use http::StatusCode;
use tracing::field::Empty;

use super::{
    answer::{Accepted, Refusal},
    handler::Handled,
    refusal_kind,
};
use crate::span::{Span, span};

/// Runs `handle` in a span. `method` is that of the request, if there is one.
pub(super) fn traced(method: Option<&'static str>, handle: impl FnOnce() -> Handled) -> Handled {
    let span = span!(
        "notification",
        http.request.method = method,
        http.response.status_code = Empty,
        "error.type" = Empty,
        superoffice.tenant = Empty,
        superoffice.change = Empty,
        superoffice.outcome = Empty,
    );
    if !span.is_enabled() {
        return handle();
    }
    match span.in_scope(handle) {
        Handled::Ready(result) => {
            record(&span, method, &result);
            Handled::Ready(result)
        }
        Handled::Pending(handled) => Handled::Pending(Box::pin(async move {
            let result = span.trace(handled).await;
            record(&span, method, &result);
            result
        })),
    }
}

/// Records the result: what a notification says only once it is verified.
fn record(span: &Span, method: Option<&'static str>, result: &Result<Accepted, Refusal>) {
    let status = match result {
        Ok(accepted) => {
            span.record("superoffice.tenant", tracing::field::display(accepted.tenant()));
            span.record("superoffice.change", tracing::field::display(accepted.change()));
            span.record("superoffice.outcome", tracing::field::debug(accepted.outcome()));
            StatusCode::NO_CONTENT
        }
        Err(refusal) => {
            span.record("error.type", refusal_kind::name(*refusal));
            refusal.status()
        }
    };
    if method.is_some() {
        span.record("http.response.status_code", status.as_u16());
    }
}
