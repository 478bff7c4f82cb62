//! The registry of tenants in memory, which the hot path reads.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use tokio::sync::broadcast;

use crate::{
    clock::Clock,
    status::{
        ChangeType, Evidence, Record, TenantStatus, UnavailableReason,
        derive::status,
        history::{Gained, PullHistory},
        intern::Interner,
        knowledge::Knowledge,
        mono::Mono,
        past::Past,
        settle::Settle,
        stamp::PullStamp,
        tenant_status::Closed,
    },
    tenant_id::TenantId,
    tenants::{
        correction::{Correction, agreed_within},
        events::{Events, TenantEvent},
        update::{Applied, Outcome, Update},
    },
};

/// The records of all tenants, each with a summary for the hot path.
///
/// One map: a tenant's entry is locked while its record is merged and its status derived, so that
/// the summary always agrees with the record. Records are changed by
/// [`Tenants::apply`](super::Tenants::apply) alone.
pub(crate) struct Registry {
    tenants: DashMap<TenantId, Entry, foldhash::fast::RandomState>,
    /// Used while the tenant is locked, so that its events are in order.
    events: broadcast::Sender<TenantEvent>,
    /// Number of closed tenants. While it is 0, calls are allowed without reading their URL.
    closed: AtomicUsize,
    settle: Settle,
    clock: Clock,
    interner: Mutex<Interner>,
}

/// A tenant. It stays small, because there may be a million, and a hash table has twice the room
/// that they take: so all that a call to an open tenant doesn't read is behind one pointer.
#[derive(Debug, Default)]
struct Entry {
    known: Box<Known>,
    /// When it is pulled next.
    due: Due,
    closed: Option<(UnavailableReason, Evidence)>,
    /// Closed as not ready until something is known of it.
    pending: bool,
}

/// All that is known of a tenant here.
#[derive(Debug, Default)]
struct Known {
    record: Record,
    /// Since when what the record says is known here. Changes with the record, and is never stored.
    knowledge: Knowledge,
    /// What is remembered of its pulls, as the knowledge is.
    history: PullHistory,
    /// Since when it is closed, ms since the epoch.
    since: u64,
}

/// An optional moment, in the size of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due(Mono);

impl Default for Due {
    fn default() -> Self {
        Self(Mono::NEVER)
    }
}

/// The data of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedSummary {
    pub(crate) reason: UnavailableReason,
    pub(crate) evidence: Evidence,
    /// ms since the epoch.
    pub(crate) since: u64,
    /// Time of the tenant's next pull, on the gate's monotonic clock; `None` when none is
    /// scheduled.
    pub(crate) due: Option<Mono>,
}

impl Registry {
    pub(super) fn new(settle: Settle, event_capacity: usize, clock: Clock) -> Self {
        Self {
            tenants: DashMap::default(),
            events: broadcast::Sender::new(event_capacity.max(1)),
            closed: AtomicUsize::new(0),
            settle,
            clock,
            interner: Mutex::default(),
        }
    }

    /// Returns whether any tenant is closed: one atomic load.
    #[inline]
    pub(crate) fn any_closed(&self) -> bool {
        // Acquire pairs with the release in `summarize`: a caller that knows of an answered
        // notification finds the entry.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Returns the data of the refusal if `tenant` is closed.
    #[inline]
    pub(crate) fn closed(&self, tenant: &TenantId) -> Option<ClosedSummary> {
        self.tenants.get(tenant)?.summary()
    }

    pub(crate) fn closed_count(&self) -> usize {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn len(&self) -> usize {
        self.tenants.len()
    }

    pub(crate) fn settle(&self) -> Settle {
        self.settle
    }

    /// Returns the status of `tenant`, and its record.
    pub(crate) fn look_up(&self, tenant: &TenantId) -> (TenantStatus, Record) {
        match self.tenants.get(tenant) {
            Some(entry) => (entry.status(), entry.known.record.clone()),
            None => (status(&Record::default()), Record::default()),
        }
    }

    pub(crate) fn record(&self, tenant: &TenantId) -> Option<Record> {
        self.tenants.get(tenant).map(|entry| entry.known.record.clone())
    }

    /// Applies `of` to the record of `tenant` without cloning it.
    pub(crate) fn read<T>(&self, tenant: &TenantId, of: impl FnOnce(&Record) -> T) -> Option<T> {
        self.tenants.get(tenant).map(|entry| of(&entry.known.record))
    }

    /// Calls `each` with every tenant. A shard is locked during the call: `each` must not access
    /// the registry.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&TenantId, TenantStatus, &Record)) {
        for entry in &self.tenants {
            each(entry.key(), entry.status(), &entry.known.record);
        }
    }

    /// Changes the record of `tenant`. `mark` is called after a change while the tenant is locked,
    /// before the change is visible.
    pub(super) fn apply(
        &self,
        tenant: &TenantId,
        mut update: Update,
        mark: impl FnOnce(),
    ) -> Applied {
        update.intern(&mut self.interner());
        let (notification, is_pull) = (update.notification(), update.is_pull());
        let now = self.clock.elapsed();
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status();
        // The first fact of a tenant corrects nothing.
        let corrects = is_pull && !entry.known.record.is_empty();
        let within = entry.agreed_within(now).filter(|_| corrects);
        let outcome = match entry.merge(update, &self.settle, now) {
            Ok(true) => Outcome::Recorded,
            Ok(false) => Outcome::Stale,
            Err(outcome) => outcome,
        };
        let changed = outcome == Outcome::Recorded;
        if changed {
            mark();
        }
        let after = self.summarize(&mut entry);
        let correction = Correction::between(&before, &after, within);
        let mut applied = Applied {
            outcome,
            notified: notification.filter(|_| changed).map(|(change, _)| change),
            correction: correction.filter(|_| changed && corrects),
            expires: entry.known.record.latest_override().and_then(|latest| latest.end()),
            before,
            after,
        };
        if changed && applied.status_changed() {
            applied.outcome = Outcome::Applied;
        }
        self.publish(tenant, &applied, notification);
        applied
    }

    /// Adopts the spelling of the store for `tenant`, if it has an entry, so that all replicas
    /// display the same.
    pub(crate) fn adopt_spelling(&self, tenant: &TenantId) {
        let spelled_so = |own: &TenantId| own.as_str() == tenant.as_str();
        if self.tenants.get(tenant).is_none_or(|entry| spelled_so(entry.key())) {
            return;
        }
        if let dashmap::Entry::Occupied(mut entry) = self.tenants.entry(tenant.clone()) {
            let kept = std::mem::take(entry.get_mut());
            entry.replace_entry(kept);
        }
    }

    /// Keeps `tenant` closed, as not ready, until it has a record.
    pub(super) fn close_until_known(&self, tenant: &TenantId, now: u64) {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status();
        if before.is_available() && is_silent(&entry.known.record) {
            entry.pending = true;
            entry.known.since = now;
        }
        let after = self.summarize(&mut entry);
        self.publish_change(tenant, &before, &after);
    }

    /// Returns the stamp of a pull of `tenant` that is sent now.
    pub(crate) fn stamp(&self, tenant: &TenantId) -> PullStamp {
        let now = self.clock.elapsed();
        let stamp = |entry: &Entry| {
            PullStamp::new(&entry.known.record, &entry.known.knowledge, &self.settle, now)
        };
        match self.tenants.get(tenant) {
            Some(entry) => stamp(&entry),
            None => stamp(&Entry::default()),
        }
    }

    /// Sets the time of the next pull of `tenant`, which `next` computes from its entry. `None`
    /// without an entry.
    pub(crate) fn schedule(
        &self,
        tenant: &TenantId,
        next: impl FnOnce(&Record, &Knowledge, &mut PullHistory) -> Option<Mono>,
    ) -> Option<()> {
        let mut entry = self.tenants.get_mut(tenant)?;
        let Known { record, knowledge, history, .. } = &mut *entry.known;
        let due = next(record, knowledge, history);
        entry.due = due.map_or_else(Due::default, Due);
        Some(())
    }

    /// Sets the time of the next pull of `tenant`; `false` without an entry.
    pub(crate) fn set_due(&self, tenant: &TenantId, due: Option<Mono>) -> bool {
        self.schedule(tenant, |_, _, _| due).is_some()
    }

    /// Counts the pulls that are due by `now`, and returns the earliest of them. It walks through
    /// all tenants, and delays a change of one of them for a moment only.
    pub(crate) fn overdue(&self, now: Duration) -> (usize, Option<Mono>) {
        let now = Mono::at(now);
        let due = self.tenants.iter().filter_map(|entry| entry.due());
        due.filter(|due| *due <= now).fold((0, None), |(count, earliest), due| {
            (count + 1, Some(earliest.map_or(due, |earliest: Mono| earliest.min(due))))
        })
    }

    /// Returns the time of the next pull of `tenant`.
    pub(crate) fn due(&self, tenant: &TenantId) -> Option<Mono> {
        self.tenants.get(tenant)?.due()
    }

    /// Updates an entry's summary and the count of closed tenants from its record, and returns its
    /// status.
    fn summarize(&self, entry: &mut Entry) -> TenantStatus {
        entry.pending &= is_silent(&entry.known.record);
        let status = entry.status();
        let was_closed = entry.closed.is_some();
        entry.closed = status.closed.map(|closed| (closed.reason, status.evidence));
        entry.known.since = status.closed.map_or(0, |closed| closed.since);
        match (was_closed, entry.closed.is_some()) {
            (false, true) => _ = self.closed.fetch_add(1, Ordering::Release),
            (true, false) => _ = self.closed.fetch_sub(1, Ordering::Release),
            _ => {}
        }
        status
    }

    /// Publishes the events of a change. Its tenant is still locked, so that its events are in
    /// order.
    fn publish(
        &self,
        tenant: &TenantId,
        applied: &Applied,
        notification: Option<(ChangeType, i64)>,
    ) {
        let Applied { before, after, .. } = applied;
        self.publish_change(tenant, before, after);
        if let Some((change, token_time)) = notification.filter(|_| applied.changed()) {
            let tenant = tenant.clone();
            match change {
                ChangeType::BackupRestored => {
                    self.send(TenantEvent::Restored { tenant, epoch: token_time });
                }
                ChangeType::Move => self.send(TenantEvent::Moved { tenant }),
                ChangeType::Other(number) => self.send(TenantEvent::Unknown { tenant, number }),
                _ => {}
            }
        }
        if let Some(correction) = applied.correction {
            let (tenant, status) = (tenant.clone(), after.clone());
            self.send(TenantEvent::Corrected { tenant, status, correction });
        }
    }

    fn publish_change(&self, tenant: &TenantId, before: &TenantStatus, after: &TenantStatus) {
        if before.reason() != after.reason() {
            let (tenant, status) = (tenant.clone(), after.clone());
            self.send(TenantEvent::Changed { tenant, status });
        }
    }

    fn send(&self, event: TenantEvent) {
        // Fails without subscribers.
        let _ = self.events.send(event);
    }

    pub(super) fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    fn interner(&self) -> MutexGuard<'_, Interner> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.interner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether `record` has no fact about whether its tenant is open.
fn is_silent(record: &Record) -> bool {
    record.pulls().next().is_none() && record.deciding().is_none()
}

impl Entry {
    /// Merges `update` into the record, the only place where it changes, and updates the rest of
    /// the entry. Returns whether it changed, or why the update has no effect.
    fn merge(&mut self, update: Update, settle: &Settle, now: Duration) -> Result<bool, Outcome> {
        let (past, is_load) = (Past::of(&self.known.record), update.is_load());
        let gains = update.merge_into(&mut self.known.record, settle)?;
        if gains.any {
            let gained = match gains.pulls {
                _ if is_load => Gained::Loaded,
                true => Gained::Pull,
                false => Gained::Other,
            };
            self.known.knowledge.update(&past, &self.known.record, now);
            self.known.history.update(&past, &self.known.record, gained, now);
        }
        Ok(gains.any)
    }

    fn agreed_within(&self, now: Duration) -> Option<Duration> {
        agreed_within(&self.known.record, &self.known.knowledge, &self.known.history, now)
    }

    fn due(&self) -> Option<Mono> {
        Some(self.due.0).filter(|due| *due != Mono::NEVER)
    }

    fn summary(&self) -> Option<ClosedSummary> {
        let (reason, evidence) = self.closed?;
        Some(ClosedSummary { reason, evidence, since: self.known.since, due: self.due() })
    }

    fn status(&self) -> TenantStatus {
        let mut status = status(&self.known.record);
        if self.pending && status.evidence != Evidence::Operator {
            status.closed =
                Some(Closed { reason: UnavailableReason::NotReady, since: self.known.since });
            status.evidence = Evidence::StateApi;
        }
        status
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("tenants", &self.len())
            .field("closed", &self.closed_count())
            .finish_non_exhaustive()
    }
}
