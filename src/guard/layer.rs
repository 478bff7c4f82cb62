//! The layer: its configuration.

use std::{fmt, sync::Arc};

use tower_layer::{Layer, Stack};

use super::{Guard, GuardState, RequireTenantLayer};
use crate::key::{KeyFn, UrlKey};

/// Puts a [`Guard`] around clients, so that calls to closed tenants are refused.
///
/// [`TenantGate::guard_layer`](crate::TenantGate::guard_layer) makes one. All guards of a gate
/// share its view of the tenants: neither wrapping a client nor cloning the wrapped one makes new
/// state.
///
/// # Where it goes
///
/// Right around the client, *inside* limits, buffers and retries: `retry(limit(guard(client)))`. A
/// refused call leaves the readiness that the wrapped service reserved in `poll_ready` unspent, so
/// a limit further in would lend out a permit that no call uses; and the attempts of a retry
/// further in would not be checked. Where you can't choose the order, see
/// [`Guard::release_on_refusal`].
#[derive(Clone)]
pub struct GuardLayer<K = UrlKey> {
    guard_state: Arc<GuardState>,
    key: K,
    observe_only: bool,
}

impl GuardLayer {
    pub(crate) fn new(guard_state: Arc<GuardState>) -> Self {
        let key = guard_state.url_key();
        Self { guard_state, key, observe_only: false }
    }
}

impl<K> GuardLayer<K> {
    /// Finds the tenant of a request with `key`, a [`TenantKey`](crate::TenantKey), instead of
    /// [`UrlKey`].
    #[must_use]
    pub fn key<L>(self, key: L) -> GuardLayer<L> {
        GuardLayer { guard_state: self.guard_state, key, observe_only: self.observe_only }
    }

    /// Finds the tenant of a request with `tenant`, a function `Fn(&Request) -> Option<TenantId>`,
    /// instead of [`UrlKey`].
    ///
    /// The type of a closure's argument must be written out.
    ///
    /// ```
    /// # use tower_superoffice::TenantId;
    /// # fn of(gate: &tower_superoffice::TenantGate) {
    /// let layer = gate.guard_layer().key_fn(|request: &http::Request<String>| {
    ///     TenantId::new(request.headers().get("x-tenant")?.to_str().ok()?).ok()
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn key_fn<F>(self, tenant: F) -> GuardLayer<KeyFn<F>> {
        self.key(KeyFn::new(tenant))
    }

    /// Refuses requests for no tenant too, with
    /// [`RequireTenantError::NoTenant`](super::RequireTenantError::NoTenant) as the guard's inner
    /// error.
    ///
    /// For keys that may miss, such as a header that a caller forgot: a guard lets such requests
    /// pass. Configure the key first.
    ///
    /// ```
    /// use http::HeaderName;
    /// use tower::{Layer, ServiceExt};
    /// use tower_superoffice::{GuardError, guard::{HeaderKey, RequireTenantError}};
    ///
    /// # async fn of(gate: tower_superoffice::TenantGate) {
    /// let key = HeaderKey::new(HeaderName::from_static("x-tenant"));
    /// let client = tower::service_fn(|_: http::Request<()>| async { Ok::<_, std::io::Error>(()) });
    /// let client = gate.guard_layer().key(key).require_tenant().layer(client);
    /// let refused = client.oneshot(http::Request::new(())).await;
    /// assert!(matches!(refused, Err(GuardError::Inner(RequireTenantError::NoTenant))));
    /// # }
    /// ```
    #[must_use]
    pub fn require_tenant(self) -> Stack<RequireTenantLayer<K>, Self>
    where
        K: Clone,
    {
        Stack::new(RequireTenantLayer::new(self.key.clone()), self)
    }

    /// Returns the key that finds the tenant of a request.
    pub(super) fn tenant_key(&self) -> &K {
        &self.key
    }

    /// Lets every call pass, and counts and logs (at info) those it would have refused.
    ///
    /// For the first days in production: it shows what the guard would do before it is enforced.
    #[must_use]
    pub fn observe_only(mut self) -> Self {
        self.observe_only = true;
        self
    }
}

impl<S, K: Clone> Layer<S> for GuardLayer<K> {
    type Service = Guard<S, K>;

    fn layer(&self, inner: S) -> Guard<S, K> {
        Guard::new(inner, self.key.clone(), Arc::clone(&self.guard_state), self.observe_only)
    }
}

impl<K: fmt::Debug> fmt::Debug for GuardLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardLayer")
            .field("key", &self.key)
            .field("observe_only", &self.observe_only)
            .finish_non_exhaustive()
    }
}
