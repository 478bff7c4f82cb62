//! What to look at next: evidence first, then by the time a look is due.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashSet, VecDeque},
};

use crate::tenant_id::TenantId;

/// The looks to come.
///
/// A million tenants may wait in it, so one costs 32 bytes: its place in a heap. Putting a look off
/// leaves the old entry where it is; it is told from a current one by the `due` time that is kept
/// beside the tenant's record, and dropped when it surfaces or when such entries pile up.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    due: BinaryHeap<Reverse<Entry>>,
    evidence: Lane,
    /// Evidence that anybody can make up, such as a notification that could not be verified.
    unverified: Lane,
    /// How many looks on evidence were made one after the other.
    in_a_row: u8,
    /// How long the heap may get before outdated entries are swept out of it.
    sweep_at: usize,
}

/// A tenant's look: due time in ms since the epoch above, tries without news in the low byte.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    due_and_tries: u64,
    tenant: TenantId,
}

/// Evidence that waits for its look, oldest first, each tenant once.
#[derive(Debug, Default)]
struct Lane {
    /// Beside each tenant the time it came, ms since the epoch.
    order: VecDeque<(TenantId, u64)>,
    waiting: HashSet<TenantId, foldhash::fast::RandomState>,
}

/// A look to be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) tenant: TenantId,
    pub(crate) why: Why,
    /// Looks without news so far.
    pub(crate) tries: u8,
}

/// Why a look is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Due,
    Evidence,
    Unverified,
}

/// How many tenants with unverified evidence may wait. A flood of forged notifications fills this
/// and nothing else.
const UNVERIFIED: usize = 256;

/// After so many looks on evidence one is made that is due: whoever can cause evidence, by calls to a
/// host that serves other tenants, must not be able to keep closed tenants from being looked at.
const IN_A_ROW: u8 = 3;

/// Heaps smaller than this are not swept.
const SLACK: usize = 1024;

impl Entry {
    const TRIES: u64 = 0xff;

    fn new(due: u64, tries: u8, tenant: TenantId) -> Self {
        Self { due_and_tries: due.min(u64::MAX >> 8) << 8 | u64::from(tries), tenant }
    }

    fn due(&self) -> u64 {
        self.due_and_tries >> 8
    }

    fn tries(&self) -> u8 {
        u8::try_from(self.due_and_tries & Self::TRIES).unwrap_or(u8::MAX)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // Ties are left to the heap: comparing ids would cost more and gain nothing.
        self.due_and_tries.cmp(&other.due_and_tries)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Lane {
    fn push(&mut self, tenant: &TenantId, now: u64, limit: usize) {
        if self.order.len() < limit && self.waiting.insert(tenant.clone()) {
            self.order.push_back((tenant.clone(), now));
        }
    }

    fn pop(&mut self) -> Option<TenantId> {
        let (tenant, _) = self.order.pop_front()?;
        self.waiting.remove(&tenant);
        Some(tenant)
    }

    fn oldest(&self) -> Option<u64> {
        self.order.front().map(|(_, came)| *came)
    }
}

impl Queue {
    /// Puts a look on the calendar. `is_current` says whether a tenant's look is due at a time.
    pub(crate) fn push(
        &mut self,
        tenant: TenantId,
        due: u64,
        tries: u8,
        is_current: impl Fn(&TenantId, u64) -> bool,
    ) {
        self.due.push(Reverse(Entry::new(due, tries, tenant)));
        if self.due.len() > self.sweep_at.max(SLACK) {
            self.due.retain(|Reverse(entry)| is_current(&entry.tenant, entry.due()));
            // By the time it has grown by half again, sweeping has cost a few look-ups an entry.
            self.sweep_at = self.due.len() + self.due.len() / 2;
        }
    }

    /// Asks for a look at once. A tenant that waits already keeps its place.
    pub(crate) fn push_evidence(&mut self, tenant: &TenantId, now: u64) {
        self.evidence.push(tenant, now, usize::MAX);
    }

    /// Asks for a look soon, on evidence that may be made up; dropped when too many of these wait.
    pub(crate) fn push_unverified(&mut self, tenant: &TenantId, now: u64) {
        if !self.evidence.waiting.contains(tenant) {
            self.unverified.push(tenant, now, UNVERIFIED);
        }
    }

    /// The look to make at `now`. Unverified evidence is served only when the caller says so.
    pub(crate) fn pop(
        &mut self,
        now: u64,
        unverified: bool,
        is_current: impl Fn(&TenantId, u64) -> bool,
    ) -> Option<Look> {
        if self.in_a_row >= IN_A_ROW
            && let Some(look) = self.pop_due(now, &is_current)
        {
            return Some(look);
        }
        if let Some(tenant) = self.evidence.pop() {
            self.in_a_row = self.in_a_row.saturating_add(1);
            return Some(Look { tenant, why: Why::Evidence, tries: 0 });
        }
        if unverified && let Some(tenant) = self.unverified.pop() {
            return Some(Look { tenant, why: Why::Unverified, tries: 0 });
        }
        self.pop_due(now, is_current)
    }

    fn pop_due(&mut self, now: u64, is_current: impl Fn(&TenantId, u64) -> bool) -> Option<Look> {
        while self.due.peek().is_some_and(|Reverse(first)| first.due() <= now) {
            let Reverse(entry) = self.due.pop()?;
            if is_current(&entry.tenant, entry.due()) {
                let tries = entry.tries();
                self.in_a_row = 0;
                return Some(Look { tenant: entry.tenant, why: Why::Due, tries });
            }
        }
        None
    }

    /// When the next look is due, ms since the epoch: 0 for at once, `None` when none is to come.
    pub(crate) fn next(&mut self, is_current: impl Fn(&TenantId, u64) -> bool) -> Option<u64> {
        if !self.evidence.order.is_empty() {
            return Some(0);
        }
        while let Some(Reverse(first)) = self.due.peek() {
            if is_current(&first.tenant, first.due()) {
                return Some(first.due());
            }
            self.due.pop();
        }
        None
    }

    pub(crate) fn waits_unverified(&self) -> bool {
        !self.unverified.order.is_empty()
    }

    /// How much evidence waits for its look, and when the oldest came (ms since the epoch).
    pub(crate) fn evidence(&self) -> (usize, Option<u64>) {
        let lanes = [&self.evidence, &self.unverified];
        let length = lanes.iter().map(|lane| lane.order.len()).sum();
        (length, lanes.iter().filter_map(|lane| lane.oldest()).min())
    }

    /// Room taken, in entries: what memory goes by.
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

    /// A queue with the due times that the registry keeps beside it.
    #[derive(Default)]
    struct Desk {
        queue: Queue,
        dues: HashMap<TenantId, u64>,
    }

    impl Desk {
        fn put(&mut self, number: usize, due: u64) {
            self.dues.insert(tenant(number), due);
            let Self { queue, dues } = self;
            queue.push(tenant(number), due, 3, |t, due| dues.get(t) == Some(&due));
        }

        fn pop(&mut self, now: u64) -> Option<TenantId> {
            let Self { queue, dues } = self;
            let look = queue.pop(now, false, |t, due| dues.get(t) == Some(&due))?;
            dues.remove(&look.tenant);
            Some(look.tenant)
        }
    }

    #[test]
    fn looks_come_by_due_time_and_not_before() {
        let mut desk = Desk::default();
        for (number, due) in [(1, 300), (2, 100), (3, 200)] {
            desk.put(number, due);
        }
        assert_eq!(desk.pop(99), None);
        assert_eq!(desk.pop(250), Some(tenant(2)));
        assert_eq!(desk.pop(250), Some(tenant(3)));
        assert_eq!(desk.pop(250), None);
        assert_eq!(desk.pop(300), Some(tenant(1)));
    }

    #[test]
    fn evidence_comes_first_and_each_tenant_once() {
        let mut desk = Desk::default();
        desk.put(1, 0);
        for number in [2, 3, 2] {
            desk.queue.push_evidence(&tenant(number), 5);
        }
        desk.queue.push_unverified(&tenant(4), 6);
        desk.queue.push_unverified(&tenant(3), 6);
        assert_eq!(desk.queue.evidence(), (3, Some(5)));
        assert_eq!(desk.pop(10), Some(tenant(2)));
        assert_eq!(desk.pop(10), Some(tenant(3)));
        assert_eq!(desk.pop(10), Some(tenant(1)));
        assert_eq!(desk.pop(10), None);
        let look = desk.queue.pop(10, true, |_, _| true).unwrap();
        assert_eq!((look.tenant, look.why), (tenant(4), Why::Unverified));
    }

    #[test]
    fn a_flood_of_evidence_leaves_a_quarter_to_what_is_due() {
        let mut desk = Desk::default();
        for number in 0..100 {
            desk.queue.push_evidence(&tenant(number), 0);
            desk.put(1000 + number, 1);
        }
        let due = (0..40).filter(|_| {
            let look = desk.queue.pop(10, false, |_, _| true).unwrap();
            look.why == Why::Due
        });
        assert_eq!(due.count(), 10);
    }

    #[test]
    fn a_look_that_was_put_off_is_made_once() {
        let mut desk = Desk::default();
        desk.put(1, 100);
        desk.put(1, 50);
        desk.put(1, 200);
        assert_eq!(desk.pop(150), None);
        assert_eq!(desk.pop(200), Some(tenant(1)));
        assert_eq!(desk.pop(1000), None);
    }

    #[test]
    fn tries_travel_with_the_look() {
        let mut desk = Desk::default();
        desk.put(1, u64::MAX);
        let look = desk.queue.pop(u64::MAX, false, |_, _| true).unwrap();
        assert_eq!(look, Look { tenant: tenant(1), why: Why::Due, tries: 3 });
    }

    #[test]
    fn a_flood_of_unverified_evidence_is_cut() {
        let mut queue = Queue::default();
        for number in 0..10_000 {
            queue.push_unverified(&tenant(number), 0);
        }
        assert_eq!(queue.evidence().0, UNVERIFIED);
        assert_eq!(queue.next(|_, _| true), None);
        assert!(queue.waits_unverified());
    }

    #[test]
    fn outdated_entries_do_not_pile_up() {
        let mut desk = Desk::default();
        for round in 0..50 {
            for number in 0..1000 {
                desk.put(number, 1000 + round * 7 + number as u64);
            }
        }
        assert!(desk.queue.due.len() <= 1000 + 1000 / 2 + 1, "{}", desk.queue.due.len());
        let mut left = 0;
        while desk.pop(u64::MAX).is_some() {
            left += 1;
        }
        assert_eq!(left, 1000);
    }

    #[test]
    fn a_million_looks_cost_at_most_40_bytes_each() {
        assert_eq!(size_of::<Entry>(), 32);
        let mut queue = Queue::default();
        for number in 0..1_000_000 {
            queue.push(tenant(number), number as u64, 0, |_, _| true);
        }
        assert!(queue.capacity() * size_of::<Entry>() <= 40 * 1_000_000);
    }
}
