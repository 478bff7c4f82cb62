//! The tenants that were forgotten recently: what was sent before must not bring them back.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{status::Record, tenant_id::TenantId, tenants::update::Update};

/// Time for which a tenant is remembered, by the monotonic clock. A notification that is repeated
/// has the same token, which is accepted for an hour at most.
pub(super) const REMEMBERED: Duration = Duration::from_secs(2 * 3600);

/// Number of tenants that are remembered. Of more, those are dropped that were forgotten first.
const CAPACITY: usize = 131_072;

/// The tenants that were forgotten within the last two hours, and when.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    memory: Mutex<Memory>,
    /// Their number, for the many updates while there are none.
    number: AtomicUsize,
    /// Number of tenants that were forgotten so far. A request takes it along, so that its answer
    /// is known to be from before a tenant was forgotten, or from after that: no clock is exact
    /// enough.
    count: AtomicU64,
}

#[derive(Debug, Default)]
struct Memory {
    tenants: HashMap<TenantId, Forgot, foldhash::fast::RandomState>,
    /// The oldest first. One that was forgotten again leaves its old place behind.
    order: VecDeque<(Duration, TenantId)>,
}

/// Times are those since the gate was built.
#[derive(Debug, Clone, Copy)]
struct Forgot {
    at: Duration,
    /// The count of those that were forgotten, with this one.
    count: u64,
    /// The newest token time of the record that was forgotten.
    newest: Option<i64>,
}

impl Forgotten {
    /// Remembers at `now` that `record` of `tenant` was forgotten. The tenant must be locked, so
    /// that no update comes in between.
    pub(super) fn insert(&self, tenant: &TenantId, record: &Record, now: Duration) {
        let mut memory = self.lock();
        memory.expire(now);
        let before = memory.tenants.get(tenant).and_then(|own| own.newest);
        let newest = record.notifications().map(|own| own.token_time).max().max(before);
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        memory.tenants.insert(tenant.clone(), Forgot { at: now, count, newest });
        memory.order.push_back((now, tenant.clone()));
        while memory.tenants.len() > CAPACITY || memory.order.len() > 2 * CAPACITY {
            memory.drop_oldest();
        }
        self.number.store(memory.tenants.len(), Ordering::Relaxed);
    }

    /// Returns how many tenants were forgotten so far. Read it before the record of a tenant.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Returns whether `update`, which arrives at `now`, is from before `tenant` was forgotten. One
    /// that is not a notification may be so only while there is no record. The tenant must be
    /// locked.
    pub(super) fn is_followed(&self, tenant: &TenantId, update: &Update, now: Duration) -> bool {
        self.is_remembered(tenant, now, |forgot| match update {
            Update::Notification(notified) => forgot.covers(notified.token_time),
            Update::Pull { sent, .. } => sent.forgets < forgot.count,
            Update::Stored(record) | Update::Loaded(record) => forgot.covers_record(record),
            Update::Read { record, forgets } => {
                // The store has none: that was not forgotten, and need not be read again.
                let any = *record != Record::default();
                any && *forgets < forgot.count && forgot.covers_record(record)
            }
            Update::Override { .. } | Update::Expiry { .. } => false,
        })
    }

    /// Returns whether `update` may bring back a part of what was forgotten, to a tenant that has a
    /// new record: the store lacks it then. The tenant must be locked.
    pub(super) fn is_doubtful(&self, tenant: &TenantId, update: &Update, now: Duration) -> bool {
        self.is_remembered(tenant, now, |forgot| match update {
            Update::Stored(record) | Update::Loaded(record) => forgot.covers_part(record),
            Update::Read { record, forgets } => {
                *forgets < forgot.count && forgot.covers_part(record)
            }
            _ => false,
        })
    }

    fn is_remembered(
        &self,
        tenant: &TenantId,
        now: Duration,
        which: impl FnOnce(&Forgot) -> bool,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut memory = self.lock();
        memory.expire(now);
        self.number.store(memory.tenants.len(), Ordering::Relaxed);
        memory.tenants.get(tenant).is_some_and(which)
    }

    /// Returns whether no tenant is remembered. The tenant for which the caller reads it must be
    /// locked.
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: the tenant was locked too when it was counted.
        self.number.load(Ordering::Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forgot {
    fn covers(&self, token_time: i64) -> bool {
        self.newest.is_some_and(|newest| token_time <= newest)
    }

    /// Returns whether no notification of `record` is newer.
    fn covers_record(&self, record: &Record) -> bool {
        !record.is_unreadable() && record.notifications().all(|own| self.covers(own.token_time))
    }

    /// Returns whether a notification of `record` is not newer.
    fn covers_part(&self, record: &Record) -> bool {
        record.notifications().any(|own| self.covers(own.token_time))
    }
}

impl Memory {
    fn expire(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(at, _)| at.saturating_add(REMEMBERED) <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((at, tenant)) = self.order.pop_front() else { return };
        if self.tenants.get(&tenant).is_some_and(|own| own.at == at) {
            self.tenants.remove(&tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::{ChangeType, fact::Fact, notified::Notified};

    fn tenant(number: usize) -> TenantId {
        TenantId::new(format!("Cust{number}")).unwrap()
    }

    fn deleted(token_time: i64) -> Notified {
        Notified::new(ChangeType::Delete, token_time, 0, Arc::default())
    }

    fn record(token_time: i64) -> Record {
        Record::from(Fact::Notified(deleted(token_time)))
    }

    #[test]
    fn notification_up_to_the_forgotten_is_old_for_two_hours() {
        let (forgotten, start) = (Forgotten::default(), Duration::from_secs(10));
        let is_old = |number, token_time, now| {
            forgotten.is_followed(&tenant(number), &Update::Notification(deleted(token_time)), now)
        };
        assert!(!is_old(1, 5, start));
        forgotten.insert(&tenant(1), &record(5), start);
        assert!(is_old(1, 5, start) && is_old(1, 4, start));
        assert!(!is_old(1, 6, start), "it is newer");
        assert!(!is_old(2, 5, start), "another tenant");
        let last = start + REMEMBERED - Duration::from_nanos(1);
        assert!(is_old(1, 5, last));
        // Forgotten once more, with an older record: what was newest stays so.
        forgotten.insert(&tenant(1), &record(3), last);
        assert!(is_old(1, 5, start + REMEMBERED));
        assert!(!is_old(1, 5, last + REMEMBERED));
        assert_eq!(forgotten.number.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn read_of_the_store_is_old_when_it_began_before() {
        let (forgotten, at) = (Forgotten::default(), Duration::from_secs(10));
        let before = forgotten.count();
        forgotten.insert(&tenant(1), &record(5), at);
        let after = forgotten.count();
        let is_old = |update| forgotten.is_followed(&tenant(1), &update, at);
        let read = |token_time, forgets| Update::Read { record: record(token_time), forgets };
        assert!(is_old(read(5, before)));
        assert!(!is_old(read(5, after)), "at the same moment of the clock");
        assert!(!is_old(read(6, before)), "it is newer");
        assert!(!is_old(Update::Read { record: Record::default(), forgets: before }));
        assert!(is_old(Update::Stored(record(5))) && is_old(Update::Loaded(record(5))));
        assert!(!is_old(Update::Stored(record(6))));
        assert!(!is_old(Update::Stored(Record::unreadable())));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let forgotten = Forgotten::default();
        for number in 0..CAPACITY + 1000 {
            forgotten.insert(&tenant(number), &record(5), Duration::ZERO);
            forgotten.insert(&tenant(0), &record(5), Duration::from_nanos(number as u64));
        }
        let memory = forgotten.lock();
        assert!(memory.tenants.len() <= CAPACITY && memory.order.len() <= 2 * CAPACITY);
        for (number, stays) in [(0, true), (1, false), (CAPACITY + 999, true)] {
            assert_eq!(memory.tenants.contains_key(&tenant(number)), stays, "{number}");
        }
    }
}
