//! A layer that holds calls back while their tenant is closed.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tower_layer::Layer;
use tower_service::Service;

use super::{Available, TenantGate};
use crate::key::{KeyFn, TenantKey, UrlKey};

/// Number of calls that wait at a time by default.
const PLACES: usize = 10_000;

/// Holds a call to a closed tenant back until the tenant opens, up to a limit. Then the guard
/// inside decides.
///
/// [`TenantGate::wait_layer`] makes one. Put it outside the guard, `wait(guard(client))`: a call
/// whose tenant is still closed after the limit is refused by the guard. For jobs that may take
/// minutes; a request that a person waits for is better refused at once.
///
/// Waiting calls are released together when their tenant opens: spread them with
/// [`resume_jitter`](crate::TenantGateBuilder::resume_jitter). While more than
/// [`max_waiting`](Self::max_waiting) calls wait, further ones do not.
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceBuilder;
/// use tower_superoffice::TenantGate;
///
/// # fn of(gate: TenantGate, reqwest: reqwest::Client) {
/// let client = ServiceBuilder::new()
///     .layer(gate.wait_layer(Duration::from_secs(600)))
///     .layer(gate.client_layer())
///     .service(reqwest);
/// # }
/// ```
#[derive(Clone)]
pub struct WaitLayer<K = UrlKey> {
    gate: TenantGate,
    key: K,
    limit: Duration,
    /// The places of calls that wait.
    places: Arc<Semaphore>,
}

impl<K> WaitLayer<K> {
    /// Finds the tenant of a request with `key`, a [`TenantKey`], instead of [`UrlKey`].
    #[must_use]
    pub fn key<L>(self, key: L) -> WaitLayer<L> {
        let Self { gate, limit, places, .. } = self;
        WaitLayer { gate, key, limit, places }
    }

    /// Finds the tenant of a request with `tenant`, a function `Fn(&Request) -> Option<TenantId>`.
    #[must_use]
    pub fn key_fn<F>(self, tenant: F) -> WaitLayer<KeyFn<F>> {
        self.key(KeyFn::new(tenant))
    }

    /// Sets the number of calls that wait at a time, over all services of this layer and clones of
    /// it that are made from now on. The default is 10,000.
    #[must_use]
    pub fn max_waiting(mut self, calls: usize) -> Self {
        self.places = Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS)));
        self
    }
}

impl<S, K: Clone> Layer<S> for WaitLayer<K> {
    type Service = Wait<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Wait { inner, layer: self.clone() }
    }
}

impl<K: fmt::Debug> fmt::Debug for WaitLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitLayer")
            .field("key", &self.key)
            .field("limit", &self.limit)
            .field("places", &self.places.available_permits())
            .finish_non_exhaustive()
    }
}

/// A client that holds calls to closed tenants back; made by [`WaitLayer`].
#[derive(Debug, Clone)]
pub struct Wait<S, K = UrlKey> {
    inner: S,
    layer: WaitLayer<K>,
}

impl<S, K, R> Service<R> for Wait<S, K>
where
    S: Service<R> + Clone,
    K: TenantKey<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = WaitFuture<S, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let tenant = self.layer.key.tenant(&request);
        let closed = tenant.filter(|tenant| self.layer.gate.check(tenant).is_err());
        let wait = closed.and_then(|tenant| {
            let place = Arc::clone(&self.layer.places).try_acquire_owned().ok()?;
            Some((self.layer.gate.available(&tenant), place))
        });
        let Some((available, place)) = wait else {
            return WaitFuture { state: State::Called { call: self.inner.call(request) } };
        };
        // The service that is ready waits with the call, as tower's contract requires.
        let clone = self.inner.clone();
        let service = mem::replace(&mut self.inner, clone);
        let deadline = sleep(self.layer.limit);
        let call = Some((service, request, place));
        WaitFuture { state: State::Waiting { available, deadline, call } }
    }
}

pin_project! {
    /// The response to a call through a [`Wait`].
    pub struct WaitFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R>
    where
        S: Service<R>,
    {
        Waiting {
            #[pin]
            available: Available,
            #[pin]
            deadline: Sleep,
            call: Option<(S, R, OwnedSemaphorePermit)>,
        },
        Called {
            #[pin]
            call: S::Future,
        },
    }
}

impl<S: Service<R>, R> Future for WaitFuture<S, R> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let call = match state.as_mut().project() {
                StateProj::Called { call } => return call.poll(cx),
                StateProj::Waiting { available, deadline, call } => {
                    // Deleted, or still closed at the deadline: the guard inside refuses the call.
                    if available.poll(cx).is_pending() {
                        ready!(deadline.poll(cx));
                    }
                    call.take()
                }
            };
            // Polled after a panic of the wrapped service: there is nothing left to call.
            let Some((mut service, request, _place)) = call else { return Poll::Pending };
            let call = service.call(request);
            state.set(State::Called { call });
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for WaitFuture<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFuture").finish_non_exhaustive()
    }
}

impl TenantGate {
    /// Returns the layer that holds a call to a closed tenant back, for at most `limit`, until the
    /// tenant opens.
    #[must_use]
    pub fn wait_layer(&self, limit: Duration) -> WaitLayer {
        WaitLayer {
            gate: self.clone(),
            key: UrlKey::new(self.environment().clone()),
            limit,
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }
}
