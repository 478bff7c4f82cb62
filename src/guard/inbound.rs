//! The guard in front of one's own routes: it answers for closed tenants.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Guard, GuardError, GuardLayer, ResponseFuture, problem};
use crate::key::TenantKey;

/// Answers requests to one's own routes while their tenant is closed, so that no handler runs: with
/// 503 Service Unavailable and `Retry-After`, or 410 Gone when the tenant is deleted.
///
/// [`TenantGate::inbound_layer`](crate::TenantGate::inbound_layer) makes one. The body is
/// `application/problem+json`, as [`TenantUnavailable::to_response`] makes it; the
/// [`TenantUnavailable`] itself is in the response's extensions.
///
/// A request for no tenant passes, unless [`require_tenant`](Self::require_tenant) is set.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_superoffice::{TenantGate, guard::PathKey};
///
/// # fn run(gate: TenantGate) -> Result<(), Box<dyn std::error::Error>> {
/// let key = PathKey::new("/tenants/{tenant}")?;
/// let app: Router = Router::new()
///     .route("/tenants/{tenant}/orders", get(|| async { "orders" }))
///     .layer(gate.inbound_layer(key).require_tenant());
/// # Ok(())
/// # }
/// ```
///
/// [`TenantUnavailable`]: super::TenantUnavailable
/// [`TenantUnavailable::to_response`]: super::TenantUnavailable::to_response
#[derive(Debug, Clone)]
pub struct InboundLayer<K> {
    guard: GuardLayer<K>,
    require_tenant: bool,
}

impl<K> InboundLayer<K> {
    pub(crate) fn new(guard: GuardLayer<K>) -> Self {
        Self { guard, require_tenant: false }
    }

    /// Answers requests for no tenant with 400 Bad Request.
    #[must_use]
    pub fn require_tenant(mut self) -> Self {
        self.require_tenant = true;
        self
    }

    /// Lets every request pass, and counts and logs (at info) those of closed tenants.
    #[must_use]
    pub fn observe_only(mut self) -> Self {
        self.guard = self.guard.observe_only();
        self
    }
}

impl<S, K: Clone> Layer<S> for InboundLayer<K> {
    type Service = Inbound<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        let required = self.require_tenant.then(|| self.guard.tenant_key().clone());
        Inbound { guard: self.guard.layer(inner), required }
    }
}

/// A service that answers for closed tenants; made by [`InboundLayer`].
#[derive(Clone)]
pub struct Inbound<S, K> {
    guard: Guard<S, K>,
    /// The key once more, where a request has to be for a tenant.
    required: Option<K>,
}

impl<S, K> Inbound<S, K> {
    /// Returns the wrapped service.
    pub fn get_ref(&self) -> &S {
        self.guard.get_ref()
    }
}

impl<S, K, ReqBody, ResBody> Service<Request<ReqBody>> for Inbound<S, K>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    K: TenantKey<Request<ReqBody>>,
    ResBody: From<Bytes>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = InboundFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // A guard is ready whenever the wrapped service is.
        self.guard.get_mut().poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let for_none = self.required.as_ref().is_some_and(|key| key.tenant(&request).is_none());
        InboundFuture { call: (!for_none).then(|| self.guard.call(request)) }
    }
}

impl<S: fmt::Debug, K: fmt::Debug> fmt::Debug for Inbound<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("guard", &self.guard)
            .field("require_tenant", &self.required.is_some())
            .finish()
    }
}

pin_project! {
    /// The response to a request through an [`Inbound`].
    #[derive(Debug)]
    pub struct InboundFuture<F> {
        // `None` for a request that is for no tenant but has to be.
        #[pin]
        call: Option<ResponseFuture<F>>,
    }
}

impl<F, B, E> Future for InboundFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = self.project().call.as_pin_mut() else {
            return Poll::Ready(Ok(problem::no_tenant().map(B::from)));
        };
        Poll::Ready(match ready!(call.poll(cx)) {
            Ok(response) => Ok(response),
            Err(GuardError::Inner(error)) => Err(error),
            Err(GuardError::Unavailable(closed)) => {
                let mut response = closed.to_response().map(B::from);
                response.extensions_mut().insert(closed);
                Ok(response)
            }
        })
    }
}
