//! Both layers of a client in one, and the gate itself as a layer.

use tower_layer::Layer;

use super::TenantGate;
use crate::{
    endpoint::{CloneBody, CloneEmpty, CloneSmall, CloneWith, Endpoint, EndpointLayer, NoRetry},
    guard::{Guard, GuardLayer},
    key::{KeyFn, UrlKey},
    notification::Notifications,
};

/// Sends each call to the host that serves its tenant now, and refuses it while the tenant is
/// closed: `endpoint(guard(client))`.
///
/// [`TenantGate::client_layer`] makes one, for clients of `http::Request` and, with the feature
/// `reqwest`, of `reqwest::Request`. See [`EndpointLayer`] and [`GuardLayer`] for what each does,
/// and [the guide](crate::guide::clients) for limits, retries and redirects.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{Layer, ServiceExt};
/// use tower_superoffice::{GuardError, TenantGate};
///
/// # async fn run(gate: TenantGate) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let client = gate.client_layer().layer(client);
/// let request = http::Request::post("https://online3.superoffice.com/Cust12345/api/v1/Contact")
///     .body(Full::from("{}"))?;
/// match client.oneshot(request).await {
///     Ok(response) => println!("{}", response.status()),
///     Err(GuardError::Unavailable(closed)) => println!("later: {closed}"),
///     Err(GuardError::Inner(error)) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClientLayer<P = CloneSmall, K = UrlKey> {
    endpoint: EndpointLayer<P, K>,
    guard: GuardLayer<K>,
}

impl<P, K> ClientLayer<P, K> {
    /// Finds the tenant of a request with `key`, a [`TenantKey`](crate::TenantKey), instead of
    /// [`UrlKey`].
    #[must_use]
    pub fn key<L: Clone>(self, key: L) -> ClientLayer<P, L> {
        ClientLayer { endpoint: self.endpoint.key(key.clone()), guard: self.guard.key(key) }
    }

    /// Finds the tenant of a request with `tenant`, a function `Fn(&Request) -> Option<TenantId>`,
    /// instead of [`UrlKey`].
    #[must_use]
    pub fn key_fn<F: Clone>(self, tenant: F) -> ClientLayer<P, KeyFn<F>> {
        self.key(KeyFn::new(tenant))
    }

    /// Lets calls to closed tenants pass, and counts and logs them: see
    /// [`GuardLayer::observe_only`]. Calls wait for nothing then.
    #[must_use]
    pub fn observe_only(self) -> Self {
        Self { endpoint: self.endpoint.locate(false), guard: self.guard.observe_only() }
    }

    /// Sets whether a call to a tenant of unknown host waits until the host is found: see
    /// [`EndpointLayer::locate`].
    #[must_use]
    pub fn locate(mut self, locate: bool) -> Self {
        self.endpoint = self.endpoint.locate(locate);
        self
    }

    /// Repeats misdirected calls without a body alone: see [`EndpointLayer::clone_empty`].
    #[must_use]
    pub fn clone_empty(self) -> ClientLayer<CloneEmpty, K> {
        ClientLayer { endpoint: self.endpoint.clone_empty(), guard: self.guard }
    }

    /// Repeats misdirected calls with a body of any size too: see [`EndpointLayer::clone_body`].
    #[must_use]
    pub fn clone_body(self) -> ClientLayer<CloneBody, K> {
        ClientLayer { endpoint: self.endpoint.clone_body(), guard: self.guard }
    }

    /// Repeats a misdirected call with what `clone` returns: see [`EndpointLayer::clone_request`].
    #[must_use]
    pub fn clone_request<F>(self, clone: F) -> ClientLayer<CloneWith<F>, K> {
        ClientLayer { endpoint: self.endpoint.clone_request(clone), guard: self.guard }
    }

    /// Returns every 421: see [`EndpointLayer::no_retry`].
    #[must_use]
    pub fn no_retry(self) -> ClientLayer<NoRetry, K> {
        ClientLayer { endpoint: self.endpoint.no_retry(), guard: self.guard }
    }
}

/// A client with both layers around it, for the field of a struct: `Client<reqwest::Client>`.
pub type Client<S, P = CloneSmall, K = UrlKey> = Endpoint<Guard<S, K>, P, K>;

/// A guarded client with any layers around it, for the field of a struct: it names the bodies of
/// requests and responses and the error, and nothing of what is inside.
///
/// Clones share what the client shares, such as its connections. A call costs one allocation more
/// than without it. The error is [`GuardError`](crate::GuardError) of the client's own error where
/// [`client_layer`](TenantGate::client_layer) is the outermost layer, and often a boxed one where
/// another is: [`TenantUnavailable::find`](crate::TenantUnavailable::find) finds the reason in it.
///
/// ```
/// use std::time::Duration;
///
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper::body::Incoming;
/// use hyper_util::{client::legacy, rt::TokioExecutor};
/// use tower::ServiceBuilder;
/// use tower_superoffice::{TenantGate, client::BoxClient};
///
/// struct Contacts {
///     client: BoxClient<Full<Bytes>, Incoming>,
/// }
///
/// impl Contacts {
///     fn new(gate: &TenantGate) -> Self {
///         let client = legacy::Client::builder(TokioExecutor::new()).build_http();
///         let client = ServiceBuilder::new()
///             .timeout(Duration::from_secs(30))
///             .layer(gate.client_layer())
///             .service(client);
///         Self { client: BoxClient::new(client) }
///     }
/// }
/// ```
#[cfg(feature = "tower")]
pub type BoxClient<B, ResB, E = Box<dyn std::error::Error + Send + Sync>> =
    tower::util::BoxCloneSyncService<http::Request<B>, http::Response<ResB>, E>;

impl<S, P: Clone, K: Clone> Layer<S> for ClientLayer<P, K> {
    type Service = Client<S, P, K>;

    fn layer(&self, inner: S) -> Self::Service {
        self.endpoint.layer(self.guard.layer(inner))
    }
}

impl TenantGate {
    /// Returns the layer for an HTTP client: each call goes to the current host of its tenant, and
    /// is refused while the tenant is closed.
    #[must_use]
    pub fn client_layer(&self) -> ClientLayer {
        ClientLayer { endpoint: self.endpoint_layer(), guard: self.guard_layer() }
    }
}

/// The gate as a layer around an HTTP client: one service that serves the notification route and
/// sends all other requests with the client, guarded.
///
/// `gate.layer(client)` is `notification_layer(client_layer(client))`, for `http::Request`. It
/// fails with [`GuardError`](crate::GuardError) when a tenant is closed, so a server that does not
/// allow errors, such as axum, takes the two layers apart instead. `examples/proxy.rs` is a proxy
/// with it.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Empty;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tower::{Layer, Service};
/// use tower_superoffice::TenantGate;
///
/// # fn run(gate: TenantGate) {
/// let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
/// let proxy = gate.layer(client);
/// # }
/// ```
impl<S> Layer<S> for TenantGate {
    type Service = Notifications<Client<S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.notification_layer().layer(self.client_layer().layer(inner))
    }
}
