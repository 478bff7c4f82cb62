//! The notification route as a service.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{future::NotificationFuture, route::Route};
use crate::http_client::EmptyBody;

/// Receives notifications at the route that it is mounted at; made by
/// [`TenantGate::notification_service`](crate::TenantGate::notification_service).
///
/// Every request counts as a notification, whatever its path. It never fails: each case has its own
/// answer.
///
/// ```
/// # async fn run(gate: tower_superoffice::TenantGate) {
/// let app: axum::Router = axum::Router::new()
///     .route_service("/NotifyCustomerStateChange", gate.notification_service());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct NotificationService {
    route: Route,
}

impl NotificationService {
    pub(crate) fn new(route: Route) -> Self {
        Self { route }
    }
}

impl<B: Body> Service<Request<B>> for NotificationService {
    type Response = Response<EmptyBody>;
    type Error = Infallible;
    type Future = NotificationFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        NotificationFuture::new(self.route.clone(), request)
    }
}
