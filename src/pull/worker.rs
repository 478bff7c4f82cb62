//! The task that makes the pulls.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use smol_str::SmolStr;
use tokio::time::{Instant, MissedTickBehavior, sleep};

use super::{
    error::{PullError, RefreshError},
    in_flight::{FoundHost, Released},
    lease::{self, Extension, HeldLease},
    pulls::{Pulls, State},
    response::StateResponse,
    schedule::{LONGEST_PAUSE, Trigger},
    scheduler::{LastPull, Next},
    state_api::Failure,
    stats::PullResult,
};
use crate::{
    log,
    status::Record,
    tenant_id::TenantId,
    tenants::{SentPull, Tenants, Update, correction::Correction},
    timer::Started,
};

/// Largest lateness of the clock that calls read. What it decides is measured in minutes.
const TICK: Duration = Duration::from_secs(10);

/// A pull that starts.
struct Start {
    tenant: TenantId,
    trigger: Trigger,
    at: Instant,
    /// The term of its lease.
    term: u64,
    /// A misdirected call or a refresh waits for it.
    awaited: bool,
    /// Its lateness, if it keeps to the turns of other replicas.
    late: Option<Duration>,
}

/// A pull that is over.
struct Completed {
    tenant: TenantId,
    trigger: Trigger,
    start: Instant,
    term: u64,
    late: Option<Duration>,
    outcome: Outcome,
}

enum Outcome {
    Answered(SentPull, StateResponse),
    Failed(Failure),
    /// Another replica has the lease or the turn. The stamp is from before the request for it.
    Delegated(SentPull, HeldLease),
}

impl Pulls {
    /// Makes the pulls that are due, for as long as it is polled. A run that broke off is taken up
    /// by the next.
    pub(crate) async fn run(self: Arc<Self>, tenants: Arc<Tenants>) {
        self.request_interrupted();
        let mut in_flight = FuturesUnordered::new();
        let mut extensions = FuturesUnordered::new();
        let mut ticks = tokio::time::interval(TICK);
        // A late tick is not made up for: what counts is the time that it sets.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wait = loop {
                if in_flight.len() >= self.at_once {
                    break None;
                }
                match self.next() {
                    Ok(start) => in_flight.push(self.pull(start)),
                    Err(wait) => break wait,
                }
            };
            tokio::select! {
                Some(completed) = in_flight.next() => {
                    let extension = self.complete(&tenants, completed);
                    extensions.extend(extension.map(|own| self.extend_lease(own)));
                }
                Some(()) = extensions.next() => {}
                // A permit is kept for a wake-up that comes while this does not wait.
                () = self.wake.notified() => {}
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Returns the pull to start now, or for how long to wait for one.
    fn next(&self) -> Result<Start, Option<Duration>> {
        let now = self.now();
        let mut state = self.state();
        let State { scheduler, in_flight, .. } = &mut *state;
        match scheduler.next(&self.registry, in_flight, now) {
            Next::Wait(wait) => Err(wait),
            Next::Start { tenant, trigger, wanted } => {
                let term = self.term(&tenant);
                let awaited = in_flight.start(&tenant, term);
                self.set_pull_seq(in_flight.pull_seq());
                // One that calls need, or that was requested, waits for no other replica's turn.
                let keeps_to_turns = !wanted && !awaited && trigger.is_periodic();
                let due = self.registry.due(&tenant).filter(|_| keeps_to_turns);
                let late = due.and_then(|due| lease::late(now.elapsed.saturating_sub(due.time())));
                Ok(Start { tenant, trigger, at: now.instant, term, awaited, late })
            }
        }
    }

    async fn pull(&self, start: Start) -> Completed {
        log::trace!(tenant = %start.tenant, trigger = start.trigger.as_str(), "pull started");
        // The client and the store may be any crate's: a panic of theirs is a failed pull, and must
        // not be the last.
        let outcome = AssertUnwindSafe(self.outcome(&start)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Failed(Failure::panicked()));
        let Start { tenant, trigger, at, term, late, .. } = start;
        Completed { tenant, trigger, start: at, term, late, outcome }
    }

    async fn outcome(&self, Start { tenant, trigger, at, term, awaited, late }: &Start) -> Outcome {
        // A caller waits for this pull; the one of another replica may come too late for it, or may
        // have been made before the tenant moved. An unverified sender, too, knows of something
        // that an earlier answer may not show.
        let leased = !awaited && *trigger != Trigger::Unverified;
        if leased && let Some(store) = self.leases() {
            let sent = self.registry.send_pull(tenant);
            if let Some(held) = lease::request(&*store, tenant, *term, late.is_some()).await {
                return Outcome::Delegated(sent, held);
            }
            drop(store);
            self.wait_for_turn(*at).await;
        }
        let sent = self.registry.send_pull(tenant);
        let started = Started::now();
        let answer = self.api.pull(tenant, *trigger).await;
        self.timer.stop(started);
        match answer {
            Ok(response) => Outcome::Answered(sent, response),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Waits for a pull's turn once more: the store may have taken its time, pulls that waited for
    /// it together must not start together, and the state API may have requested a pause.
    async fn wait_for_turn(&self, start: Instant) {
        let mut held = Some(start);
        loop {
            let until = self.state().scheduler.hold(held.take(), Instant::now());
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Records the result of a pull, and returns the leases that are to last longer.
    fn complete(&self, tenants: &Tenants, completed: Completed) -> Option<(TenantId, Extension)> {
        let Completed { tenant, trigger, start, term, late, outcome } = completed;
        let before = self.endpoint(&tenant);
        let mut correction = None;
        let (last, refreshed) = match outcome {
            Outcome::Answered(sent, response) => {
                match self.record_pull(tenants, &tenant, sent, &response, &mut correction) {
                    LastPull::UnknownState => {
                        (LastPull::UnknownState, Err(RefreshError::UnknownState))
                    }
                    last => (last, Ok(())),
                }
            }
            Outcome::Failed(failure) => {
                let failure = PullError::new(failure);
                self.fail(&tenant, &failure);
                let error = match failure.retry_after() {
                    Some(retry_after) => RefreshError::RateLimited { retry_after },
                    None => RefreshError::Failed(failure),
                };
                (LastPull::Failed, Err(error))
            }
            Outcome::Delegated(sent, held) => {
                self.delegate((&tenant, trigger), sent, start, held);
                self.want_again(tenants, &tenant);
                return None;
            }
        };
        let found = match self.endpoint(&tenant) {
            None => FoundHost::None,
            host if host == before => FoundHost::Same,
            Some(_) => FoundHost::New,
        };
        let now = self.now();
        let mut state = self.state();
        let recovered = last != LastPull::Failed && state.failures.end();
        match last {
            LastPull::Answered { .. } => state.counters.count(trigger, PullResult::Answered),
            LastPull::UnknownState => state.counters.count(trigger, PullResult::Unknown),
            LastPull::Failed => state.counters.count(trigger, PullResult::Failed),
            LastPull::None | LastPull::Delegated { .. } => {}
        }
        let (rerun, released) = state.in_flight.complete(&tenant, found, now.instant);
        state.scheduler.reschedule(&tenant, &self.registry, last, now.elapsed);
        if rerun {
            state.scheduler.request(&tenant, now.elapsed);
        }
        // SuperOffice announces first: what it announced may be true only later.
        if trigger == Trigger::Unverified {
            let running = matches!(last, LastPull::Answered { .. }) && self.is_open(&tenant);
            state.scheduler.unverified_pulled(&tenant, running, now.elapsed);
        }
        let paused = match &refreshed {
            Err(RefreshError::RateLimited { .. }) => state.in_flight.take_refreshes(),
            _ => Released::default(),
        };
        drop(state);
        // Only now, when all that the pull brought is in place, those that waited go on.
        released.release(&refreshed);
        paused.release(&refreshed);
        // Logged last, and with nothing locked: a subscriber may do as it likes.
        if let Some(correction) = correction {
            self.correction_timers.record(&correction);
            log::warn!(%tenant, %correction, "status corrected by the state API");
        }
        if recovered {
            log::info!("state API answers again");
        }
        self.want_again(tenants, &tenant);
        let LastPull::Answered { valid_for } = last else { return None };
        self.store.as_ref()?;
        let next = self.registry.due(&tenant).map(|due| due.time().saturating_sub(now.elapsed));
        let extension = Extension::new(term, valid_for, next, late)?;
        // Not after a notification that has come since it was sent.
        (self.term(&tenant) == term).then_some((tenant, extension))
    }

    /// Has a tenant that is waited for be wanted for the next pull too.
    fn want_again(&self, tenants: &Tenants, tenant: &TenantId) {
        if tenants.is_waited_for(tenant) {
            self.registry.want(tenant);
        }
    }

    async fn extend_lease(&self, (tenant, extension): (TenantId, Extension)) {
        let Some(store) = self.leases() else { return };
        let extend = extension.request(&*store, &tenant);
        if AssertUnwindSafe(extend).catch_unwind().await.is_err() {
            log::error!(%tenant, "store panicked; lease not extended");
        }
    }

    fn record_pull(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        sent: SentPull,
        response: &StateResponse,
        corrected: &mut Option<Correction>,
    ) -> LastPull {
        let Some(answer) = response.answer(self.clock.unix_ms()) else {
            log::debug!(%tenant, "state unknown to the state API");
            return LastPull::UnknownState;
        };
        log::debug!(%tenant, state = %answer.state, "pull answered");
        let applied = tenants.apply(tenant, Update::Pull { sent, answer });
        if let Some(correction) = applied.correction {
            self.state().corrections.count(&correction);
            *corrected = Some(correction);
        }
        LastPull::Answered { valid_for: response.valid_for }
    }

    fn fail(&self, tenant: &TenantId, failure: &PullError) {
        let now = self.now().elapsed;
        let mut state = self.state();
        if let Some(pause) = failure.retry_after() {
            state.scheduler.pause(Instant::now() + pause.min(LONGEST_PAUSE));
        }
        // Only the first failure of an outage is a warning.
        let began = state.failures.add(now, failure.to_string());
        drop(state);
        if began {
            log::warn!(%tenant, %failure, "pull failed");
        } else {
            log::debug!(%tenant, %failure, "pull failed again");
        }
    }

    /// Leaves the tenant to another replica, which pulls or has pulled it: its answer comes through
    /// the store, unless it has nothing new. The tenant is not pulled here before the lease has
    /// ended. A turn puts the pull off for a while only: it goes behind all that wait, but calls
    /// can still make it wanted.
    fn delegate(
        &self,
        (tenant, trigger): (&TenantId, Trigger),
        sent: SentPull,
        start: Instant,
        HeldLease { remaining, wait }: HeldLease,
    ) {
        let now = self.now().elapsed;
        let followed = self.registry.read(tenant, |record| sent.is_followed_in(record));
        let last = if followed == Some(true) {
            // The answer came while the lease was requested.
            LastPull::None
        } else {
            // A little later than its holder, which goes on with the tenant while it lives.
            let later = lease::IN_FLIGHT.mul_f64(fastrand::f64() / 2.0);
            let until = now.saturating_add(wait).saturating_add(later);
            LastPull::Delegated { until, answered: remaining > lease::IN_FLIGHT }
        };
        let mut state = self.state();
        state.counters.count(trigger, PullResult::Delegated);
        let rerun = state.in_flight.delegate(tenant);
        state.scheduler.give_back(start);
        state.scheduler.reschedule(tenant, &self.registry, last, now);
        if rerun {
            state.scheduler.request(tenant, now);
        }
    }

    fn is_open(&self, tenant: &TenantId) -> bool {
        self.registry.summary(tenant).is_none()
    }

    /// Returns the origin of the tenant, by the last pull that named one.
    fn endpoint(&self, tenant: &TenantId) -> Option<SmolStr> {
        let endpoint = |record: &Record| record.pulled_endpoints().next().cloned();
        self.registry.read(tenant, endpoint).flatten()
    }
}
