//! The service: allows or refuses each call.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{GuardError, GuardState, ResponseFuture, TenantUnavailable};
use crate::key::{TenantKey, UrlKey};

/// A client that refuses calls to closed tenants and passes all others on as they are.
///
/// [`GuardLayer`](super::GuardLayer) makes one. It decides in `call`: a call that was allowed goes
/// on, whatever happens to the tenant afterwards. Nothing of a refused request is sent. An allowed
/// call costs no allocation (one for ids longer than 23 characters, of which none is known), no
/// clone of the client and no lock held across an await.
#[derive(Clone)]
pub struct Guard<S, K = UrlKey> {
    inner: S,
    key: K,
    guard_state: Arc<GuardState>,
    observe_only: bool,
    /// Clones `inner` to replace it after a refusal. A function pointer, so that `S: Clone` is
    /// needed only where it is set.
    reset_inner: Option<fn(&S) -> S>,
}

impl<S, K> Guard<S, K> {
    pub(super) fn new(inner: S, key: K, guard_state: Arc<GuardState>, observe_only: bool) -> Self {
        Self { inner, key, guard_state, observe_only, reset_inner: None }
    }

    /// Releases what the wrapped service reserved in `poll_ready` whenever a call is refused.
    ///
    /// A service such as tower's `ConcurrencyLimit` reserves a permit in `poll_ready` and spends it
    /// in `call`. A refused call never reaches it, so the permit stays taken until this handle is
    /// used again or dropped. With this setting the wrapped service is replaced by a clone of
    /// itself, which drops the reservation, at the price of one clone per *refused* call.
    ///
    /// Not needed when limits and buffers are outside the guard, where they belong.
    #[must_use]
    pub fn release_on_refusal(mut self) -> Self
    where
        S: Clone,
    {
        self.reset_inner = Some(S::clone);
        self
    }

    /// Returns the wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns the wrapped service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Converts into the wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// Returns what refuses `request`, if it is refused.
    #[inline]
    fn refusal<R>(&self, request: &R) -> Option<TenantUnavailable>
    where
        K: TenantKey<R>,
    {
        let tenant = self.key.tenant(request)?;
        let unavailable = match self.guard_state.refusal(tenant) {
            Some(unavailable) => unavailable,
            None => self.guard_state.refusal(self.key.second_tenant(request)?)?,
        };
        if self.observe_only {
            self.guard_state.record_observed(&unavailable);
            return None;
        }
        self.guard_state.record_refused(&unavailable);
        Some(unavailable)
    }
}

impl<S, K> Guard<S, K> {
    /// Makes or refuses the call, when its tenant may be closed.
    #[inline(never)]
    fn decide<R>(&mut self, request: R) -> ResponseFuture<S::Future>
    where
        S: Service<R>,
        K: TenantKey<R>,
    {
        let Some(unavailable) = self.refusal(&request) else {
            return ResponseFuture::allowed(self.inner.call(request));
        };
        if let Some(reset_inner) = self.reset_inner {
            self.inner = reset_inner(&self.inner);
        }
        ResponseFuture::refused(unavailable)
    }
}

impl<S, K, R> Service<R> for Guard<S, K>
where
    S: Service<R>,
    K: TenantKey<R>,
{
    type Response = S::Response;
    type Error = GuardError<S::Error>;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(GuardError::Inner)
    }

    #[inline]
    fn call(&mut self, request: R) -> Self::Future {
        // Two calls, because a request that was never borrowed is passed on in place, while one
        // that was is copied once more by today's compilers.
        if !self.guard_state.any_closed() {
            return ResponseFuture::allowed(self.inner.call(request));
        }
        match self.key.glance(&request) {
            Some(tenant) if !self.guard_state.may_be_closed(tenant) => {
                ResponseFuture::allowed(self.inner.call(request))
            }
            _ => self.decide(request),
        }
    }
}

impl<S: fmt::Debug, K: fmt::Debug> fmt::Debug for Guard<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("inner", &self.inner)
            .field("key", &self.key)
            .field("observe_only", &self.observe_only)
            .field("release_on_refusal", &self.reset_inner.is_some())
            .finish_non_exhaustive()
    }
}
