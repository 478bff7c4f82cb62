//! The pulls to come: requested ones first, then by the time they are due.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashSet, VecDeque},
    time::Duration,
};

use super::schedule::Trigger;
use crate::{status::mono::Mono, tenant_id::TenantId};

/// The pulls to come. Times are those since the gate was built.
///
/// A million tenants may wait in it, so one costs 32 bytes: its place in a heap. Putting a pull off
/// leaves the old entry where it is; it is told from a current one by the `due` time that is kept
/// beside the tenant's record, and dropped when it surfaces or when such entries pile up.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    due: BinaryHeap<Reverse<Entry>>,
    requested: Lane,
    /// Requests that a stranger can cause, such as by a notification that could not be verified.
    unverified: Lane,
    /// How many requested pulls were made one after the other.
    in_a_row: u8,
    /// How long the heap may get before outdated entries are swept out of it.
    sweep_at: usize,
}

/// A tenant's place on the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    due: Mono,
    trigger: Trigger,
    tenant: TenantId,
}

/// Requests that wait for their pull, oldest first, each tenant once.
#[derive(Debug, Default)]
struct Lane {
    /// Beside each tenant the time at which the request came.
    order: VecDeque<(TenantId, Duration)>,
    waiting: HashSet<TenantId, foldhash::fast::RandomState>,
}

/// How many tenants with unverified requests may wait. A flood of forged notifications fills this
/// and nothing else.
const UNVERIFIED: usize = 256;

/// After so many requested pulls one is made that is due: calls to a host that serves other tenants
/// cause requests, and must not keep closed tenants from being pulled.
const IN_A_ROW: u8 = 3;

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

impl Lane {
    fn push(&mut self, tenant: &TenantId, now: Duration, limit: usize) {
        if self.order.len() < limit && self.waiting.insert(tenant.clone()) {
            self.order.push_back((tenant.clone(), now));
        }
    }

    fn pop(&mut self) -> Option<TenantId> {
        let (tenant, _) = self.order.pop_front()?;
        self.waiting.remove(&tenant);
        Some(tenant)
    }

    fn oldest(&self) -> Option<Duration> {
        self.order.front().map(|(_, came)| *came)
    }
}

impl Queue {
    /// Puts a pull on the calendar. `is_current` says whether a tenant's pull is due at a time.
    pub(crate) fn push(
        &mut self,
        tenant: TenantId,
        due: Mono,
        trigger: Trigger,
        is_current: impl Fn(&TenantId, Mono) -> bool,
    ) {
        self.due.push(Reverse(Entry { due, trigger, tenant }));
        if self.due.len() > self.sweep_at.max(SLACK) {
            self.due.retain(|Reverse(entry)| is_current(&entry.tenant, entry.due));
            // By the time it has grown by half again, sweeping has cost a few look-ups an entry.
            self.sweep_at = self.due.len() + self.due.len() / 2;
        }
    }

    /// Requests a pull at once. A tenant that waits already keeps its place.
    pub(crate) fn push_requested(&mut self, tenant: &TenantId, now: Duration) {
        self.requested.push(tenant, now, usize::MAX);
    }

    /// Requests a pull for an unverified reason. Dropped when too many of these wait.
    pub(crate) fn push_unverified(&mut self, tenant: &TenantId, now: Duration) {
        if !self.requested.waiting.contains(tenant) {
            self.unverified.push(tenant, now, UNVERIFIED);
        }
    }

    /// Takes the pull to make at `now`. Unverified requests are served only when the caller says
    /// so.
    pub(crate) fn pop(
        &mut self,
        now: Duration,
        unverified: bool,
        is_current: impl Fn(&TenantId, Mono) -> bool,
    ) -> Option<(TenantId, Trigger)> {
        if self.in_a_row >= IN_A_ROW
            && let Some(due) = self.pop_due(now, &is_current)
        {
            return Some(due);
        }
        if let Some(tenant) = self.requested.pop() {
            self.in_a_row = self.in_a_row.saturating_add(1);
            return Some((tenant, Trigger::Requested));
        }
        if unverified && let Some(tenant) = self.unverified.pop() {
            return Some((tenant, Trigger::Unverified));
        }
        self.pop_due(now, is_current)
    }

    fn pop_due(
        &mut self,
        now: Duration,
        is_current: impl Fn(&TenantId, Mono) -> bool,
    ) -> Option<(TenantId, Trigger)> {
        while self.due.peek().is_some_and(|Reverse(first)| first.due.time() <= now) {
            let Reverse(entry) = self.due.pop()?;
            if is_current(&entry.tenant, entry.due) {
                self.in_a_row = 0;
                return Some((entry.tenant, entry.trigger));
            }
        }
        None
    }

    /// Returns when the next pull is due: zero for at once, `None` when none is to come.
    pub(crate) fn next(
        &mut self,
        is_current: impl Fn(&TenantId, Mono) -> bool,
    ) -> Option<Duration> {
        if !self.requested.order.is_empty() {
            return Some(Duration::ZERO);
        }
        while let Some(Reverse(first)) = self.due.peek() {
            if is_current(&first.tenant, first.due) {
                return Some(first.due.time());
            }
            self.due.pop();
        }
        None
    }

    pub(crate) fn has_unverified(&self) -> bool {
        !self.unverified.order.is_empty()
    }

    /// Returns how many requests wait for their pull, and when the oldest came.
    pub(crate) fn requests(&self) -> (usize, Option<Duration>) {
        let lanes = [&self.requested, &self.unverified];
        let length = lanes.iter().map(|lane| lane.order.len()).sum();
        (length, lanes.iter().filter_map(|lane| lane.oldest()).min())
    }

    /// Returns the room taken, in entries: memory goes by that.
    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.due.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn tenant(number: usize) -> TenantId {
        TenantId::new(format!("Cust{number}")).unwrap()
    }

    fn at(seconds: u64) -> Mono {
        Mono::at(s(seconds))
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A queue with the due times that the registry keeps beside it.
    #[derive(Default)]
    struct Calendar {
        queue: Queue,
        dues: HashMap<TenantId, Mono>,
    }

    impl Calendar {
        fn put(&mut self, number: usize, due: u64) {
            self.dues.insert(tenant(number), at(due));
            let Self { queue, dues } = self;
            let is_current = |tenant: &TenantId, due| dues.get(tenant) == Some(&due);
            queue.push(tenant(number), at(due), Trigger::Closed, is_current);
        }

        fn pop(&mut self, now: u64) -> Option<TenantId> {
            let Self { queue, dues } = self;
            let is_current = |tenant: &TenantId, due| dues.get(tenant) == Some(&due);
            let (tenant, _) = queue.pop(s(now), false, is_current)?;
            dues.remove(&tenant);
            Some(tenant)
        }
    }

    #[test]
    fn pulls_come_by_due_time_and_not_before() {
        let mut calendar = Calendar::default();
        for (number, due) in [(1, 300), (2, 100), (3, 200)] {
            calendar.put(number, due);
        }
        assert_eq!(calendar.pop(99), None);
        assert_eq!(calendar.pop(250), Some(tenant(2)));
        assert_eq!(calendar.pop(250), Some(tenant(3)));
        assert_eq!(calendar.pop(250), None);
        assert_eq!(calendar.pop(300), Some(tenant(1)));
    }

    #[test]
    fn requests_come_first_and_each_tenant_once() {
        let mut calendar = Calendar::default();
        calendar.put(1, 0);
        for number in [2, 3, 2] {
            calendar.queue.push_requested(&tenant(number), s(5));
        }
        calendar.queue.push_unverified(&tenant(4), s(6));
        calendar.queue.push_unverified(&tenant(3), s(6));
        assert_eq!(calendar.queue.requests(), (3, Some(s(5))));
        assert_eq!(calendar.pop(10), Some(tenant(2)));
        assert_eq!(calendar.pop(10), Some(tenant(3)));
        assert_eq!(calendar.pop(10), Some(tenant(1)));
        assert_eq!(calendar.pop(10), None);
        let next = calendar.queue.pop(s(10), true, |_, _| true);
        assert_eq!(next, Some((tenant(4), Trigger::Unverified)));
    }

    #[test]
    fn a_flood_of_requests_leaves_a_quarter_to_due_pulls() {
        let mut calendar = Calendar::default();
        for number in 0..100 {
            calendar.queue.push_requested(&tenant(number), s(0));
            calendar.put(1000 + number, 1);
        }
        let due = (0..40).filter(|_| {
            let (_, trigger) = calendar.queue.pop(s(10), false, |_, _| true).unwrap();
            trigger == Trigger::Closed
        });
        assert_eq!(due.count(), 10);
    }

    #[test]
    fn a_pull_that_was_put_off_is_made_once() {
        let mut calendar = Calendar::default();
        calendar.put(1, 100);
        calendar.put(1, 50);
        calendar.put(1, 200);
        assert_eq!(calendar.pop(150), None);
        assert_eq!(calendar.pop(200), Some(tenant(1)));
        assert_eq!(calendar.pop(1000), None);
    }

    #[test]
    fn a_flood_of_unverified_requests_is_cut() {
        let mut queue = Queue::default();
        for number in 0..10_000 {
            queue.push_unverified(&tenant(number), s(0));
        }
        assert_eq!(queue.requests().0, UNVERIFIED);
        assert_eq!(queue.next(|_, _| true), None);
        assert!(queue.has_unverified());
    }

    #[test]
    fn outdated_entries_do_not_pile_up() {
        let mut calendar = Calendar::default();
        for round in 0..50 {
            for number in 0..1000 {
                calendar.put(number, 1000 + round * 7 + number as u64);
            }
        }
        assert!(calendar.queue.due.len() <= 1000 + 1000 / 2 + 1, "{}", calendar.queue.due.len());
        let mut left = 0;
        while calendar.pop(1_000_000).is_some() {
            left += 1;
        }
        assert_eq!(left, 1000);
    }

    #[test]
    fn a_million_pulls_cost_at_most_40_bytes_each() {
        assert_eq!(size_of::<Entry>(), 32);
        let mut queue = Queue::default();
        for number in 0..1_000_000 {
            queue.push(tenant(number), at(number as u64), Trigger::Closed, |_, _| true);
        }
        assert!(queue.capacity() * size_of::<Entry>() <= 40 * 1_000_000);
    }
}
