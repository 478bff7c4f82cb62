//! The service: sends a call to its tenant.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    clone_request::{CloneRequest, CloneSmall},
    future::{ResponseFuture, Retry},
    has_status::HasStatus,
    locate::{Locator, SentTo},
    retarget::Retarget,
};
use crate::{
    environment::Origin,
    key::{TenantKey, UrlKey},
    tenant_id::TenantId,
};

/// Sends each call to the host that serves its tenant now; see
/// [`EndpointLayer`](crate::EndpointLayer).
#[derive(Clone)]
pub struct Endpoint<S, P = CloneSmall, K = UrlKey> {
    inner: S,
    locator: Arc<Locator>,
    policy: P,
    key: K,
    /// Whether calls to tenants of unknown host wait until it is found.
    locate: bool,
}

impl<S, P, K> Endpoint<S, P, K> {
    pub(super) fn new(inner: S, locator: Arc<Locator>, policy: P, key: K, locate: bool) -> Self {
        Self { inner, locator, policy, key, locate }
    }

    /// Returns the wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, R, P, K> Service<R> for Endpoint<S, P, K>
where
    S: Service<R> + Clone,
    S::Response: HasStatus,
    R: Retarget,
    P: CloneRequest<R>,
    K: TenantKey<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, R>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: R) -> ResponseFuture<S, R> {
        let Some((home, there)) = self.glance(&request) else {
            return self.direct(request, None);
        };
        // Two calls, because a request that was never borrowed is passed on in place, as in the
        // guard.
        let Some(tenant) = there else { return self.direct(request, Some(home)) };
        let sent_to = Some(SentTo::Number(home.number));
        let retry = self.retry(&request, tenant, sent_to, home.pull_seq);
        ResponseFuture::new(self.inner.call(request), Some(retry))
    }
}

/// The host of the only tenant that a call can be for.
#[derive(Clone, Copy)]
struct Home {
    /// The number of its origin.
    number: u8,
    /// The latest pull before that was read.
    pull_seq: u64,
}

impl<S, P, K> Endpoint<S, P, K> {
    /// Returns where `request` belongs, if an earlier call has found that, and the tenant if its
    /// URL says the same.
    ///
    /// A glance at the request is enough for one that goes there already: at worst it is for no
    /// tenant, and then it stays as it is too. The host needs no check, as it is that of an origin.
    #[inline]
    fn glance<R>(&self, request: &R) -> Option<(Home, Option<TenantId>)>
    where
        R: Retarget,
        K: TenantKey<R>,
    {
        let id = self.key.glance(request)?;
        // Read before the host: a pull that starts in between then counts as later.
        let pull_seq = self.locator.pull_seq();
        let (number, origin) = self.locator.remembered(id)?;
        let there = request.names(origin.scheme(), origin.authority());
        // An id that is remembered was checked.
        Some((Home { number, pull_seq }, there.then(|| TenantId::from_checked(id))))
    }

    #[inline]
    fn retry<R>(
        &self,
        request: &R,
        tenant: TenantId,
        sent_to: Option<SentTo>,
        pull_seq: u64,
    ) -> Retry<S, R>
    where
        S: Clone,
        P: CloneRequest<R>,
    {
        let clone = self.policy.clone_request(request);
        // This clone is driven to readiness before it is used; `inner` is ready already.
        let call = clone.map(|clone| Box::new((self.inner.clone(), clone)));
        Retry { call, tenant, sent_to, pull_seq, locator: Arc::clone(&self.locator) }
    }

    /// Sends a call to the host of its tenant, after all checks. `home` is that host, if it is
    /// remembered and the call is for a tenant.
    #[inline(never)]
    fn direct<R>(&mut self, mut request: R, home: Option<Home>) -> ResponseFuture<S, R>
    where
        S: Service<R> + Clone,
        R: Retarget,
        P: CloneRequest<R>,
        K: TenantKey<R>,
    {
        let tenant = if request.is_for_tenants(self.locator.environment()) {
            self.key.tenant(&request)
        } else {
            None
        };
        let Some(tenant) = tenant else {
            return ResponseFuture::new(self.inner.call(request), None);
        };
        // Read before the host: a pull that starts in between then counts as later.
        let (pull_seq, sent_to) = match home {
            Some(home) => (home.pull_seq, Some(SentTo::Number(home.number))),
            None => (self.locator.pull_seq(), self.locator.origin_for_call(&tenant)),
        };
        if let Some(origin) = sent_to.as_ref().and_then(|sent_to| self.locator.sent_to(sent_to)) {
            retarget(&mut request, origin);
        }
        let locating = match &sent_to {
            None if self.locate => self.locator.locate(&tenant),
            _ => None,
        };
        let retry = self.locator.has_state_api();
        let retry = retry.then(|| self.retry(&request, tenant, sent_to, pull_seq));
        match (locating, retry) {
            (Some(locating), Some(retry)) => {
                // The service that is ready waits with the call.
                let clone = self.inner.clone();
                let ready = mem::replace(&mut self.inner, clone);
                ResponseFuture::located(ready, request, locating, retry)
            }
            (_, retry) => ResponseFuture::new(self.inner.call(request), retry),
        }
    }
}

/// Sends `request` to `origin`, unless it goes there already.
pub(super) fn retarget(request: &mut impl Retarget, origin: &Origin) {
    if !request.goes_to(origin.scheme(), origin.authority()) {
        request.send_to(origin.scheme(), origin.authority());
    }
}

impl<S: fmt::Debug, P: fmt::Debug, K: fmt::Debug> fmt::Debug for Endpoint<S, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("key", &self.key)
            .field("locate", &self.locate)
            .finish_non_exhaustive()
    }
}
