//! The service: one call on its way to its tenant.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    future::{ResponseFuture, Second},
    has_status::HasStatus,
    replay::{Replay, ReplayEmpty},
    retarget::Retarget,
    whereabouts::Whereabouts,
};
use crate::key::{TenantKey, UrlKey};

/// Sends each call to the host that serves its tenant now; see [`EndpointLayer`](crate::EndpointLayer).
#[derive(Clone)]
pub struct Endpoint<S, P = ReplayEmpty, K = UrlKey> {
    inner: S,
    whereabouts: Arc<Whereabouts>,
    replay: P,
    key: K,
}

impl<S, P, K> Endpoint<S, P, K> {
    pub(super) fn new(inner: S, whereabouts: Arc<Whereabouts>, replay: P, key: K) -> Self {
        Self { inner, whereabouts, replay, key }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, R, P, K> Service<R> for Endpoint<S, P, K>
where
    S: Service<R> + Clone,
    S::Response: HasStatus,
    R: Retarget,
    P: Replay<R>,
    K: TenantKey<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: R) -> ResponseFuture<S, R> {
        let tenant = if request.is_for_tenants(self.whereabouts.environment()) {
            self.key.tenant(&request)
        } else {
            None
        };
        let Some(tenant) = tenant else {
            return ResponseFuture::new(self.inner.call(request), None);
        };
        // Taken before the host is read: a look that starts in between counts as made since.
        let mark = self.whereabouts.mark();
        let sent_to = self.whereabouts.origin(&tenant);
        if let Some(origin) = &sent_to
            && !request.goes_to(origin.scheme(), origin.authority())
        {
            request.send_to(origin.scheme(), origin.authority());
        }
        let asks = self.whereabouts.asks();
        let second = asks.then(|| {
            // The clone is driven to readiness before it is used; `inner` has been already.
            let again = self.replay.copy(&request).map(|copy| (self.inner.clone(), copy));
            Second { again, tenant, sent_to, mark, whereabouts: Arc::clone(&self.whereabouts) }
        });
        ResponseFuture::new(self.inner.call(request), second)
    }
}

impl<S: fmt::Debug, P: fmt::Debug, K: fmt::Debug> fmt::Debug for Endpoint<S, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("inner", &self.inner)
            .field("replay", &self.replay)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
