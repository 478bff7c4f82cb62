//! Layers around every route.

use std::any::Any;

use axum::{
    Router,
    body::Body,
    http::{HeaderName, Response, StatusCode, header},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    trace::{DefaultOnFailure, TraceLayer},
};

use crate::forward::problem;

/// Wraps `routes` in tracing and in a handler for panics.
pub(super) fn middleware(routes: Router) -> Router {
    let secrets = [header::AUTHORIZATION, header::COOKIE, HeaderName::from_static("so-apptoken")];
    // A closed tenant is a 503, which is no failure of this program.
    let failures = DefaultOnFailure::new().level(tracing::Level::DEBUG);
    routes.layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new(secrets))
            .layer(TraceLayer::new_for_http().on_failure(failures))
            .layer(CatchPanicLayer::custom(internal_error)),
    )
}

fn internal_error(_panic: Box<dyn Any + Send>) -> Response<Body> {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "The gateway failed at this request.")
}

#[cfg(test)]
mod tests {
    use axum::{http::Request, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn panicking() {
        panic!("a fault");
    }

    #[tokio::test]
    async fn panic_is_a_problem() {
        let routes = middleware(Router::new().route("/", get(panicking)));
        let response = routes.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
