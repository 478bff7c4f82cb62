//! The registry as the pulls see it: what is scheduled for each tenant, and what calls to it
//! request.

use std::time::Duration;

use super::Registry;
use crate::{
    status::{Record, history::PullHistory, knowledge::Knowledge, mono::Mono, stamp::PullStamp},
    tenant_id::TenantId,
    tenants::{
        entry::{Entry, Known, PullStart, Ready, Replaced},
        update::SentPull,
    },
};

/// The result of reading a tenant for a call.
pub(crate) struct ForCall<T> {
    pub(crate) of_record: T,
    /// A pull has to be requested, because what is known of the tenant is no longer fresh.
    pub(crate) stale: bool,
    /// Time since the gate was built before which no pull has to be requested, unless the tenant
    /// changes.
    pub(crate) fresh_until: Option<Duration>,
}

impl Registry {
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

    /// Applies `of` to the tenant's record for a call to it.
    pub(crate) fn read_for_call<T>(
        &self,
        tenant: &TenantId,
        now: Duration,
        of: impl FnOnce(&Record) -> T,
    ) -> Option<ForCall<T>> {
        let entry = self.tenants.get(tenant)?;
        Some(ForCall {
            of_record: of(&entry.known.record),
            stale: entry.note_stale(now),
            fresh_until: entry.known.history.fresh_until(),
        })
    }

    /// Notes that a call to `tenant` failed. Returns whether a pull has to be requested.
    pub(crate) fn note_symptom(&self, tenant: &TenantId, now: Duration) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.note_symptom(now))
    }

    /// Returns whether a pull of `tenant` is requested because of calls, and none was started
    /// since.
    pub(crate) fn is_called(&self, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|entry| entry.is_called())
    }

    /// Forgets that a pull is requested because of calls.
    pub(crate) fn clear_called(&self, tenant: &TenantId) {
        if let Some(entry) = self.tenants.get(tenant) {
            entry.clear_called();
        }
    }

    /// Sets the time of the next pull of `tenant`, which `next` computes from its entry. Returns
    /// the pull that this replaces; `None` without an entry.
    pub(crate) fn schedule(
        &self,
        tenant: &TenantId,
        next: impl FnOnce(&Record, &Knowledge, &mut PullHistory) -> Option<Mono>,
    ) -> Option<Replaced> {
        let mut entry = self.tenants.get_mut(tenant)?;
        let Known { record, knowledge, history, .. } = &mut *entry.known;
        let due = next(record, knowledge, history);
        let replaced = entry.set_due(due);
        // The history has changed, and with it for how long the answer is fresh.
        self.versions.raise(self.hash(tenant.folded()));
        Some(replaced)
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

    /// Starts a pull of `tenant`.
    pub(crate) fn start_pull(&self, tenant: &TenantId) -> PullStart {
        self.tenants.get(tenant).map_or_else(PullStart::default, |entry| entry.start_pull())
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
}
