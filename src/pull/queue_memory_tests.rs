//! Tests of the room that the pulls to come take.

use std::cell::Cell;

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

#[test]
fn sweeping_costs_a_few_look_ups_an_entry() {
    const ENTRIES: usize = 10_000;
    let (mut queue, looked_up) = (Queue::default(), Cell::new(0));
    for number in 0..ENTRIES {
        let due = at(number as u64);
        queue.replaced(Replaced::Scheduled);
        queue.push(tenant(0), due, Trigger::Closed, |_, own| {
            looked_up.set(looked_up.get() + 1);
            own == due
        });
    }
    let looked_up = looked_up.get();
    assert!((ENTRIES / 2..=4 * ENTRIES).contains(&looked_up), "{looked_up}");
}

#[test]
fn calendar_without_outdated_entries_is_never_swept() {
    let mut queue = Queue::default();
    for number in 0..100_000 {
        queue.push(tenant(number), at(number as u64), Trigger::Closed, |_, _| unreachable!());
    }
    assert_eq!(queue.calendar.len(), 100_000);
}

#[test]
fn calendar_that_ripened_gives_its_room_back() {
    let mut calendar = Calendar::default();
    (0..100_000).for_each(|number| calendar.put(number, 5));
    (0..10).for_each(|number| calendar.put(number, 1_000));
    assert!(calendar.queue.capacity() >= 100_000);
    assert_eq!(calendar.waiting(10).0, 100_000 - 10);
    assert!(calendar.queue.capacity() <= 4 * SLACK + 3, "{}", calendar.queue.capacity());
}

#[test]
fn calendar_that_is_in_use_keeps_its_room() {
    let mut calendar = Calendar::default();
    (0..5_000).for_each(|number| calendar.put(number, number as u64));
    let room = calendar.queue.capacity();
    // As many come as go: room that was given back would be taken again at once.
    assert_eq!(calendar.waiting(1_999).0, 2_000);
    assert_eq!(calendar.queue.capacity(), room);
}
