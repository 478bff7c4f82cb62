//! One test for each thing the rules say. Times are seconds; a notification's token time is the
//! second in which it is seen.

use std::time::Duration;

use super::strategies::{derived, notified, pulled, record_of, word};
use crate::status::{
    ChangeType::{self, BackupRestored, Delete, Move, Other, Resume, Suspend, Upgrade},
    Evidence, Record, State, TenantStatus,
    UnavailableReason::{self, Deleted, NotReady, Operator, Suspended, Upgrading},
    derive::{Settle, status, underneath},
    fact::{Fact, Order},
};

fn sent(change: ChangeType, second: u64) -> Fact {
    notified(change, i64::try_from(second).unwrap(), second * 1000)
}

fn asked(state: State, second: u64) -> Fact {
    pulled(state, second * 1000)
}

fn says(facts: &[Fact]) -> TenantStatus {
    derived(&record_of(facts))
}

fn reason(facts: &[Fact]) -> Option<UnavailableReason> {
    says(facts).reason()
}

/// Reason, second since which it is closed, evidence, confirmed.
fn all_of(facts: &[Fact]) -> (Option<UnavailableReason>, Option<u64>, Evidence, bool) {
    let status = says(facts);
    let since = status.closure.map(|closure| closure.since / 1000);
    (status.reason(), since, status.evidence(), status.is_confirmed())
}

mod push {
    use super::*;

    #[test]
    fn a_tenant_never_heard_of_is_open() {
        let status = says(&[]);
        assert!(status.is_available());
        assert_eq!(all_of(&[]), (None, None, Evidence::Notification, false));
        assert_eq!(status.epoch(), 0);
    }

    #[test]
    fn upgrade_suspend_and_delete_close_until_a_newer_resume() {
        for (change, why) in [(Upgrade, Upgrading), (Suspend, Suspended), (Delete, Deleted)] {
            assert_eq!(reason(&[sent(change, 10)]), Some(why));
            assert_eq!(reason(&[sent(change, 10), sent(Resume, 11)]), None);
            assert_eq!(reason(&[sent(Resume, 9), sent(change, 10)]), Some(why));
            assert_eq!(reason(&[sent(change, 10), sent(Resume, 11), sent(change, 12)]), Some(why));
        }
    }

    #[test]
    fn whichever_of_upgrade_and_suspend_is_newest_gives_the_reason() {
        assert_eq!(reason(&[sent(Upgrade, 10), sent(Suspend, 11)]), Some(Suspended));
        assert_eq!(reason(&[sent(Suspend, 10), sent(Upgrade, 11)]), Some(Upgrading));
        let between = [sent(Suspend, 10), sent(Resume, 11), sent(Upgrade, 12)];
        assert_eq!(reason(&between), Some(Upgrading));
    }

    #[test]
    fn a_delete_outranks_newer_closings_but_not_a_newer_resume() {
        assert_eq!(reason(&[sent(Delete, 10), sent(Suspend, 11)]), Some(Deleted));
        assert_eq!(reason(&[sent(Delete, 10), sent(Upgrade, 11)]), Some(Deleted));
        assert_eq!(
            reason(&[sent(Delete, 10), sent(Resume, 11), sent(Suspend, 12)]),
            Some(Suspended)
        );
    }

    #[test]
    fn backup_restored_move_and_unknown_types_close_nothing_and_open_nothing() {
        for change in [BackupRestored, Move, Other(6), Other(u32::MAX)] {
            assert_eq!(reason(&[sent(change, 10)]), None);
            assert_eq!(reason(&[sent(Suspend, 10), sent(change, 11)]), Some(Suspended));
        }
    }

    #[test]
    fn a_closing_is_dated_from_its_arrival() {
        assert_eq!(
            all_of(&[notified(Suspend, 10, 12_000)]),
            (Some(Suspended), Some(12), Evidence::Notification, false)
        );
        assert_eq!(all_of(&[sent(Upgrade, 10), sent(Suspend, 20)]).1, Some(20));
        assert_eq!(all_of(&[sent(Delete, 10), sent(Suspend, 20)]).1, Some(10));
    }

    #[test]
    fn token_time_decides_before_arrival() {
        let late_suspend = [sent(Resume, 11), notified(Suspend, 10, 99_000)];
        assert_eq!(reason(&late_suspend), None);
        let late_resume = [sent(Suspend, 11), notified(Resume, 10, 99_000)];
        assert_eq!(reason(&late_resume), Some(Suspended));
    }

    #[test]
    fn within_one_second_arrival_decides() {
        let (suspend, resume) = (notified(Suspend, 10, 10_001), notified(Resume, 10, 10_002));
        assert_eq!(reason(&[suspend.clone(), resume.clone()]), None);
        assert_eq!(reason(&[resume, suspend]), None);
        let (resume, suspend) = (notified(Resume, 10, 10_001), notified(Suspend, 10, 10_002));
        assert_eq!(reason(&[suspend, resume]), Some(Suspended));
    }

    #[test]
    fn what_is_not_newer_than_the_resume_does_not_close() {
        for change in [Upgrade, Suspend, Delete] {
            assert_eq!(reason(&[sent(change, 10), sent(Resume, 10)]), None);
        }
    }

    #[test]
    fn an_upgrade_and_a_suspend_of_one_moment_read_as_the_longer_of_the_two() {
        assert_eq!(reason(&[sent(Upgrade, 10), sent(Suspend, 10)]), Some(Suspended));
    }

    #[test]
    fn the_epoch_is_the_token_time_of_the_newest_backup_restored() {
        let restored = |at| notified(BackupRestored, at, 50_000);
        assert_eq!(says(&[restored(30)]).epoch(), 30);
        assert_eq!(says(&[restored(30), restored(20)]).epoch(), 30);
        assert_eq!(says(&[restored(30), restored(40)]).epoch(), 40);
        assert_eq!(says(&[sent(Suspend, 60), sent(Resume, 70)]).epoch(), 0);
        assert_eq!(says(&[restored(30), word(Order::Close, 1, None)]).epoch(), 30);
        assert_eq!(says(&[restored(30), asked(State::Deleted, 1)]).epoch(), 30);
    }
}

mod pull {
    use super::*;

    #[test]
    fn with_nothing_pushed_a_pull_is_conclusive_at_once() {
        let table = [
            (State::Running, None),
            (State::OnlineMaintenance, None),
            (State::Suspended, Some(Suspended)),
            (State::Deleted, Some(Deleted)),
            (State::Deleting, Some(Deleted)),
            (State::DeleteFailed, Some(Deleted)),
            (State::OfflineMaintenance, Some(Upgrading)),
            (State::Provisioning, Some(NotReady)),
            (State::ProvisioningFailed, Some(NotReady)),
            (State::MigrationPending, Some(NotReady)),
        ];
        for (state, why) in table {
            assert_eq!(
                all_of(&[asked(state, 5)]),
                (why, why.map(|_| 5), Evidence::StateApi, true),
                "{state}"
            );
        }
    }

    #[test]
    fn backup_restored_move_and_unknown_types_give_a_pull_nothing_to_wait_for() {
        for change in [BackupRestored, Move, Other(6)] {
            assert_eq!(reason(&[sent(change, 5), asked(State::Suspended, 5)]), Some(Suspended));
        }
    }

    #[test]
    fn a_pull_overrules_a_notification_from_the_settle_time_on_and_not_before() {
        for (change, why, settle) in
            [(Upgrade, Upgrading, 900), (Suspend, Suspended, 60), (Delete, Deleted, 60)]
        {
            let sent_at = sent(change, 1000);
            let just_before = pulled(State::Running, (1000 + settle) * 1000 - 1);
            assert_eq!(
                all_of(&[sent_at.clone(), just_before]),
                (Some(why), Some(1000), Evidence::Notification, false),
                "{change}"
            );
            let just_after = asked(State::Running, 1000 + settle);
            assert_eq!(
                all_of(&[sent_at, just_after]),
                (None, None, Evidence::StateApi, true),
                "{change}"
            );
        }
        let resumed = [sent(Suspend, 10), sent(Resume, 1000)];
        let with = |pull| [resumed[0].clone(), resumed[1].clone(), pull];
        assert_eq!(reason(&with(pulled(State::Suspended, 1_059_999))), None);
        assert_eq!(
            all_of(&with(asked(State::Suspended, 1060))),
            (Some(Suspended), Some(1060), Evidence::StateApi, true)
        );
    }

    #[test]
    fn the_settle_time_starts_when_the_notification_was_first_seen() {
        let sent_early_seen_late = notified(Suspend, 10, 1_000_000);
        let pull = asked(State::Running, 1059);
        assert_eq!(reason(&[sent_early_seen_late.clone(), pull.clone()]), Some(Suspended));
        let seen_sooner_elsewhere = notified(Suspend, 10, 999_000);
        assert_eq!(reason(&[sent_early_seen_late, seen_sooner_elsewhere, pull]), None);
    }

    #[test]
    fn the_newest_of_upgrade_suspend_resume_and_delete_sets_the_settle_time() {
        let suspended_then_upgrading = [sent(Suspend, 10), sent(Upgrade, 100)];
        let with =
            |pull| [suspended_then_upgrading[0].clone(), suspended_then_upgrading[1].clone(), pull];
        assert_eq!(reason(&with(asked(State::Running, 999))), Some(Upgrading));
        assert_eq!(reason(&with(asked(State::Running, 1000))), None);
        let deleted_then_suspended = [sent(Delete, 10), sent(Suspend, 100)];
        let with =
            |pull| [deleted_then_suspended[0].clone(), deleted_then_suspended[1].clone(), pull];
        assert_eq!(reason(&with(asked(State::Running, 159))), Some(Deleted));
        assert_eq!(reason(&with(asked(State::Running, 160))), None);
    }

    #[test]
    fn an_earlier_pull_that_agreed_makes_the_next_one_conclusive() {
        let agreed = [
            (sent(Upgrade, 100), State::OfflineMaintenance, Upgrading),
            (sent(Suspend, 100), State::Suspended, Suspended),
            (sent(Delete, 100), State::Deleting, Deleted),
        ];
        for (notification, agreeing, why) in agreed {
            let first = [notification.clone(), asked(agreeing, 100)];
            assert_eq!(all_of(&first), (Some(why), Some(100), Evidence::Notification, true));
            let then = [notification, asked(agreeing, 100), asked(State::Running, 101)];
            assert_eq!(all_of(&then), (None, None, Evidence::StateApi, true));
        }
        let resumed = [sent(Suspend, 10), sent(Resume, 100), asked(State::Running, 100)];
        assert_eq!(all_of(&resumed), (None, None, Evidence::Notification, true));
        let again = [&resumed[..], &[asked(State::Suspended, 101)]].concat();
        assert_eq!(all_of(&again), (Some(Suspended), Some(101), Evidence::StateApi, true));
    }

    #[test]
    fn a_pull_that_agreed_before_the_notification_was_seen_proves_nothing() {
        let facts = [asked(State::Suspended, 99), sent(Suspend, 100), asked(State::Running, 101)];
        assert_eq!(all_of(&facts), (Some(Suspended), Some(100), Evidence::Notification, false));
    }

    #[test]
    fn a_pull_that_disagreed_does_not_make_the_next_one_conclusive() {
        let facts = [sent(Suspend, 100), asked(State::Running, 101), asked(State::Running, 102)];
        assert_eq!(all_of(&facts), (Some(Suspended), Some(100), Evidence::Notification, false));
        let other = [sent(Suspend, 100), asked(State::Deleted, 101), asked(State::Running, 102)];
        assert_eq!(reason(&other), Some(Suspended));
    }

    #[test]
    fn a_pull_of_the_same_moment_is_not_an_earlier_one() {
        let facts = [sent(Suspend, 100), asked(State::Suspended, 101), asked(State::Running, 101)];
        assert_eq!(reason(&facts), Some(Suspended));
    }

    #[test]
    fn a_new_notification_ends_what_pulls_said_before_it() {
        let facts = [asked(State::Suspended, 100), sent(Resume, 200)];
        assert_eq!(all_of(&facts), (None, None, Evidence::Notification, false));
        let facts = [asked(State::Running, 100), sent(Suspend, 200)];
        assert_eq!(all_of(&facts), (Some(Suspended), Some(200), Evidence::Notification, false));
    }

    #[test]
    fn only_the_newest_pull_counts() {
        assert_eq!(reason(&[asked(State::Suspended, 10), asked(State::Running, 20)]), None);
        assert_eq!(reason(&[asked(State::Running, 20), asked(State::Suspended, 10)]), None);
        let facts = [asked(State::MigrationPending, 10), asked(State::Suspended, 20)];
        assert_eq!(reason(&facts), Some(Suspended));
    }

    #[test]
    fn a_pull_that_repeats_a_notification_does_not_move_the_closing() {
        assert_eq!(
            all_of(&[sent(Suspend, 10), asked(State::Suspended, 500)]),
            (Some(Suspended), Some(10), Evidence::StateApi, true)
        );
        assert_eq!(
            all_of(&[sent(Suspend, 10), asked(State::OfflineMaintenance, 500)]),
            (Some(Upgrading), Some(500), Evidence::StateApi, true)
        );
    }

    #[test]
    fn a_closing_found_after_a_running_answer_is_dated_from_the_pull() {
        let facts = [sent(Suspend, 10), asked(State::Running, 100), asked(State::Suspended, 200)];
        assert_eq!(all_of(&facts), (Some(Suspended), Some(200), Evidence::StateApi, true));
    }

    #[test]
    fn a_run_of_equal_answers_is_dated_from_its_first() {
        let mut last = asked(State::Suspended, 500);
        let Fact::Pulled(pull) = &mut last else { unreachable!() };
        pull.since = 100_000;
        assert_eq!(all_of(&[last]).1, Some(100));
    }

    #[test]
    fn a_pushed_delete_is_confirmed_by_a_deleted_answer_only() {
        assert!(!says(&[sent(Delete, 10)]).is_confirmed());
        assert!(!says(&[sent(Delete, 10), asked(State::Suspended, 11)]).is_confirmed());
        assert!(!says(&[sent(Delete, 10), asked(State::Deleted, 9)]).is_confirmed());
        assert!(says(&[sent(Delete, 10), asked(State::Deleted, 10)]).is_confirmed());
        // A tenant that the state API calls suspended may yet come back.
        assert!(!says(&[sent(Delete, 10), asked(State::Suspended, 500)]).is_confirmed());
    }

    #[test]
    fn deleted_is_not_weakened_by_another_closed_state() {
        let weaker = [State::Suspended, State::OfflineMaintenance, State::MigrationPending];
        for state in weaker {
            assert_eq!(
                all_of(&[sent(Delete, 10), asked(state, 500)]),
                (Some(Deleted), Some(10), Evidence::Notification, false),
                "{state}"
            );
            assert_eq!(
                all_of(&[asked(State::Deleted, 400), asked(state, 500)]),
                (Some(Deleted), Some(400), Evidence::StateApi, true),
                "{state}"
            );
        }
        let confirmed = [sent(Delete, 10), asked(State::Deleted, 80), asked(State::Suspended, 90)];
        assert_eq!(all_of(&confirmed), (Some(Deleted), Some(10), Evidence::Notification, true));
    }

    #[test]
    fn a_running_answer_ends_a_deletion_for_good() {
        let pulled_back =
            [asked(State::Deleted, 10), asked(State::Running, 20), asked(State::Suspended, 30)];
        assert_eq!(reason(&pulled_back[..2]), None);
        assert_eq!(reason(&pulled_back), Some(Suspended));
        let refuted = [sent(Delete, 10), asked(State::Running, 100), asked(State::Suspended, 200)];
        assert_eq!(reason(&refuted[..2]), None);
        assert_eq!(all_of(&refuted), (Some(Suspended), Some(200), Evidence::StateApi, true));
    }

    #[test]
    fn an_inconclusive_running_answer_does_not_end_a_deletion() {
        let facts = [sent(Delete, 100), asked(State::Running, 110), asked(State::Suspended, 200)];
        assert_eq!(reason(&facts), Some(Deleted));
    }

    #[test]
    fn a_running_answer_does_not_end_a_later_deletion() {
        let pulled =
            [asked(State::Running, 20), asked(State::Deleted, 20), asked(State::Suspended, 30)];
        assert_eq!(reason(&pulled), Some(Deleted));
        let pushed = [asked(State::Running, 20), sent(Delete, 30), asked(State::Suspended, 200)];
        assert_eq!(reason(&pushed), Some(Deleted));
    }

    #[test]
    fn a_resume_ends_a_deletion_that_was_pulled() {
        let facts = [asked(State::Deleted, 10), sent(Resume, 20), asked(State::Suspended, 90)];
        assert_eq!(reason(&facts), Some(Suspended));
    }

    #[test]
    fn in_a_tie_the_settle_time_is_that_of_what_the_status_rests_on() {
        // Suspend and Upgrade tie as Suspended: 60 s, not 900.
        let facts = [sent(Upgrade, 100), sent(Suspend, 100), asked(State::Running, 160)];
        assert_eq!(reason(&facts), None);
        // Delete and Resume tie as open, so a running answer agrees and makes the next conclusive.
        let open = [sent(Delete, 100), sent(Resume, 100), asked(State::Running, 110)];
        let then = [&open[..], &[asked(State::Suspended, 111)]].concat();
        assert_eq!((reason(&open), reason(&then)), (None, Some(Suspended)));
    }

    #[test]
    fn a_settle_time_without_end_waits_for_an_agreeing_pull() {
        let settle = Settle { usual: Duration::MAX, upgrade: Duration::MAX };
        let record = record_of(&[sent(Suspend, 10), asked(State::Running, 1_000_000_000)]);
        assert_eq!(status(&record, &settle).reason(), Some(Suspended));
    }
}

mod operator {
    use super::*;

    #[test]
    fn a_word_masks_whatever_else_is_known() {
        let known: [&[Fact]; 4] = [
            &[],
            &[sent(Suspend, 10)],
            &[sent(Delete, 10), asked(State::Deleted, 500)],
            &[asked(State::Running, 500)],
        ];
        for facts in known {
            let with = |order| [facts, &[word(order, 600_000, None)]].concat();
            assert_eq!(all_of(&with(Order::Open)), (None, None, Evidence::Operator, false));
            assert_eq!(
                all_of(&with(Order::Close)),
                (Some(Operator), Some(600), Evidence::Operator, false)
            );
            assert_eq!(all_of(&with(Order::Release)), all_of(facts));
        }
    }

    #[test]
    fn facts_go_on_being_recorded_under_a_word() {
        let masked = [word(Order::Open, 1, None), sent(Suspend, 10), asked(State::Suspended, 100)];
        assert_eq!(reason(&masked), None);
        let released = [&masked[..], &[word(Order::Release, 2, None)]].concat();
        assert_eq!(all_of(&released), (Some(Suspended), Some(10), Evidence::StateApi, true));
    }

    #[test]
    fn what_lies_under_a_word_can_be_asked_for() {
        let settle = Settle::default();
        let known: [&[Fact]; 4] = [
            &[],
            &[sent(Suspend, 10)],
            &[sent(Delete, 10), asked(State::Deleted, 500)],
            &[sent(Suspend, 10), asked(State::Running, 500)],
        ];
        for facts in known {
            for order in [Order::Open, Order::Close, Order::Release] {
                let masked = record_of(&[facts, &[word(order, 600_000, None)]].concat());
                assert_eq!(underneath(&masked, &settle), says(facts).closure);
            }
        }
    }

    #[test]
    fn the_newest_word_counts() {
        let facts = [word(Order::Close, 20, None), word(Order::Open, 10, None)];
        assert_eq!(reason(&facts), Some(Operator));
        let facts = [word(Order::Release, 10, None), word(Order::Close, 20, None)];
        assert_eq!(reason(&facts), Some(Operator));
    }

    #[test]
    fn of_two_words_of_one_moment_the_more_careful_counts_and_a_release_ends_both() {
        let both = [word(Order::Open, 10, None), word(Order::Close, 10, None)];
        assert_eq!(reason(&both), Some(Operator));
        let ended = [&both[..], &[word(Order::Release, 10, None)]].concat();
        assert_eq!(all_of(&ended).2, Evidence::Notification);
    }

    fn ended(record: &Record, now: u64) -> Record {
        let mut record = record.clone();
        let end = record.word_ended(now).expect("the word has ended");
        assert!(record.merge(&end));
        record
    }

    #[test]
    fn a_word_ends_when_its_end_has_come_and_not_before() {
        let record = record_of(&[sent(Suspend, 10), word(Order::Open, 20_000, Some(50_000))]);
        assert_eq!(record.word_ends(), Some(50_000));
        assert!(record.word_ended(49_999).is_none());
        assert!(derived(&record).is_available());
        let after = ended(&record, 50_000);
        assert_eq!(derived(&after).reason(), Some(Suspended));
        assert_eq!(derived(&after).evidence(), Evidence::Notification);
    }

    #[test]
    fn a_word_without_an_end_and_a_released_one_do_not_end() {
        for word in [word(Order::Close, 10, None), word(Order::Release, 10, Some(20))] {
            let record = record_of(&[word]);
            assert_eq!(record.word_ends(), None);
            assert!(record.word_ended(u64::MAX).is_none());
        }
        assert!(Record::default().word_ended(u64::MAX).is_none());
    }

    #[test]
    fn a_word_that_has_ended_has_no_end_to_wait_for() {
        let record = record_of(&[word(Order::Close, 10, Some(20))]);
        let after = ended(&record, 20);
        assert_eq!(after.word_ends(), None);
        assert!(after.word_ended(u64::MAX).is_none());
    }

    #[test]
    fn the_end_of_a_word_does_not_end_a_later_one() {
        let first = record_of(&[word(Order::Close, 10, Some(20))]);
        let end = first.word_ended(1_000).unwrap();
        for later in [word(Order::Close, 11, None), word(Order::Open, 11, Some(5_000))] {
            let mut record = record_of(&[word(Order::Close, 10, Some(20)), later.clone()]);
            let before = record.clone();
            assert!(!record.merge(&end));
            assert_eq!(record, before);
        }
    }

    #[test]
    fn every_replica_ends_a_word_alike() {
        let said = record_of(&[word(Order::Close, 10, Some(20))]);
        assert_eq!(said.word_ended(20), said.word_ended(9_999));
        let (one, mut other) = (ended(&said, 20), ended(&said, 9_999));
        assert!(!other.merge(&one));
        assert_eq!(one, other);
    }

    #[test]
    fn the_end_keeps_the_note_that_came_with_the_word() {
        let Fact::Word(mut said) = word(Order::Close, 10, Some(20)) else { unreachable!() };
        said.note = "moving the disks".to_owned();
        let record = record_of(&[Fact::Word(said)]);
        assert_eq!(ended(&record, 20).word().unwrap().note, "moving the disks");
    }
}
