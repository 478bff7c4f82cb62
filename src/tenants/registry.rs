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
        Evidence, Record, TenantStatus, UnavailableReason,
        alike::Alike,
        derive::{Settle, deciding, status},
        fact::{Fact, Notified},
        tenant_status::Closure,
    },
    tenant_id::TenantId,
    tenants::events::TenantEvent,
};

/// The records of all tenants, and beside each what the hot path needs of it.
///
/// One map: whoever changes a tenant holds its entry while it merges and derives, so the summary
/// that the guard reads always belongs to the record.
pub(crate) struct Registry {
    tenants: DashMap<TenantId, Entry, foldhash::fast::RandomState>,
    /// Told of each change while its tenant is locked: the changes of one tenant come in their order.
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
    /// Held closed until something is known of it.
    held: bool,
}

/// What the guard needs to refuse a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) reason: UnavailableReason,
    pub(crate) evidence: Evidence,
    /// ms since the epoch.
    pub(crate) since: u64,
    /// When the tenant is looked at next, ms since the epoch; 0 when no look is scheduled.
    pub(crate) due: u64,
}

/// What a merge did to a tenant.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Whether the record grew.
    pub(crate) grew: bool,
    pub(crate) before: TenantStatus,
    pub(crate) after: TenantStatus,
}

impl Merged {
    /// Whether the tenant opened, closed, or is now closed for another reason.
    pub(crate) fn changed(&self) -> bool {
        self.before.reason() != self.after.reason()
    }
}

/// What taking a notification did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The tenant's status changed.
    Applied,
    /// It is on record, and the status is what it was.
    Recorded,
    /// It has been taken before: same type, same token time.
    Duplicate,
    /// A newer one of its type has been taken.
    Stale,
}

impl Registry {
    pub(crate) fn new(settle: Settle, events: broadcast::Sender<TenantEvent>) -> Self {
        Self {
            tenants: DashMap::default(),
            events,
            closed: AtomicUsize::new(0),
            settle,
            alike: Mutex::default(),
        }
    }

    /// Whether any tenant is closed at all: one atomic load.
    #[inline]
    pub(crate) fn any_closed(&self) -> bool {
        // Acquire pairs with the release in `update`: whoever learns of a closed tenant from its
        // answered notification finds the entry.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// What closes `tenant`, if it is closed.
    #[inline]
    pub(crate) fn closed(&self, tenant: &TenantId) -> Option<Closed> {
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

    /// Takes a verified notification. `grown` is called when the record grew, while its tenant is
    /// still locked: nobody sees the notification before.
    pub(crate) fn take(
        &self,
        tenant: &TenantId,
        mut notified: Notified,
        grown: impl FnOnce(),
    ) -> (Outcome, Merged) {
        notified.details = self.alike().of_notified(&notified.details);
        let change = notified.change;
        let (outcome, merged) = self.update(tenant, |record| {
            let stands = record.notified(change).map(|known| (known.at, known.change));
            match stands {
                Some((at, known)) if at == notified.at && known == change => {
                    (Outcome::Duplicate, false)
                }
                Some((at, _)) if at > notified.at => (Outcome::Stale, false),
                _ if record.merge(&Record::of(Fact::Notified(notified))) => {
                    grown();
                    (Outcome::Recorded, true)
                }
                _ => (Outcome::Stale, false),
            }
        });
        let applied = outcome == Outcome::Recorded && merged.changed();
        (if applied { Outcome::Applied } else { outcome }, merged)
    }

    /// Joins `record` into what is known of `tenant`.
    pub(crate) fn merge(&self, tenant: &TenantId, record: &Record) -> Merged {
        self.update(tenant, |own| ((), own.merge(record))).1
    }

    /// Joins in what `make` makes of what is known of `tenant`; nobody changes it in between.
    pub(crate) fn merge_with(
        &self,
        tenant: &TenantId,
        make: impl FnOnce(&Record) -> Record,
    ) -> Merged {
        let join = |own: &mut Record| {
            let mut made = make(own);
            made.share_details(&mut self.alike());
            own.merge(&made)
        };
        self.update(tenant, |own| ((), join(own))).1
    }

    /// Like [`merge`](Self::merge), for records whose details others may have alike.
    pub(crate) fn load(&self, tenant: &TenantId, mut record: Record) -> Merged {
        record.share_details(&mut self.alike());
        self.merge(tenant, &record)
    }

    /// Spells `tenant` as a shared store does, if it is known: then all replicas show it alike.
    pub(crate) fn respell(&self, tenant: &TenantId) {
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
    pub(crate) fn hold(&self, tenant: &TenantId, now: u64) -> Merged {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status(&self.settle);
        if before.is_available() && is_silent(&entry.record) {
            entry.held = true;
            entry.since = now;
        }
        self.summarize(tenant, &mut entry, before, false)
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

    fn update<T>(
        &self,
        tenant: &TenantId,
        change: impl FnOnce(&mut Record) -> (T, bool),
    ) -> (T, Merged) {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status(&self.settle);
        let (answer, grew) = change(&mut entry.record);
        (answer, self.summarize(tenant, &mut entry, before, grew))
    }

    /// Brings an entry's summary and the count of closed tenants up to its record, and tells what
    /// changed by that.
    fn summarize(
        &self,
        tenant: &TenantId,
        entry: &mut Entry,
        before: TenantStatus,
        grew: bool,
    ) -> Merged {
        entry.held &= is_silent(&entry.record);
        let after = entry.status(&self.settle);
        let was_closed = entry.closed.is_some();
        entry.closed = after.closure.map(|closure| (closure.reason, after.evidence));
        entry.since = after.closure.map_or(0, |closure| closure.since);
        match (was_closed, entry.closed.is_some()) {
            (false, true) => _ = self.closed.fetch_add(1, Ordering::Release),
            (true, false) => _ = self.closed.fetch_sub(1, Ordering::Release),
            _ => {}
        }
        let merged = Merged { grew, before, after };
        if merged.changed() {
            let (tenant, status) = (tenant.clone(), merged.after.clone());
            // Nobody has to listen.
            let _ = self.events.send(TenantEvent::Changed { tenant, status });
        }
        merged
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
    fn is_overdue(&self, now: u64) -> bool {
        self.due != 0 && u64::from(self.due) * 1000 <= now
    }

    fn summary(&self) -> Option<Closed> {
        let (reason, evidence) = self.closed?;
        Some(Closed { reason, evidence, since: self.since, due: u64::from(self.due) * 1000 })
    }

    fn status(&self, settle: &Settle) -> TenantStatus {
        let mut status = status(&self.record, settle);
        if self.held && status.evidence != Evidence::Operator {
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

#[cfg(test)]
mod tests;
