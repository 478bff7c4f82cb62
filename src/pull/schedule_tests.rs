use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::status::{
    State,
    fact::{Fact, Notified, Order, Pulled, Word},
};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// A time at which nothing has happened yet.
const T0: u64 = 1_700_000_000_000;

fn notified(change: ChangeType, seen: u64) -> Fact {
    let at = i64::try_from(seen / 1000).unwrap();
    Fact::Notified(Notified { change, at, seen, details: Arc::default() })
}

fn pulled(state: State, since: u64, asked: u64) -> Fact {
    Fact::Pulled(Pulled { state, asked, since, details: Arc::default() })
}

fn word(order: Order) -> Fact {
    let extra = serde_json::Map::new();
    Fact::Word(Box::new(Word { order, set_at: T0, until: None, note: String::new(), extra }))
}

fn record(facts: impl IntoIterator<Item = Fact>) -> Record {
    Record::from_parts(facts.into_iter().collect(), None)
}

/// The next look with no jitter, after T0.
fn next(record: &Record, last: Last, now: u64) -> Option<u64> {
    let next = Schedule::default().next_look(record, &Settle::default(), last, now, 1.0);
    next.map(|next| next - T0)
}

const TOLD: Last = Last::Told { valid_until: None };

#[test]
fn the_first_look_waits_until_pulls_can_tell() {
    use ChangeType::{BackupRestored, Delete, Move, Other, Resume, Suspend, Upgrade};
    for (change, expected) in [
        (Upgrade, Some(MINUTE)),
        (Suspend, Some(MINUTE)),
        (Resume, Some(MINUTE)),
        (Delete, Some(MINUTE)),
        (BackupRestored, None),
        (Move, None),
        (Other(9), None),
    ] {
        let record = record([notified(change, T0)]);
        assert_eq!(next(&record, Last::Unasked, T0), expected, "{change}");
        // Also when nobody came to look in time: it is overdue then, and stays so.
        assert_eq!(next(&record, Last::Unasked, T0 + HOUR), expected, "{change}");
    }
    assert_eq!(next(&Record::default(), Last::Unasked, T0), None);
}

#[test]
fn the_settle_times_move_the_first_look() {
    let settle = Settle { usual: Duration::from_secs(7), upgrade: Duration::from_secs(9) };
    for (change, expected) in [(ChangeType::Suspend, 7), (ChangeType::Upgrade, 9)] {
        let record = record([notified(change, T0)]);
        let next = Schedule::default().next_look(&record, &settle, Last::Unasked, T0, 1.0);
        assert_eq!(next, Some(T0 + expected * SECOND), "{change}");
    }
}

#[test]
fn steps_grow_with_the_time_that_a_tenant_has_been_closed() {
    use State::{Deleted, MigrationPending, OfflineMaintenance, Suspended};
    for (state, closed_for, step) in [
        (OfflineMaintenance, 0, 15 * SECOND),
        (OfflineMaintenance, 2 * MINUTE, 30 * SECOND),
        (OfflineMaintenance, 4 * MINUTE, MINUTE),
        (OfflineMaintenance, 9 * HOUR, MINUTE),
        (Suspended, 0, 5 * MINUTE),
        (Suspended, 40 * MINUTE, 10 * MINUTE),
        (Suspended, 100 * HOUR, 15 * MINUTE),
        (Deleted, 0, 6 * HOUR),
        (Deleted, 9000 * HOUR, 6 * HOUR),
        (MigrationPending, 0, HOUR),
        (MigrationPending, 900 * HOUR, HOUR),
    ] {
        let now = T0 + closed_for;
        let record = record([pulled(state, T0, now)]);
        assert_eq!(next(&record, TOLD, now), Some(closed_for + step), "{state} {closed_for}");
        // Another replica's answer, or one from before a restart, counts from when it was asked for.
        let unasked = next(&record, Last::Unasked, now + 1234);
        assert_eq!(unasked, Some(closed_for + step), "{state} {closed_for}");
        assert_eq!(next(&record, Last::Silent { tries: 9 }, now), Some(closed_for + step));
    }
}

#[test]
fn valid_until_puts_a_look_off_up_to_the_longest_step() {
    let record = record([pulled(State::Suspended, T0, T0)]);
    for (valid_until, expected) in [
        (0, 5 * MINUTE),
        (T0 + 4 * MINUTE, 5 * MINUTE),
        (T0 + 8 * MINUTE, 8 * MINUTE),
        (T0 + 15 * MINUTE, 15 * MINUTE),
        (T0 + 16 * MINUTE, 15 * MINUTE),
        (u64::MAX, 15 * MINUTE),
    ] {
        let last = Last::Told { valid_until: Some(valid_until) };
        assert_eq!(next(&record, last, T0), Some(expected), "{valid_until}");
    }
}

#[test]
fn jitter_shortens_a_step_by_up_to_its_half() {
    let record = record([pulled(State::Suspended, T0, T0)]);
    let next = |random| {
        let last = Last::Told { valid_until: None };
        Schedule::default().next_look(&record, &Settle::default(), last, T0, random).unwrap() - T0
    };
    assert_eq!(next(0.0), 150 * SECOND);
    assert_eq!(next(0.5), 225 * SECOND);
    assert_eq!(next(1.0), 300 * SECOND);
}

#[test]
fn no_look_is_put_off_past_the_end_of_a_settle_time() {
    let settling = record([notified(ChangeType::Suspend, T0), pulled(State::Running, 0, T0 + 1)]);
    let last = Last::Told { valid_until: Some(T0 + HOUR) };
    assert_eq!(next(&settling, last, T0 + 2), Some(MINUTE));
    assert_eq!(next(&settling, Last::Failed { tries: 9, retry_after: None }, T0 + 2), Some(MINUTE));

    let upgrade = record([notified(ChangeType::Upgrade, T0), pulled(State::Running, 0, T0 + 1)]);
    let late = T0 + 890 * SECOND;
    assert_eq!(next(&upgrade, TOLD, late), Some(900 * SECOND));
}

#[test]
fn an_answer_from_within_the_settle_time_that_comes_after_it_is_followed_by_one_that_counts() {
    let record =
        record([notified(ChangeType::Suspend, T0), pulled(State::Running, 0, T0 + 59_000)]);
    assert_eq!(next(&record, TOLD, T0 + 61_000), Some(MINUTE));
}

#[test]
fn an_open_tenant_is_looked_at_once_when_it_has_settled() {
    let resumed = |asked| {
        let facts = [notified(ChangeType::Resume, T0), pulled(State::Running, asked, asked)];
        next(&record(facts), TOLD, asked.max(T0))
    };
    assert_eq!(resumed(T0 - 1), Some(MINUTE));
    assert_eq!(resumed(T0 + MINUTE - 1), Some(MINUTE));
    assert_eq!(resumed(T0 + MINUTE), None);
    // Also one that the state API opened before the settle time of its Upgrade was over.
    let facts = [
        notified(ChangeType::Upgrade, T0),
        pulled(State::OfflineMaintenance, T0 + 1, T0 + 1),
        pulled(State::Running, T0 + 2, T0 + 2),
    ];
    assert_eq!(next(&record(facts), TOLD, T0 + 2), Some(900 * SECOND));
}

#[test]
fn failures_back_off_to_five_minutes() {
    let record = record([pulled(State::Deleted, T0, T0)]);
    for (tries, seconds) in [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (255, 300)] {
        let last = Last::Failed { tries, retry_after: None };
        assert_eq!(next(&record, last, T0), Some(seconds * SECOND), "{tries}");
        assert_eq!(Schedule::default().retry(last, T0, 1.0), T0 + seconds * SECOND);
    }
}

#[test]
fn retry_after_is_honoured_up_to_an_hour() {
    let record = record([pulled(State::Deleted, T0, T0)]);
    for (pause, seconds) in [(0, 15), (1, 15), (600, 600), (3600, 3600), (u64::MAX, 3600)] {
        let last = Last::Failed { tries: 1, retry_after: Some(Duration::from_secs(pause)) };
        assert_eq!(next(&record, last, T0), Some(seconds * SECOND), "{pause}");
        assert_eq!(Schedule::default().retry(last, T0, 1.0), T0 + seconds * SECOND);
    }
}

#[test]
fn silence_about_an_open_tenant_is_asked_about_ever_more_seldom() {
    let record = record([notified(ChangeType::Resume, T0)]);
    let now = T0 + MINUTE;
    for (tries, seconds) in [(1, 15), (2, 30), (5, 240), (8, 1920), (9, 3600), (255, 3600)] {
        let last = Last::Silent { tries };
        assert_eq!(next(&record, last, now), Some(MINUTE + seconds * SECOND), "{tries}");
    }
}

#[test]
fn looks_go_on_beneath_an_operators_word() {
    let suspended = || [notified(ChangeType::Suspend, T0), word(Order::Open)];
    assert_eq!(next(&record(suspended()), Last::Unasked, T0), Some(MINUTE));
    assert_eq!(next(&record([word(Order::Close)]), Last::Unasked, T0), None);
}

#[test]
fn a_clock_that_is_ahead_puts_a_look_off_by_no_more_than_a_settle_time() {
    let record = record([notified(ChangeType::Suspend, T0 + 99 * HOUR)]);
    assert_eq!(next(&record, Last::Unasked, T0), Some(900 * SECOND));
}

#[test]
fn setters_keep_a_schedule_sane() {
    let schedule = Schedule::new()
        .suspended(Duration::ZERO, Duration::ZERO)
        .upgrading(Duration::from_secs(9), Duration::from_secs(3))
        .failed(Duration::ZERO, Duration::MAX)
        .pulls_per_second(0)
        .pulls_at_once(0);
    assert_eq!((schedule.rate(), schedule.at_once()), (1, 1));
    let look = |facts: Vec<Fact>, last| {
        let settle = Settle::default();
        schedule.next_look(&record(facts), &settle, last, T0, 1.0).unwrap() - T0
    };
    assert_eq!(look(vec![pulled(State::Suspended, T0, T0)], TOLD), 100);
    assert_eq!(look(vec![pulled(State::OfflineMaintenance, T0, T0)], TOLD), 9 * SECOND);
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let times = || T0..T0 + 3 * HOUR;
    let states = prop_oneof![
        Just(State::Running),
        Just(State::Suspended),
        Just(State::Deleted),
        Just(State::OfflineMaintenance),
        Just(State::MigrationPending),
    ];
    prop_oneof![
        (0_u32..7, times()).prop_map(|(change, seen)| notified(change.into(), seen)),
        (states, times(), 0..HOUR).prop_map(|(state, asked, run)| pulled(
            state,
            asked - run,
            asked
        )),
        prop_oneof![Just(Order::Open), Just(Order::Close), Just(Order::Release)].prop_map(word),
    ]
}

fn any_last() -> impl Strategy<Value = Last> {
    let pause = proptest::option::of((0_u64..9999).prop_map(Duration::from_secs));
    prop_oneof![
        Just(Last::Unasked),
        proptest::option::of(any::<u64>()).prop_map(|valid_until| Last::Told { valid_until }),
        any::<u8>().prop_map(|tries| Last::Silent { tries }),
        (any::<u8>(), pause).prop_map(|(tries, retry_after)| Last::Failed { tries, retry_after }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// The invariant: whatever happened, a tenant that is closed, and not by an operator, is looked
    /// at again, and within a bound.
    #[test]
    fn a_closed_tenant_always_has_a_next_look(
        facts in proptest::collection::vec(any_fact(), 0..8),
        last in any_last(),
        now in T0..T0 + 4 * HOUR,
        random in 0.0..=1.0,
    ) {
        let (record, settle) = (record(facts), Settle::default());
        let schedule = Schedule::default();
        let next = schedule.next_look(&record, &settle, last, now, random);
        let closure = underneath(&record, &settle);
        if let Some(closure) = closure {
            prop_assert!(next.is_some(), "{closure:?}");
            let bound = match last {
                Last::Failed { retry_after, .. } => {
                    ms(schedule.failed.longest).max(ms(retry_after.unwrap_or_default().min(LONGEST_PAUSE)))
                }
                _ => ms(schedule.steps(closure.reason).longest).max(900 * SECOND),
            };
            prop_assert!(next.unwrap() <= now + bound);
        }
        // An open tenant is looked at only while something is settling.
        if closure.is_none() && next.is_some() {
            let ends = settle.ends(deciding(&record).unwrap());
            prop_assert!(record.pulls().all(|pulled| pulled.asked < ends));
        }
    }

    /// No look follows the last at once, so that nothing ever makes them spin.
    #[test]
    fn a_look_after_an_answer_waits(
        facts in proptest::collection::vec(any_fact(), 0..8),
        last in any_last(),
        random in 0.0..=1.0,
    ) {
        // After all that happened, and after all settle times.
        let now = T0 + 4 * HOUR;
        let mut record = record(facts);
        record.merge(&Record::of(pulled(State::Suspended, now, now)));
        let next = Schedule::default().next_look(&record, &Settle::default(), last, now, random);
        prop_assert!(next.is_none_or(|next| next >= now + 7 * SECOND + SECOND / 2));
    }
}
