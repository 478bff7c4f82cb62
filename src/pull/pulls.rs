//! The pull side as the gate sees it: what it is told, and what it answers.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    desk::{Desk, Now, Tally},
    meter::Corrected,
    schedule::{Last, Schedule},
    state_api::StateApi,
};
use crate::{
    clock::Clock,
    status::ChangeType,
    store::Store,
    tenant_id::TenantId,
    tenants::{Applied, Observer, Tenants, registry::Registry},
};

/// Knows which tenants are to be looked at, and when. Its task, [`run`](Self::run), looks at them.
///
/// It observes the tenants, and never waits. None of its methods may be called while an entry of the
/// registry is locked.
pub(crate) struct Pulls {
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Clock,
    pub(super) schedule: Schedule,
    pub(super) api: StateApi,
    /// Lends the right to look at a tenant, so that a fleet looks once.
    pub(super) store: Option<Arc<dyn Store>>,
    desk: Mutex<Desk>,
    pub(super) wake: Notify,
    /// The number of the look started last, for calls to take along without a lock.
    mark: AtomicU64,
}

/// How the pull side is doing; counted since the gate was built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullHealth {
    /// Looks that should have been made by now and wait for their turn.
    pub waiting: usize,
    /// For how long the oldest of them has waited.
    pub oldest: Duration,
    /// Looks under way.
    pub under_way: usize,
    /// Answers that said how a tenant is.
    pub answered: u64,
    /// Answers that said nothing, such as `Unknown`.
    pub silent: u64,
    /// Questions without an answer that counts: no connection, an error, an odd answer.
    pub failed: u64,
    /// Looks left to another replica.
    pub left: u64,
    /// Statuses that the state API had to correct, by the notification that was missed: one that
    /// was lost, late or, where it had said otherwise, untrue.
    pub corrected: Vec<(Option<ChangeType>, Corrected)>,
}

impl Pulls {
    pub(crate) fn new(
        registry: Arc<Registry>,
        clock: Clock,
        schedule: Schedule,
        api: StateApi,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let desk = Mutex::new(Desk::new(&schedule));
        let (wake, mark) = (Notify::new(), AtomicU64::new(0));
        Self { registry, clock, schedule, api, store, desk, wake, mark }
    }

    /// There is reason to look at `tenant` at once: it was restored or moved, something unknown
    /// happened to it, or somebody wants to know.
    pub(crate) fn evidence(&self, tenant: &TenantId) {
        let now = self.now().wall;
        self.desk().evidence(tenant, now);
        self.wake.notify_one();
    }

    /// Somebody, perhaps SuperOffice, says that something happened to `tenant`. Such looks are made
    /// at most once a second, and those of a flood are dropped.
    pub(crate) fn unverified(&self, tenant: &TenantId) {
        let now = self.now().wall;
        self.desk().unverified(tenant, now);
        self.wake.notify_one();
    }

    /// Looks at a tenant that is known to exist, in its turn, until there is an answer.
    pub(crate) fn track(&self, tenant: &TenantId) {
        let now = self.now().wall;
        self.desk().track(tenant, &self.registry, now);
        self.wake.notify_one();
    }

    /// The number of the look started last: a call takes it along, so that it can be told later
    /// whether a look was made since.
    pub(crate) fn mark(&self) -> u64 {
        self.mark.load(Ordering::Acquire)
    }

    /// A call to `tenant`, sent at `mark`, was misdirected: looks at the tenant at once, together
    /// with all who ask for that meanwhile. The receiver ends when the look is over; there is none
    /// when a look was made since, or the last one was in vain.
    pub(crate) fn misdirected(
        &self,
        tenant: &TenantId,
        mark: u64,
    ) -> Option<oneshot::Receiver<()>> {
        let landed = self.desk().misdirected(tenant, mark, self.now());
        self.wake.notify_one();
        landed
    }

    pub(crate) fn health(&self) -> PullHealth {
        let now = self.now().wall;
        // Not at the desk: there may be a million, and whoever changes a tenant needs the desk.
        let overdue = self.registry.overdue(now);
        let desk = self.desk();
        let (waiting, oldest) = desk.waiting(&self.registry, overdue, now);
        let Tally { told, silent, failed, left } = desk.tally;
        PullHealth {
            waiting,
            oldest: Duration::from_millis(oldest.map_or(0, |oldest| now.saturating_sub(oldest))),
            under_way: desk.under_way(),
            answered: told,
            silent,
            failed,
            left,
            corrected: desk.meter.read(),
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { wall: self.clock.unix_ms(), mono: Instant::now() }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_mark(&self, started: u64) {
        self.mark.store(started, Ordering::Release);
    }
}

impl Observer for Pulls {
    fn after_change(&self, _: &Tenants, tenant: &TenantId, applied: &Applied) {
        let now = self.now().wall;
        self.desk().reschedule(tenant, &self.registry, &self.schedule, Last::Unasked, now);
        self.wake.notify_one();
        // These don't say how the tenant is now: the state API does.
        use ChangeType::{BackupRestored, Move, Other};
        if matches!(applied.notified, Some(BackupRestored | Move | Other(_))) {
            self.evidence(tenant);
        }
    }
}

impl fmt::Debug for Pulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulls").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}
