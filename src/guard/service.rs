//! The service: decides each call.

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
/// [`GuardLayer`](super::GuardLayer) makes one. It decides in `call`: from that moment on the call is
/// on its way, whatever happens to the tenant. Nothing of a refused request is sent. A call that is
/// allowed costs no allocation (one for ids longer than 23 characters, which nobody has seen), no
/// clone of the client and no lock held across an await.
#[derive(Clone)]
pub struct Guard<S, K = UrlKey> {
    inner: S,
    key: K,
    guard_state: Arc<GuardState>,
    observe_only: bool,
    /// Makes the service that takes `inner`'s place after a refusal. A function, so that only who
    /// wants it needs `S: Clone`.
    renew: Option<fn(&S) -> S>,
}

impl<S, K> Guard<S, K> {
    pub(super) fn new(inner: S, key: K, guard_state: Arc<GuardState>, observe_only: bool) -> Self {
        Self { inner, key, guard_state, observe_only, renew: None }
    }

    /// Gives back what the wrapped service reserved in `poll_ready` whenever a call is refused.
    ///
    /// A service such as tower's `ConcurrencyLimit` reserves a permit in `poll_ready` and spends it in
    /// `call`. A refused call never reaches it, so the permit stays taken for as long as this handle
    /// lives and is not used again. With this, the wrapped service is replaced by a fresh clone of
    /// itself, which drops the reservation, at the price of one clone per *refused* call.
    ///
    /// Not needed when limits and buffers are outside the guard, where they belong.
    #[must_use]
    pub fn release_on_refusal(mut self) -> Self
    where
        S: Clone,
    {
        self.renew = Some(S::clone);
        self
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service, to change it.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Takes the guard off.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// What to refuse `request` with, if it is to be refused.
    #[inline]
    fn refusal<R>(&self, request: &R) -> Option<TenantUnavailable>
    where
        K: TenantKey<R>,
    {
        let tenant = self.key.tenant(request)?;
        let unavailable = self.guard_state.check(&tenant).err()?;
        if self.observe_only {
            self.guard_state.note_observed(&unavailable);
            return None;
        }
        self.guard_state.note_refused(&unavailable);
        Some(unavailable)
    }
}

impl<S, K> Guard<S, K> {
    /// The call, while some tenant is closed.
    #[inline(never)]
    fn decide<R>(&mut self, request: R) -> ResponseFuture<S::Future>
    where
        S: Service<R>,
        K: TenantKey<R>,
    {
        let Some(unavailable) = self.refusal(&request) else {
            return ResponseFuture::allowed(self.inner.call(request));
        };
        if let Some(renew) = self.renew {
            self.inner = renew(&self.inner);
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
        // Two ways, because a request that nobody has looked at can be handed on in place, while one
        // that was borrowed is copied once more by today's compilers.
        if self.guard_state.any_closed() {
            return self.decide(request);
        }
        ResponseFuture::allowed(self.inner.call(request))
    }
}

impl<S: fmt::Debug, K: fmt::Debug> fmt::Debug for Guard<S, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("inner", &self.inner)
            .field("key", &self.key)
            .field("observe_only", &self.observe_only)
            .field("release_on_refusal", &self.renew.is_some())
            .finish_non_exhaustive()
    }
}
