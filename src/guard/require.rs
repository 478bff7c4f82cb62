//! A layer that refuses requests that are for no tenant.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::key::TenantKey;

/// Refuses requests whose tenant the key does not find. A guard lets them pass.
///
/// [`GuardLayer::require_tenant`](crate::GuardLayer::require_tenant) puts it inside a guard, with
/// the guard's key.
#[derive(Debug, Clone)]
pub struct RequireTenantLayer<K> {
    key: K,
}

impl<K> RequireTenantLayer<K> {
    /// Creates a layer that finds the tenant of a request with `key`.
    pub fn new(key: K) -> Self {
        Self { key }
    }
}

impl<S, K: Clone> Layer<S> for RequireTenantLayer<K> {
    type Service = RequireTenant<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireTenant { inner, key: self.key.clone() }
    }
}

/// A client that refuses requests for no tenant; made by [`RequireTenantLayer`].
#[derive(Debug, Clone)]
pub struct RequireTenant<S, K> {
    inner: S,
    key: K,
}

impl<S, K, R> Service<R> for RequireTenant<S, K>
where
    S: Service<R>,
    K: TenantKey<R>,
{
    type Response = S::Response;
    type Error = RequireTenantError<S::Error>;
    type Future = RequireTenantFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(RequireTenantError::Inner)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let for_tenant = self.key.tenant(&request).is_some();
        RequireTenantFuture { call: for_tenant.then(|| self.inner.call(request)) }
    }
}

pin_project! {
    /// The result of a call through a [`RequireTenant`].
    #[derive(Debug)]
    pub struct RequireTenantFuture<F> {
        #[pin]
        call: Option<F>,
    }
}

impl<F, T, E> Future for RequireTenantFuture<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, RequireTenantError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().call.as_pin_mut() {
            Some(call) => Poll::Ready(ready!(call.poll(cx)).map_err(RequireTenantError::Inner)),
            None => Poll::Ready(Err(RequireTenantError::NoTenant)),
        }
    }
}

/// The reason why a call through a [`RequireTenant`] failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequireTenantError<E> {
    /// The request is for no tenant. Nothing was sent.
    NoTenant,
    /// The wrapped client failed.
    Inner(E),
}

impl<E: fmt::Display> fmt::Display for RequireTenantError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTenant => f.write_str("refused a call for no tenant: check its URL or key"),
            Self::Inner(inner) => inner.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for RequireTenantError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoTenant => None,
            // As it shows the inner error's text, a reporter of the whole chain says nothing twice.
            Self::Inner(inner) => inner.source(),
        }
    }
}
