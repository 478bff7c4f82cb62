//! The handle of the rest of the gate on pulls: requests, and health.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    error::RefreshError,
    health::PullHealth,
    in_flight::{InFlight, Join, Refreshed},
    lease,
    schedule::{Schedule, Trigger},
    scheduler::{LastPull, Now, Scheduler},
    state_api::StateApi,
    stats::{CorrectionStats, CorrectionTimers, Failures, PullCounters},
};
use crate::{
    clock::Clock,
    status::{ChangeType, Record},
    store::Store,
    tenant_id::TenantId,
    tenants::{Applied, Observer, Removal, Tenants, registry::Registry},
    timer::Timer,
};

/// Knows which tenants are to be pulled, and when. Its task, [`run`](Self::run), pulls them.
///
/// It observes the tenants, and never waits. None of its methods may be called while an entry of
/// the registry is locked.
pub(crate) struct Pulls {
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Clock,
    pub(super) at_once: usize,
    pub(super) api: StateApi,
    /// Lends the right to pull a tenant, so that a fleet makes one pull. Weak, so that a gate that
    /// shuts down frees it.
    pub(super) store: Option<Weak<dyn Store>>,
    state: Mutex<State>,
    pub(super) wake: Notify,
    /// The number of the pull started last, for calls to take along without a lock.
    pull_seq: AtomicU64,
    /// Seconds since the gate was built, up to ten late: calls read no clock.
    coarse: AtomicU64,
    /// Measures requests to the state API.
    pub(super) timer: Timer,
    pub(super) correction_timers: CorrectionTimers,
}

/// All that changes under one lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) scheduler: Scheduler,
    pub(super) in_flight: InFlight,
    pub(super) counters: PullCounters,
    pub(super) corrections: CorrectionStats,
    /// The failures since the last answer: the log says when they begin and when they end.
    pub(super) failures: Failures,
}

impl Pulls {
    pub(crate) fn new(
        registry: Arc<Registry>,
        clock: Clock,
        schedule: Schedule,
        api: StateApi,
        store: Option<Weak<dyn Store>>,
    ) -> Self {
        let at_once = schedule.at_once();
        registry.note_wanted();
        let state = Mutex::new(State {
            scheduler: Scheduler::new(schedule, registry.settle().usual),
            in_flight: InFlight::default(),
            counters: PullCounters::default(),
            corrections: CorrectionStats::default(),
            failures: Failures::default(),
        });
        let (wake, pull_seq, coarse) = (Notify::new(), AtomicU64::new(0), AtomicU64::new(0));
        let (timer, correction_timers) = Default::default();
        Self {
            registry,
            clock,
            at_once,
            api,
            store,
            state,
            wake,
            pull_seq,
            coarse,
            timer,
            correction_timers,
        }
    }

    /// Requests a pull of `tenant` at once, and again until it is answered: it was restored or
    /// moved, something unknown happened to it, or a caller wants to know.
    pub(crate) fn request_pull(&self, tenant: &TenantId) {
        let now = self.now().elapsed;
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        let rerun = in_flight.rerun(tenant);
        scheduler.await_answer(tenant, &self.registry, rerun, false);
        if !rerun {
            scheduler.request(tenant, now);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Requests those pulls again that were in flight when the task broke off.
    pub(super) fn request_interrupted(&self) {
        let now = self.now().elapsed;
        let mut state = self.state();
        for tenant in state.in_flight.interrupted() {
            state.scheduler.request(&tenant, now);
        }
    }

    /// Requests a pull of `tenant` because a sender, perhaps SuperOffice, says that something
    /// happened to it. Such pulls are made at most once a second, and those of a flood are dropped.
    pub(crate) fn request_unverified_pull(&self, tenant: &TenantId) {
        let now = self.now().elapsed;
        let mut state = self.state();
        if !state.in_flight.contains(tenant) {
            state.scheduler.request_unverified(tenant, now);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Pulls a tenant that is known to exist, in its turn, until an answer says how it is, and then
    /// whenever it is open and its answer is no longer fresh.
    pub(crate) fn track(&self, tenant: &TenantId) {
        let now = self.now().elapsed;
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        let rerun = in_flight.rerun(tenant);
        scheduler.track(tenant);
        scheduler.await_answer(tenant, &self.registry, rerun, true);
        if !rerun {
            scheduler.reschedule(tenant, &self.registry, LastPull::None, now);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Ends the tracking of a tenant, with the pulls to come that are due to it.
    pub(crate) fn untrack(&self, tenant: &TenantId) {
        let now = self.now().elapsed;
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        scheduler.untrack(tenant);
        if !in_flight.contains(tenant) {
            scheduler.reschedule(tenant, &self.registry, LastPull::None, now);
        }
    }

    /// Requests a pull of `tenant` at once, ahead of what is due and whatever the schedule, a
    /// back-off or another replica's lease says, or joins one that knows the same notifications.
    /// The receiver gets its result.
    ///
    /// # Errors
    ///
    /// When the state API requested a pause, or too many wait.
    pub(crate) fn refresh(
        &self,
        tenant: &TenantId,
    ) -> Result<oneshot::Receiver<Refreshed>, RefreshError> {
        let now = self.now();
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        if let Some(retry_after) = scheduler.paused(now.instant) {
            return Err(RefreshError::RateLimited { retry_after });
        }
        let (receiver, requested) = in_flight.refresh(tenant, self.term(tenant))?;
        if requested {
            scheduler.request(tenant, now.elapsed);
        }
        drop(state);
        self.wake.notify_one();
        Ok(receiver)
    }

    /// Releases the calls and refreshes that wait, and has no more join: no pull is made from now
    /// on.
    pub(crate) fn end(&self) {
        let released = self.state().in_flight.end();
        // Those that waited go on only now, with nothing locked.
        drop(released);
    }

    /// Returns the store that lends leases; `None` without one, and once the gate has freed it.
    pub(super) fn leases(&self) -> Option<Arc<dyn Store>> {
        self.store.as_ref()?.upgrade()
    }

    /// Returns the number of the pull started last: a call takes it along, to find out later
    /// whether a pull was made since.
    pub(crate) fn pull_seq(&self) -> u64 {
        self.pull_seq.load(Ordering::Acquire)
    }

    /// Requests a pull because of a misdirected call to `tenant` that was sent when `pull_seq` was
    /// the last pull, and joins it. The receiver ends when the pull is over; there is none when one
    /// was made since, or the last one was unhelpful.
    pub(crate) fn misdirected(
        &self,
        tenant: &TenantId,
        pull_seq: u64,
    ) -> Option<oneshot::Receiver<()>> {
        let now = self.now();
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        let join = in_flight.join(tenant, pull_seq, scheduler.requests(), now.instant);
        let receiver = requested(join, || self.request_for_call(scheduler, tenant, now.elapsed))?;
        drop(state);
        self.wake.notify_one();
        Some(receiver)
    }

    /// Requests a pull that may find the host of `tenant`, which is not known, and joins it. The
    /// receiver ends when the pull is over; there is none while pulls of this tenant find nothing,
    /// or too many wait.
    pub(crate) fn locate(&self, tenant: &TenantId) -> Option<oneshot::Receiver<()>> {
        let now = self.now();
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        if scheduler.paused(now.instant).is_some() {
            return None;
        }
        let join = in_flight.locate(tenant, scheduler.requests(), now.instant);
        let receiver = requested(join, || self.request_for_call(scheduler, tenant, now.elapsed))?;
        drop(state);
        self.wake.notify_one();
        Some(receiver)
    }

    /// Returns the time since the gate was built, up to ten seconds late. It reads no clock,
    /// because every call needs it.
    pub(crate) fn coarse_now(&self) -> Duration {
        // Relaxed: a time orders nothing.
        Duration::from_secs(self.coarse.load(Ordering::Relaxed))
    }

    /// Moves the coarse clock on.
    pub(super) fn tick(&self) {
        self.coarse.store(self.clock.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// Requests a pull of `tenant`, which is open and called, because its answer is no longer
    /// fresh: its entry [says so](Registry::read_for_call).
    pub(crate) fn request_stale(&self, tenant: &TenantId) {
        self.request_open(tenant, Trigger::Stale);
    }

    /// Requests a pull of `tenant` because a call to it failed, if it is open, known, and was not
    /// pulled within the last minute.
    pub(crate) fn request_for_symptom(&self, tenant: &TenantId) {
        // Refusals come here too, so this reads no clock either.
        if self.registry.note_symptom(tenant, self.coarse_now()) {
            self.request_open(tenant, Trigger::Symptom);
        }
    }

    fn request_open(&self, tenant: &TenantId, trigger: Trigger) {
        let now = self.now().elapsed;
        let mut state = self.state();
        // One that is in flight will do; the next is requested by a call after it.
        let requested =
            !state.in_flight.contains(tenant) && state.scheduler.request_open(tenant, trigger, now);
        drop(state);
        if requested {
            self.wake.notify_one();
        } else {
            self.registry.clear_called(tenant);
        }
    }

    /// Requests a pull that a call waits for. Calls can name any tenant, so those that nothing is
    /// known of come after the pulls that are due.
    fn request_for_call(&self, scheduler: &mut Scheduler, tenant: &TenantId, now: Duration) {
        if self.registry.read(tenant, |_| ()).is_some() {
            scheduler.request(tenant, now);
        } else {
            scheduler.request_unheard(tenant, now);
        }
    }

    pub(crate) fn health(&self) -> PullHealth {
        let now = self.now().elapsed;
        let mut state = self.state();
        let State { scheduler, in_flight, counters, corrections, failures } = &mut *state;
        let (waiting, oldest) = scheduler.waiting(&self.registry, in_flight, now);
        // Only another pull shows that the state API answers again, so without one nothing is
        // known.
        let goes_on = in_flight.len() > 0 || scheduler.has_next(&self.registry, in_flight);
        PullHealth {
            waiting,
            awaiting: scheduler.awaiting(),
            oldest: oldest.map_or(Duration::ZERO, |oldest| now.saturating_sub(oldest)),
            in_flight: in_flight.len(),
            counters: *counters,
            failing: if goes_on { failures.span() } else { Duration::ZERO },
            last_error: failures.last_error().map(str::to_owned),
            corrections: corrections.read(),
        }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn timers(&self) -> (&Timer, &CorrectionTimers) {
        (&self.timer, &self.correction_timers)
    }

    /// Returns the counts of pulls, and of corrections.
    #[cfg(feature = "metrics")]
    pub(crate) fn counts(&self) -> (PullCounters, Vec<(Option<ChangeType>, u64)>) {
        let state = self.state();
        (state.counters, state.corrections.each().collect())
    }

    /// Returns the term of a lease on `tenant` now.
    pub(super) fn term(&self, tenant: &TenantId) -> u64 {
        let term = self.registry.read(tenant, lease::term);
        term.unwrap_or_else(|| lease::term(&Record::default()))
    }

    pub(super) fn now(&self) -> Now {
        Now { elapsed: self.clock.elapsed(), instant: Instant::now() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_pull_seq(&self, started: u64) {
        self.pull_seq.store(started, Ordering::Release);
    }
}

/// Makes the request of a `join` with `request`, and returns its receiver.
fn requested(join: Join, request: impl FnOnce()) -> Option<oneshot::Receiver<()>> {
    match join {
        Join::None => None,
        Join::Joined(receiver) => Some(receiver),
        Join::Requested(receiver) => {
            request();
            Some(receiver)
        }
    }
}

impl Observer for Pulls {
    fn after_change(&self, _: &Tenants, tenant: &TenantId, applied: &Applied) {
        let now = self.now().elapsed;
        let mut state = self.state();
        // While a pull is in flight its completion does this, once, with all that is known by then.
        if !state.in_flight.contains(tenant) {
            state.scheduler.reschedule(tenant, &self.registry, LastPull::None, now);
        }
        drop(state);
        self.wake.notify_one();
        // These, and a malformed record, don't say how the tenant is now: the state API does.
        use ChangeType::{BackupRestored, Move, Other};
        let silent = matches!(applied.notified, Some(BackupRestored | Move | Other(_)));
        if silent || applied.turned_unreadable() {
            self.request_pull(tenant);
        }
    }

    fn remove(&self, tenant: &TenantId, removal: &mut dyn FnMut() -> Removal) -> Removal {
        // Nothing becomes due while this is locked, so that the count of what is stays right.
        let mut state = self.state();
        let removal = removal();
        if let Removal::Removed { ready } = removal {
            let State { scheduler, in_flight, .. } = &mut *state;
            // A pull that is waited for is made all the same: its answer is newer than what was
            // forgotten.
            let awaited = in_flight.cancel_rerun(tenant);
            scheduler.forget(tenant, ready, awaited);
        }
        removal
    }

    fn after_load(&self, _: &Tenants, loaded: &[TenantId]) {
        let now = self.now().elapsed;
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        for tenant in loaded {
            if !in_flight.contains(tenant) {
                scheduler.reschedule(tenant, &self.registry, LastPull::None, now);
            }
        }
        drop(state);
        self.wake.notify_one();
    }
}

impl fmt::Debug for Pulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulls").field("api", &self.api).finish_non_exhaustive()
    }
}
