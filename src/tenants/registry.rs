//! The registry of tenants in memory, which the hot path reads.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use smol_str::SmolStr;

use crate::{
    clock::Clock,
    status::{
        Record, TenantStatus, derive::status, history::PullHistory, intern::Interner,
        knowledge::Knowledge, mono::Mono, record::Gains, settle::Settle, stamp::PullStamp,
    },
    tenant_id::{FoldedId, TenantId},
    tenants::{
        closed_index::ClosedIndex,
        correction::Correction,
        entry::{ClosedSummary, Entry, Known, Ready, Replaced},
        events::{EventSender, Events, TenantEvent},
        forgotten::Forgotten,
        gained::{self, KnownNotifications, Turn},
        hash_key::HashKey,
        removal::Removal,
        update::{Applied, Outcome, SentPull, Update},
        wanted::Wanted,
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
    events: EventSender,
    /// Number of closed tenants. While it is 0, calls are allowed without reading their URL.
    closed: AtomicUsize,
    /// The closed tenants, by hash: changed with the count, while the tenant is locked.
    index: ClosedIndex,
    hash_key: HashKey,
    /// Number of tenants that are closed because their stored record is malformed.
    unreadable: AtomicUsize,
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

/// The tenants that got an entry by the load of a store.
#[derive(Debug, Default)]
pub(crate) struct Inserted {
    pub(crate) tenants: Vec<TenantId>,
    /// The ends of their overrides, ms since the epoch.
    pub(super) expires: Vec<(u64, TenantId)>,
}

impl Registry {
    pub(super) fn new(settle: Settle, event_capacity: usize, clock: Clock) -> Self {
        Self {
            tenants: DashMap::default(),
            events: EventSender::new(event_capacity),
            closed: AtomicUsize::new(0),
            index: ClosedIndex::new(),
            hash_key: HashKey::random(),
            unreadable: AtomicUsize::new(0),
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
        // Acquire pairs with the release in `summarize`: a caller that knows of an answered
        // notification finds the entry.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Returns whether the tenant with this id may be closed; `false` is certain, and reads one cache
    /// line.
    #[inline]
    pub(crate) fn may_be_closed(&self, tenant: FoldedId<'_>) -> bool {
        self.index.may_contain(self.hash_key.hash(tenant))
    }

    /// Returns the data of the refusal if `tenant` is closed, and notes that it is wanted.
    pub(crate) fn closed(&self, tenant: &TenantId) -> Option<ClosedSummary> {
        let entry = self.tenants.get(tenant)?;
        let summary = entry.summary()?;
        self.note_as_wanted(tenant, &entry);
        Some(summary)
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

    /// Takes the closed tenants that were asked for since the last time.
    pub(crate) fn take_wanted(&self) -> Vec<TenantId> {
        self.wanted.take()
    }

    pub(crate) fn closed_count(&self) -> usize {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn unreadable_count(&self) -> usize {
        self.unreadable.load(Ordering::Relaxed)
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
    pub(super) fn apply(
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
        // A new record has nothing that would tell that a notification is late.
        if notification.is_some() || own.is_none_or(|own| !own.has_record()) {
            // Before an entry is made: what was forgotten leaves none behind.
            let forgotten = self.forgotten.is_followed(tenant, &update, now);
            if forgotten || own.is_none() && update.needs_record() {
                let status = own.map_or_else(|| status(&Record::default()), Entry::status);
                return Applied::ignored(status, forgotten);
            }
        }
        let mut entry = slot.or_default();
        let (before, known) = (entry.status(), KnownNotifications::of(&entry.known.record));
        // The first fact of a tenant corrects nothing.
        let (first, within) = (entry.known.record.is_empty(), entry.agreed_within(now));
        let (gains, outcome) = match entry.merge(update, &self.settle, now) {
            Ok(gains) if gains.any => (gains, Outcome::Recorded),
            Ok(_) => (Gains::default(), Outcome::Stale),
            Err(outcome) => (Gains::default(), outcome),
        };
        entry.note_unreadable(self.clock.unix_ms());
        // First, so that the summary fits the record whatever the marking does.
        let after = self.summarize(tenant, &mut entry);
        if gains.any {
            mark();
        }
        let gained = known.gained_by(&entry.known.record);
        let mut turn = Turn { before: &before, after: &after, correction: None };
        if !first && turn.is_by_pull(gains.pulls, &gained) {
            turn.correction = Correction::between(&before, &after, within);
        }
        // What the store has at the start was gained before, even if the store was away then.
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
            forgotten: false,
        };
        if gains.any && applied.status_changed() {
            applied.outcome = Outcome::Applied;
        }
        applied
    }

    /// Removes the record of `tenant` if `forgotten` contains it. The tenant is remembered as
    /// forgotten, unless its record is kept.
    pub(super) fn remove(&self, tenant: &TenantId, forgotten: &Record) -> Removal {
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
        self.count_closed(tenant, own.get().is_closed(), false);
        // No record contains one that is unreadable, so that count stays.
        let turn = Turn { before: &before, after: &after, correction: None };
        self.publish(|| turn.changed(tenant).into_iter().collect());
        let ready = own.get().start_pull();
        own.remove();
        Removal::Removed { ready }
    }

    /// Moves the records of a store in for tenants without an entry, and leaves the others in
    /// `page`. Returns what it moved in.
    pub(super) fn insert(&self, page: &mut Vec<(TenantId, Record)>) -> Inserted {
        let now = self.clock.elapsed();
        let mut interner = self.interner();
        for (_, record) in page.iter_mut() {
            record.intern(&mut interner);
        }
        drop(interner);
        let mut inserted = Inserted::default();
        inserted.tenants.reserve(page.len());
        for (tenant, record) in std::mem::take(page) {
            // These have effects that a plain record has not.
            if record.is_empty() || record.is_unreadable() {
                page.push((tenant, record));
                continue;
            }
            match self.tenants.entry(tenant.clone()) {
                // What receives events gets those of the merge, and one that was forgotten may stay so.
                dashmap::Entry::Vacant(vacant)
                    if !self.events.has_receivers() && self.forgotten.is_empty() =>
                {
                    let expires = record.latest_override().and_then(|latest| latest.end());
                    let entry = Entry::loaded(record, now);
                    self.count_closed(&tenant, false, entry.is_closed());
                    vacant.insert(entry);
                    inserted.expires.extend(expires.map(|expires| (expires, tenant.clone())));
                    inserted.tenants.push(tenant);
                }
                _ => page.push((tenant, record)),
            }
        }
        inserted
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
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
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
    pub(super) fn close_until_known(&self, tenant: &TenantId, now: u64) {
        let mut entry = self.tenants.entry(tenant.clone()).or_default();
        let before = entry.status();
        if before.is_available() {
            entry.close_until_known(now);
        }
        self.publish_change(tenant, &mut entry, &before);
    }

    /// Ends that, and returns the status.
    pub(super) fn stop_awaiting(&self, tenant: &TenantId) -> Option<TenantStatus> {
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

    /// Notes what is known when a pull of `tenant` is sent now.
    pub(crate) fn send_pull(&self, tenant: &TenantId) -> SentPull {
        let (now, forgets) = (self.clock.elapsed(), self.forgets());
        let stamp = |entry: &Entry| {
            PullStamp::new(&entry.known.record, &entry.known.knowledge, &self.settle, now)
        };
        let stamp = match self.tenants.get(tenant) {
            Some(entry) => stamp(&entry),
            None => stamp(&Entry::default()),
        };
        SentPull { stamp, forgets }
    }

    /// Returns how many tenants were forgotten so far, for what is sent from now on.
    pub(crate) fn forgets(&self) -> u64 {
        self.forgotten.count()
    }

    /// Applies `of` to the tenant's record for a call to it. Also returns whether a pull has to be
    /// requested, because what is known of the tenant is no longer fresh.
    pub(crate) fn read_for_call<T>(
        &self,
        tenant: &TenantId,
        now: Duration,
        of: impl FnOnce(&Record) -> T,
    ) -> Option<(T, bool)> {
        let entry = self.tenants.get(tenant)?;
        Some((of(&entry.known.record), entry.note_stale(now)))
    }

    /// Notes that a call to `tenant` failed. Returns whether a pull has to be requested.
    pub(crate) fn note_symptom(&self, tenant: &TenantId, now: Duration) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.note_symptom(now))
    }

    /// Returns whether a pull of `tenant` is requested because of calls, and none was started since.
    pub(crate) fn is_called(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_called())
    }

    /// Forgets that a pull is requested because of calls.
    pub(crate) fn clear_called(&self, tenant: &TenantId) {
        if let Some(entry) = self.tenants.get(tenant) {
            entry.clear_called();
        }
    }

    /// Sets the time of the next pull of `tenant`, which `next` computes from its entry. Returns the
    /// pull that this replaces; `None` without an entry.
    pub(crate) fn schedule(
        &self,
        tenant: &TenantId,
        next: impl FnOnce(&Record, &Knowledge, &mut PullHistory) -> Option<Mono>,
    ) -> Option<Replaced> {
        let mut entry = self.tenants.get_mut(tenant)?;
        let Known { record, knowledge, history, .. } = &mut *entry.known;
        let due = next(record, knowledge, history);
        Some(entry.set_due(due))
    }

    /// Returns whether a pull of `tenant` is scheduled for `due`, and has not become due.
    pub(crate) fn is_scheduled(&self, tenant: &TenantId, due: Mono) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_scheduled(due))
    }

    /// Has the pull of `tenant` that is scheduled for `due` wait for its turn; `None` when there is
    /// none, or it does already.
    pub(crate) fn make_ready(&self, tenant: &TenantId, due: Mono) -> Option<Ready> {
        self.tenants.get(tenant)?.make_ready(due)
    }

    /// Returns whether the pull of `tenant` that was scheduled for `due` waits for its turn.
    pub(crate) fn is_ready(&self, tenant: &TenantId, due: Mono) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_ready(due))
    }

    /// Starts a pull of `tenant`, and returns whether the one that was scheduled waited for its turn.
    pub(crate) fn start_pull(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.start_pull())
    }

    /// Sets the time of the next pull of `tenant`; `false` without an entry.
    #[cfg(test)]
    pub(crate) fn set_due(&self, tenant: &TenantId, due: Option<Mono>) -> bool {
        self.schedule(tenant, |_, _, _| due).is_some()
    }

    /// Counts the pulls that are due by `now`, and returns the earliest of them, in a walk through
    /// all tenants.
    #[cfg(test)]
    pub(crate) fn overdue(&self, now: Duration) -> (usize, Option<Mono>) {
        let due = self.tenants.iter().filter_map(|entry| entry.due());
        due.filter(|due| due.time() <= now).fold((0, None), |(count, earliest), due| {
            (count + 1, Some(earliest.map_or(due, |earliest: Mono| earliest.min(due))))
        })
    }

    /// Returns the time of the next pull of `tenant`.
    pub(crate) fn due(&self, tenant: &TenantId) -> Option<Mono> {
        self.tenants.get(tenant)?.due()
    }

    /// Updates an entry's summary and the counts of closed tenants from its record, and returns its
    /// status.
    fn summarize(&self, tenant: &TenantId, entry: &mut Entry) -> TenantStatus {
        let (was_closed, was_unreadable) = (entry.is_closed(), entry.is_unreadable());
        let status = entry.summarize();
        match (was_unreadable, entry.is_unreadable()) {
            (false, true) => _ = self.unreadable.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.unreadable.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.count_closed(tenant, was_closed, entry.is_closed());
        status
    }

    fn count_closed(&self, tenant: &TenantId, was_closed: bool, is_closed: bool) {
        match (was_closed, is_closed) {
            (false, true) => {
                self.index.insert(self.hash_key.hash(tenant.folded()));
                self.closed.fetch_add(1, Ordering::Release);
            }
            (true, false) => {
                self.closed.fetch_sub(1, Ordering::Release);
                self.index.remove(self.hash_key.hash(tenant.folded()));
            }
            _ => {}
        }
    }

    pub(super) fn events(&self) -> Events {
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
