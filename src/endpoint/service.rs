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
    locate::Locator,
    retarget::Retarget,
};
use crate::{
    environment::Origin,
    key::{TenantKey, UrlKey},
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
        let sent_to = self.locator.origin_for_call(&tenant);
        if let Some(origin) = &sent_to {
            retarget(&mut request, origin);
        }
        let locating = match &sent_to {
            None if self.locate => self.locator.locate(&tenant),
            _ => None,
        };
        let retry = self.locator.has_state_api().then(|| {
            let clone = self.policy.clone_request(&request);
            // This clone is driven to readiness before it is used; `inner` is ready already.
            let call = clone.map(|clone| (self.inner.clone(), clone));
            Retry { call, tenant, sent_to, pull_seq, locator: Arc::clone(&self.locator) }
        });
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
