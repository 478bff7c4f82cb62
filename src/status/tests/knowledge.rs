//! Settling and repetitions, by a monotonic clock: what a pull may contradict, and when.

use std::{sync::Arc, time::Duration};

use super::{
    replica::{Replica, SETTLE},
    strategies::{notified, record_of},
};
use crate::status::{
    ChangeType::{Delete, Resume, Suspend, Upgrade},
    Record, State,
    derive::derive,
    fact::Fact,
    knowledge::Knowledge,
    notified::OpenClose,
    past::Past,
    settle::Settle,
    stamp::{PullAnswer, PullStamp},
};

#[test]
fn a_pull_contradicts_a_notification_once_it_has_settled() {
    for (change, seconds) in [(Suspend, 60), (Delete, 60), (Upgrade, 900)] {
        let mut tenant = Replica::default();
        tenant.wait(1_000).notify(change, 5);
        assert!(!tenant.wait(seconds - 1).pull(State::Running).is_open(), "{change}");
        assert!(!tenant.last().settled);
        assert!(tenant.wait(1).pull(State::Running).is_open(), "{change}");
        assert!(tenant.last().settled);
    }
    let mut resumed = Replica::default();
    resumed.notify(Suspend, 4).notify(Resume, 5);
    assert!(resumed.wait(59).pull(State::Suspended).is_open());
    assert!(!resumed.wait(1).pull(State::Suspended).is_open());
}

#[test]
fn a_pull_is_judged_by_the_moment_it_was_sent() {
    let mut tenant = Replica::default();
    let stamp = tenant.notify(Suspend, 5).wait(59).stamp();
    assert!(!tenant.wait(100).complete(stamp, State::Running).is_open());
    // Sent before the notification came: it knew nothing of it, however late it arrives.
    let mut tenant = Replica::default();
    let stamp = tenant.stamp();
    tenant.notify(Suspend, 5).wait(1_000).complete(stamp, State::Running);
    assert!(!tenant.is_open() && tenant.last().settled);
}

#[test]
fn pull_is_followed_by_one_sent_as_late_or_later() {
    let mut tenant = Replica::default();
    let stamp = tenant.notify(Suspend, 5).stamp();
    assert!(!stamp.is_followed_in(&tenant.record), "no pull is");
    // Of another replica that knew as much.
    tenant.pull(State::Suspended);
    assert!(stamp.is_followed_in(&tenant.record));
    let next = tenant.stamp();
    assert!(!next.is_followed_in(&tenant.record), "it was sent before");
    tenant.pull(State::Suspended).pull(State::Running);
    assert!(stamp.is_followed_in(&tenant.record) && next.is_followed_in(&tenant.record));
}

#[test]
fn agreement_alone_settles_nothing() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(5).pull(State::Suspended);
    assert!(derive(&tenant.record).confirmed);
    assert!(!tenant.wait(5).pull(State::Running).is_open());
}

#[test]
fn running_after_an_upgrade_counts_once_it_was_seen_closed() {
    let mut tenant = Replica::default();
    tenant.notify(Upgrade, 5).wait(61).pull(State::OfflineMaintenance);
    assert!(tenant.last().settled);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
    assert!(tenant.wait(1).pull(State::Running).is_open());
    assert_eq!(tenant.last().known, 900, "the whole settle time of an Upgrade is handed on");
    // An unsettled closed pull doesn't start that wait.
    let mut tenant = Replica::default();
    tenant.notify(Upgrade, 5).wait(30).pull(State::OfflineMaintenance);
    assert!(!tenant.wait(100).pull(State::Running).is_open());
}

#[test]
fn known_time_is_handed_on_by_pulls() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(40).pull(State::Suspended);
    assert_eq!(tenant.last().known, 40);
    let mut next = tenant.restarted();
    assert!(!next.wait(19).pull(State::Running).is_open());
    assert!(next.wait(1).pull(State::Running).is_open());
    // A settled pull hands on the whole settle time.
    assert!(!next.restarted().pull(State::Suspended).is_open());
}

/// A replica that continues the count has to find the wait over, too.
#[test]
fn a_settle_time_is_handed_on_in_whole_seconds() {
    let record = record_of(&[notified(Suspend, 5)]);
    for (usual, known) in [(1_500, 2), (2_000, 2), (2_001, 3)] {
        let usual = Duration::from_millis(usual);
        let settle = Settle { usual, upgrade: usual };
        let mut knowledge = Knowledge::default();
        knowledge.update(&Past::of(&Record::default()), &record, Duration::ZERO);
        let stamp = PullStamp::new(&record, &knowledge, &settle, usual);
        for state in [State::Running, State::Suspended] {
            let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at: 0 };
            let pulled = stamp.into_pull(answer, &record, &settle);
            assert_eq!((pulled.settled, pulled.known), (true, known), "{usual:?} {state:?}");
        }
    }
}

#[test]
fn known_time_of_another_notification_is_not_handed_on() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(300).pull(State::Suspended);
    let mut next = tenant.restarted();
    next.notify(Suspend, 6);
    assert!(!next.wait(59).pull(State::Running).is_open());
}

#[test]
fn repetitions_put_a_pull_off_by_twice_the_settle_time() {
    let mut tenant = Replica::default();
    for token_time in 0..11 {
        tenant.notify(Suspend, token_time).wait(10).pull(State::Running);
        assert!(!tenant.is_open(), "{token_time}");
    }
    assert!(tenant.notify(Suspend, 11).wait(10).pull(State::Running).is_open());
}

#[test]
fn a_confirmed_closing_is_not_repeated_but_renewed() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 0).wait(100).pull(State::Suspended);
    tenant.notify(Suspend, 1).wait(59).pull(State::Running);
    assert!(!tenant.is_open(), "the second Suspend has a settle time of its own");
}

#[test]
fn an_opening_between_ends_a_run_of_repetitions() {
    // The Resume comes in its turn.
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 0).wait(100).notify(Resume, 1).notify(Suspend, 2);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
    // It comes late, after the closing that followed it.
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 0).wait(100).notify(Suspend, 2).notify(Resume, 1);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
    // A settled pull found it running.
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 0).wait(100).pull(State::Running).notify(Suspend, 2);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
}

#[test]
fn a_closing_of_another_type_settles_in_full() {
    let mut tenant = Replica::default();
    tenant.notify(Upgrade, 0).wait(890).notify(Suspend, 1);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 0).wait(119).notify(Delete, 1);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
}

#[test]
fn a_late_old_notification_moves_nothing() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 9).wait(59).notify(Upgrade, 3).notify(Resume, 2);
    assert!(tenant.wait(1).pull(State::Running).is_open());
}

#[test]
fn without_a_notification_every_pull_is_settled() {
    let mut tenant = Replica::default();
    assert!(!tenant.pull(State::Suspended).is_open());
    assert!(tenant.pull(State::Running).is_open());
    assert_eq!((tenant.last().seq, tenant.last().known, tenant.last().knew()), (2, 0, None));
}

#[test]
fn since_follows_an_unbroken_run_of_one_outcome() {
    let at = |tenant: &mut Replica, state, taken_at| {
        let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at };
        let pulled = tenant.stamp().into_pull(answer, &tenant.record, &SETTLE);
        let since = pulled.since;
        tenant.change(|record| _ = record.insert(&Fact::Pulled(pulled)));
        since
    };
    let mut tenant = Replica::default();
    assert_eq!(at(&mut tenant, State::Deleting, 7), 7);
    assert_eq!(at(&mut tenant, State::Deleted, 9), 7);
    assert_eq!(at(&mut tenant, State::Running, 11), 11);
    assert_eq!(at(&mut tenant, State::Deleted, u64::MAX), 253_402_300_799_999);
}

#[test]
fn freshness_is_cut_to_between_5_minutes_and_an_hour() {
    let replica = Replica { record: record_of(&[notified(Suspend, 5)]), ..Replica::default() };
    for (fresh, expected) in [
        (None, 0),
        (Some(Duration::ZERO), 300),
        (Some(Duration::from_secs(1_000)), 1_000),
        (Some(Duration::MAX), 3_600),
    ] {
        let answer =
            PullAnswer { state: State::Running, details: Arc::default(), fresh, taken_at: 0 };
        let pulled = replica.stamp().into_pull(answer, &replica.record, &SETTLE);
        assert_eq!(pulled.fresh, expected);
    }
}

#[test]
fn settle_times_at_their_extremes_neither_panic_nor_wrap() {
    for usual in [Duration::ZERO, Duration::MAX] {
        for now in [Duration::ZERO, Duration::MAX] {
            let settle = Settle { usual, upgrade: usual };
            let mut knowledge = Knowledge::default();
            let record = record_of(&[notified(Upgrade, i64::MAX)]);
            knowledge.update(&Past::of(&Record::default()), &record, now);
            let stamp = PullStamp::new(&record, &knowledge, &settle, Duration::MAX);
            let answer = PullAnswer {
                state: State::Running,
                details: Arc::default(),
                fresh: None,
                taken_at: 0,
            };
            let pulled = stamp.into_pull(answer, &record, &settle);
            let mut next = record.clone();
            next.insert(&Fact::Pulled(pulled));
            knowledge.update(&Past::of(&record), &next, Duration::MAX);
            let _ = knowledge.settles_at(OpenClose::Upgrade, &settle);
        }
    }
}

#[test]
fn knowledge_takes_16_bytes() {
    assert_eq!(size_of::<Knowledge>(), 16);
}
