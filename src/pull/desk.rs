//! The bookkeeping of looks: which are to come, which are under way, who waits for them.

use std::collections::HashMap;

use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::{
    meter::Meter,
    pace::Pace,
    queue::{Look, Queue, Why},
    schedule::{Last, Schedule},
};
use crate::{status::Record, tenant_id::TenantId, tenants::registry::Registry};

type Map<V> = HashMap<TenantId, V, foldhash::fast::RandomState>;
type Waiter = oneshot::Sender<()>;

/// All that changes hands under the pulls's lock.
#[derive(Debug)]
pub(crate) struct Desk {
    queue: Queue,
    pace: Pace,
    /// Unverified evidence has a pace of its own, so that a flood of it leaves the rest its share.
    unverified_pace: Pace,
    flights: Map<Flight>,
    /// Looks that were asked for and not answered yet: they are made again until they are.
    owed: Map<Owed>,
    /// When looks are due at tenants that the registry has no entry of.
    strangers: Map<u64>,
    /// Calls that wait for a look that is not under way yet.
    waiters: Map<Vec<Waiter>>,
    landings: Map<Landing>,
    /// The number of the look that was started last. Looks are ordered by it, not by a clock.
    pub(crate) started: u64,
    pub(crate) meter: Meter,
    pub(crate) tally: Tally,
    /// Whether the last look failed: the log tells when that changes.
    pub(crate) failing: bool,
}

/// A look under way.
#[derive(Debug)]
struct Flight {
    number: u64,
    waiters: Vec<Waiter>,
    /// Evidence came that it may be too early for: another look follows at once.
    again: bool,
    /// Whether a call that was misdirected waits for it.
    misdirected: bool,
}

/// A look that somebody asked for.
#[derive(Debug, Clone, Copy)]
struct Owed {
    /// ms since the epoch.
    since: u64,
    /// Only an answer that says something will do.
    tracked: bool,
}

/// The last look made at a tenant, kept for as long as calls that were sent before it may come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landing {
    number: u64,
    at: Instant,
    /// It was made for a misdirected call, and found the tenant where the call had been sent to.
    in_vain: bool,
}

/// Looks made, by what they brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) told: u64,
    pub(crate) silent: u64,
    pub(crate) failed: u64,
    /// Left to another replica.
    pub(crate) left: u64,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    Start(Start),
    /// Nothing before this time, unless the desk is changed.
    Wait(Option<Instant>),
}

#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) look: Look,
    pub(crate) at: Instant,
    /// A misdirected call waits for it.
    pub(crate) misdirected: bool,
}

/// A time as both clocks show it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// ms since the epoch.
    pub(crate) wall: u64,
    pub(crate) mono: Instant,
}

/// The wall clock may be set while somebody sleeps by it: nobody sleeps longer than this.
const NAP: Duration = Duration::from_secs(60);

/// A state API that did not explain a 421 is not asked to again for this long.
const IN_VAIN: Duration = Duration::from_secs(5);

/// While so many tenants wait for a look on evidence, misdirected calls ask for no more: their callers
/// would not wait that long.
const MISDIRECTED: usize = 1024;

/// How long a call may be on its way and still profit from a look made meanwhile.
const LANDINGS: Duration = Duration::from_secs(60);

impl Desk {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        Self {
            queue: Queue::default(),
            pace: Pace::new(schedule.rate()),
            unverified_pace: Pace::new(1),
            flights: Map::default(),
            owed: Map::default(),
            strangers: Map::default(),
            waiters: Map::default(),
            landings: Map::default(),
            started: 0,
            meter: Meter::default(),
            tally: Tally::default(),
            failing: false,
        }
    }

    /// Puts the next look at `tenant` on the calendar, by what is known of it and what the last
    /// look brought. While a look is under way this waits until it has landed.
    pub(crate) fn reschedule(
        &mut self,
        tenant: &TenantId,
        registry: &Registry,
        schedule: &Schedule,
        last: Last,
        now: u64,
    ) {
        if self.flights.contains_key(tenant) {
            return;
        }
        let (settle, random) = (registry.settle(), fastrand::f64());
        let read = |record: &Record| {
            let told = record.pulls().map(|pulled| pulled.asked).max();
            (told, schedule.next_look(record, &settle, last, now, random))
        };
        let known = registry.read(tenant, read);
        let (told, next) = known.unwrap_or_else(|| read(&Record::default()));
        if let Some(owed) = self.owed.get(tenant) {
            let silent = matches!(last, Last::Silent { .. });
            if told.is_some_and(|told| told >= owed.since) || (silent && !owed.tracked) {
                self.owed.remove(tenant);
            }
        }
        let owed = self.owed.contains_key(tenant).then(|| schedule.retry(last, now, random));
        let due = match (next, owed) {
            (Some(next), Some(owed)) => Some(next.min(owed)),
            (next, owed) => next.or(owed),
        };
        let tries = match last {
            Last::Silent { tries } | Last::Failed { tries, .. } => tries,
            Last::Unasked | Last::Told { .. } => 0,
        };
        self.put(tenant, registry, due, tries);
    }

    /// Ends a look at `tenant` that another replica has the right to make, and puts the next off
    /// until `due`. Calls that have come to wait for it get a look of their own.
    pub(crate) fn leave(
        &mut self,
        look: &Look,
        start: Instant,
        registry: &Registry,
        due: u64,
        now: u64,
    ) {
        self.tally.left += 1;
        self.pace.give_back(start);
        let Some(flight) = self.flights.remove(&look.tenant) else { return };
        if !flight.waiters.is_empty() {
            self.waiters.entry(look.tenant.clone()).or_default().extend(flight.waiters);
        }
        if flight.again || self.waiters.contains_key(&look.tenant) {
            self.queue.push_evidence(&look.tenant, now);
        }
        self.put(&look.tenant, registry, Some(due), look.tries);
    }

    fn put(&mut self, tenant: &TenantId, registry: &Registry, due: Option<u64>, tries: u8) {
        let known = registry.set_due(tenant, due.unwrap_or(0));
        match due {
            Some(due) if !known => _ = self.strangers.insert(tenant.clone(), due),
            _ => _ = self.strangers.remove(tenant),
        }
        let Some(due) = due else { return };
        let strangers = &self.strangers;
        self.queue.push(tenant.clone(), due, tries, |tenant, due| {
            is_current(registry, strangers, tenant, due)
        });
    }

    /// Looks at `tenant` at once, and again until there is an answer.
    pub(crate) fn evidence(&mut self, tenant: &TenantId, now: u64) {
        let owed = self.owed.entry(tenant.clone()).or_insert(Owed { since: now, tracked: false });
        owed.since = now;
        self.ask_at_once(tenant, now);
    }

    fn ask_at_once(&mut self, tenant: &TenantId, now: u64) {
        match self.flights.get_mut(tenant) {
            Some(flight) => flight.again = true,
            None => self.queue.push_evidence(tenant, now),
        }
    }

    /// Looks at `tenant` when there is time, on the word of somebody who may have made it up.
    pub(crate) fn unverified(&mut self, tenant: &TenantId, now: u64) {
        if !self.flights.contains_key(tenant) {
            self.queue.push_unverified(tenant, now);
        }
    }

    /// Looks at `tenant` in its turn, and again until there is an answer that says something.
    pub(crate) fn track(&mut self, tenant: &TenantId, registry: &Registry, now: u64) {
        self.owed.insert(tenant.clone(), Owed { since: now, tracked: true });
        match self.flights.get_mut(tenant) {
            Some(flight) => flight.again = true,
            None => self.put(tenant, registry, Some(now), 0),
        }
    }

    /// Joins the look that explains a 421 to a call sent after look number `mark`; `None` when one
    /// has been made since, or recently in vain, or when too many wait.
    pub(crate) fn misdirected(
        &mut self,
        tenant: &TenantId,
        mark: u64,
        now: Now,
    ) -> Option<oneshot::Receiver<()>> {
        let (waiter, landed) = oneshot::channel();
        match self.flights.get_mut(tenant) {
            Some(flight) if flight.number > mark => flight.waiters.push(waiter),
            flight => {
                if self.landings.get(tenant).is_some_and(|landing| landing.answers(mark, now.mono))
                {
                    return None;
                }
                if flight.is_none() && self.queue.evidence().0 >= MISDIRECTED {
                    return None;
                }
                // While a look is under way they wait for what it finds: see `land`.
                self.waiters.entry(tenant.clone()).or_default().push(waiter);
                if flight.is_none() {
                    self.queue.push_evidence(tenant, now.wall);
                }
            }
        }
        Some(landed)
    }

    /// The look to start now, or until when to wait for one.
    pub(crate) fn next(&mut self, registry: &Registry, now: Now) -> Next {
        let may_start = self.pace.next(now.mono);
        let Self { queue, strangers, .. } = self;
        let current = |tenant: &TenantId, due| is_current(registry, strangers, tenant, due);
        if may_start > now.mono {
            let waits = queue.next(current).is_some() || queue.waits_unverified();
            return Next::Wait(waits.then_some(may_start));
        }
        let may_start_unverified = self.unverified_pace.next(now.mono);
        while let Some(look) = queue.pop(now.wall, may_start_unverified <= now.mono, current) {
            // One in flight per tenant. When it lands it puts the next on the calendar.
            if self.flights.contains_key(&look.tenant) {
                continue;
            }
            self.pace.take(now.mono);
            if look.why == Why::Unverified {
                self.unverified_pace.take(now.mono);
            }
            self.started += 1;
            let waiters = self.waiters.remove(&look.tenant).unwrap_or_default();
            let misdirected = !waiters.is_empty();
            let flight = Flight { number: self.started, waiters, again: false, misdirected };
            self.flights.insert(look.tenant.clone(), flight);
            return Next::Start(Start { look, at: now.mono, misdirected });
        }
        let unverified = queue.waits_unverified().then_some(may_start_unverified);
        let due = queue
            .next(current)
            .map(|due| now.mono + Duration::from_millis(due.saturating_sub(now.wall)).min(NAP));
        Next::Wait(unverified.into_iter().chain(due).min())
    }

    /// Has a look start at `now` instead of when it was told to; until when to wait, if that is too
    /// early.
    pub(crate) fn put_off(&mut self, held: Option<Instant>, now: Instant) -> Option<Instant> {
        self.pace.put_off(held, now)
    }

    /// Starts nothing before `until`: the state API asked for it.
    pub(crate) fn pause(&mut self, until: Instant) {
        self.pace.pause(until);
    }

    /// Ends the look at `tenant`. `moved` says whether it found the tenant at a new place.
    ///
    /// Who waits for it hears of it when what is returned is dropped.
    #[must_use = "its waiters wait until it is dropped"]
    pub(crate) fn land(&mut self, tenant: &TenantId, moved: bool, now: Now) -> impl Sized + use<> {
        let mut flight = self.flights.remove(tenant)?;
        if moved {
            // Calls that were sent while it was under way went to the old place too.
            flight.waiters.extend(self.waiters.remove(tenant).unwrap_or_default());
        }
        if flight.again || self.waiters.contains_key(tenant) {
            self.queue.push_evidence(tenant, now.wall);
        }
        let in_vain = flight.misdirected && !moved;
        let landing = Landing { number: flight.number, at: now.mono, in_vain };
        self.landings.insert(tenant.clone(), landing);
        if self.landings.len() > 1024 {
            self.landings.retain(|_, landing| now.mono - landing.at < LANDINGS);
        }
        Some(flight.waiters)
    }

    /// Makes those looks again that broke off. Who waited for them waits no more.
    pub(crate) fn requeue_interrupted(&mut self, now: u64) {
        for tenant in std::mem::take(&mut self.flights).into_keys() {
            self.queue.push_evidence(&tenant, now);
        }
    }

    pub(crate) fn under_way(&self) -> usize {
        self.flights.len()
    }

    /// How many looks should have been made by now, and since when the oldest waits. What the registry
    /// has noted as [`overdue`](Registry::overdue) is counted by the caller, before the desk is locked.
    pub(crate) fn waiting(
        &self,
        registry: &Registry,
        (overdue, since): (usize, Option<u64>),
        now: u64,
    ) -> (usize, Option<u64>) {
        let (evidence, oldest) = self.queue.evidence();
        let strangers = self
            .strangers
            .iter()
            .filter(|&(tenant, &due)| due <= now && !self.flights.contains_key(tenant));
        let (strangers, first) = strangers.fold((0, None), |(count, first), (_, &due)| {
            (count + 1, Some(first.map_or(due, |first: u64| first.min(due))))
        });
        let under_way = self.flights.keys().filter(|tenant| registry.is_overdue(tenant, now));
        let waiting = (overdue + evidence + strangers).saturating_sub(under_way.count());
        let oldest = [since, oldest, first].into_iter().flatten().min();
        (waiting, oldest.filter(|_| waiting > 0))
    }
}

impl Landing {
    /// Whether there is no point in asking because of a 421 to a call sent after look number `mark`.
    fn answers(&self, mark: u64, now: Instant) -> bool {
        self.number > mark || (self.in_vain && now - self.at < IN_VAIN)
    }
}

fn is_current(registry: &Registry, strangers: &Map<u64>, tenant: &TenantId, due: u64) -> bool {
    registry.is_due_at(tenant, due) || strangers.get(tenant) == Some(&due)
}
