//! The registry of tenants in memory, which the hot path reads.
//!
//! [`load`]: a store's records; [`pulls`]: what is scheduled for each tenant.

mod load;
mod pulls;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dashmap::DashMap;
use smol_str::SmolStr;

pub(super) use self::load::Inserted;
pub(crate) use self::pulls::ForCall;
use crate::{
    clock::Clock,
    status::{
        Record, TenantStatus, UnavailableReason, derive::status, intern::Interner, record::Gains,
        settle::Settle,
    },
    tenant_id::{FoldedId, TenantId},
    tenants::{
        closed::ClosedTenants,
        correction::Correction,
        entry::{ClosedSummary, Entry},
        events::{EventSender, Events, TenantEvent},
        forgotten::Forgotten,
        gained::{self, KnownNotifications, Turn},
        removal::Removal,
        update::{Applied, Outcome, Update},
        versions::Versions,
        wanted::Wanted,
    },
};

/// The records of all tenants, each with a summary for the hot path.
///
/// One map: a tenant's entry is locked while its record is merged and its status derived, so that
/// the summary always agrees with the record. Records are changed by [`Tenants`](super::Tenants)
/// alone.
pub(crate) struct Registry {
    tenants: DashMap<TenantId, Entry, foldhash::fast::RandomState>,
    /// Used while the tenant is locked, so that its events are in order.
    events: EventSender,
    /// While there is none, calls are allowed without reading their URL.
    closed: ClosedTenants,
    versions: Versions,
    wanted: Wanted,
    /// Used while the tenant is locked.
    forgotten: Forgotten,
    /// Whether all that the store had at the start is loaded.
    loaded: AtomicBool,
    /// Whether nothing can change a tenant any more.
    ended: AtomicBool,
    settle: Settle,
    clock: Clock,
    interner: Mutex<Interner>,
}

impl Registry {
    pub(in crate::tenants) fn new(settle: Settle, event_capacity: usize, clock: Clock) -> Self {
        Self {
            tenants: DashMap::default(),
            events: EventSender::new(event_capacity),
            closed: ClosedTenants::new(),
            versions: Versions::new(),
            wanted: Wanted::default(),
            forgotten: Forgotten::default(),
            loaded: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            settle,
            clock,
            interner: Mutex::default(),
        }
    }

    /// Returns whether any tenant is closed: one atomic load.
    #[inline]
    pub(crate) fn any_closed(&self) -> bool {
        self.closed.any()
    }

    /// Returns whether the tenant with this id may be closed; `false` is certain, and reads one
    /// cache line.
    #[inline]
    pub(crate) fn may_be_closed(&self, tenant: FoldedId<'_>) -> bool {
        self.closed.may_contain(tenant)
    }

    /// Returns the hash of a tenant id, by which calls look tenants up.
    #[inline]
    pub(crate) fn hash(&self, tenant: FoldedId<'_>) -> u64 {
        self.closed.hash(tenant)
    }

    /// Returns the version of the tenant with this hash, which is another number once the tenant
    /// has changed, or been forgotten. What is looked up after it is current until then.
    #[inline]
    pub(crate) fn version(&self, hash: u64) -> u32 {
        self.versions.get(hash)
    }

    /// Returns the data of the refusal if `tenant` is closed, and notes that it is wanted.
    pub(crate) fn closed(&self, tenant: &TenantId) -> Option<ClosedSummary> {
        let entry = self.tenants.get(tenant)?;
        let summary = entry.summary()?;
        self.note_as_wanted(tenant, &entry);
        Some(summary)
    }

    /// Returns the data of the refusal if `tenant` is closed. Notes nothing: to list
    /// tenants is not to call them.
    pub(crate) fn summary(&self, tenant: &TenantId) -> Option<ClosedSummary> {
        self.tenants.get(tenant)?.summary()
    }

    /// Notes that `tenant` is wanted, if it is closed.
    pub(crate) fn want(&self, tenant: &TenantId) {
        if let Some(entry) = self.tenants.get(tenant) {
            self.note_as_wanted(tenant, &entry);
        }
    }

    fn note_as_wanted(&self, tenant: &TenantId, entry: &Entry) {
        if entry.may_be_wanted() && self.wanted.note(tenant) {
            entry.set_wanted();
        }
    }

    /// Has [`take_wanted`](Self::take_wanted) return tenants from now on.
    pub(crate) fn note_wanted(&self) {
        self.wanted.enable();
    }

    /// Takes the closed tenants that have become wanted since the last time.
    pub(crate) fn take_wanted(&self) -> Vec<TenantId> {
        self.wanted.take()
    }

    pub(crate) fn closed_count(&self) -> usize {
        self.closed.number()
    }

    pub(crate) fn unreadable_count(&self) -> usize {
        self.closed_for(UnavailableReason::Unreadable)
    }

    /// Returns the number of tenants that are closed for `reason`.
    pub(crate) fn closed_for(&self, reason: UnavailableReason) -> usize {
        self.closed.number_of(reason)
    }

    /// Returns, for each reason, the wall time since which the tenant that is closed longest is
    /// closed, in ms since the epoch. Walks over all tenants while any is closed.
    #[cfg(feature = "metrics")]
    pub(crate) fn closed_longest(&self) -> [Option<u64>; UnavailableReason::ALL.len()] {
        let mut longest = [None; UnavailableReason::ALL.len()];
        if !self.any_closed() {
            return longest;
        }
        for ClosedSummary { reason, since, .. } in
            self.tenants.iter().filter_map(|own| own.summary())
        {
            if let Some(longest) = longest.get_mut(reason as usize) {
                *longest = Some(longest.map_or(since, |other: u64| other.min(since)));
            }
        }
        longest
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

    /// Returns the note of the operator's latest order for `tenant`, unless it is empty.
    pub(crate) fn note(&self, tenant: &TenantId) -> Option<SmolStr> {
        let entry = self.tenants.get(tenant)?;
        let note = &entry.known.record.latest_override()?.note;
        Some(note.clone()).filter(|note| !note.is_empty())
    }

    /// Returns whether the record of `tenant` says whether it is open.
    pub(crate) fn is_known(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_known())
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
    pub(in crate::tenants) fn apply(
        &self,
        tenant: &TenantId,
        mut update: Update,
        mark: impl FnOnce(),
    ) -> Applied {
        update.intern(&mut self.interner());
        let (notification, is_load) = (update.notification(), update.is_load());
        let now = self.clock.elapsed();
        let slot = self.tenants.entry(tenant.clone());
        let own = match &slot {
            dashmap::Entry::Occupied(own) => Some(own.get()),
            dashmap::Entry::Vacant(_) => None,
        };
        let has_record = own.is_some_and(Entry::has_record);
        // A new record has nothing that would tell that a notification is late.
        if notification.is_some() || !has_record {
            // Before an entry is made: what was forgotten leaves none behind.
            let forgotten = self.forgotten.is_followed(tenant, &update, now);
            if forgotten || own.is_none() && update.needs_record() {
                let status = own.map_or_else(|| status(&Record::default()), Entry::status);
                return Applied::ignored(status, forgotten);
            }
        }
        let doubtful = has_record && self.forgotten.is_doubtful(tenant, &update, now);
        let mut entry = slot.or_default();
        let (before, known) = (entry.status(), KnownNotifications::of(&entry.known.record));
        // The first fact of a tenant corrects nothing, and a notification does not either.
        let may_correct = notification.is_none() && !entry.known.record.is_empty();
        let unix_ms = self.clock.unix_ms();
        let within = may_correct.then(|| entry.agreed_within((now, unix_ms))).flatten();
        let (gains, outcome) = match entry.merge(update, &self.settle, now) {
            Ok(gains) if gains.any => (gains, Outcome::Recorded),
            Ok(_) => (Gains::default(), Outcome::Stale),
            Err(outcome) => (Gains::default(), outcome),
        };
        entry.note_unreadable(unix_ms);
        // First, so that the summary fits the record whatever the marking does.
        let after = self.summarize(tenant, &mut entry);
        if gains.any {
            mark();
        }
        let gained = known.gained_by(&entry.known.record);
        let mut turn = Turn { before: &before, after: &after, correction: None };
        if may_correct && turn.is_by_pull(gains.pulls, &gained) {
            turn.correction = Correction::between(&before, &after, within);
        }
        // What the store has at the start was gained before, even if the store was unavailable
        // then.
        let quiet = is_load && !self.loaded.load(Ordering::Relaxed);
        self.publish(|| match quiet {
            true => turn.changed(tenant).into_iter().collect(),
            false => gained::events(tenant, &gained, &turn),
        });
        let correction = turn.correction;
        let mut applied = Applied {
            outcome,
            notified: notification.filter(|_| gains.any),
            correction,
            expires: entry.known.record.latest_override().and_then(|latest| latest.end()),
            before,
            after,
            forgotten: doubtful,
        };
        if gains.any && applied.status_changed() {
            applied.outcome = Outcome::Applied;
        }
        applied
    }

    /// Removes the record of `tenant` if `forgotten` contains it. The tenant is remembered as
    /// forgotten, unless its record is kept.
    pub(in crate::tenants) fn remove(&self, tenant: &TenantId, forgotten: &Record) -> Removal {
        let now = self.clock.elapsed();
        let slot = self.tenants.entry(tenant.clone());
        let own = match slot {
            dashmap::Entry::Occupied(own) if own.get().has_record() => own,
            _ => {
                self.forgotten.insert(tenant, forgotten, now);
                return Removal::Absent;
            }
        };
        if !forgotten.contains(&own.get().known.record) {
            return Removal::Kept;
        }
        self.forgotten.insert(tenant, forgotten, now);
        let (before, after) = (own.get().status(), status(&Record::default()));
        self.closed.change(tenant, own.get().reason(), None);
        let turn = Turn { before: &before, after: &after, correction: None };
        self.publish(|| turn.changed(tenant).into_iter().collect());
        let ready = own.get().start_pull().ready;
        self.versions.raise(self.hash(tenant.folded()));
        own.remove();
        Removal::Removed { ready }
    }

    /// Publishes events while their tenant is locked.
    fn publish(&self, events: impl FnOnce() -> Vec<TenantEvent>) {
        if self.events.has_receivers() {
            events().into_iter().for_each(|event| self.events.send(event));
        }
    }

    /// Ends the start: from now on, what a load brings is news.
    pub(crate) fn loaded(&self) {
        self.loaded.store(true, Ordering::Relaxed);
    }

    /// Ends what waits for a change, once it is woken.
    pub(in crate::tenants) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(in crate::tenants) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
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
    pub(in crate::tenants) fn close_until_known(&self, tenant: &TenantId, now: u64) {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status();
        if before.is_available() {
            entry.close_until_known(now);
        }
        self.publish_change(tenant, &mut entry, &before);
    }

    /// Stops keeping `tenant` closed until it has a record, and returns the status.
    pub(in crate::tenants) fn stop_awaiting(&self, tenant: &TenantId) -> Option<TenantStatus> {
        let mut entry = self.tenants.get_mut(tenant)?;
        let before = entry.status();
        entry.stop_awaiting();
        Some(self.publish_change(tenant, &mut entry, &before))
    }

    fn publish_change(
        &self,
        tenant: &TenantId,
        entry: &mut Entry,
        before: &TenantStatus,
    ) -> TenantStatus {
        let after = self.summarize(tenant, entry);
        let turn = Turn { before, after: &after, correction: None };
        self.publish(|| turn.changed(tenant).into_iter().collect());
        after
    }

    /// Returns how many tenants were forgotten so far, for what is sent from now on.
    pub(crate) fn forgets(&self) -> u64 {
        self.forgotten.count()
    }

    /// Updates an entry's summary and the counts of closed tenants from its record, and returns its
    /// status.
    fn summarize(&self, tenant: &TenantId, entry: &mut Entry) -> TenantStatus {
        let before = entry.reason();
        let status = entry.summarize();
        self.closed.change(tenant, before, entry.reason());
        self.versions.raise(self.hash(tenant.folded()));
        status
    }

    pub(in crate::tenants) fn events(&self) -> Events {
        self.events.subscribe()
    }

    fn interner(&self) -> MutexGuard<'_, Interner> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.interner.lock().unwrap_or_else(PoisonError::into_inner)
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
