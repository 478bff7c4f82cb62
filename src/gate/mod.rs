//! The gate: owns what is known of the tenants and hands out the layers.

mod builder;
mod shared;

use std::{fmt, sync::Arc, time::SystemTime};

use http::Uri;

pub use self::builder::{BuildError, TenantGateBuilder};
pub(crate) use self::shared::{Shared, Tasks};

use crate::{
    endpoint::EndpointLayer,
    environment::Environment,
    guard::{GuardLayer, GuardState, TenantUnavailable},
    health::Health,
    notification::{NotificationLayer, NotificationService, Receiver},
    status::{TenantStatus, UnavailableReason, fact::Order},
    store::StoreError,
    tenant_id::TenantId,
    tenants::events::Events,
    tenants::overrides::cut_note,
    tenants::waiters::Available,
    token::KeysReport,
};

/// Knows which tenants are closed, and keeps calls away from them.
///
/// A cheap handle: clones share one state. The tasks in the background end when the last handle,
/// layer and service of a gate is gone.
#[doc = include_str!("../../docs/gate.md")]
#[derive(Clone)]
pub struct TenantGate {
    shared: Arc<Shared>,
    guard_state: Arc<GuardState>,
}

impl TenantGate {
    /// Starts to configure a gate for `environment`.
    pub fn builder(environment: Environment) -> TenantGateBuilder {
        TenantGateBuilder::new(environment)
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        let guard_state = Arc::new(GuardState::of(Arc::clone(&shared)));
        Self { shared, guard_state }
    }

    /// The notification route as a layer around a whole app.
    #[must_use]
    pub fn notification_layer(&self) -> NotificationLayer {
        NotificationLayer::new(
            Receiver::new(Arc::clone(&self.shared)),
            Arc::clone(&self.shared.path),
        )
    }

    /// The notification route as a service, to be mounted at a path.
    #[must_use]
    pub fn notification_service(&self) -> NotificationService {
        NotificationService::new(Receiver::new(Arc::clone(&self.shared)))
    }

    /// The layer that keeps calls of an HTTP client away from closed tenants.
    #[must_use]
    pub fn guard_layer(&self) -> GuardLayer {
        GuardLayer::new(Arc::clone(&self.guard_state))
    }

    /// The layer that sends each call of an HTTP client to the host that serves its tenant now.
    #[must_use]
    pub fn endpoint_layer(&self) -> EndpointLayer {
        EndpointLayer::new(Arc::clone(&self.shared))
    }

    /// Where `tenant` is served from, `https://online2.superoffice.com/`, as the state API said last.
    ///
    /// `None` when that is not known. While the state API is off, what a Move said.
    #[must_use]
    pub fn endpoint(&self, tenant: &TenantId) -> Option<Uri> {
        self.shared.origin(tenant)?.to_uri()
    }

    /// Asks the state API about `tenant` at once; does nothing while it is off.
    ///
    /// It waits for nothing: the answer shows in [`status`](Self::status) and
    /// [`events`](Self::events).
    pub fn recheck(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.shared.pulls {
            pulls.evidence(tenant);
        }
    }

    /// Asks the state API about tenants that are known to exist, one after the other, as fast as the
    /// [`Schedule`](crate::pull::Schedule) allows, until each has answered; does nothing while it is off.
    ///
    /// Call it once at start with the tenants you serve: a Suspend that began before your service
    /// first ran was announced to nobody. Until a tenant's answer is in, it is open, or with
    /// [`hold_tracked`](TenantGateBuilder::hold_tracked) closed as not ready, unless something is
    /// known of it already.
    pub fn track(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let Some(pulls) = &self.shared.pulls else { return };
        for tenant in tenants {
            if self.shared.hold_tracked {
                self.shared.hold(&tenant);
            }
            pulls.track(&tenant);
        }
    }

    /// Whether `tenant` can be called now.
    ///
    /// # Errors
    ///
    /// When it is closed: why, and since when.
    pub fn check(&self, tenant: &TenantId) -> Result<(), TenantUnavailable> {
        self.guard_state.check(tenant)
    }

    /// What is known of `tenant`; one never heard of is available.
    #[must_use]
    pub fn status(&self, tenant: &TenantId) -> TenantStatus {
        let (status, record) = self.shared.registry.look_up(tenant);
        self.shared.with_endpoint(status, &record)
    }

    /// The status of every tenant ever heard of, ordered by id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(TenantId, TenantStatus)> {
        let mut tenants = Vec::with_capacity(self.shared.registry.len());
        self.shared.registry.for_each(|tenant, status, record| {
            tenants.push((tenant.clone(), self.shared.with_endpoint(status, record)));
        });
        tenants.sort_by(|(a, _), (b, _)| a.cmp(b));
        tenants
    }

    /// Waits until `tenant` can be called; ready at once when it can.
    pub fn available(&self, tenant: &TenantId) -> Available {
        Available::new(
            Arc::clone(&self.shared.registry),
            Arc::clone(&self.shared.waiters),
            tenant.clone(),
            self.shared.resume_jitter,
        )
    }

    /// What happens to tenants from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// Lets calls to `tenant` through, whatever SuperOffice says, until it is [`release`](Self::release)d.
    ///
    /// # Errors
    ///
    /// When the store could not be written in time. The word is in force here all the same, and is
    /// stored when the store is back.
    pub async fn open(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.say(tenant, Order::Open, note.as_ref(), None).await
    }

    /// Like [`open`](Self::open), until `end`.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_until(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
        end: SystemTime,
    ) -> Result<(), StoreError> {
        self.say(tenant, Order::Open, note.as_ref(), Some(end)).await
    }

    /// Keeps calls away from `tenant`, whatever SuperOffice says, until it is [`release`](Self::release)d.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn close(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.say(tenant, Order::Close, note.as_ref(), None).await
    }

    /// Like [`close`](Self::close), until `end`.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn close_until(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
        end: SystemTime,
    ) -> Result<(), StoreError> {
        self.say(tenant, Order::Close, note.as_ref(), Some(end)).await
    }

    /// Takes the operator's word on `tenant` back: SuperOffice's counts again, as it is by now.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn release(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
    ) -> Result<(), StoreError> {
        self.say(tenant, Order::Release, note.as_ref(), None).await
    }

    async fn say(
        &self,
        tenant: &TenantId,
        order: Order,
        note: &str,
        end: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        let until = end.map(|end| {
            let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        self.shared.say(tenant, order, cut_note(note), until);
        let Some(stored) = self.shared.stored(tenant) else { return Ok(()) };
        if stored.in_time().await {
            return Ok(());
        }
        Err(StoreError::unavailable(
            "the word is in force here, but the store did not take it in time: it is written when the store is back",
        ))
    }

    /// How the gate is doing, in numbers.
    #[must_use]
    pub fn health(&self) -> Health {
        let health = self.shared.health();
        let calls = |count: fn(&GuardState, UnavailableReason) -> u64| {
            UnavailableReason::ALL.into_iter().map(|reason| count(&self.guard_state, reason)).sum()
        };
        Health {
            refused_calls: calls(GuardState::refused),
            observed_calls: calls(GuardState::observed),
            ..health
        }
    }

    /// Which keys are at hand to verify notifications, and how they are kept up to date.
    #[must_use]
    pub fn keys(&self) -> KeysReport {
        self.shared.verifier.keys()
    }

    /// The environment this gate serves.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.shared.environment
    }
}

impl fmt::Debug for TenantGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
