//! The notification route as a layer in front of another service.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    future::{NotificationFuture, ResponseFuture},
    path::NotificationPath,
    route::Route,
};

/// Serves the notification route in front of a service; made by
/// [`TenantGate::notification_layer`](crate::TenantGate::notification_layer).
///
/// Put it around the *whole* app: some of a router's own ways to a handler bypass a layer inside
/// it.
#[doc = include_str!("../../docs/mounting.md")]
#[derive(Clone)]
pub struct NotificationLayer {
    route: Route,
    path: NotificationPath,
}

impl NotificationLayer {
    pub(crate) fn new(route: Route, path: NotificationPath) -> Self {
        Self { route, path }
    }
}

impl<S> Layer<S> for NotificationLayer {
    type Service = Notifications<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Notifications { inner, route: self.route.clone(), path: self.path.clone() }
    }
}

impl fmt::Debug for NotificationLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotificationLayer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A service with the notification route in front of it.
///
/// Requests to any other path pass through unchanged, streaming. The path is compared exactly,
/// without its query.
#[derive(Clone)]
pub struct Notifications<S> {
    inner: S,
    route: Route,
    path: NotificationPath,
}

impl<S> Notifications<S> {
    /// Returns the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service and drops the route.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Notifications<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        if self.path.matches(request.uri().path()) {
            ResponseFuture::handled(NotificationFuture::new(self.route.clone(), request))
        } else {
            ResponseFuture::passed(self.inner.call(request))
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Notifications<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifications")
            .field("inner", &self.inner)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
