//! Faults that were seen in earlier rules, each as a test.

use super::{
    replica::Replica,
    strategies::{join, notified, record_of, settled},
};
use crate::status::{
    ChangeType::{Delete, Resume, Suspend},
    State, UnavailableReason,
    derive::status,
    notified::OpenClose,
};

const HOUR: u64 = 3_600;
const DAY_MS: u64 = 24 * HOUR * 1_000;

/// Joins what two replicas know, by way of a store.
fn sync(a: &mut Replica, b: &mut Replica) {
    let joined = join(&a.record, &b.record);
    a.join(&joined);
    b.join(&joined);
    assert_eq!(a.record, b.record);
    assert_eq!(status(&a.record), status(&b.record));
}

#[test]
fn a_clock_that_runs_ahead_opens_no_suspended_tenant() {
    for ahead in [55, 200, 2 * HOUR] {
        for first in 0..2 {
            let [mut a, mut b] = [Replica::default(), Replica::default()];
            a.wall = 1_700_000_000_000;
            b.wall = a.wall + ahead * 1_000;
            for number in 0..50 {
                let token_time = 1_700_000_000 + 400 * number;
                if number % 2 == 0 {
                    a.pull(State::Running)
                } else {
                    b.pull(State::Running)
                };
                sync(&mut a, &mut b);
                // The other replica learns of it through the store.
                let takes = if first == 0 { &mut a } else { &mut b };
                takes.notify(Suspend, token_time);
                sync(&mut a, &mut b);
                for lagging in [0, 3, 7, 10] {
                    a.wait(lagging).pull(State::Running);
                    b.wait(lagging).pull(State::Running);
                    sync(&mut a, &mut b);
                    assert!(!a.is_open() && !b.is_open(), "{ahead} s ahead, Suspend {number}");
                }
                // From now on the state API tells the truth.
                a.wait(60).pull(State::Suspended);
                b.wait(60);
                sync(&mut a, &mut b);
                assert!(!a.is_open() && !b.is_open());
                if number < 49 {
                    b.wait(200).notify(Resume, token_time + 200);
                    a.wait(200);
                    sync(&mut a, &mut b);
                    assert!(a.is_open() && b.is_open());
                }
            }
            a.wait(48 * HOUR).pull(State::Suspended);
            sync(&mut a, &mut b);
            assert!(!a.is_open() && !b.is_open());
        }
    }
}

#[test]
fn a_clock_set_back_does_not_keep_a_suspend_from_closing() {
    let mut tenant = Replica { wall: 1_700_000_000_000, ..Replica::default() };
    tenant.notify(Resume, 1_699_999_000).wait(120).pull(State::Running);
    tenant.wall -= 65_000;
    assert!(!tenant.notify(Suspend, 1_700_000_060).is_open());
    for _ in 0..48 {
        tenant.wall += HOUR * 1_000;
        assert!(!tenant.wait(HOUR).pull(State::Suspended).is_open());
    }
}

#[test]
fn a_pull_made_while_the_clock_was_a_day_ahead_is_overruled() {
    let mut tenant = Replica { wall: 1_700_000_000_000 + DAY_MS, ..Replica::default() };
    tenant.pull(State::Suspended);
    assert!(!tenant.is_open());
    tenant.wall -= DAY_MS;
    assert!(tenant.wait(300).pull(State::Running).is_open());
    assert!(!tenant.notify(Suspend, 1_700_000_300).is_open());
    assert!(!tenant.wait(100).pull(State::Suspended).is_open());
}

#[test]
fn restarts_shorter_than_the_settle_time_heal_a_lost_resume() {
    for life in [4, 10, 25, 55] {
        let mut process = Replica::default();
        process.notify(Suspend, 5).pull(State::Suspended);
        // The Resume is lost. Each process makes one pull in the middle of its life.
        let mut lived = 0;
        while !process.is_open() {
            process = process.restarted();
            process.wait(life / 2).pull(State::Running).wait(life - life / 2);
            lived += life;
            assert!(lived <= 180, "{life} s a life: still closed after {lived} s");
        }
    }
}

#[test]
fn an_unsettled_pull_does_not_shadow_a_settled_one() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(100).pull(State::Running);
    // Another replica, which has just learned of the Suspend, gets an answer that lags.
    let mut other = Replica::default();
    other.notify(Suspend, 5).pull(State::Suspended).pull(State::Suspended);
    sync(&mut tenant, &mut other);
    assert!(tenant.is_open() && other.is_open());
}

#[test]
fn an_agreeing_answer_does_not_settle_at_once() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(2).pull(State::Suspended);
    // A load balancer behind the state API still has a member that lags.
    assert!(!tenant.wait(2).pull(State::Running).is_open());
}

#[test]
fn a_repetition_does_not_keep_the_count_of_the_first() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(59).notify(Suspend, 64);
    assert!(!tenant.wait(2).pull(State::Running).is_open());
    // And where the first one was confirmed, the second is news with a settle time of its own.
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(600).pull(State::Suspended).notify(Suspend, 605);
    assert!(!tenant.wait(59).pull(State::Running).is_open());
}

#[test]
fn an_overruled_delete_does_not_come_back() {
    let mut tenant = Replica::default();
    tenant.notify(Delete, 5).wait(100).pull(State::Running);
    assert!(tenant.is_open());
    tenant.notify(Suspend, 200);
    assert_eq!(status(&tenant.record).reason(), Some(UnavailableReason::Suspended));
}

#[test]
fn a_join_does_not_lose_the_better_pull() {
    // One replica knew the Resume, the other only the Suspend before it, and has pulled more often.
    let knew = |change, at| Some((change, at));
    let mut a = record_of(&[
        notified(Suspend, 5),
        notified(Resume, 9),
        settled(State::Running, 3, knew(OpenClose::Resume, 9)),
    ]);
    let b = record_of(&[
        notified(Suspend, 5),
        settled(State::Suspended, 8, knew(OpenClose::Suspend, 5)),
        settled(State::Running, 7, knew(OpenClose::Suspend, 5)),
    ]);
    a.merge(&b);
    assert!(status(&a).is_available() && status(&a).is_confirmed());
}

#[test]
fn one_wrong_running_answer_is_corrected_by_the_next() {
    let mut tenant = Replica::default();
    tenant.notify(Suspend, 5).wait(600).pull(State::Suspended);
    assert!(tenant.wait(300).pull(State::Running).is_open());
    assert!(!tenant.wait(60).pull(State::Suspended).is_open());
}
