//! The service: sends a call to its tenant.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    clone_request::{CloneEmpty, CloneRequest},
    future::{ResponseFuture, Retry},
    has_status::HasStatus,
    locate::Locator,
    retarget::Retarget,
};
use crate::key::{TenantKey, UrlKey};

/// Sends each call to the host that serves its tenant now; see
/// [`EndpointLayer`](crate::EndpointLayer).
#[derive(Clone)]
pub struct Endpoint<S, P = CloneEmpty, K = UrlKey> {
    inner: S,
    locator: Arc<Locator>,
    policy: P,
    key: K,
}

impl<S, P, K> Endpoint<S, P, K> {
    pub(super) fn new(inner: S, locator: Arc<Locator>, policy: P, key: K) -> Self {
        Self { inner, locator, policy, key }
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

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: R) -> ResponseFuture<S, R> {
        let tenant = if request.is_for_tenants(self.locator.environment()) {
            self.key.tenant(&request)
        } else {
            None
        };
        let Some(tenant) = tenant else {
            return ResponseFuture::new(self.inner.call(request), None);
        };
        // Read before the host: a pull that starts in between then counts as later.
        let pull_seq = self.locator.pull_seq();
        let sent_to = self.locator.origin(&tenant);
        if let Some(origin) = &sent_to
            && !request.goes_to(origin.scheme(), origin.authority())
        {
            request.send_to(origin.scheme(), origin.authority());
        }
        let retry = self.locator.has_state_api().then(|| {
            let clone = self.policy.clone_request(&request);
            // This clone is driven to readiness before it is used; `inner` is ready already.
            let call = clone.map(|clone| (self.inner.clone(), clone));
            Retry { call, tenant, sent_to, pull_seq, locator: Arc::clone(&self.locator) }
        });
        ResponseFuture::new(self.inner.call(request), retry)
    }
}

impl<S: fmt::Debug, P: fmt::Debug, K: fmt::Debug> fmt::Debug for Endpoint<S, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
