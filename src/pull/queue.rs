//! The pulls to come: requested ones first, then those that are due.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

use super::{lane::Lane, ready::ReadyPulls, schedule::Trigger};
use crate::{
    status::mono::Mono,
    tenant_id::TenantId,
    tenants::entry::{PullStart, Ready, Replaced},
};

/// The pulls to come. Times are those since the gate was built.
///
/// A million tenants may wait in it, so one costs 32 bytes: its place in a heap. When its time
/// comes it moves to the pulls that are [ready](ReadyPulls). Rescheduling a tenant leaves the old
/// entry where it is; it is distinguished from a current one by what is kept beside the tenant's
/// record, and dropped when it surfaces or when such entries, which are counted, pile up.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    calendar: BinaryHeap<Reverse<Entry>>,
    ready: ReadyPulls,
    /// Number of tenants whose pull is ready. Counted, because health is read more often than a
    /// million can be walked through.
    waiting: usize,
    requested: Lane,
    /// Requests that any client can cause, such as by a notification that could not be verified.
    unverified: Lane,
    /// Requests for calls to tenants that nothing is known of.
    unheard: Lane,
    /// Open tenants that are called and whose answer is no longer fresh.
    stale: Lane,
    /// Open tenants that calls fail at.
    symptoms: Lane,
    /// Number of requested pulls made one after the other.
    in_a_row: u8,
    /// Number of pulls of open tenants made one after the other because their answer had aged.
    aged_in_a_row: u8,
    /// Approximate number of outdated entries of the calendar.
    outdated: usize,
}

/// A tenant's place on the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) due: Mono,
    pub(super) trigger: Trigger,
    pub(super) tenant: TenantId,
}

/// A pull to start: its tenant, its trigger, and whether it is wanted.
type Popped = (TenantId, Trigger, bool);

/// The times kept beside the tenants' records: when each is pulled next, and whether that time has
/// come.
pub(super) trait Dues {
    /// Returns whether the pull of `tenant` is scheduled for `due`, and not ready.
    fn is_scheduled(&self, tenant: &TenantId, due: Mono) -> bool;

    /// Makes the pull of `tenant` ready that is scheduled for `due`; `None` when there is none, it
    /// is ready, or a pull is in flight.
    fn make_ready(&mut self, tenant: &TenantId, due: Mono) -> Option<Ready>;

    /// Returns whether the pull of `tenant` that was scheduled for `due` is ready.
    fn is_ready(&self, tenant: &TenantId, due: Mono) -> bool;

    /// Returns whether no pull of `tenant` has started since calls requested one.
    fn is_called(&self, tenant: &TenantId) -> bool;

    /// Starts a pull of `tenant`.
    fn start(&mut self, tenant: &TenantId) -> PullStart;
}

/// Maximum number of tenants that wait with an unverified request. A flood of forged notifications
/// fills this and nothing else.
const UNVERIFIED: usize = 256;

/// Maximum number of tenants that wait of which nothing is known. More than calls wait for: see
/// `in_flight`.
const UNHEARD: usize = 2048;

/// Maximum number of open tenants that wait, for each reason that calls give: in an incident that
/// may be all.
const OPEN: usize = 65_536;

/// After so many requested pulls one is made that is due: calls to a host that serves other tenants
/// cause requests, and must not keep closed tenants from being pulled.
const IN_A_ROW: u8 = 3;

/// After so many pulls for an answer that had aged one is made for a symptom: where more tenants
/// are tracked than the limit allows to keep fresh, there is always another.
const AGED_IN_A_ROW: u8 = 9;

/// Heaps smaller than this are not swept.
const SLACK: usize = 1024;

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // Ties are left to the heap: comparing ids would cost more and gain nothing.
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Queue {
    /// Puts a pull on the calendar. `is_scheduled` says whether a tenant's pull is due at a time.
    pub(super) fn push(
        &mut self,
        tenant: TenantId,
        due: Mono,
        trigger: Trigger,
        is_scheduled: impl Fn(&TenantId, Mono) -> bool,
    ) {
        self.calendar.push(Reverse(Entry { due, trigger, tenant }));
        // Sweeping costs a few look-ups for each entry that it drops, and none while none is
        // outdated.
        let length = self.calendar.len();
        if length > SLACK && self.outdated > length / 3 {
            self.calendar.retain(|Reverse(entry)| is_scheduled(&entry.tenant, entry.due));
            self.outdated = 0;
        }
    }

    /// Notes that a pull is scheduled for another time.
    pub(super) fn replaced(&mut self, replaced: Replaced) {
        match replaced {
            Replaced::None => {}
            Replaced::Scheduled => self.outdated += 1,
            Replaced::Ready => self.waiting = self.waiting.saturating_sub(1),
        }
    }

    /// Drops what is requested for `tenant`.
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        let Self { requested, unverified, unheard, stale, symptoms, .. } = self;
        for lane in [requested, unverified, unheard, stale, symptoms] {
            lane.remove(tenant);
        }
    }

    /// Has the pull of `tenant`, if it is ready, come before those that are not wanted.
    pub(super) fn want(&mut self, tenant: TenantId, due: Mono, dues: &impl Dues) {
        if dues.is_ready(&tenant, due) {
            self.ready.push_wanted(Entry { due, trigger: Trigger::Closed, tenant });
        }
    }

    /// Requests a pull at once. A tenant that waits already keeps its place.
    pub(super) fn push_requested(&mut self, tenant: &TenantId, now: Duration) {
        self.requested.push(tenant, now, usize::MAX);
    }

    /// Requests a pull for a call to a tenant that nothing is known of.
    pub(super) fn push_unheard(&mut self, tenant: &TenantId, now: Duration) {
        if !self.requested.contains(tenant) {
            self.unheard.push(tenant, now, UNHEARD);
        }
    }

    /// Requests a pull of an open tenant because of calls to it. Returns whether there was room.
    pub(super) fn push_open(&mut self, tenant: &TenantId, trigger: Trigger, now: Duration) -> bool {
        let lane = match trigger {
            Trigger::Symptom => &mut self.symptoms,
            _ => &mut self.stale,
        };
        lane.push(tenant, now, OPEN);
        lane.contains(tenant)
    }

    /// Requests a pull for an unverified reason. Dropped when too many of these wait.
    pub(super) fn push_unverified(&mut self, tenant: &TenantId, now: Duration) {
        if !self.requested.contains(tenant) {
            self.unverified.push(tenant, now, UNVERIFIED);
        }
    }

    /// Takes the pull to make at `now`. Unverified requests are served only when the caller says
    /// so.
    pub(super) fn pop(
        &mut self,
        now: Duration,
        unverified: bool,
        dues: &mut impl Dues,
    ) -> Option<Popped> {
        self.ripen(now, dues);
        if self.in_a_row >= IN_A_ROW {
            self.in_a_row = 0;
            let due = self.pop_ready(ReadyPulls::pop, dues);
            if let Some(due) = due.or_else(|| self.pop_ready(ReadyPulls::pop_requested, dues)) {
                return Some(due);
            }
        }
        if let Some(tenant) = self.requested.pop() {
            self.in_a_row += 1;
            return Some(self.start(tenant, Trigger::Requested, dues));
        }
        if let Some(tracked) = self.pop_ready(ReadyPulls::pop_requested, dues) {
            self.in_a_row += 1;
            return Some(tracked);
        }
        if unverified && let Some(tenant) = self.unverified.pop() {
            return Some(self.start(tenant, Trigger::Unverified, dues));
        }
        if let Some(due) = self.pop_ready(ReadyPulls::pop, dues) {
            self.in_a_row = 0;
            return Some(due);
        }
        if let Some(tenant) = self.unheard.pop() {
            return Some(self.start(tenant, Trigger::Requested, dues));
        }
        if let Some(idle) = self.pop_ready(ReadyPulls::pop_idle, dues) {
            return Some(idle);
        }
        let open = self.pop_open(dues);
        if open.is_none() {
            // All lanes are empty. A count that is wrong must not have the task spin.
            debug_assert_eq!(self.waiting, 0, "pulls are counted as they come and go");
            self.waiting = 0;
        }
        open
    }

    /// Takes the next pull of an open tenant, whose answer has aged or that calls fail at.
    fn pop_open(&mut self, dues: &mut impl Dues) -> Option<Popped> {
        let symptom = |queue: &mut Self, dues: &mut _| {
            let tenant = pop_called(&mut queue.symptoms, dues)?;
            queue.aged_in_a_row = 0;
            Some(queue.start(tenant, Trigger::Symptom, dues))
        };
        if self.aged_in_a_row >= AGED_IN_A_ROW
            && let Some(symptom) = symptom(self, dues)
        {
            return Some(symptom);
        }
        let aged = self.pop_aged(dues);
        self.aged_in_a_row = self.aged_in_a_row.saturating_add(u8::from(aged.is_some()));
        aged.or_else(|| symptom(self, dues))
    }

    /// Takes the pull of the open tenant whose answer aged first, be it called or tracked.
    fn pop_aged(&mut self, dues: &mut impl Dues) -> Option<Popped> {
        let tracked = self.ready.next_stale();
        let first =
            self.stale.oldest().is_none_or(|called| tracked.is_some_and(|own| own < called));
        if first && let Some(tracked) = self.pop_ready(ReadyPulls::pop_stale, dues) {
            return Some(tracked);
        }
        if let Some(tenant) = pop_called(&mut self.stale, dues) {
            return Some(self.start(tenant, Trigger::Stale, dues));
        }
        self.pop_ready(ReadyPulls::pop_stale, dues)
    }

    fn pop_ready(
        &mut self,
        pop: fn(&mut ReadyPulls) -> Option<Entry>,
        dues: &mut impl Dues,
    ) -> Option<Popped> {
        while let Some(Entry { due, trigger, tenant }) = pop(&mut self.ready) {
            if dues.is_ready(&tenant, due) {
                return Some(self.start(tenant, trigger, dues));
            }
        }
        None
    }

    /// Starts a pull of `tenant`, and with it the one that was ready, if one was.
    fn start(&mut self, tenant: TenantId, trigger: Trigger, dues: &mut impl Dues) -> Popped {
        let start = dues.start(&tenant);
        self.waiting = self.waiting.saturating_sub(usize::from(start.ready));
        (tenant, trigger, start.wanted)
    }

    /// Moves the pulls that are due from the calendar to those that are ready.
    fn ripen(&mut self, now: Duration, dues: &mut impl Dues) {
        while self.calendar.peek().is_some_and(|Reverse(first)| first.due.time() <= now) {
            let Some(Reverse(entry)) = self.calendar.pop() else { break };
            match dues.make_ready(&entry.tenant, entry.due) {
                Some(ready) => {
                    self.waiting += 1;
                    self.ready.push(entry, ready);
                }
                // Or the pull is in flight, and will be replaced.
                None => self.outdated = self.outdated.saturating_sub(1),
            }
        }
        // A million pulls that are ready need no room on the calendar too.
        if self.calendar.capacity() / 4 > self.calendar.len().max(SLACK) {
            self.calendar.shrink_to_fit();
        }
        self.ready.sweep(self.waiting, |entry| dues.is_ready(&entry.tenant, entry.due));
    }

    /// Returns when the next pull is due: zero for at once, `None` when none is to come.
    pub(super) fn next(&mut self, dues: &impl Dues) -> Option<Duration> {
        let lanes = [&self.requested, &self.unheard, &self.stale, &self.symptoms];
        if self.waiting > 0 || lanes.into_iter().any(|lane| !lane.is_empty()) {
            return Some(Duration::ZERO);
        }
        while let Some(Reverse(first)) = self.calendar.peek() {
            if dues.is_scheduled(&first.tenant, first.due) {
                return Some(first.due.time());
            }
            self.calendar.pop();
            self.outdated = self.outdated.saturating_sub(1);
        }
        None
    }

    pub(super) fn has_unverified(&self) -> bool {
        !self.unverified.is_empty()
    }

    /// Returns how many requests wait for their pull.
    pub(super) fn requests(&self) -> usize {
        self.requested.len() + self.unverified.len() + self.unheard.len()
    }

    /// Returns how many pulls wait for their turn at `now`, and since when the oldest does.
    pub(super) fn waiting(
        &mut self,
        now: Duration,
        dues: &mut impl Dues,
    ) -> (usize, Option<Duration>) {
        self.ripen(now, dues);
        let ready = self.ready.oldest(|entry| dues.is_ready(&entry.tenant, entry.due));
        let lanes = [&self.requested, &self.unverified, &self.unheard, &self.stale, &self.symptoms];
        let requests = lanes.into_iter().filter_map(Lane::oldest);
        let open = self.stale.len() + self.symptoms.len();
        (self.waiting + self.requests() + open, requests.chain(ready).min())
    }

    /// Returns the room taken, in entries: memory goes by that.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.calendar.capacity()
    }
}

/// Takes the next tenant that was not pulled since calls requested it.
fn pop_called(lane: &mut Lane, dues: &impl Dues) -> Option<TenantId> {
    std::iter::from_fn(|| lane.pop()).find(|tenant| dues.is_called(tenant))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
