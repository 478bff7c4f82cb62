//! The gate: owns what is known of the tenants and hands out the layers.

mod builder;
mod health;
mod tasks;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Uri;
use smol_str::SmolStr;

pub use self::builder::{BuildError, TenantGateBuilder};
use self::tasks::Tasks;

use crate::{
    clock::Clock,
    endpoint::{EndpointLayer, Locator},
    environment::Environment,
    guard::{GuardLayer, GuardState, TenantUnavailable},
    notification::{NotificationHandler, NotificationLayer, NotificationService},
    persist::WriteBack,
    pull::Pulls,
    status::{Record, TenantStatus, overrides::OverrideAction},
    store::StoreError,
    tenant_id::TenantId,
    tenants::{Tenants, Update, events::Events, overrides::cut_note, waiters::Available},
    token::KeysReport,
};

/// Knows which tenants are closed, and keeps calls away from them.
///
/// A cheap handle: clones share one state. The tasks in the background end when the last handle,
/// layer and service of a gate is gone.
#[doc = include_str!("../../docs/gate.md")]
#[derive(Clone)]
pub struct TenantGate {
    parts: Arc<Parts>,
}

/// What a gate is put together from. Each layer and service takes from it what it needs.
struct Parts {
    environment: Environment,
    clock: Clock,
    tenants: Arc<Tenants>,
    /// `None` without a store: then nothing has to be carried anywhere.
    write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pulls: Option<Arc<Pulls>>,
    handler: NotificationHandler,
    notification_path: Arc<str>,
    guard_state: Arc<GuardState>,
    locator: Arc<Locator>,
    close_tracked_until_known: bool,
    resume_jitter: Duration,
    /// They end with the last of these handles, and of those that layers and services hold.
    tasks: Arc<Tasks>,
}

impl TenantGate {
    /// Starts to configure a gate for `environment`.
    pub fn builder(environment: Environment) -> TenantGateBuilder {
        TenantGateBuilder::new(environment)
    }

    /// The notification route as a layer around a whole app.
    #[must_use]
    pub fn notification_layer(&self) -> NotificationLayer {
        let Parts { handler, notification_path, .. } = &*self.parts;
        NotificationLayer::new(handler.clone(), Arc::clone(notification_path))
    }

    /// The notification route as a service, to be mounted at a path.
    #[must_use]
    pub fn notification_service(&self) -> NotificationService {
        NotificationService::new(self.parts.handler.clone())
    }

    /// The layer that keeps calls of an HTTP client away from closed tenants.
    #[must_use]
    pub fn guard_layer(&self) -> GuardLayer {
        GuardLayer::new(Arc::clone(&self.parts.guard_state))
    }

    /// The layer that sends each call of an HTTP client to the host that serves its tenant now.
    #[must_use]
    pub fn endpoint_layer(&self) -> EndpointLayer {
        EndpointLayer::new(Arc::clone(&self.parts.locator))
    }

    /// Where `tenant` is served from, `https://online2.superoffice.com/`, as the state API said last.
    ///
    /// `None` when that is not known. While the state API is off, what a Move said.
    #[must_use]
    pub fn endpoint(&self, tenant: &TenantId) -> Option<Uri> {
        self.parts.locator.origin(tenant)?.to_uri()
    }

    /// Asks the state API about `tenant` at once; does nothing while it is off.
    ///
    /// It waits for nothing: the answer shows in [`status`](Self::status) and
    /// [`events`](Self::events).
    pub fn recheck(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.parts.pulls {
            pulls.request_pull(tenant);
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
        let Some(pulls) = &self.parts.pulls else { return };
        for tenant in tenants {
            if self.parts.close_tracked_until_known {
                self.parts.tenants.close_until_known(&tenant);
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
        self.parts.guard_state.check(tenant)
    }

    /// What is known of `tenant`; one never heard of is available.
    #[must_use]
    pub fn status(&self, tenant: &TenantId) -> TenantStatus {
        let (status, record) = self.parts.tenants.registry().look_up(tenant);
        self.with_endpoint(status, &record)
    }

    /// The status of every tenant ever heard of, ordered by id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(TenantId, TenantStatus)> {
        let registry = self.parts.tenants.registry();
        let mut tenants = Vec::with_capacity(registry.len());
        registry.for_each(|tenant, status, record| {
            tenants.push((tenant.clone(), self.with_endpoint(status, record)));
        });
        tenants.sort_by(|(a, _), (b, _)| a.cmp(b));
        tenants
    }

    /// Waits until `tenant` can be called; ready at once when it can.
    pub fn available(&self, tenant: &TenantId) -> Available {
        self.parts.tenants.available(tenant.clone(), self.parts.resume_jitter)
    }

    /// What happens to tenants from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.parts.tenants.events()
    }

    /// Lets calls to `tenant` through, whatever SuperOffice says, until it is [`release`](Self::release)d.
    ///
    /// # Errors
    ///
    /// When the store could not be written in time. The word is in force here all the same, and is
    /// stored when the store is back.
    pub async fn open(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Open, note.as_ref(), None).await
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
        self.set_override(tenant, OverrideAction::Open, note.as_ref(), Some(end)).await
    }

    /// Keeps calls away from `tenant`, whatever SuperOffice says, until it is [`release`](Self::release)d.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn close(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Close, note.as_ref(), None).await
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
        self.set_override(tenant, OverrideAction::Close, note.as_ref(), Some(end)).await
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
        self.set_override(tenant, OverrideAction::Release, note.as_ref(), None).await
    }

    async fn set_override(
        &self,
        tenant: &TenantId,
        action: OverrideAction,
        note: &str,
        end: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        let until = end.map(|end| {
            let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        let Parts { clock, tenants, write_back, .. } = &*self.parts;
        let (note, now) = (cut_note(note), clock.unix_ms());
        tenants.apply(tenant, Update::Override { action, note, until, now });
        crate::log::info!(%tenant, ?action, "override set");
        let stored = write_back.as_ref().and_then(|write_back| write_back.stored(tenant));
        let Some(stored) = stored else { return Ok(()) };
        if stored.in_time().await {
            return Ok(());
        }
        Err(StoreError::unavailable(
            "the word is in force here, but the store did not take it in time: it is written when the store is back",
        ))
    }

    fn with_endpoint(&self, mut status: TenantStatus, record: &Record) -> TenantStatus {
        let origin = self.parts.locator.origin_in(record);
        status.endpoint = origin.map(|origin| SmolStr::new(origin.authority().as_str()));
        status
    }

    /// Which keys are at hand to verify notifications, and how they are kept up to date.
    #[must_use]
    pub fn keys(&self) -> KeysReport {
        self.parts.handler.verifier().report()
    }

    /// The environment this gate serves.
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
