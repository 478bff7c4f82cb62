//! The in-memory view of every tenant: what the hot path reads.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use dashmap::DashMap;
use tokio::sync::broadcast;

use crate::{
    status::{
        ChangeType, Evidence, Record, TenantStatus, UnavailableReason,
        alike::Alike,
        derive::{Settle, deciding, status},
        tenant_status::Closure,
    },
    tenant_id::TenantId,
    tenants::{
        correction::Correction,
        events::{Events, TenantEvent},
        update::{Applied, Outcome, Update},
    },
};

/// The records of all tenants, and beside each what the hot path needs of it.
///
/// One map: a tenant's entry is held while its record is joined and its status derived, so the
/// summary that the guard reads always belongs to the record. Records are changed by
/// [`Tenants::apply`](super::Tenants::apply) alone.
pub(crate) struct Registry {
    tenants: DashMap<TenantId, Entry, foldhash::fast::RandomState>,
    /// Sent to while the tenant is locked: the events of one tenant come in their order.
    events: broadcast::Sender<TenantEvent>,
    /// How many tenants are closed. While it is 0 a call is allowed before anything of it is read.
    closed: AtomicUsize,
    settle: Settle,
    alike: Mutex<Alike>,
}

/// A tenant. It stays small, because there may be a million.
#[derive(Debug, Default)]
struct Entry {
    record: Record,
    since: u64,
    /// Seconds since the epoch, rounded up; 0 for none.
    due: u32,
    closed: Option<(UnavailableReason, Evidence)>,
    /// Closed as not ready until something is known of it.
    pending: bool,
}

/// What the guard needs to refuse a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedSummary {
    pub(crate) reason: UnavailableReason,
    pub(crate) evidence: Evidence,
    /// ms since the epoch.
    pub(crate) since: u64,
    /// When the tenant is looked at next, ms since the epoch; 0 when no look is scheduled.
    pub(crate) due: u64,
}

impl Registry {
    pub(super) fn new(settle: Settle, event_capacity: usize) -> Self {
        Self {
            tenants: DashMap::default(),
            events: broadcast::Sender::new(event_capacity.max(1)),
            closed: AtomicUsize::new(0),
            settle,
            alike: Mutex::default(),
        }
    }

    /// Whether any tenant is closed at all: one atomic load.
    #[inline]
    pub(crate) fn any_closed(&self) -> bool {
        // Acquire pairs with the release in `summarize`: who learns of a closed tenant from its
        // answered notification finds the entry.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// What closes `tenant`, if it is closed.
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

    /// The status of `tenant`, and the record it is derived from.
    pub(crate) fn look_up(&self, tenant: &TenantId) -> (TenantStatus, Record) {
        match self.tenants.get(tenant) {
            Some(entry) => (entry.status(&self.settle), entry.record.clone()),
            None => (status(&Record::default(), &self.settle), Record::default()),
        }
    }

    pub(crate) fn record(&self, tenant: &TenantId) -> Option<Record> {
        self.tenants.get(tenant).map(|entry| entry.record.clone())
    }

    /// What `of` finds in the record of `tenant`, without copying it.
    pub(crate) fn read<T>(&self, tenant: &TenantId, of: impl FnOnce(&Record) -> T) -> Option<T> {
        self.tenants.get(tenant).map(|entry| of(&entry.record))
    }

    /// Calls `each` with every tenant. A shard is locked meanwhile: `each` must not come back here.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&TenantId, TenantStatus, &Record)) {
        for entry in &self.tenants {
            each(entry.key(), entry.status(&self.settle), &entry.record);
        }
    }

    /// Changes the record of `tenant`. `mark` is called when it changed, while the tenant is still
    /// locked: the change can't be seen before.
    pub(super) fn apply(
        &self,
        tenant: &TenantId,
        mut update: Update,
        mark: impl FnOnce(),
    ) -> Applied {
        update.intern(&mut self.alike());
        let (notification, pull) = (update.notification(), update.pull());
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status(&self.settle);
        let known = pull.map(|asked| (asked, entry.record.clone()));
        let outcome = match update.into_facts(&entry.record) {
            Ok(facts) if entry.merge(&facts) => Outcome::Recorded,
            Ok(_) => Outcome::Stale,
            Err(outcome) => outcome,
        };
        let changed = outcome == Outcome::Recorded;
        if changed {
            mark();
        }
        let after = self.summarize(&mut entry);
        let mut applied = Applied {
            outcome,
            notified: notification.filter(|_| changed).map(|(change, _)| change),
            correction: known.and_then(|(asked, known)| {
                Correction::between(&known, &before, &after, asked).filter(|_| changed)
            }),
            expires: entry.record.word_ends(),
            before,
            after,
        };
        if changed && applied.status_changed() {
            applied.outcome = Outcome::Applied;
        }
        self.publish(tenant, &applied, notification);
        applied
    }

    /// Spells `tenant` as a shared store does, if it is known: then all replicas show it alike.
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

    /// Keeps `tenant` closed as not ready until something is known of it.
    pub(super) fn close_until_known(&self, tenant: &TenantId, now: u64) {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status(&self.settle);
        if before.is_available() && is_silent(&entry.record) {
            entry.pending = true;
            entry.since = now;
        }
        let after = self.summarize(&mut entry);
        self.publish_change(tenant, &before, &after);
    }

    /// Notes when `tenant` is looked at next, ms since the epoch; 0 for never. `false` when nothing
    /// was ever heard of it, so that there is no entry to note it in.
    pub(crate) fn set_due(&self, tenant: &TenantId, due: u64) -> bool {
        let Some(mut entry) = self.tenants.get_mut(tenant) else { return false };
        entry.due = due_second(due);
        true
    }

    /// How many looks are noted for `now` or earlier, and the earliest of them, in ms since the epoch.
    /// It walks through all tenants, and holds up those who change one of them for a moment only.
    pub(crate) fn overdue(&self, now: u64) -> (usize, Option<u64>) {
        let mut count = 0;
        let mut earliest = None;
        for entry in self.tenants.iter().filter(|entry| entry.is_overdue(now)) {
            count += 1;
            earliest = Some(earliest.map_or(entry.due, |due: u32| due.min(entry.due)));
        }
        (count, earliest.map(|due| u64::from(due) * 1000))
    }

    /// Whether the look that is noted for `tenant` should have been made by `now`.
    pub(crate) fn is_overdue(&self, tenant: &TenantId, now: u64) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_overdue(now))
    }

    /// Whether a look at `tenant` at `due` is the one that was noted last.
    pub(crate) fn is_due_at(&self, tenant: &TenantId, due: u64) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.due == due_second(due))
    }

    /// Brings an entry's summary and the count of closed tenants up to its record, and returns its
    /// status.
    fn summarize(&self, entry: &mut Entry) -> TenantStatus {
        entry.pending &= is_silent(&entry.record);
        let status = entry.status(&self.settle);
        let was_closed = entry.closed.is_some();
        entry.closed = status.closure.map(|closure| (closure.reason, status.evidence));
        entry.since = status.closure.map_or(0, |closure| closure.since);
        match (was_closed, entry.closed.is_some()) {
            (false, true) => _ = self.closed.fetch_add(1, Ordering::Release),
            (true, false) => _ = self.closed.fetch_sub(1, Ordering::Release),
            _ => {}
        }
        status
    }

    /// Publishes what a change means. Its tenant is still locked, so its events come in order.
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
        // An error says that nothing is subscribed.
        let _ = self.events.send(event);
    }

    pub(super) fn events(&self) -> Events {
        Events::new(self.events.subscribe())
    }

    fn alike(&self) -> MutexGuard<'_, Alike> {
        // Nothing is left half done while the lock is held.
        self.alike.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time in ms since the epoch as an entry keeps it: in seconds, rounded up.
fn due_second(due: u64) -> u32 {
    u32::try_from(due.div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Whether `record` says nothing of whether its tenant is open.
fn is_silent(record: &Record) -> bool {
    record.pulls().next().is_none() && deciding(record).is_none()
}

impl Entry {
    /// Joins `facts` into the record: the only place where it changes. Says whether it did.
    fn merge(&mut self, facts: &Record) -> bool {
        self.record.merge(facts)
    }

    fn is_overdue(&self, now: u64) -> bool {
        self.due != 0 && u64::from(self.due) * 1000 <= now
    }

    fn summary(&self) -> Option<ClosedSummary> {
        let (reason, evidence) = self.closed?;
        Some(ClosedSummary { reason, evidence, since: self.since, due: u64::from(self.due) * 1000 })
    }

    fn status(&self, settle: &Settle) -> TenantStatus {
        let mut status = status(&self.record, settle);
        if self.pending && status.evidence != Evidence::Operator {
            status.closure =
                Some(Closure { reason: UnavailableReason::NotReady, since: self.since });
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
