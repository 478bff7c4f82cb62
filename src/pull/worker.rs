//! The task that makes the pulls.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use smol_str::SmolStr;
use tokio::time::{Instant, sleep};

use super::{
    pulls::{Pulls, State},
    response::StateResponse,
    schedule::{LONGEST_PAUSE, Trigger},
    scheduler::{LastPull, Next},
    state_api::Failure,
};
use crate::{
    log,
    status::{Record, stamp::PullStamp},
    store::Store,
    tenant_id::TenantId,
    tenants::{Tenants, Update, correction::Correction},
};

/// Duration of a lease: longer than any pull takes.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// Time-out of the request for a lease, after which the pull is made without one.
const LEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// A pull that starts.
struct Start {
    tenant: TenantId,
    trigger: Trigger,
    at: Instant,
    /// A misdirected call waits for it.
    misdirected: bool,
}

/// A pull that is over.
struct Completed {
    tenant: TenantId,
    start: Instant,
    outcome: Outcome,
}

enum Outcome {
    Answered(PullStamp, StateResponse),
    Failed(Failure),
    /// Another replica has the lease. The stamp is from before the request for it.
    Delegated(PullStamp),
}

impl Pulls {
    /// Makes the pulls that are due, for as long as it is polled. A run that broke off is taken up
    /// by the next.
    pub(crate) async fn run(self: Arc<Self>, tenants: Arc<Tenants>) {
        self.request_interrupted();
        let mut in_flight = FuturesUnordered::new();
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
                Some(completed) = in_flight.next() => self.complete(&tenants, completed),
                // A permit is kept for a wake-up that comes while this does not wait.
                () = self.wake.notified() => {}
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
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
            Next::Start { tenant, trigger } => {
                let misdirected = in_flight.start(&tenant);
                self.set_pull_seq(in_flight.pull_seq());
                Ok(Start { tenant, trigger, at: now.instant, misdirected })
            }
        }
    }

    async fn pull(&self, start: Start) -> Completed {
        let Start { tenant, trigger, at, misdirected } = start;
        log::trace!(%tenant, ?trigger, "pull started");
        // The client and the store may be any crate's: a panic of theirs is a failed pull, and must
        // not be the last.
        let outcome = AssertUnwindSafe(self.outcome(&tenant, misdirected, at)).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Failed(Failure::panicked()));
        Completed { tenant, start: at, outcome }
    }

    async fn outcome(&self, tenant: &TenantId, misdirected: bool, start: Instant) -> Outcome {
        // A call waits for this pull; the one that another replica makes may come too late for it,
        // or may have been made before the tenant moved.
        if !misdirected && let Some(store) = &self.store {
            let stamp = self.registry.stamp(tenant);
            if !try_lease(&**store, tenant).await {
                return Outcome::Delegated(stamp);
            }
            self.wait_for_turn(start).await;
        }
        let stamp = self.registry.stamp(tenant);
        match self.api.pull(tenant).await {
            Ok(response) => Outcome::Answered(stamp, response),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Waits for a pull's turn once more: the store may have taken its time, pulls that waited for
    /// it together must not start together, and the state API may have asked for a pause.
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

    fn complete(&self, tenants: &Tenants, Completed { tenant, start, outcome }: Completed) {
        let before = self.endpoint(&tenant);
        let mut correction = None;
        let last = match outcome {
            Outcome::Answered(stamp, response) => {
                self.record_pull(tenants, &tenant, stamp, &response, &mut correction)
            }
            Outcome::Failed(failure) => self.fail(&tenant, &failure),
            Outcome::Delegated(stamp) => return self.delegate(&tenant, stamp, start),
        };
        let moved = self.endpoint(&tenant) != before;
        let now = self.now();
        let mut state = self.state();
        let recovered = last != LastPull::Failed && std::mem::take(&mut state.failing);
        match last {
            LastPull::Answered { .. } => state.counters.answered += 1,
            LastPull::UnknownState => state.counters.unknown += 1,
            LastPull::Failed => state.counters.failed += 1,
            LastPull::None => {}
        }
        let (rerun, waiters) = state.in_flight.complete(&tenant, moved, now.instant);
        state.scheduler.reschedule(&tenant, &self.registry, last, now.elapsed);
        if rerun {
            state.scheduler.request(&tenant, now.elapsed);
        }
        drop(state);
        // Only now, when all that the pull brought is in place, its waiters go on.
        drop(waiters);
        // Logged last, and with nothing locked: a subscriber may do as it likes.
        if let Some(correction) = correction {
            log::warn!(%tenant, %correction, "status corrected by the state API");
        }
        if recovered {
            log::info!("state API answers again");
        }
    }

    fn record_pull(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        stamp: PullStamp,
        response: &StateResponse,
        corrected: &mut Option<Correction>,
    ) -> LastPull {
        let Some(told) = response.told(self.clock.unix_ms()) else {
            log::debug!(%tenant, "state unknown to the state API");
            return LastPull::UnknownState;
        };
        log::debug!(%tenant, state = %told.state, "pull answered");
        let applied = tenants.apply(tenant, Update::Pull { stamp, told });
        if let Some(correction) = applied.correction {
            self.state().corrections.count(&correction);
            *corrected = Some(correction);
        }
        LastPull::Answered { valid_for: response.valid_for }
    }

    fn fail(&self, tenant: &TenantId, failure: &Failure) -> LastPull {
        let mut state = self.state();
        if let Some(pause) = failure.retry_after {
            state.scheduler.pause(Instant::now() + pause.min(LONGEST_PAUSE));
        }
        // Only the first failure of an outage is a warning.
        let began = !std::mem::replace(&mut state.failing, true);
        drop(state);
        if began {
            log::warn!(%tenant, %failure, "pull failed");
        } else {
            log::debug!(%tenant, %failure, "pull failed again");
        }
        LastPull::Failed
    }

    /// Another replica pulls: its answer comes through the store, and is waited for until the lease
    /// is free again.
    fn delegate(&self, tenant: &TenantId, stamp: PullStamp, start: Instant) {
        let now = self.now().elapsed;
        let answered = self.registry.read(tenant, |record| stamp.is_followed_in(record));
        let mut state = self.state();
        state.counters.delegated += 1;
        let rerun = state.in_flight.delegate(tenant);
        state.scheduler.give_back(start);
        if rerun {
            state.scheduler.request(tenant, now);
        }
        if answered == Some(true) {
            // The answer came while the store was asked for the lease.
            state.scheduler.reschedule(tenant, &self.registry, LastPull::None, now);
        } else {
            let wait = LEASE_TTL.mul_f64(1.0 + fastrand::f64() / 2.0);
            state.scheduler.put_off(tenant, &self.registry, now.saturating_add(wait));
        }
    }

    /// Returns where the last pull that named it has the tenant.
    fn endpoint(&self, tenant: &TenantId) -> Option<SmolStr> {
        let endpoint = |record: &Record| record.pulled_endpoints().next().cloned();
        self.registry.read(tenant, endpoint).flatten()
    }
}

/// Returns whether the pull of `tenant` is ours to make. A store that can't say leaves it to each
/// replica.
async fn try_lease(store: &dyn Store, tenant: &TenantId) -> bool {
    match tokio::time::timeout(LEASE_TIMEOUT, store.try_lease(tenant, LEASE_TTL)).await {
        Ok(Ok(ours)) => ours,
        Ok(Err(_)) | Err(_) => true,
    }
}
