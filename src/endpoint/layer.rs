//! The layer: how following tenants is configured.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{
    Endpoint,
    replay::{NoReplay, ReplayCloned, ReplayEmpty, ReplayWith},
    whereabouts::Whereabouts,
};
use crate::key::UrlKey;

/// Sends each call to the host that serves its tenant now.
///
/// [`TenantGate::endpoint_layer`](crate::TenantGate::endpoint_layer) makes one. SuperOffice moves
/// tenants between hosts, and answers calls at the old one with *421 Misdirected Request*.
///
/// - A call to a tenant whose host is known from the state API gets that scheme and host; path,
///   query and everything else stay as they are. A call to a tenant whose host is not known, to no
///   tenant, or to a host that does not serve tenants passes untouched.
/// - A call that is answered with 421 makes the gate ask the state API at once. When that names
///   another host within 5 s, the call is sent there, once, if it can be sent again: by default when it has
///   no body, see [`replay_cloned`](Self::replay_cloned), [`replay`](Self::replay) and
///   [`no_replay`](Self::no_replay). A call that was answered with 421 was not processed, so this
///   is safe for writes too. In any other case the 421 is handed on, and the next call goes right.
///
/// A call carries a bearer token, and it goes to no host that isn't SuperOffice's, over https alone,
/// whatever a notification or an answer says.
///
/// # Where it goes
///
/// Outside the guard, `endpoint(guard(client))`, so that the second try is guarded too; inside
/// limits and timeouts. The wrapped service must be `Clone`: the second try runs on a clone, which
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
///     .layer(gate.endpoint_layer().replay_cloned())
///     .layer(gate.guard_layer())
///     .service(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>());
/// let request = http::Request::post("https://online3.superoffice.com/Cust12345/api/v1/Contact")
///     .body(Full::from("{}"))?;
/// let response = client.oneshot(request).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EndpointLayer<P = ReplayEmpty, K = UrlKey> {
    whereabouts: Arc<Whereabouts>,
    replay: P,
    key: K,
}

impl EndpointLayer {
    pub(crate) fn new(whereabouts: Arc<Whereabouts>) -> Self {
        let key = UrlKey::new(whereabouts.environment().clone());
        Self { whereabouts, replay: ReplayEmpty::default(), key }
    }
}

impl<P, K> EndpointLayer<P, K> {
    /// Sends every misdirected call again: for types of bodies that can be cloned. A clone of each
    /// request is kept until it is answered.
    #[must_use]
    pub fn replay_cloned(self) -> EndpointLayer<ReplayCloned, K> {
        self.with_replay(ReplayCloned::default())
    }

    /// Sends the copy again that `copy` makes of a request before it is sent, if it makes one.
    ///
    /// ```
    /// # use http_body_util::Full;
    /// # use bytes::Bytes;
    /// # fn of(gate: &tower_superoffice::TenantGate) {
    /// let layer = gate.endpoint_layer().replay(|request: &http::Request<Full<Bytes>>| {
    ///     (request.method() == http::Method::GET).then(|| request.clone())
    /// });
    /// # }
    /// ```
    #[must_use]
    pub fn replay<F>(self, copy: F) -> EndpointLayer<ReplayWith<F>, K> {
        self.with_replay(ReplayWith(copy))
    }

    /// Hands every 421 on. The gate asks where the tenant is all the same, so the next call goes
    /// right.
    #[must_use]
    pub fn no_replay(self) -> EndpointLayer<NoReplay, K> {
        self.with_replay(NoReplay::default())
    }

    /// Finds the tenant of a request with `key` instead of [`UrlKey`].
    #[must_use]
    pub fn key<L>(self, key: L) -> EndpointLayer<P, L> {
        EndpointLayer { whereabouts: self.whereabouts, replay: self.replay, key }
    }

    fn with_replay<Q>(self, replay: Q) -> EndpointLayer<Q, K> {
        EndpointLayer { whereabouts: self.whereabouts, replay, key: self.key }
    }
}

impl<S, P: Clone, K: Clone> Layer<S> for EndpointLayer<P, K> {
    type Service = Endpoint<S, P, K>;

    fn layer(&self, inner: S) -> Endpoint<S, P, K> {
        Endpoint::new(inner, Arc::clone(&self.whereabouts), self.replay.clone(), self.key.clone())
    }
}

impl<P: fmt::Debug, K: fmt::Debug> fmt::Debug for EndpointLayer<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointLayer")
            .field("replay", &self.replay)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
