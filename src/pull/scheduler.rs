//! The calendar of pulls: when each tenant is pulled, and the trigger.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    in_flight::InFlight,
    queue::{Dues, Queue},
    rate_limiter::RateLimiter,
    repeats::Repeats,
    schedule::{NextPull, Schedule, Situation, Trigger},
};
use crate::{
    status::{Record, history::PullHistory, knowledge::Knowledge, mono::Mono},
    tenant_id::TenantId,
    tenants::{
        entry::{PullStart, Ready, Replaced},
        registry::Registry,
    },
};

type Map<V> = HashMap<TenantId, V, foldhash::fast::RandomState>;

/// Removes a value without hashing the id while there is none: a load does so for each tenant.
fn remove<V>(map: &mut Map<V>, tenant: &TenantId) -> Option<V> {
    if map.is_empty() { None } else { map.remove(tenant) }
}

/// Knows when each tenant is pulled next. All of it runs on the monotonic clock.
#[derive(Debug)]
pub(crate) struct Scheduler {
    schedule: Schedule,
    queue: Queue,
    limiter: RateLimiter,
    /// Unverified requests have a limit of their own, so that a flood of them leaves the rest its
    /// share.
    unverified_limiter: RateLimiter,
    repeats: Repeats,
    /// Requests that no pull has answered yet: it is made again until one does.
    awaiting_answer: Map<AwaitingAnswer>,
    /// The tenants that count as called.
    tracked: HashSet<TenantId, foldhash::fast::RandomState>,
    /// Pulls of tenants that the registry has no entry of.
    due_unregistered: Map<Unregistered>,
}

/// A pull that was requested.
#[derive(Debug, Clone, Copy)]
struct AwaitingAnswer {
    /// A pull with this number was sent after the request, or one with a later number.
    seq: u32,
    /// A pull was in flight when it was requested, and still is: that one does not count.
    in_flight: bool,
    /// Only an answer that says how the tenant is will do.
    tracked: bool,
    /// Something else than tracking requested it too.
    requested: bool,
}

#[derive(Debug)]
struct Unregistered {
    history: PullHistory,
    due: Mono,
    ready: bool,
}

/// The times of all pulls to come, in the registry and beside it.
struct AllDues<'a> {
    registry: &'a Registry,
    unregistered: &'a mut Map<Unregistered>,
    /// A pull in flight schedules the next when it is over.
    in_flight: &'a InFlight,
}

/// The result of the last own pull of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastPull {
    /// None has been made since the record changed.
    None,
    /// A recorded answer, and how long it is valid.
    Answered { valid_for: Option<Duration> },
    /// An answer without a state, such as `Unknown`.
    UnknownState,
    /// No answer, or an invalid one.
    Failed,
    /// None: another replica has the lease, so that the next is made at `until` or later.
    Delegated {
        until: Duration,
        /// The pull of the other replica was answered.
        answered: bool,
    },
}

/// The next action.
#[derive(Debug)]
pub(crate) enum Next {
    Start {
        tenant: TenantId,
        trigger: Trigger,
        /// Calls are refused at the tenant, or it is waited for.
        wanted: bool,
    },
    /// Nothing for so long, unless something changes; `None` for as long as nothing does.
    Wait(Option<Duration>),
}

/// The present, as the registry counts it and as tokio does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Since the gate was built.
    pub(crate) elapsed: Duration,
    pub(crate) instant: Instant,
}

impl Scheduler {
    /// Creates an empty calendar. An unverified request is repeated after `settle`.
    pub(crate) fn new(schedule: Schedule, settle: Duration) -> Self {
        Self {
            limiter: RateLimiter::new(schedule.rate()),
            unverified_limiter: RateLimiter::new(1),
            repeats: Repeats::new(settle),
            queue: Queue::default(),
            awaiting_answer: Map::default(),
            tracked: HashSet::default(),
            due_unregistered: Map::default(),
            schedule,
        }
    }

    /// Puts the next pull of `tenant` on the calendar, by what is known of it and what the last own
    /// pull brought. It must not be in flight: its completion does this.
    pub(crate) fn reschedule(
        &mut self,
        tenant: &TenantId,
        registry: &Registry,
        last: LastPull,
        now: Duration,
    ) {
        let (settle, random) = (registry.settle(), fastrand::f64());
        let awaiting = self.awaiting_answer.get(tenant).copied();
        let tracked = self.tracked.contains(tenant);
        let mut next = None;
        let mut requested = false;
        let mut schedule = |record: &Record, knowledge: &Knowledge, history: &mut PullHistory| {
            match last {
                LastPull::None | LastPull::Delegated { .. } => {}
                LastPull::Answered { valid_for } => {
                    history.attempted(Default::default(), now);
                    history.set_fresh(valid_for);
                }
                LastPull::UnknownState => history.attempted(history.attempts().unknown(), now),
                LastPull::Failed => history.attempted(history.attempts().failed(), now),
            }
            requested = awaiting.is_some_and(|awaiting| awaiting.waits_on(record, last));
            let valid_for = match last {
                LastPull::Answered { valid_for } => valid_for,
                _ => None,
            };
            let history = &*history;
            let settle = &settle;
            let situation =
                Situation { record, knowledge, history, settle, requested, tracked, valid_for };
            next = self.schedule.next_pull(&situation, now, random);
            if let (Some(next), LastPull::Delegated { until, .. }) = (&mut next, last) {
                next.at = next.at.max(until);
            }
            next.map(|next| Mono::at(next.at))
        };
        let registered = registry.schedule(tenant, &mut schedule);
        let own = remove(&mut self.due_unregistered, tenant);
        let unregistered = own.as_ref().map(|own| match own.ready {
            true => Replaced::Ready,
            false => Replaced::Scheduled,
        });
        // A tenant that has just got an entry may have a pull beside it.
        registered
            .into_iter()
            .chain(unregistered)
            .for_each(|replaced| self.queue.replaced(replaced));
        if registered.is_none() {
            let mut history = own.map(|own| own.history).unwrap_or_default();
            let due = schedule(&Record::default(), &Knowledge::default(), &mut history);
            if let Some(due) = due {
                let own = Unregistered { history, due, ready: false };
                self.due_unregistered.insert(tenant.clone(), own);
            }
        }
        if !requested {
            remove(&mut self.awaiting_answer, tenant);
        } else if last != LastPull::None
            && let Some(awaiting) = self.awaiting_answer.get_mut(tenant)
        {
            awaiting.in_flight = false;
        }
        if let Some(next) = next {
            self.push(tenant, registry, next);
        }
    }

    fn push(&mut self, tenant: &TenantId, registry: &Registry, next: NextPull) {
        let due = Mono::at(next.at);
        let Self { queue, due_unregistered, .. } = self;
        queue.push(tenant.clone(), due, next.trigger, |tenant, due| {
            is_scheduled(registry, due_unregistered, tenant, due)
        });
    }

    /// Notes that a pull of `tenant` is requested, until one is answered. One that is in flight
    /// doesn't count, nor, for one that is tracked, an answer that says nothing.
    pub(crate) fn await_answer(
        &mut self,
        tenant: &TenantId,
        registry: &Registry,
        in_flight: bool,
        tracked: bool,
    ) {
        let next = registry.read(tenant, Record::next_seq).unwrap_or(1);
        let seq = next.saturating_add(u32::from(in_flight));
        let before = self.awaiting_answer.get(tenant).copied();
        let requested = !tracked || before.is_some_and(|before| before.requested);
        let tracked = tracked || before.is_some_and(|before| before.tracked);
        let awaiting = AwaitingAnswer { seq, in_flight, tracked, requested };
        self.awaiting_answer.insert(tenant.clone(), awaiting);
    }

    /// Has `tenant` count as called from now on.
    pub(crate) fn track(&mut self, tenant: &TenantId) {
        self.tracked.insert(tenant.clone());
    }

    /// Ends the tracking of `tenant`, and what was requested only for it.
    pub(crate) fn untrack(&mut self, tenant: &TenantId) {
        self.tracked.remove(tenant);
        let Some(awaiting) = self.awaiting_answer.get_mut(tenant) else { return };
        awaiting.tracked = false;
        if !awaiting.requested {
            self.awaiting_answer.remove(tenant);
        }
    }

    /// Drops the pulls of `tenant` that are to come, and tracks it no more; one that was requested
    /// stays if it is `awaited`. `ready` tells whether the scheduled one had become due.
    pub(crate) fn forget(&mut self, tenant: &TenantId, ready: bool, awaited: bool) {
        self.tracked.remove(tenant);
        self.awaiting_answer.remove(tenant);
        let own = self.due_unregistered.remove(tenant);
        let ready = ready || own.is_some_and(|own| own.ready);
        self.queue.replaced(if ready { Replaced::Ready } else { Replaced::Scheduled });
        if !awaited {
            self.queue.forget(tenant);
            self.repeats.forget(tenant);
        }
    }

    /// Has `tenant` pulled at once.
    pub(crate) fn request(&mut self, tenant: &TenantId, now: Duration) {
        self.queue.push_requested(tenant, now);
    }

    /// Has `tenant`, of which nothing is known, pulled for a call.
    pub(crate) fn request_unheard(&mut self, tenant: &TenantId, now: Duration) {
        self.queue.push_unheard(tenant, now);
    }

    /// Has an open tenant pulled because of calls to it, after everything else. Returns whether
    /// there was room.
    pub(crate) fn request_open(
        &mut self,
        tenant: &TenantId,
        trigger: Trigger,
        now: Duration,
    ) -> bool {
        self.queue.push_open(tenant, trigger, now)
    }

    /// Has `tenant` pulled in the lane of unverified requests.
    pub(crate) fn request_unverified(&mut self, tenant: &TenantId, now: Duration) {
        self.queue.push_unverified(tenant, now);
    }

    /// Records that the pull of an unverified request for `tenant` is over at `now`. When it found
    /// the tenant running, the request is repeated once.
    pub(crate) fn unverified_pulled(&mut self, tenant: &TenantId, running: bool, now: Duration) {
        if running {
            self.repeats.note(tenant, now);
        } else {
            self.repeats.forget(tenant);
        }
    }

    /// Returns the pull to start now, or for how long to wait for one.
    pub(crate) fn next(&mut self, registry: &Registry, in_flight: &InFlight, now: Now) -> Next {
        while let Some(tenant) = self.repeats.take(now.elapsed) {
            self.queue.push_unverified(&tenant, now.elapsed);
        }
        let repeat = self.repeats.next().map(|due| due - now.elapsed);
        let may_start = self.limiter.next(now.instant);
        let Self { queue, due_unregistered, .. } = self;
        let mut dues = AllDues { registry, unregistered: due_unregistered, in_flight };
        if may_start > now.instant {
            let waits = queue.next(&dues).is_some() || queue.has_unverified();
            return Next::Wait(
                waits.then(|| may_start - now.instant).into_iter().chain(repeat).min(),
            );
        }
        for tenant in registry.take_wanted() {
            if let Some(due) = registry.due(&tenant) {
                queue.want(tenant, due, &dues);
            }
        }
        let unverified_may_start = self.unverified_limiter.next(now.instant);
        let unverified = unverified_may_start <= now.instant;
        while let Some((tenant, trigger, wanted)) = queue.pop(now.elapsed, unverified, &mut dues) {
            // One in flight per tenant. Its completion puts the next on the calendar.
            if in_flight.contains(&tenant) {
                continue;
            }
            self.limiter.take(now.instant);
            if trigger == Trigger::Unverified {
                self.unverified_limiter.take(now.instant);
            }
            return Next::Start { tenant, trigger, wanted };
        }
        let unverified = queue.has_unverified().then(|| unverified_may_start - now.instant);
        let due = queue.next(&dues).map(|due| due.saturating_sub(now.elapsed));
        Next::Wait(unverified.into_iter().chain(due).chain(repeat).min())
    }

    /// Has a pull start at `now` in place of the start it holds; returns until when to wait, if
    /// that is too early.
    pub(crate) fn hold(&mut self, held: Option<Instant>, now: Instant) -> Option<Instant> {
        self.limiter.put_off(held, now)
    }

    /// Gives back the start of a pull that is not made after all.
    pub(crate) fn give_back(&mut self, start: Instant) {
        self.limiter.give_back(start);
    }

    /// Starts nothing before `until`, the end of a pause that the state API requested.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.limiter.pause(until);
    }

    /// Returns how much is left of the pause that the state API requested.
    pub(crate) fn paused(&self, now: Instant) -> Option<Duration> {
        self.limiter.paused(now)
    }

    /// Returns how many requests wait for their pull.
    pub(crate) fn requests(&self) -> usize {
        self.queue.requests()
    }

    /// Returns how many pulls should have been made by now, and since when the oldest waits.
    pub(crate) fn waiting(
        &mut self,
        registry: &Registry,
        in_flight: &InFlight,
        now: Duration,
    ) -> (usize, Option<Duration>) {
        let unregistered = &mut self.due_unregistered;
        let mut dues = AllDues { registry, unregistered, in_flight };
        self.queue.waiting(now, &mut dues)
    }

    /// Returns whether a pull is to come.
    pub(crate) fn has_next(&mut self, registry: &Registry, in_flight: &InFlight) -> bool {
        let unregistered = &mut self.due_unregistered;
        let dues = AllDues { registry, unregistered, in_flight };
        self.queue.has_unverified() || self.queue.next(&dues).is_some()
    }

    /// Counts, in a walk, the requests and the pulls due by `now` of tenants without an entry in
    /// the registry.
    #[cfg(test)]
    pub(super) fn walk_beside_the_registry(
        &self,
        now: Duration,
        in_flight: impl Fn(&TenantId) -> bool,
    ) -> usize {
        let due = self.due_unregistered.iter();
        let due = due.filter(|(tenant, own)| own.due.time() <= now && !in_flight(tenant));
        self.requests() + due.count()
    }

    /// Returns the number of tenants whose answer is awaited, because they are tracked or a pull
    /// was requested.
    pub(crate) fn awaiting(&self) -> usize {
        self.awaiting_answer.len()
    }
}

impl AwaitingAnswer {
    /// Returns whether the request still waits for its answer.
    fn waits_on(self, record: &Record, last: LastPull) -> bool {
        let answered = match last {
            LastPull::Answered { .. } => !self.in_flight,
            LastPull::UnknownState => !self.in_flight && !self.tracked,
            // What the other replica was answered is known here, or else is on its way.
            LastPull::Delegated { answered, .. } => answered && record.pulls().next().is_some(),
            LastPull::None | LastPull::Failed => false,
        };
        !answered && record.next_seq() <= self.seq
    }
}

impl Dues for AllDues<'_> {
    fn is_scheduled(&self, tenant: &TenantId, due: Mono) -> bool {
        is_scheduled(self.registry, self.unregistered, tenant, due)
    }

    fn make_ready(&mut self, tenant: &TenantId, due: Mono) -> Option<Ready> {
        if self.in_flight.contains(tenant) {
            return None;
        }
        if let Some(ready) = self.registry.make_ready(tenant, due) {
            return Some(ready);
        }
        let own = self.unregistered.get_mut(tenant).filter(|own| own.due == due && !own.ready)?;
        own.ready = true;
        Some(Ready { wanted: false, closed: None })
    }

    fn is_called(&self, tenant: &TenantId) -> bool {
        self.registry.is_called(tenant)
    }

    fn is_ready(&self, tenant: &TenantId, due: Mono) -> bool {
        let own = self.unregistered.get(tenant);
        self.registry.is_ready(tenant, due) || own.is_some_and(|own| own.due == due && own.ready)
    }

    fn start(&mut self, tenant: &TenantId) -> PullStart {
        let own = self.unregistered.get_mut(tenant);
        let own = own.is_some_and(|own| std::mem::take(&mut own.ready));
        let start = self.registry.start_pull(tenant);
        PullStart { ready: start.ready || own, ..start }
    }
}

fn is_scheduled(
    registry: &Registry,
    unregistered: &Map<Unregistered>,
    tenant: &TenantId,
    due: Mono,
) -> bool {
    let own = unregistered.get(tenant);
    registry.is_scheduled(tenant, due) || own.is_some_and(|own| own.due == due && !own.ready)
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
