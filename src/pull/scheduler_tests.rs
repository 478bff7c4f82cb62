//! The calendar on its own: what starts when, and what waits for it.

use std::sync::Arc;

use super::*;
use crate::{
    clock::Clock,
    status::{State, fact::Fact, pulled::Pulled, settle::Settle},
    tenants::Tenants,
};

#[path = "scheduler_registry_tests.rs"]
mod in_registry;

struct Calendar {
    scheduler: Scheduler,
    in_flight: InFlight,
    tenants: Tenants,
    start: Instant,
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn tenant(number: usize) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

impl Calendar {
    fn new(pulls_per_second: u32) -> Self {
        Self {
            scheduler: Scheduler::new(
                Schedule::new().pulls_per_second(pulls_per_second),
                Settle::default().usual,
            ),
            in_flight: InFlight::default(),
            tenants: Tenants::new(Settle::default(), 1, Clock::system()),
            start: Instant::now(),
        }
    }

    fn now(&self, elapsed: Duration) -> Now {
        Now { elapsed, instant: self.start + elapsed }
    }

    /// Returns the pull to start, or for how long to wait.
    fn next(&mut self, elapsed: Duration) -> Result<(TenantId, Trigger), Option<Duration>> {
        let now = self.now(elapsed);
        match self.scheduler.next(self.tenants.registry(), &self.in_flight, now) {
            Next::Start { tenant, trigger, .. } => Ok((tenant, trigger)),
            Next::Wait(wait) => Err(wait),
        }
    }

    fn await_answer(&mut self, tracked: bool) {
        let registry = self.tenants.registry();
        self.scheduler.await_answer(&tenant(1), registry, false, tracked);
    }

    /// Leaves a pull of the tenant, which is requested, to another replica until then.
    fn delegate(&mut self, number: usize, until: Duration) {
        let (tenant, registry) = (tenant(number), self.tenants.registry());
        self.scheduler.await_answer(&tenant, registry, false, false);
        let last = LastPull::Delegated { until, answered: false };
        self.scheduler.reschedule(&tenant, registry, last, s(0));
    }

    fn reschedule(&mut self, last: LastPull, elapsed: Duration) {
        self.scheduler.reschedule(&tenant(1), self.tenants.registry(), last, elapsed);
    }

    fn waiting(&mut self, elapsed: Duration) -> (usize, Option<Duration>) {
        self.scheduler.waiting(self.tenants.registry(), &self.in_flight, elapsed)
    }
}

#[test]
fn start_that_is_given_back_is_free_for_another() {
    let mut calendar = Calendar::new(1);
    for number in [1, 2, 3] {
        calendar.scheduler.request(&tenant(number), s(0));
    }
    assert_eq!(calendar.next(s(0)), Ok((tenant(1), Trigger::Requested)));
    assert_eq!(calendar.next(s(0)), Err(Some(s(1))));
    calendar.scheduler.give_back(calendar.start);
    assert_eq!(calendar.next(s(0)), Ok((tenant(2), Trigger::Requested)));
    let later = calendar.start + s(5);
    calendar.scheduler.pause(later);
    assert_eq!(calendar.scheduler.paused(calendar.start), Some(s(5)));
    assert_eq!(calendar.next(s(2)), Err(Some(s(3))));
    assert_eq!(calendar.next(s(5)), Ok((tenant(3), Trigger::Requested)));
    assert_eq!(calendar.scheduler.paused(later), None);
    assert_eq!(calendar.next(s(5)), Err(None));
}

/// A lease that took its time: its pull starts when there is room again, in place of its old start.
#[test]
fn start_that_is_held_is_counted_once() {
    let mut calendar = Calendar::new(1);
    let start = calendar.start;
    calendar.scheduler.request(&tenant(1), s(0));
    assert!(calendar.next(s(0)).is_ok());
    assert_eq!(calendar.scheduler.hold(Some(start), start), None);
    calendar.scheduler.pause(start + s(4));
    assert_eq!(calendar.scheduler.hold(Some(start), start + s(3)), Some(start + s(4)));
    assert_eq!(calendar.scheduler.hold(None, start + s(4)), None);
    assert_eq!(calendar.scheduler.hold(None, start + s(4)), Some(start + s(5)));
}

#[test]
fn unverified_requests_have_a_limit_of_their_own() {
    let mut calendar = Calendar::new(10);
    for number in [1, 2] {
        calendar.scheduler.request_unverified(&tenant(number), s(0));
    }
    assert_eq!(calendar.next(s(0)), Ok((tenant(1), Trigger::Unverified)));
    assert_eq!(calendar.next(s(0)), Err(Some(s(1))));
    calendar.scheduler.request(&tenant(3), s(0));
    assert_eq!(calendar.scheduler.requests(), 2);
    assert_eq!(calendar.next(s(0)), Ok((tenant(3), Trigger::Requested)));
    assert_eq!(calendar.next(s(1)), Ok((tenant(2), Trigger::Unverified)));
    assert_eq!(calendar.next(s(1)), Err(None));
}

/// With no room for any pull, a request of either kind is waited for, and nothing else is.
#[test]
fn full_calendar_waits_only_for_what_is_to_come() {
    let mut calendar = Calendar::new(1);
    calendar.scheduler.request(&tenant(1), s(0));
    assert!(calendar.next(s(0)).is_ok());
    assert_eq!(calendar.next(s(0)), Err(None));
    calendar.scheduler.request_unverified(&tenant(2), s(0));
    assert_eq!(calendar.next(s(0)), Err(Some(s(1))));
    calendar.delegate(3, s(9));
    assert_eq!(calendar.next(s(1)), Ok((tenant(2), Trigger::Unverified)));
    assert_eq!(calendar.next(s(1)), Err(Some(s(1))));
    assert_eq!(calendar.next(s(2)), Err(Some(s(7))));
    assert_eq!(calendar.next(s(9)), Ok((tenant(3), Trigger::Requested)));
}

#[test]
fn tenant_in_flight_is_neither_started_nor_overdue() {
    let mut calendar = Calendar::new(10);
    calendar.delegate(1, s(1));
    assert_eq!(calendar.waiting(s(0)), (0, None));
    assert_eq!(calendar.waiting(s(1)), (1, Some(s(1))));
    calendar.scheduler.request(&tenant(2), s(0));
    assert_eq!(calendar.waiting(s(1)), (2, Some(s(0))));
    assert_eq!(calendar.next(s(1)), Ok((tenant(2), Trigger::Requested)));
    // Its pull is due, and starts because another is requested.
    calendar.scheduler.request(&tenant(1), s(1));
    assert_eq!(calendar.next(s(1)), Ok((tenant(1), Trigger::Requested)));
    calendar.in_flight.start(&tenant(1), 0);
    assert_eq!(calendar.waiting(s(1)), (0, None));
    // One that is in flight when its pull comes to be due.
    calendar.delegate(3, s(2));
    calendar.in_flight.start(&tenant(3), 0);
    assert_eq!(calendar.waiting(s(2)), (0, None));
    assert_eq!(calendar.next(s(2)), Err(None));
}

#[test]
fn request_about_an_unknown_tenant_is_repeated_until_answered() {
    let mut calendar = Calendar::new(10);
    calendar.await_answer(false);
    calendar.reschedule(LastPull::None, s(0));
    assert_eq!(calendar.next(s(0)), Ok((tenant(1), Trigger::Requested)));
    let mut now = s(0);
    for longest in [15, 30, 60] {
        calendar.reschedule(LastPull::Failed, now);
        let wait = calendar.next(now).unwrap_err().unwrap();
        assert!((s(longest) / 2..=s(longest) + s(1)).contains(&wait), "{wait:?} of {longest}");
        now += wait;
        assert_eq!(calendar.next(now), Ok((tenant(1), Trigger::Requested)));
    }
    calendar.reschedule(LastPull::UnknownState, now);
    assert_eq!(calendar.next(now), Err(None));
    calendar.reschedule(LastPull::None, now);
    assert_eq!(calendar.next(now + s(3_600)), Err(None), "the request is over");
}

#[test]
fn tracked_tenant_of_unknown_state_is_pulled_again() {
    let mut calendar = Calendar::new(10);
    calendar.await_answer(true);
    // A request beside it leaves it tracked.
    calendar.await_answer(false);
    calendar.reschedule(LastPull::UnknownState, s(0));
    let wait = calendar.next(s(0)).unwrap_err();
    assert!(wait.is_some_and(|wait| wait > s(1)), "{wait:?}");
}

#[test]
fn request_is_answered_by_a_pull_sent_after_it() {
    let none = &Record::default();
    let pulled = &Record::from(Fact::Pulled(Pulled::new(State::Running, 1, None)));
    let waits = |seq, in_flight, tracked, record: &Record, last| {
        AwaitingAnswer { seq, in_flight, tracked, requested: !tracked }.waits_on(record, last)
    };
    let answered = LastPull::Answered { valid_for: None };
    let delegated = |answered| LastPull::Delegated { until: s(1), answered };
    for tracked in [false, true] {
        for last in [LastPull::None, LastPull::Failed, delegated(false)] {
            assert!(waits(1, false, tracked, none, last), "{last:?}");
            assert!(!waits(1, false, tracked, pulled, last), "{last:?}, and joined");
            assert!(waits(2, true, tracked, pulled, last), "{last:?}, sent before");
        }
        // An answer that only repeats the last leaves no fact.
        assert!(!waits(2, false, tracked, pulled, answered));
        assert!(waits(2, true, tracked, pulled, answered), "sent before");
        assert_eq!(waits(1, false, tracked, none, LastPull::UnknownState), tracked);
        assert!(waits(1, true, tracked, none, LastPull::UnknownState), "sent before");
        assert!(!waits(2, false, tracked, pulled, delegated(true)));
        assert!(waits(1, false, tracked, none, delegated(true)), "on its way");
    }
}

#[test]
fn untracked_tenant_awaits_only_what_else_was_requested() {
    for (requested, awaiting) in [(false, 0), (true, 1)] {
        let mut calendar = Calendar::new(10);
        calendar.await_answer(true);
        if requested {
            calendar.await_answer(false);
        }
        calendar.scheduler.untrack(&tenant(1));
        assert_eq!(calendar.scheduler.awaiting(), awaiting);
        // Such a request is over with an answer that says nothing.
        calendar.reschedule(LastPull::UnknownState, s(1));
        assert_eq!(calendar.scheduler.awaiting(), 0);
    }
}

#[test]
fn replaced_pull_of_a_tenant_without_a_record_is_skipped() {
    // Before the time of the first pull, and at that time.
    for looked_at in [5, 10] {
        let mut calendar = Calendar::new(10);
        calendar.delegate(1, s(10));
        calendar.delegate(1, s(20));
        assert_eq!(calendar.next(s(looked_at)), Err(Some(s(20 - looked_at))));
        assert_eq!(calendar.next(s(20)).unwrap().0, tenant(1));
    }
}
