//! Tests of the order in which pulls are made.

use std::collections::{HashMap, HashSet};

use super::*;

#[path = "queue_count_tests.rs"]
mod count;
#[path = "queue_memory_tests.rs"]
mod memory;

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
    dues: Due,
}

/// The times at which tenants are due, and whether they are ready; and the tenants that are called.
#[derive(Default)]
struct Due(HashMap<TenantId, (Mono, bool)>, HashSet<TenantId>);

impl Dues for Due {
    fn is_scheduled(&self, tenant: &TenantId, due: Mono) -> bool {
        self.0.get(tenant) == Some(&(due, false))
    }

    fn make_ready(&mut self, tenant: &TenantId, due: Mono) -> Option<Ready> {
        let own = self.0.get_mut(tenant).filter(|own| **own == (due, false))?;
        own.1 = true;
        Some(Ready { wanted: false, closed: Some(Mono::at(s(0))) })
    }

    fn is_ready(&self, tenant: &TenantId, due: Mono) -> bool {
        self.0.get(tenant) == Some(&(due, true))
    }

    fn is_called(&self, tenant: &TenantId) -> bool {
        self.1.contains(tenant)
    }

    fn start(&mut self, tenant: &TenantId) -> PullStart {
        self.1.remove(tenant);
        let ready = self.0.remove(tenant).is_some_and(|own| own.1);
        PullStart { ready, wanted: false }
    }
}

impl Calendar {
    fn put(&mut self, number: usize, due: u64) {
        self.put_as(number, due, Trigger::Closed);
    }

    fn put_as(&mut self, number: usize, due: u64, trigger: Trigger) {
        match self.dues.0.insert(tenant(number), (at(due), false)) {
            Some((_, true)) => self.queue.replaced(Replaced::Ready),
            Some((_, false)) => self.queue.replaced(Replaced::Scheduled),
            None => {}
        }
        let Self { queue, dues } = self;
        queue.push(tenant(number), at(due), trigger, |tenant, due| dues.is_scheduled(tenant, due));
    }

    fn call(&mut self, number: usize, trigger: Trigger, now: u64) {
        self.dues.1.insert(tenant(number));
        assert!(self.queue.push_open(&tenant(number), trigger, s(now)));
    }

    fn pop(&mut self, now: u64) -> Option<TenantId> {
        let (tenant, ..) = self.queue.pop(s(now), false, &mut self.dues)?;
        Some(tenant)
    }

    fn waiting(&mut self, now: u64) -> (usize, Option<Duration>) {
        self.queue.waiting(s(now), &mut self.dues)
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
    assert_eq!(calendar.queue.requests(), 3);
    assert_eq!(calendar.waiting(10), (4, Some(s(0))));
    assert_eq!(calendar.pop(10), Some(tenant(2)));
    assert_eq!(calendar.pop(10), Some(tenant(3)));
    assert_eq!(calendar.pop(10), Some(tenant(1)));
    assert_eq!(calendar.pop(10), None);
    let next = calendar.queue.pop(s(10), true, &mut calendar.dues);
    assert_eq!(next, Some((tenant(4), Trigger::Unverified, false)));
}

#[test]
fn a_flood_of_requests_leaves_a_quarter_to_due_pulls() {
    let mut calendar = Calendar::default();
    for number in 0..100 {
        calendar.queue.push_requested(&tenant(number), s(0));
        calendar.put(1000 + number, 1);
    }
    let due = (0..40).filter(|_| {
        let (_, trigger, _) = calendar.queue.pop(s(10), false, &mut calendar.dues).unwrap();
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
    assert_eq!(queue.requests(), UNVERIFIED);
    assert_eq!(queue.next(&Due::default()), None);
    assert!(queue.has_unverified());
}

#[test]
fn idle_pulls_and_unheard_tenants_come_last() {
    let mut calendar = Calendar::default();
    calendar.put_as(1, 5, Trigger::Idle);
    calendar.put_as(2, 10, Trigger::Closed);
    calendar.put_as(3, 0, Trigger::Requested);
    calendar.queue.push_unheard(&tenant(4), s(1));
    calendar.queue.push_requested(&tenant(5), s(9));
    let order = [5, 3, 2, 4, 1].map(|number| Some(tenant(number)));
    assert_eq!(std::array::from_fn(|_| calendar.pop(10)), order);
    assert_eq!(calendar.pop(10), None);
}

#[test]
fn wanted_tenant_comes_next_and_once() {
    let mut calendar = Calendar::default();
    (0..10).for_each(|number| calendar.put(number, 5));
    assert_eq!(calendar.waiting(10).0, 10);
    calendar.queue.want(tenant(7), at(5), &calendar.dues);
    calendar.queue.want(tenant(8), at(6), &calendar.dues);
    assert_eq!(calendar.pop(10), Some(tenant(7)));
    let rest: Vec<_> = std::iter::from_fn(|| calendar.pop(10)).collect();
    assert_eq!(rest.len(), 9);
    assert!(!rest.contains(&tenant(7)));
}

#[test]
fn open_tenants_come_by_reason_whatever_came_first() {
    let mut calendar = Calendar::default();
    calendar.call(1, Trigger::Symptom, 1);
    calendar.call(2, Trigger::Stale, 2);
    calendar.queue.push_unheard(&tenant(3), s(3));
    let mut pop = || calendar.queue.pop(s(10), true, &mut calendar.dues);
    assert_eq!(pop(), Some((tenant(3), Trigger::Requested, false)));
    assert_eq!(pop(), Some((tenant(2), Trigger::Stale, false)));
    assert_eq!(pop(), Some((tenant(1), Trigger::Symptom, false)));
    assert_eq!(pop(), None);
}

#[test]
fn open_tenants_past_the_limit_are_refused_for_that_reason() {
    let mut calendar = Calendar::default();
    for (trigger, other) in [(Trigger::Stale, Trigger::Symptom), (Trigger::Symptom, Trigger::Stale)]
    {
        let mut queue = Queue::default();
        for number in 0..OPEN {
            assert!(queue.push_open(&tenant(number), trigger, s(0)), "{number}");
        }
        assert!(!queue.push_open(&tenant(OPEN), trigger, s(0)));
        assert!(queue.push_open(&tenant(0), trigger, s(0)), "it waits already");
        assert!(queue.push_open(&tenant(OPEN), other, s(0)));
        assert_eq!(queue.waiting(s(0), &mut calendar.dues), (OPEN + 1, Some(s(0))));
        assert_eq!(queue.requests(), 0, "they keep no call waiting");
    }
}

#[test]
fn a_flood_of_tracked_tenants_leaves_a_quarter_to_due_pulls() {
    let mut calendar = Calendar::default();
    for number in 0..100 {
        calendar.put_as(number, 1, Trigger::Requested);
        calendar.put(1000 + number, 1);
    }
    let due = (0..40).filter(|_| {
        let (_, trigger, _) = calendar.queue.pop(s(10), false, &mut calendar.dues).unwrap();
        trigger == Trigger::Closed
    });
    assert_eq!(due.count(), 10);
}

#[test]
fn aged_answers_of_called_and_tracked_tenants_are_replaced_in_turn() {
    let mut calendar = Calendar::default();
    for (number, due) in [(1, 10), (3, 30), (5, 50)] {
        calendar.put_as(number, due, Trigger::Stale);
    }
    for (number, now) in [(2, 20), (4, 40)] {
        calendar.call(number, Trigger::Stale, now);
    }
    // What is due, and what was put off, go ahead.
    calendar.put_as(7, 60, Trigger::Idle);
    calendar.put(8, 60);
    let order: Vec<_> = std::iter::from_fn(|| calendar.pop(60)).collect();
    assert_eq!(order, [8, 7, 1, 2, 3, 4, 5].map(tenant));
}

#[test]
fn symptom_has_a_share_among_aged_answers() {
    let mut calendar = Calendar::default();
    for number in 0..30 {
        calendar.put_as(number, 10, Trigger::Stale);
    }
    (100..102).for_each(|number| calendar.call(number, Trigger::Symptom, 10));
    let order: Vec<_> = std::iter::from_fn(|| calendar.pop(10)).collect();
    assert_eq!(order.len(), 32);
    assert_eq!((&order[9], &order[19]), (&tenant(100), &tenant(101)));
}

#[test]
fn pull_that_calls_requested_is_dropped_after_another() {
    let mut calendar = Calendar::default();
    calendar.call(1, Trigger::Symptom, 0);
    calendar.call(2, Trigger::Stale, 0);
    [1, 2].iter().for_each(|number| calendar.queue.push_requested(&tenant(*number), s(0)));
    assert_eq!([calendar.pop(1), calendar.pop(1)], [1, 2].map(|number| Some(tenant(number))));
    assert_eq!(calendar.pop(1), None);
    // A later call requests one again.
    calendar.call(1, Trigger::Symptom, 2);
    assert_eq!(calendar.pop(3), Some(tenant(1)));
}
