//! The layer: its configuration.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{
    Endpoint,
    clone_request::{CloneBody, CloneEmpty, CloneSmall, CloneWith, NoRetry},
    locate::Locator,
};
use crate::key::{KeyFn, UrlKey};

/// Sends each call to the host that serves its tenant now.
///
/// [`TenantGate::endpoint_layer`](crate::TenantGate::endpoint_layer) makes one. SuperOffice moves
/// tenants between hosts, and answers calls at the old one with *421 Misdirected Request*.
///
/// - A call to a tenant whose [host is known](crate::TenantGate::endpoint) gets that scheme and
///   host. Path, query and everything else stay as they are.
/// - A call to a tenant whose host is not known waits for a pull that finds it, for 5 s at most: a
///   host without a number serves no tenant. All calls to the tenant join that pull, so its closing
///   is known before the first call too. When the state API fails, or knows no such tenant, calls
///   pass on at once for a while, as do those beyond 1,024 that wait. See [`locate`](Self::locate).
/// - A call that is answered with 421 has the tenant pulled at once. When the state API names
///   another host within 5 s, the call is repeated there, once. This is safe for writes too: a
///   misdirected call was not processed. By default requests with a body of known size up to 64 KiB
///   are repeated, which takes a clone of each; see [`clone_body`](Self::clone_body),
///   [`clone_empty`](Self::clone_empty), [`clone_request`](Self::clone_request) and
///   [`no_retry`](Self::no_retry). Otherwise the 421 is returned; later calls use the updated host.
/// - A call passes untouched when it is for no tenant, and when its own host serves no tenants.
///
/// A call with a [`TenantId`](crate::TenantId) in its extensions goes to the host of that tenant,
/// also when its URL names another one.
///
/// A call carries a bearer token. This layer sends it to no host but a tenant host of the
/// environment, and over https alone (http on loopback), whatever a notification or the state API
/// says. Redirects that the client follows by itself are outside its reach: see
/// [the guide](crate::guide::clients).
///
/// # Where it goes
///
/// Outside the guard, `endpoint(guard(client))`, so that the repeated call is guarded too; inside
/// limits and time-outs. The wrapped service must be `Clone`: a call is repeated on a clone, which
/// is driven to readiness first.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_superoffice::TenantGate;
///
/// # async fn run(gate: TenantGate) -> Result<(), Box<dyn std::error::Error>> {
/// let client = ServiceBuilder::new()
///     .layer(gate.endpoint_layer())
///     .layer(gate.guard_layer())
///     .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
/// let request = http::Request::post("https://online3.superoffice.com/Cust12345/api/v1/Contact")
///     .body(Full::from("{}"))?;
/// let response = client.oneshot(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EndpointLayer<P = CloneSmall, K = UrlKey> {
    locator: Arc<Locator>,
    policy: P,
    key: K,
    locate: bool,
}

impl EndpointLayer {
    pub(crate) fn new(locator: Arc<Locator>) -> Self {
        let key = UrlKey::new(locator.environment().clone());
        Self { locator, policy: CloneSmall::default(), key, locate: true }
    }
}

impl<P, K> EndpointLayer<P, K> {
    /// Sets whether a call to a tenant of unknown host waits until the host is found. The default
    /// is `true`. With `false` such a call is sent to the host of its URL.
    #[must_use]
    pub fn locate(mut self, locate: bool) -> Self {
        self.locate = locate;
        self
    }

    /// Repeats misdirected calls without a body alone, for bodies that are not `Clone`, such as
    /// those that stream. `B: Default` makes the empty body of the repetition.
    #[must_use]
    pub fn clone_empty(self) -> EndpointLayer<CloneEmpty, K> {
        self.with_policy(CloneEmpty::default())
    }

    /// Repeats every misdirected call, for bodies that are `Clone`, whatever their size.
    ///
    /// A clone of each request to a tenant is kept until its response arrives.
    #[must_use]
    pub fn clone_body(self) -> EndpointLayer<CloneBody, K> {
        self.with_policy(CloneBody::default())
    }

    /// Repeats a misdirected call with the clone that `clone` made of it before it was sent, if it
    /// made one.
    ///
    /// ```
    /// # use http_body_util::Full;
    /// # use bytes::Bytes;
    /// # fn of(gate: &tower_superoffice::TenantGate) {
    /// let layer = gate.endpoint_layer().clone_request(|request: &http::Request<Full<Bytes>>| {
    ///     (request.method() == http::Method::GET).then(|| request.clone())
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn clone_request<F>(self, clone: F) -> EndpointLayer<CloneWith<F>, K> {
        self.with_policy(CloneWith(clone))
    }

    /// Returns every 421. The tenant is pulled all the same, so that later calls use its new host.
    #[must_use]
    pub fn no_retry(self) -> EndpointLayer<NoRetry, K> {
        self.with_policy(NoRetry::default())
    }

    /// Finds the tenant of a request with `key`, a [`TenantKey`](crate::TenantKey), instead of
    /// [`UrlKey`].
    #[must_use]
    pub fn key<L>(self, key: L) -> EndpointLayer<P, L> {
        EndpointLayer { locator: self.locator, policy: self.policy, key, locate: self.locate }
    }

    /// Finds the tenant of a request with `tenant`, a function `Fn(&Request) -> Option<TenantId>`,
    /// instead of [`UrlKey`].
    #[must_use]
    pub fn key_fn<F>(self, tenant: F) -> EndpointLayer<P, KeyFn<F>> {
        self.key(KeyFn::new(tenant))
    }

    fn with_policy<Q>(self, policy: Q) -> EndpointLayer<Q, K> {
        EndpointLayer { locator: self.locator, policy, key: self.key, locate: self.locate }
    }
}

impl<S, P: Clone, K: Clone> Layer<S> for EndpointLayer<P, K> {
    type Service = Endpoint<S, P, K>;

    fn layer(&self, inner: S) -> Endpoint<S, P, K> {
        let (policy, key) = (self.policy.clone(), self.key.clone());
        Endpoint::new(inner, Arc::clone(&self.locator), policy, key, self.locate)
    }
}

impl<P: fmt::Debug, K: fmt::Debug> fmt::Debug for EndpointLayer<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointLayer")
            .field("policy", &self.policy)
            .field("key", &self.key)
            .field("locate", &self.locate)
            .finish_non_exhaustive()
    }
}
