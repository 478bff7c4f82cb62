//! The gate: owns what is known of the tenants and hands out the layers.

mod available;
mod builder;
mod client_layer;
mod config;
mod error;
mod forget;
mod gates;
mod health;
#[cfg(feature = "metrics")]
mod metrics;
mod overrides;
mod own_client;
mod ready;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest-middleware")]
mod reqwest_middleware;
mod shutdown;
mod start;
mod tasks;
mod wait_layer;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Uri;

#[cfg(feature = "tower")]
pub use self::client_layer::BoxClient;
#[cfg(feature = "reqwest-middleware")]
pub use self::reqwest_middleware::TenantMiddleware;
pub use self::{
    available::Available,
    builder::TenantGateBuilder,
    client_layer::{Client, ClientLayer},
    error::BuildError,
    forget::ForgetError,
    gates::TenantGates,
    wait_layer::{Wait, WaitFuture, WaitLayer},
    watch::{Deletion, Watch},
};
use self::{tasks::Tasks, watch::Statuses};

use crate::{
    clock::Clock,
    endpoint::{EndpointLayer, Locator},
    environment::Environment,
    guard::{GuardLayer, GuardState, InboundLayer, TenantUnavailable},
    notification::{
        Accepted, NotificationHandler, NotificationLayer, NotificationPath, NotificationService,
        Refusal, Route,
    },
    persist::WriteBack,
    pull::{Pulls, RefreshError},
    status::TenantStatus,
    tenant_id::TenantId,
    tenants::{Tenants, awaited::Awaited, events::Events},
    token::KeysReport,
};

/// Knows which tenants are closed, and keeps calls away from them.
///
/// A cheap handle: clones share one state. The background tasks end when the last handle, layer and
/// service of a gate is dropped.
#[doc = include_str!("../../docs/gate.md")]
#[derive(Clone)]
pub struct TenantGate {
    parts: Arc<Parts>,
}

/// The parts of a gate, shared by its handles, layers and services.
struct Parts {
    environment: Environment,
    clock: Clock,
    tenants: Arc<Tenants>,
    /// `None` without a store.
    write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pulls: Option<Arc<Pulls>>,
    handler: NotificationHandler,
    notification_path: NotificationPath,
    guard_state: Arc<GuardState>,
    locator: Arc<Locator>,
    statuses: Arc<Statuses>,
    awaited: Arc<Awaited>,
    close_tracked_until_known: bool,
    resume_jitter: Duration,
    /// The background tasks, which end with the last handle, layer and service.
    tasks: Arc<Tasks>,
}

impl TenantGate {
    /// Creates a builder of a gate for `environment`.
    pub fn builder(environment: Environment) -> TenantGateBuilder {
        TenantGateBuilder::new(environment)
    }

    /// Returns the notification route as a layer around a whole app.
    #[must_use]
    pub fn notification_layer(&self) -> NotificationLayer {
        let Parts { handler, notification_path, .. } = &*self.parts;
        NotificationLayer::new(Route::One(handler.clone()), notification_path.clone())
    }

    /// Returns the notification route as a service, to be mounted at a path.
    #[must_use]
    pub fn notification_service(&self) -> NotificationService {
        NotificationService::new(Route::One(self.parts.handler.clone()))
    }

    /// Receives a notification that came in another way than to the notification route, such as
    /// from a queue in front of the service: `body` as SuperOffice posted it.
    ///
    /// It is verified, recorded and counted as on the route. Its token expires five minutes after
    /// its issue, and what arrives later than that and the [`leeway`](TenantGateBuilder::leeway) is
    /// refused, so a queue in between has to be quick. The future does nothing until it is polled;
    /// from then on the notification is recorded even if it is dropped. Acknowledge a message when
    /// `Ok` is returned, and keep it when the [status](Refusal::status) is a 5xx.
    ///
    /// ```
    /// # async fn run(gate: tower_superoffice::TenantGate, message: Vec<u8>) {
    /// match gate.receive(message).await {
    ///     Ok(accepted) => println!("{}: {}", accepted.tenant(), accepted.change()),
    ///     Err(refusal) if refusal.status().is_server_error() => println!("retry: {refusal}"),
    ///     Err(refusal) => println!("drop it: {refusal}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As the answers of the route: larger than the [`body_limit`](TenantGateBuilder::body_limit),
    /// not a notification, not genuine, no keys to verify it with, or not stored in time.
    pub async fn receive(&self, body: impl Into<Bytes>) -> Result<Accepted, Refusal> {
        Route::One(self.parts.handler.clone()).receive(body.into()).await
    }

    /// Returns the layer that keeps calls of an HTTP client away from closed tenants.
    #[must_use]
    pub fn guard_layer(&self) -> GuardLayer {
        GuardLayer::new(Arc::clone(&self.parts.guard_state))
    }

    /// Returns the layer that sends each call of an HTTP client to the current host of its tenant.
    #[must_use]
    pub fn endpoint_layer(&self) -> EndpointLayer {
        EndpointLayer::new(Arc::clone(&self.parts.locator))
    }

    /// Returns the layer that answers requests to your own routes while their tenant is closed,
    /// with 503 or 410. `key` finds the tenant of a request: a
    /// [`PathKey`](crate::guard::PathKey), a [`HeaderKey`](crate::guard::HeaderKey), or a
    /// [`TenantKey`](crate::TenantKey) of your own.
    #[must_use]
    pub fn inbound_layer<K>(&self, key: K) -> InboundLayer<K> {
        InboundLayer::new(self.guard_layer().key(key))
    }

    /// Returns the origin that serves `tenant`, such as `https://online2.superoffice.com/`.
    ///
    /// It comes from the last pull that has one, or from the last Move while the state API is off.
    /// `None` when it is unknown.
    #[must_use]
    pub fn endpoint(&self, tenant: &TenantId) -> Option<Uri> {
        self.parts.locator.origin(tenant)?.to_uri()
    }

    /// Pulls the state of `tenant` now, and returns the status that follows from it.
    ///
    /// The pull is made by this process, after the last notification that it has of the tenant, and
    /// ahead of those that are due. Requests that arrive while it is in flight join it. The rate
    /// limit of the [`Schedule`](crate::pull::Schedule) applies; there is no other time-out, so
    /// wrap it in one where a caller waits. Once requested, the pull is made even if this future is
    /// dropped.
    ///
    /// A notification's token proves its sender and not its content, so call this before you act on
    /// one for good, such as by erasing the data of a deleted tenant: see
    /// [`is_confirmed`](TenantStatus::is_confirmed). An override masks the status that is returned.
    ///
    /// # Errors
    ///
    /// When the pull is not made, or has no valid answer with a state. Nothing has changed then.
    pub async fn refresh(&self, tenant: &TenantId) -> Result<TenantStatus, RefreshError> {
        let pulls = self.parts.pulls.as_ref().ok_or(RefreshError::StateApiOff)?;
        // The sender is dropped with the gate's tasks.
        pulls.refresh(tenant)?.await.map_err(|_| RefreshError::ShutDown)??;
        Ok(self.status(tenant))
    }

    /// Pulls these tenants, as fast as the [`Schedule`](crate::pull::Schedule) allows, until each
    /// has an answer, and from then on as if they were called all the time: an open one is pulled
    /// again when its answer is no longer fresh, after its validity, at least 5 minutes and at most
    /// an hour. So a lost closing is noticed before the next call. Does nothing while the state API
    /// is off.
    ///
    /// At the default of 10 pulls a second, 3,000 tenants of the shortest validity are kept fresh,
    /// and 36,000 of the longest. More are pulled in turn, after everything else.
    ///
    /// With a store that replicas share, the answer that another replica had for a tenant serves
    /// while it is valid, for 5 minutes to an hour.
    ///
    /// Call it once at start with the tenants that you serve: your service did not receive the
    /// notifications from before its first start. Until its answer arrives, a tenant without a
    /// record is open, or with
    /// [`close_tracked_until_known`](TenantGateBuilder::close_tracked_until_known) closed as not
    /// ready.
    pub fn track(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let Some(pulls) = &self.parts.pulls else { return };
        for tenant in tenants {
            if self.parts.close_tracked_until_known {
                self.parts.tenants.close_until_known(&tenant);
            }
            self.parts.awaited.track(&tenant, self.parts.tenants.registry());
            pulls.track(&tenant);
        }
    }

    /// Ends the [tracking](Self::track) of these tenants: an open one is pulled only when it is
    /// called. What is known of them stays. One that is still closed until it has a record opens.
    pub fn untrack(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let Some(pulls) = &self.parts.pulls else { return };
        for tenant in tenants {
            pulls.untrack(&tenant);
            self.parts.awaited.remove(&tenant);
            self.parts.tenants.stop_awaiting(&tenant);
        }
    }

    /// Returns `Ok` if `tenant` can be called now. Counts as a call: the next pull of a tenant that is
    /// closed comes before those of tenants that are not called.
    ///
    /// # Errors
    ///
    /// When it is closed, with the reason and the time.
    pub fn check(&self, tenant: &TenantId) -> Result<(), TenantUnavailable> {
        self.parts.guard_state.check(tenant)
    }

    /// Returns the time until the state of `tenant` is pulled next, which may open it: at least a
    /// second, as in [`TenantUnavailable::retry_after`].
    ///
    /// `None` when it is open or deleted, and when no pull is scheduled. Unlike [`check`](Self::check)
    /// it does not bring that pull forward, and so is right for lists.
    #[must_use]
    pub fn next_pull(&self, tenant: &TenantId) -> Option<Duration> {
        self.parts.guard_state.next_pull(tenant)
    }

    /// Returns the status of `tenant`. A tenant without a record is available.
    #[must_use]
    pub fn status(&self, tenant: &TenantId) -> TenantStatus {
        self.parts.statuses.get(tenant)
    }

    /// Returns the status of every tenant with a record, ordered by id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(TenantId, TenantStatus)> {
        let statuses = &self.parts.statuses;
        let registry = self.parts.tenants.registry();
        let mut tenants = Vec::with_capacity(registry.len());
        registry.for_each(|tenant, status, record| {
            tenants.push((tenant.clone(), statuses.complete(status, record)));
        });
        tenants.sort_by(|(a, _), (b, _)| a.cmp(b));
        tenants
    }

    /// Returns the stream of events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.parts.tenants.events()
    }

    /// Returns a report of the signing keys: which are available, and how they are updated.
    #[must_use]
    pub fn keys(&self) -> KeysReport {
        self.parts.handler.verifier().report()
    }

    /// Returns the environment of this gate.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.parts.environment
    }
}

impl fmt::Debug for TenantGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGate")
            .field("environment", &self.parts.environment)
            .field("tenants", &self.parts.tenants)
            .field("write_back", &self.parts.write_back)
            .finish_non_exhaustive()
    }
}
