//! Tests of what waits, how much of it, and since when.

use super::*;

/// One request of each kind that needs no room of its own.
const REQUESTS: [fn(&mut Queue); 4] = [
    |queue| queue.push_requested(&tenant(1), s(5)),
    |queue| queue.push_unheard(&tenant(1), s(5)),
    |queue| assert!(queue.push_open(&tenant(1), Trigger::Stale, s(5))),
    |queue| assert!(queue.push_open(&tenant(1), Trigger::Symptom, s(5))),
];

#[test]
fn request_alone_is_served_at_once_and_counted_till_then() {
    for request in REQUESTS {
        let mut calendar = Calendar::default();
        calendar.put(2, 300);
        assert_eq!(calendar.queue.next(&calendar.dues), Some(s(300)));
        request(&mut calendar.queue);
        calendar.dues.1.insert(tenant(1));
        assert_eq!(calendar.queue.next(&calendar.dues), Some(s(0)));
        assert_eq!(calendar.waiting(9), (1, Some(s(5))));
        assert_eq!(calendar.pop(9), Some(tenant(1)));
        assert_eq!(calendar.queue.next(&calendar.dues), Some(s(300)));
        assert_eq!(calendar.waiting(9), (0, None));
    }
}

#[test]
fn next_is_the_due_time_that_counts_and_then_at_once() {
    let mut calendar = Calendar::default();
    assert_eq!(calendar.queue.next(&calendar.dues), None);
    calendar.put(1, 100);
    calendar.put(1, 200);
    assert_eq!(calendar.queue.next(&calendar.dues), Some(s(200)));
    assert_eq!(calendar.waiting(200), (1, Some(s(200))));
    assert_eq!(calendar.queue.next(&calendar.dues), Some(s(0)), "its turn has yet to come");
    assert_eq!(calendar.pop(200), Some(tenant(1)));
    assert_eq!(calendar.queue.next(&calendar.dues), None);
}

#[test]
fn rescheduled_pull_leaves_the_count_and_comes_once() {
    let mut calendar = Calendar::default();
    (0..10).for_each(|number| calendar.put(number, 5));
    assert_eq!(calendar.waiting(10), (10, Some(s(5))));
    (0..9).for_each(|number| calendar.put(number, 20));
    calendar.put(9, 5);
    assert_eq!(calendar.waiting(10), (1, Some(s(5))));
    assert_eq!((calendar.pop(10), calendar.pop(10)), (Some(tenant(9)), None));
    assert_eq!(calendar.waiting(10), (0, None));
    assert_eq!(calendar.waiting(20), (9, Some(s(20))));
}

#[test]
fn all_that_wait_are_counted_each_for_itself() {
    let mut calendar = Calendar::default();
    for number in 0..6 {
        calendar.put(number, 9);
    }
    calendar.put(6, 500);
    let Calendar { queue, .. } = &mut calendar;
    assert!(!queue.has_unverified());
    (10..11).for_each(|number| queue.push_requested(&tenant(number), s(8)));
    (20..22).for_each(|number| queue.push_unverified(&tenant(number), s(4)));
    (30..33).for_each(|number| queue.push_unheard(&tenant(number), s(5)));
    (40..44).for_each(|number| _ = queue.push_open(&tenant(number), Trigger::Stale, s(6)));
    (50..55).for_each(|number| _ = queue.push_open(&tenant(number), Trigger::Symptom, s(7)));
    assert!(queue.has_unverified());
    assert_eq!(queue.requests(), 6, "stale answers and symptoms keep no call waiting");
    assert_eq!(calendar.waiting(10), (21, Some(s(4))));
}
