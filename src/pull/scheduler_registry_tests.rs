//! The calendar beside the registry: tenants of both kinds, and the requests that await an answer.

use super::*;
use crate::{
    status::{
        ChangeType,
        notified::OpenClose,
        tests::strategies::{notified, record_of, settled},
    },
    tenants::Update,
};

/// Has the registry know that the tenant is suspended, which a notification and a pull say.
fn suspend(calendar: &Calendar, number: usize) {
    let knew = Some((OpenClose::Suspend, 5));
    let facts = [notified(ChangeType::Suspend, 5), settled(State::Suspended, 1, knew)];
    calendar.tenants.apply(&tenant(number), Update::Stored(record_of(&facts)));
}

#[test]
fn answer_that_stays_valid_puts_the_next_pull_off() {
    let wait = |valid_for| {
        let mut calendar = Calendar::new(10);
        suspend(&calendar, 1);
        calendar.reschedule(LastPull::Answered { valid_for }, s(0));
        calendar.next(s(0)).unwrap_err().unwrap()
    };
    assert!(wait(None) <= s(300));
    assert!((s(700)..=s(900)).contains(&wait(Some(s(700)))));
}

#[test]
fn rescheduled_pull_is_counted_once_in_the_registry_and_beside_it() {
    let mut calendar = Calendar::new(10);
    calendar.delegate(2, s(1));
    assert_eq!(calendar.waiting(s(1)), (1, Some(s(1))));
    suspend(&calendar, 1);
    calendar.reschedule(LastPull::None, s(1));
    assert_eq!(calendar.waiting(s(1)).0, 1, "another one's pull waits on");
    assert_eq!(calendar.waiting(s(1_000)).0, 2);
    calendar.reschedule(LastPull::None, s(1_000));
    assert_eq!(calendar.waiting(s(1_000)).0, 2, "it is due as before");
    calendar.delegate(2, s(2_000));
    assert_eq!(calendar.waiting(s(1_000)).0, 1);
    calendar.reschedule(LastPull::Delegated { until: s(2_000), answered: true }, s(1_000));
    assert_eq!(calendar.waiting(s(1_000)), (0, None));
}

#[test]
fn request_during_a_pull_is_answered_by_the_one_after_it() {
    let mut calendar = Calendar::new(10);
    let registry = Arc::clone(calendar.tenants.registry());
    calendar.scheduler.await_answer(&tenant(1), &registry, true, false);
    calendar.scheduler.await_answer(&tenant(2), &registry, false, false);
    assert_eq!(calendar.scheduler.awaiting(), 2);
    // A change of the record, and then the answer of the pull that was in flight.
    for last in [LastPull::None, LastPull::UnknownState] {
        calendar.reschedule(last, s(0));
        assert_eq!(calendar.scheduler.awaiting(), 2, "{last:?}");
    }
    calendar.reschedule(LastPull::UnknownState, s(60));
    assert_eq!(calendar.scheduler.awaiting(), 1);
}

#[test]
fn calls_have_tenants_pulled_after_all_that_is_requested() {
    let mut calendar = Calendar::new(10);
    let running = Record::from(Fact::Pulled(Pulled::new(State::Running, 1, None)));
    calendar.tenants.apply(&tenant(1), Update::Stored(running));
    assert!(calendar.tenants.registry().note_symptom(&tenant(1), s(9_000)));
    let scheduler = &mut calendar.scheduler;
    assert!(scheduler.request_open(&tenant(1), Trigger::Symptom, s(9_000)));
    scheduler.request_unheard(&tenant(2), s(9_000));
    scheduler.request(&tenant(3), s(9_000));
    assert_eq!(calendar.next(s(9_000)), Ok((tenant(3), Trigger::Requested)));
    assert_eq!(calendar.next(s(9_000)), Ok((tenant(2), Trigger::Requested)));
    assert_eq!(calendar.next(s(9_000)), Ok((tenant(1), Trigger::Symptom)));
    assert_eq!(calendar.next(s(9_000)), Err(None));
    let mut room = |number| calendar.scheduler.request_open(&tenant(number), Trigger::Stale, s(0));
    assert_eq!((0..100_000).find(|number| !room(*number)), Some(65_536));
}

#[test]
fn call_is_served_by_a_pull_that_was_requested_for_another_reason() {
    let mut calendar = Calendar::new(10);
    let running = Record::from(Fact::Pulled(Pulled::new(State::Running, 1, None)));
    calendar.tenants.apply(&tenant(1), Update::Stored(running));
    assert!(calendar.tenants.registry().note_symptom(&tenant(1), s(9_000)));
    assert!(calendar.scheduler.request_open(&tenant(1), Trigger::Symptom, s(9_000)));
    calendar.scheduler.request(&tenant(1), s(9_000));
    assert_eq!(calendar.next(s(9_000)), Ok((tenant(1), Trigger::Requested)));
    assert_eq!(calendar.next(s(9_000)), Err(None), "one pull serves both");
}

#[test]
fn open_tenant_is_pulled_again_while_it_is_tracked() {
    let mut calendar = Calendar::new(10);
    let facts =
        [notified(ChangeType::Resume, 5), settled(State::Running, 1, Some((OpenClose::Resume, 5)))];
    calendar.tenants.apply(&tenant(1), Update::Stored(record_of(&facts)));
    let answered = LastPull::Answered { valid_for: None };
    calendar.reschedule(answered, s(0));
    assert_eq!(calendar.next(s(0)), Err(None));
    calendar.scheduler.track(&tenant(1));
    calendar.reschedule(answered, s(0));
    assert!(calendar.next(s(0)).unwrap_err().is_some_and(|wait| wait <= s(3_600)));
    calendar.scheduler.untrack(&tenant(1));
    calendar.reschedule(answered, s(0));
    assert_eq!(calendar.next(s(0)), Err(None));
}
