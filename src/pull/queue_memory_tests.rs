//! Tests of the room that the pulls to come take.

use super::*;

#[test]
fn outdated_entries_do_not_pile_up() {
    let mut calendar = Calendar::default();
    for round in 0..50 {
        for number in 0..1000 {
            calendar.put(number, 1000 + round * 7 + number as u64);
        }
    }
    assert!(
        calendar.queue.calendar.len() <= 1000 + 1000 / 2 + 1,
        "{}",
        calendar.queue.calendar.len()
    );
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

#[test]
fn outdated_ready_pulls_do_not_pile_up() {
    let mut calendar = Calendar::default();
    for round in 0..50 {
        (0..1_000).for_each(|number| calendar.put(number, round));
        assert_eq!(calendar.waiting(round).0, 1_000);
    }
    assert!(calendar.queue.ready.len() <= 2 * 1_000 + SLACK + 1, "{}", calendar.queue.ready.len());
}
