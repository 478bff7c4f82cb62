//! The gate: owns what is known of the tenants and hands out the layers.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use http::Uri;
use smol_str::SmolStr;
use tokio::{sync::broadcast, task::AbortHandle};

use crate::{
    available::{Available, Waiters},
    builder::TenantGateBuilder,
    clock::Clock,
    directory::{Directory, Merged, Outcome},
    endpoint::EndpointLayer,
    environment::Environment,
    events::{Events, TenantEvent},
    guard::{Gatekeeper, GuardLayer, TenantUnavailable},
    health::{Counters, Health, StoreHealth},
    notification::{NotificationLayer, NotificationService, Receiver},
    operator::{Ends, cut_note},
    persist::{Persister, StoreState, Stored},
    reconcile::Reconciler,
    status::{
        ChangeType, Record, TenantStatus, UnavailableReason,
        fact::{Fact, Notified, Order, Word},
        tenant_status::system_time,
    },
    store::StoreError,
    tenant::TenantId,
    token::{KeysReport, Verifier},
};

/// Knows which tenants are closed, and keeps calls away from them.
///
/// A cheap handle: clones share one state. The tasks in the background end when the last handle,
/// layer and service of a gate is gone.
#[doc = include_str!("../docs/gate.md")]
#[derive(Clone)]
pub struct TenantGate {
    shared: Arc<Shared>,
    gatekeeper: Arc<Gatekeeper>,
}

/// What all handles, layers and services of a gate share.
pub(crate) struct Shared {
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    pub(crate) directory: Arc<Directory>,
    pub(crate) verifier: Verifier,
    pub(crate) counters: Counters,
    pub(crate) body_limit: usize,
    pub(crate) body_deadline: Duration,
    pub(crate) path: Arc<str>,
    pub(crate) resume_jitter: Duration,
    pub(crate) events: broadcast::Sender<TenantEvent>,
    pub(crate) waiters: Arc<Waiters>,
    /// Words that end by themselves.
    pub(crate) ends: Arc<Ends>,
    /// `None` without a store: then nothing has to be carried anywhere.
    pub(crate) persister: Option<Arc<Persister>>,
    /// `None` while the state API is off.
    pub(crate) reconciler: Option<Arc<Reconciler>>,
    pub(crate) hold_tracked: bool,
    pub(crate) tasks: Tasks,
}

/// The tasks of a gate; they end with it.
#[derive(Default)]
pub(crate) struct Tasks(OnceLock<Vec<AbortHandle>>);

impl Tasks {
    pub(crate) fn keep(&self, tasks: Vec<AbortHandle>) {
        // A gate starts its tasks once, when it is built.
        let _ = self.0.set(tasks);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.get().into_iter().flatten().for_each(AbortHandle::abort);
    }
}

impl TenantGate {
    /// Starts to configure a gate for `environment`.
    pub fn builder(environment: Environment) -> TenantGateBuilder {
        TenantGateBuilder::new(environment)
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        let gatekeeper = Arc::new(Gatekeeper::of(Arc::clone(&shared)));
        Self { shared, gatekeeper }
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
        GuardLayer::new(Arc::clone(&self.gatekeeper))
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
        if let Some(reconciler) = &self.shared.reconciler {
            reconciler.evidence(tenant);
        }
    }

    /// Asks the state API about tenants that are known to exist, one after the other, as fast as the
    /// [`Schedule`](crate::Schedule) allows, until each has answered; does nothing while it is off.
    ///
    /// Call it once at start with the tenants you serve: a Suspend that began before your service
    /// first ran was announced to nobody. Until a tenant's answer is in, it is open, or with
    /// [`hold_tracked`](TenantGateBuilder::hold_tracked) closed as not ready, unless something is
    /// known of it already.
    pub fn track(&self, tenants: impl IntoIterator<Item = TenantId>) {
        let Some(reconciler) = &self.shared.reconciler else { return };
        for tenant in tenants {
            if self.shared.hold_tracked {
                self.shared.hold(&tenant);
            }
            reconciler.track(&tenant);
        }
    }

    /// Whether `tenant` can be called now.
    ///
    /// # Errors
    ///
    /// When it is closed: why, and since when.
    pub fn check(&self, tenant: &TenantId) -> Result<(), TenantUnavailable> {
        self.gatekeeper.check(tenant)
    }

    /// What is known of `tenant`; one never heard of is available.
    #[must_use]
    pub fn status(&self, tenant: &TenantId) -> TenantStatus {
        let (status, record) = self.shared.directory.look_up(tenant);
        self.shared.with_endpoint(status, &record)
    }

    /// The status of every tenant ever heard of, ordered by id.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(TenantId, TenantStatus)> {
        let mut tenants = Vec::with_capacity(self.shared.directory.len());
        self.shared.directory.for_each(|tenant, status, record| {
            tenants.push((tenant.clone(), self.shared.with_endpoint(status, record)));
        });
        tenants.sort_by(|(a, _), (b, _)| a.cmp(b));
        tenants
    }

    /// Waits until `tenant` can be called; ready at once when it can.
    pub fn available(&self, tenant: &TenantId) -> Available {
        Available::new(
            Arc::clone(&self.shared.directory),
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
        let calls = |count: fn(&Gatekeeper, UnavailableReason) -> u64| {
            UnavailableReason::ALL.into_iter().map(|reason| count(&self.gatekeeper, reason)).sum()
        };
        Health {
            refused_calls: calls(Gatekeeper::refused),
            observed_calls: calls(Gatekeeper::observed),
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

impl Shared {
    /// Takes a verified notification: from here on calls see what it says.
    pub(crate) fn notified(&self, tenant: &TenantId, notified: Notified) -> Outcome {
        let change = notified.change;
        let at = notified.at;
        let (outcome, merged) = self.directory.take(tenant, notified);
        self.counters.taken(outcome);
        tracing::info!(%tenant, %change, ?outcome, "notification taken");
        if merged.grew {
            self.grew(tenant, &merged);
            self.announce(tenant, change, at);
        }
        outcome
    }

    /// Publishes what a notification says besides open and closed.
    fn announce(&self, tenant: &TenantId, change: ChangeType, at: i64) {
        let id = tenant.clone();
        self.publish(match change {
            ChangeType::BackupRestored => TenantEvent::Restored { tenant: id, epoch: at },
            ChangeType::Move => TenantEvent::Moved { tenant: id },
            ChangeType::Other(number) => TenantEvent::Unknown { tenant: id, number },
            _ => return,
        });
        // It doesn't say how the tenant is now: the state API does.
        if let Some(reconciler) = &self.reconciler {
            reconciler.evidence(tenant);
        }
    }

    fn say(&self, tenant: &TenantId, order: Order, note: String, until: Option<u64>) {
        let set_at = self.clock.unix_ms();
        // Two words within one millisecond: the later one counts.
        let last = self.directory.record(tenant).and_then(|record| record.word().map(|w| w.set_at));
        let set_at = last.map_or(set_at, |last| set_at.max(last.saturating_add(1)));
        let word = Word { order, set_at, until, note, extra: serde_json::Map::new() };
        tracing::info!(%tenant, ?order, "an operator spoke");
        let merged = self.directory.merge(tenant, &Record::of(Fact::Word(Box::new(word))));
        self.grew(tenant, &merged);
    }

    /// Ends the words whose time has come.
    pub(crate) fn end_words(&self) {
        let now = self.clock.unix_ms();
        for tenant in self.ends.take_due(now) {
            let ended = self.directory.record(&tenant).and_then(|record| record.word_ended(now));
            if let Some(release) = ended {
                let merged = self.directory.merge(&tenant, &release);
                self.grew(&tenant, &merged);
            }
        }
    }

    /// Joins in what the store has of `tenant`.
    pub(crate) fn learn(&self, tenant: &TenantId, record: &Record) {
        let merged = self.directory.load(tenant, record.clone());
        if merged.grew {
            self.follow(tenant, &merged);
        }
    }

    /// What a record that grew here leads to.
    pub(crate) fn grew(&self, tenant: &TenantId, merged: &Merged) {
        if let Some(persister) = self.persister.as_ref().filter(|_| merged.grew) {
            persister.mark(tenant);
        }
        self.follow(tenant, merged);
    }

    /// What a record that grew leads to, wherever it grew first.
    fn follow(&self, tenant: &TenantId, merged: &Merged) {
        let record = self.directory.record(tenant);
        if let Some(ends) = record.and_then(|record| record.word_ends()) {
            self.ends.note(ends, tenant);
        }
        if let Some(reconciler) = self.reconciler.as_ref().filter(|_| merged.grew) {
            reconciler.changed(tenant);
        }
        if !merged.changed() {
            return;
        }
        if merged.after.is_available() {
            self.waiters.wake(tenant);
        }
        let (tenant, status) = (tenant.clone(), merged.after.clone());
        self.publish(TenantEvent::Changed { tenant, status });
    }

    /// Keeps `tenant` closed until something is known of it.
    fn hold(&self, tenant: &TenantId) {
        let merged = self.directory.hold(tenant, self.clock.unix_ms());
        self.follow(tenant, &merged);
    }

    pub(crate) fn publish(&self, event: TenantEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    /// Waits until what is known of `tenant` is stored; `None` when it already is.
    pub(crate) fn stored(&self, tenant: &TenantId) -> Option<Stored> {
        self.persister.as_ref()?.stored(tenant)
    }

    /// A notification could not be verified for want of keys.
    pub(crate) fn keys_missing(&self, tenant: &TenantId) {
        if let Some(reconciler) = &self.reconciler {
            reconciler.unverified(tenant);
        }
    }

    fn with_endpoint(&self, mut status: TenantStatus, record: &Record) -> TenantStatus {
        let origin = self.origin_in(record);
        status.endpoint = origin.map(|origin| SmolStr::new(origin.authority().as_str()));
        status
    }

    fn health(&self) -> Health {
        let state =
            self.persister.as_ref().map_or(StoreState::Fresh, |persister| persister.health());
        Health {
            tenants: self.directory.len(),
            closed: self.directory.closed_count(),
            store: match state {
                StoreState::Fresh => StoreHealth::Fresh,
                StoreState::Stale { since } => StoreHealth::Stale { since: system_time(since) },
                StoreState::Failed => StoreHealth::Failed,
            },
            dirty: self.persister.as_ref().map_or(0, |persister| persister.dirty()),
            notifications: self.counters.read(),
            pulls: self.reconciler.as_ref().map(|reconciler| reconciler.health()),
            refused_calls: 0,
            observed_calls: 0,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGate")
            .field("environment", &self.environment)
            .field("directory", &self.directory)
            .field("persister", &self.persister)
            .finish_non_exhaustive()
    }
}
