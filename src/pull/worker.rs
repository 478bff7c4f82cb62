//! The task that makes the looks.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::{
    answer::Answer,
    desk::{Next, Start},
    pulls::Pulls,
    queue::Look,
    schedule::{LONGEST_PAUSE, Last},
    state_api::Failure,
};
use crate::{
    log,
    store::Store,
    tenant_id::TenantId,
    tenants::{Tenants, Update, correction::Correction},
};

/// For how long a replica has the right to look at a tenant: longer than any look takes.
const CLAIM: Duration = Duration::from_secs(10);

/// How long to wait for the store to lend that right, before doing without.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

/// A look that is over.
struct Landed {
    look: Look,
    start: Instant,
    /// ms since the epoch.
    asked: u64,
    outcome: Outcome,
}

enum Outcome {
    Answered(Answer),
    Failed(Failure),
    /// Another replica has the right to look.
    Left,
}

impl Pulls {
    /// Makes the looks that are due, for as long as it is polled.
    /// A run that broke off is taken up by the next.
    pub(crate) async fn run(self: Arc<Self>, tenants: Arc<Tenants>) {
        let now = self.now().wall;
        self.desk().requeue_interrupted(now);
        let mut under_way = FuturesUnordered::new();
        loop {
            let wait = loop {
                if under_way.len() >= self.schedule.at_once() {
                    break None;
                }
                match self.next() {
                    Next::Start(start) => under_way.push(self.look(start)),
                    Next::Wait(until) => break until,
                }
            };
            tokio::select! {
                Some(landed) = under_way.next() => self.land(&tenants, landed),
                // Told while this was not listening, it still hears of it.
                () = self.wake.notified() => {}
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {}
            }
        }
    }

    fn next(&self) -> Next {
        let now = self.now();
        let mut desk = self.desk();
        let next = desk.next(&self.registry, now);
        self.set_mark(desk.started);
        next
    }

    async fn look(&self, Start { look, at, misdirected }: Start) -> Landed {
        let mut asked = self.now().wall;
        // The client and the store may be anybody's: a panic of theirs is a failed look, and must
        // not be the last.
        let tenant = look.tenant.clone();
        let outcome = self.outcome(&tenant, misdirected, at, &mut asked);
        let outcome = AssertUnwindSafe(outcome).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Failed(Failure::panicked()));
        Landed { look, start: at, asked, outcome }
    }

    /// Notes when it asked in `asked`.
    async fn outcome(
        &self,
        tenant: &TenantId,
        misdirected: bool,
        start: Instant,
        asked: &mut u64,
    ) -> Outcome {
        // A call waits for this look; the one that another replica makes may come too late for it,
        // or may have been made before the tenant moved.
        if !misdirected && let Some(store) = &self.store {
            if !claim(&**store, tenant).await {
                return Outcome::Left;
            }
            self.turn(start).await;
        }
        *asked = self.now().wall;
        match self.api.ask(tenant).await {
            Ok(answer) => Outcome::Answered(answer),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Waits for a look's turn once more: the store may have taken its time, looks that waited for it
    /// together must not start together, and the state API may want to be left alone by now.
    async fn turn(&self, start: Instant) {
        let mut held = Some(start);
        loop {
            let until = self.desk().put_off(held.take(), Instant::now());
            match until {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    fn land(&self, tenants: &Tenants, Landed { look, start, asked, outcome }: Landed) {
        let tenant = look.tenant.clone();
        let tries = look.tries.saturating_add(1);
        let before = self.endpoint_in_record(&tenant);
        let mut correction = None;
        let last = match outcome {
            Outcome::Answered(answer) => {
                self.take(tenants, &tenant, asked, &answer, tries, &mut correction)
            }
            Outcome::Failed(failure) => self.fail(&tenant, &failure, tries),
            Outcome::Left => return self.leave(&look, start, asked),
        };
        let moved = self.endpoint_in_record(&tenant) != before;
        let now = self.now();
        let mut desk = self.desk();
        let recovered = !matches!(last, Last::Failed { .. }) && std::mem::take(&mut desk.failing);
        match last {
            Last::Told { .. } => desk.tally.told += 1,
            Last::Silent { .. } => desk.tally.silent += 1,
            Last::Failed { .. } => desk.tally.failed += 1,
            Last::Unasked => {}
        }
        let waiters = desk.land(&tenant, moved, now);
        desk.reschedule(&tenant, &self.registry, &self.schedule, last, now.wall);
        drop(desk);
        // Only now, when all that the look brought is in place, its waiters go on.
        drop(waiters);
        // Logged last, and with nothing locked: a subscriber may do as it likes.
        if let Some(correction) = correction {
            log::warn!(%tenant, %correction, "state API corrected a status");
        }
        if recovered {
            log::info!("state API available again");
        }
    }

    fn take(
        &self,
        tenants: &Tenants,
        tenant: &TenantId,
        asked: u64,
        answer: &Answer,
        tries: u8,
        corrected: &mut Option<Correction>,
    ) -> Last {
        let record = self.registry.record(tenant).unwrap_or_default();
        let Some(pulled) = answer.pulled(asked, &record) else {
            log::debug!(%tenant, "state API does not know the tenant");
            return Last::Silent { tries };
        };
        log::debug!(%tenant, state = %pulled.state, "state API answered");
        let applied = tenants.apply(tenant, Update::Pull(pulled));
        if let Some(correction) = applied.correction {
            self.desk().meter.count(&correction);
            *corrected = Some(correction);
        }
        Last::Told { valid_until: answer.valid_until }
    }

    fn fail(&self, tenant: &TenantId, failure: &Failure, tries: u8) -> Last {
        let retry_after = failure.retry_after.map(|pause| pause.min(LONGEST_PAUSE));
        let mut desk = self.desk();
        if let Some(pause) = retry_after {
            desk.pause(Instant::now() + pause);
        }
        // The first failure is news, the rest of an outage is not.
        let began = !std::mem::replace(&mut desk.failing, true);
        drop(desk);
        if began {
            log::warn!(%tenant, %failure, "pull failed");
        } else {
            log::debug!(%tenant, %failure, tries, "pull failed again");
        }
        Last::Failed { tries, retry_after }
    }

    /// Another replica looks: its answer comes through the store, which is waited for until the
    /// right to look is free again.
    fn leave(&self, look: &Look, start: Instant, asked: u64) {
        let now = self.now().wall;
        let record = self.registry.record(&look.tenant).unwrap_or_default();
        let claim = u64::try_from(CLAIM.as_millis()).unwrap_or(u64::MAX);
        let due = now.saturating_add(claim + fastrand::u64(..claim / 2));
        let mut desk = self.desk();
        desk.leave(look, start, &self.registry, due, now);
        if record.pulls().any(|pulled| pulled.asked >= asked) {
            // It came while the store was asked for the right to look.
            desk.reschedule(&look.tenant, &self.registry, &self.schedule, Last::Unasked, now);
        }
    }

    /// Where the newest pull that says so has the tenant.
    fn endpoint_in_record(&self, tenant: &TenantId) -> Option<smol_str::SmolStr> {
        self.registry.record(tenant)?.endpoint().cloned()
    }
}

/// Whether the look at `tenant` is ours to make. A store that can't say leaves it to each replica.
async fn claim(store: &dyn Store, tenant: &TenantId) -> bool {
    match tokio::time::timeout(CLAIM_TIMEOUT, store.try_lease(tenant, CLAIM)).await {
        Ok(Ok(ours)) => ours,
        Ok(Err(_)) | Err(_) => true,
    }
}
