//! The status rules, sentence by sentence, and held against a second reading of them.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    model::{Expected, Model},
    strategies::{notified, overridden, placed, record_of, records, settled, unsettled},
};
use crate::status::{
    ChangeType, Evidence, Record, State, UnavailableReason,
    derive::{Derived, derive, outcome_without_pulls, status, status_without_override},
    fact::Fact,
    notified::{
        Details, Notified,
        OpenClose::{Delete, Resume, Suspend, Upgrade},
    },
    overrides::OverrideAction,
};

fn expected(derived: Derived) -> Expected {
    let closed = derived.closed.map(|closed| (closed.reason, closed.since));
    Expected { closed, evidence: derived.evidence, confirmed: derived.confirmed }
}

fn reason(facts: &[Fact]) -> Option<UnavailableReason> {
    status(&record_of(facts)).reason()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_record_says_what_the_model_says(record in records()) {
        let model = Model::new(record.facts());
        prop_assert_eq!(expected(derive(&record)), model.status());
        prop_assert_eq!(expected(status_without_override(&record)), model.without_override());
    }

    #[test]
    fn notifications_alone_decide_without_pulls(record in records()) {
        let notified = record.notifications().cloned().map(Fact::Notified).collect();
        let notified = Record::from_facts(notified, None);
        prop_assert_eq!(outcome_without_pulls(&record), status_without_override(&notified).outcome());
    }

    #[test]
    fn a_pull_knows_a_prefix_of_the_notifications(record in records()) {
        let mut line: Vec<_> = [Resume, Upgrade, Suspend, Delete]
            .into_iter()
            .filter_map(|own| record.notified(own.change()))
            .collect();
        line.sort_by_key(|own| own.position());
        let model = Model::new(record.facts());
        for pulled in record.pulls() {
            let known: Vec<_> = line.iter().map(|own| record.knows(pulled, own)).collect();
            prop_assert!(known.is_sorted_by(|a, b| a >= b), "{:?}", known);
            prop_assert_eq!(known.iter().filter(|known| **known).count(), model.place(pulled));
        }
    }
}

#[test]
fn a_tenant_never_heard_of_is_open_and_unconfirmed() {
    let open = status(&Record::default());
    assert!(open.is_available() && !open.is_confirmed());
    assert_eq!((open.evidence(), open.epoch()), (Evidence::Notification, 0));
}

#[test]
fn each_type_closes_or_opens_as_documented() {
    for (change, expected) in [
        (ChangeType::Upgrade, Some(UnavailableReason::Upgrading)),
        (ChangeType::Suspend, Some(UnavailableReason::Suspended)),
        (ChangeType::Delete, Some(UnavailableReason::Deleted)),
        (ChangeType::Resume, None),
        (ChangeType::BackupRestored, None),
        (ChangeType::Move, None),
        (ChangeType::Other(9), None),
    ] {
        assert_eq!(reason(&[notified(change, 1)]), expected, "{change}");
    }
}

#[test]
fn within_one_second_place_decides_then_the_closing() {
    use ChangeType::{Resume, Suspend};
    assert!(reason(&[placed(Suspend, 5, 1), placed(Resume, 5, 2)]).is_none());
    assert!(reason(&[placed(Suspend, 5, 2), placed(Resume, 5, 1)]).is_some());
    assert!(reason(&[placed(Suspend, 5, 1), placed(Resume, 5, 1)]).is_some());
}

#[test]
fn delete_outlasts_later_closings_until_an_opening() {
    let deleted = [notified(ChangeType::Delete, 1), notified(ChangeType::Suspend, 2)];
    assert_eq!(reason(&deleted), Some(UnavailableReason::Deleted));
    let [delete, suspend] = deleted;
    let resumed =
        [delete.clone(), notified(ChangeType::Resume, 2), notified(ChangeType::Suspend, 3)];
    assert_eq!(reason(&resumed), Some(UnavailableReason::Suspended));
    // A settled Running pull is an opening too: the Delete that it knew does not come back.
    let running = settled(State::Running, 1, Some((Delete, 1)));
    assert_eq!(reason(&[delete, running, suspend]), Some(UnavailableReason::Suspended));
}

#[test]
fn a_settled_pull_decides_only_if_it_knew_the_notification() {
    let suspend = notified(ChangeType::Suspend, 5);
    let knew = |at| settled(State::Running, 9, Some((Suspend, at)));
    assert!(reason(&[suspend.clone(), knew(5)]).is_none());
    assert!(reason(&[suspend.clone(), knew(6)]).is_none());
    assert!(reason(&[suspend.clone(), knew(4)]).is_some());
    assert!(reason(&[suspend.clone(), settled(State::Running, 9, None)]).is_some());
    assert!(reason(&[suspend, unsettled(State::Running, 9, Some((Suspend, 5)))]).is_some());
}

#[test]
fn an_unsettled_pull_shadows_no_settled_one() {
    let facts = [
        notified(ChangeType::Suspend, 5),
        settled(State::Running, 7, Some((Suspend, 5))),
        unsettled(State::Suspended, 8, Some((Suspend, 5))),
    ];
    assert_eq!(reason(&facts), None);
}

#[test]
fn a_pull_that_knew_more_beats_a_later_number() {
    let facts = [
        notified(ChangeType::Suspend, 5),
        settled(State::Suspended, 3, Some((Suspend, 5))),
        settled(State::Running, 9, Some((Resume, 4))),
    ];
    assert_eq!(reason(&facts), Some(UnavailableReason::Suspended));
}

#[test]
fn of_two_pulls_with_one_number_closed_counts() {
    for state in [State::Suspended, State::MigrationPending, State::Deleted] {
        let facts = [settled(state, 3, None), settled(State::Running, 3, None)];
        assert!(reason(&facts).is_some(), "{state}");
    }
}

#[test]
fn a_pulled_deletion_is_weakened_by_running_alone() {
    let deleted = settled(State::Deleted, 1, None);
    let suspended = settled(State::Suspended, 3, None);
    let facts = [deleted.clone(), suspended.clone()];
    assert_eq!(reason(&facts), Some(UnavailableReason::Deleted));
    let facts = [deleted, settled(State::Running, 2, None), suspended];
    assert_eq!(reason(&facts), Some(UnavailableReason::Suspended));
}

#[test]
fn an_unsettled_pull_confirms_and_does_nothing_else() {
    let suspend = notified(ChangeType::Suspend, 5);
    let unconfirmed = status(&record_of(std::slice::from_ref(&suspend)));
    assert!(!unconfirmed.is_confirmed());
    let with = |pull| status(&record_of(&[suspend.clone(), pull]));
    let confirmed = with(unsettled(State::Suspended, 1, Some((Suspend, 5))));
    assert!(confirmed.is_confirmed());
    assert_eq!(confirmed.evidence(), Evidence::Notification);
    assert!(!with(unsettled(State::Suspended, 1, Some((Resume, 4)))).is_confirmed());
    assert_eq!(with(unsettled(State::Running, 1, Some((Suspend, 5)))), unconfirmed);
}

#[test]
fn since_stays_while_pulls_repeat_a_notification() {
    let suspend = notified(ChangeType::Suspend, 5);
    let facts = [suspend, settled(State::Suspended, 1, Some((Suspend, 5)))];
    let closed = derive(&record_of(&facts)).closed.unwrap();
    assert_eq!(closed.since, 1_000);
    let facts = [settled(State::Suspended, 1, None)];
    assert_eq!(derive(&record_of(&facts)).closed.unwrap().since, 2_000);
}

#[test]
fn an_override_masks_and_a_release_unmasks() {
    let suspend = notified(ChangeType::Suspend, 5);
    let with = |action| reason(&[suspend.clone(), overridden(action, 1, None)]);
    assert_eq!(with(OverrideAction::Open), None);
    assert_eq!(with(OverrideAction::Close), Some(UnavailableReason::Operator));
    assert_eq!(with(OverrideAction::Release), Some(UnavailableReason::Suspended));
}

#[test]
fn a_later_order_wins_over_any_wall_time() {
    let mut record = record_of(&[overridden(OverrideAction::Close, 7, None)]);
    // The second operator's clock is years behind.
    let next = record.next_override(OverrideAction::Open, "mistake".into(), 0, Some(u64::MAX));
    assert!(record.insert(&next));
    assert!(status(&record).is_available());
    assert_eq!(record.latest_override().unwrap().order, 8);
}

#[test]
fn an_expired_override_ends_itself_and_no_later_one() {
    let mut record = record_of(&[overridden(OverrideAction::Close, 1, Some(5_000))]);
    let latest = record.latest_override().unwrap();
    assert_eq!(latest.expired(4_999), None);
    let release = Fact::Override(Box::new(latest.expired(5_000).unwrap()));
    let mut later = record.clone();
    later.insert(&later.next_override(OverrideAction::Close, String::new(), 0, None));

    assert!(record.insert(&release) && status(&record).is_available());
    assert_eq!(record.latest_override().unwrap().end(), None);
    assert!(!later.insert(&release) && !status(&later).is_available());
}

#[test]
fn expiry_is_the_same_whenever_it_is_noticed_and_keeps_the_note() {
    let end = |now| {
        let mut record = Record::default();
        let close =
            record.next_override(OverrideAction::Close, "moving the disks".into(), 10, Some(20));
        record.insert(&close);
        let release = record.latest_override().unwrap().expired(now).unwrap();
        record.insert(&Fact::Override(Box::new(release)));
        record
    };
    let (on_time, mut late) = (end(20), end(9_999));
    assert!(!late.merge(&on_time));
    let release = late.latest_override().unwrap();
    assert_eq!((release.action, &*release.note), (OverrideAction::Release, "moving the disks"));
}

#[test]
fn versions_are_those_of_the_newest_notification_that_has_them() {
    let named = |change, at, version: &str, file: &str| {
        let (version_name, file_version) = (version.into(), file.into());
        let details = Details { version_name, file_version, ..Details::default() };
        Fact::Notified(Notified::new(change, at, 0, Arc::new(details)))
    };
    let record = record_of(&[
        named(ChangeType::Upgrade, 1, "Release 10.3", "10.3.1"),
        named(ChangeType::Move, 2, "", "10.4.0"),
        notified(ChangeType::Resume, 3),
    ]);
    let status = status(&record);
    assert_eq!((status.version_name(), status.file_version()), (None, Some("10.4.0")));
}

#[test]
fn epoch_is_the_token_time_of_the_newest_restore() {
    let record =
        record_of(&[notified(ChangeType::BackupRestored, 77), notified(ChangeType::Move, 99)]);
    assert_eq!(status(&record).epoch(), 77);
}

#[test]
fn endpoints_come_by_number_settled_or_not() {
    let at = |mut fact: Fact, host: &str| {
        let Fact::Pulled(pulled) = &mut fact else { panic!("a pull") };
        Arc::make_mut(&mut pulled.details).endpoint = Some(host.into());
        fact
    };
    let record = record_of(&[
        at(settled(State::Running, 2, Some((Resume, 9))), "second"),
        at(unsettled(State::Running, 3, None), "third"),
        at(settled(State::Suspended, 1, Some((Suspend, 9))), "first"),
        settled(State::Deleted, 4, None),
    ]);
    assert_eq!(record.pulled_endpoints().collect::<Vec<_>>(), ["third", "second", "first"]);
}

#[test]
fn a_notification_is_recorded_once_and_keeps_its_place() {
    use crate::status::record::Novelty::{Duplicate, Recorded, Stale};
    let mut record = Record::default();
    let mut take =
        |change, at| record.record_notification(Notified::new(change, at, 0, Arc::default()));
    assert_eq!(take(ChangeType::Suspend, 5), Recorded);
    assert_eq!(take(ChangeType::Resume, 5), Recorded);
    assert_eq!(take(ChangeType::Other(6), 5), Recorded);
    assert_eq!(take(ChangeType::Suspend, 5), Duplicate);
    assert_eq!(take(ChangeType::Suspend, 4), Stale);
    assert_eq!(take(ChangeType::Other(7), 5), Stale);
    assert_eq!(take(ChangeType::Other(7), 6), Recorded);
    let places = [ChangeType::Suspend, ChangeType::Resume, ChangeType::Other(7)]
        .map(|change| record.notified(change).unwrap().place());
    assert_eq!(places, [1, 2, 1]);
}
