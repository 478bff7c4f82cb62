//! Forgetting a tenant, and what arrives for it afterwards.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use tokio::time::advance;

use super::{
    Outcome, Tenants, Update,
    events::{Events, TenantEvent},
};
use crate::{
    clock::Clock,
    status::{
        ChangeType, Record, State, UnavailableReason, notified::Notified,
        overrides::OverrideAction, settle::Settle, stamp::PullAnswer,
    },
    tenant_id::TenantId,
    tenants::SentPull,
};

const HOUR: Duration = Duration::from_secs(3600);

fn cust1() -> TenantId {
    TenantId::new("Cust1").unwrap()
}

fn notify(tenants: &Tenants, change: ChangeType, token_time: i64) -> Outcome {
    let notified = Notified::new(change, token_time, 1, Arc::default());
    tenants.apply(&cust1(), Update::Notification(notified)).outcome
}

fn complete(tenants: &Tenants, sent: SentPull, state: State) -> Outcome {
    let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at: 0 };
    tenants.apply(&cust1(), Update::Pull { sent, answer }).outcome
}

/// A tenant whose deletion is confirmed, and its record.
fn deleted() -> (Tenants, Record) {
    let tenants = Tenants::new(Settle::default(), 16, Clock::system());
    assert_eq!(notify(&tenants, ChangeType::Delete, 5), Outcome::Applied);
    let sent = tenants.registry().send_pull(&cust1());
    assert_eq!(complete(&tenants, sent, State::Deleted), Outcome::Recorded);
    let (status, record) = tenants.registry().look_up(&cust1());
    assert!(status.is_confirmed());
    (tenants, record)
}

fn reason(tenants: &Tenants) -> Option<UnavailableReason> {
    tenants.registry().look_up(&cust1()).0.reason()
}

/// The statuses that were published, by reason.
fn changed(events: &mut Events) -> Vec<Option<UnavailableReason>> {
    let mut seen = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        if let TenantEvent::Changed { status, .. } = event {
            seen.push(status.reason());
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn forgotten_tenant_leaves_nothing_behind() {
    let (tenants, record) = deleted();
    let mut events = tenants.events();
    let (registry, watched) = (tenants.registry(), tenants.watched());
    let id = cust1();
    let sought = || registry.closed(&id).is_none().then_some(());
    let mut opens = tokio_test::task::spawn(watched.find(&id, sought));
    tokio_test::assert_pending!(opens.poll());

    assert!(tenants.forget(&cust1(), &record));
    assert!(opens.is_woken());
    assert_eq!(tokio_test::assert_ready!(opens.poll()), Some(()));
    assert_eq!((registry.len(), registry.closed_count()), (0, 0));
    assert_eq!((registry.record(&cust1()), registry.due(&cust1())), (None, None));
    assert_eq!(changed(&mut events), [None]);
    assert_eq!(tenants.available(cust1(), Duration::ZERO).now_or_never(), Some(Ok(())));
    assert!(tenants.forget(&cust1(), &record), "again");
    assert_eq!(changed(&mut events), []);
}

#[tokio::test(start_paused = true)]
async fn record_with_something_newer_is_kept() {
    let (tenants, record) = deleted();
    for (change, token_time) in [(ChangeType::Move, 3), (ChangeType::Delete, 6)] {
        notify(&tenants, change, token_time);
        assert!(!tenants.forget(&cust1(), &record), "{change}");
        assert_eq!(tenants.registry().closed_count(), 1);
    }
    // It was not forgotten, so nothing is late.
    assert_eq!(notify(&tenants, ChangeType::Resume, 4), Outcome::Recorded);
    let now = tenants.registry().record(&cust1()).unwrap();
    assert!(tenants.forget(&cust1(), &now));
}

#[tokio::test(start_paused = true)]
async fn repeated_notification_stays_stale_for_two_hours() {
    let (tenants, record) = deleted();
    tenants.forget(&cust1(), &record);
    for wait in [Duration::ZERO, HOUR, HOUR - Duration::from_millis(1)] {
        advance(wait).await;
        for (change, token_time) in [(ChangeType::Delete, 5), (ChangeType::Resume, 4)] {
            assert_eq!(notify(&tenants, change, token_time), Outcome::Stale, "{change}");
        }
        assert_eq!(tenants.registry().len(), 0, "it leaves no entry");
    }
    advance(Duration::from_millis(1)).await;
    assert_eq!(notify(&tenants, ChangeType::Delete, 5), Outcome::Applied);
}

#[tokio::test(start_paused = true)]
async fn later_notification_begins_a_new_record() {
    let (tenants, record) = deleted();
    tenants.forget(&cust1(), &record);
    assert_eq!(notify(&tenants, ChangeType::Suspend, 6), Outcome::Applied);
    assert_eq!(reason(&tenants), Some(UnavailableReason::Suspended));
    let new = tenants.registry().record(&cust1()).unwrap();
    assert_eq!(new.notifications().count(), 1);
    assert_eq!(new.pulls().count(), 0);
    // It would close the tenant as deleted.
    assert_eq!(notify(&tenants, ChangeType::Delete, 5), Outcome::Stale);
    assert_eq!(reason(&tenants), Some(UnavailableReason::Suspended));
}

#[tokio::test(start_paused = true)]
async fn pull_in_flight_does_not_bring_a_tenant_back() {
    let (tenants, record) = deleted();
    let sent = tenants.registry().send_pull(&cust1());
    tenants.forget(&cust1(), &record);
    assert_eq!(complete(&tenants, sent, State::Deleted), Outcome::Stale);
    assert_eq!(tenants.registry().len(), 0);
    // One that is sent now is news.
    let sent = tenants.registry().send_pull(&cust1());
    assert_eq!(complete(&tenants, sent, State::Deleted), Outcome::Applied);
    assert_eq!(reason(&tenants), Some(UnavailableReason::Deleted));
}

#[tokio::test(start_paused = true)]
async fn stored_record_counts_only_if_it_was_read_later() {
    let (tenants, record) = deleted();
    let forgets = tenants.registry().forgets();
    tenants.forget(&cust1(), &record);
    let read = |forgets| Update::Read { record: record.clone(), forgets };
    for late in [Update::Stored(record.clone()), Update::Loaded(record.clone()), read(forgets)] {
        let applied = tenants.apply(&cust1(), late);
        assert!(applied.forgotten && !applied.changed());
        assert_eq!(tenants.registry().len(), 0);
    }
    // Something newer comes with what was forgotten.
    let mut newer = record.clone();
    newer.merge(&{
        let other = Tenants::new(Settle::default(), 1, Clock::system());
        notify(&other, ChangeType::Suspend, 7);
        other.registry().record(&cust1()).unwrap()
    });
    assert!(!tenants.apply(&cust1(), Update::Stored(newer.clone())).forgotten);
    assert!(tenants.forget(&cust1(), &newer));

    let applied = tenants.apply(&cust1(), read(tenants.registry().forgets()));
    assert!(!applied.forgotten);
    assert_eq!(reason(&tenants), Some(UnavailableReason::Deleted), "another replica kept it");
}

#[tokio::test(start_paused = true)]
async fn what_needs_a_record_makes_none() {
    let (tenants, record) = deleted();
    tenants.forget(&cust1(), &record);
    let forgets = tenants.registry().forgets();
    for nothing in
        [Update::Expiry { now: u64::MAX }, Update::Read { record: Record::default(), forgets }]
    {
        assert!(!tenants.apply(&cust1(), nothing).forgotten);
        assert_eq!(tenants.registry().len(), 0);
    }
    let order =
        Update::Override { action: OverrideAction::Close, note: "".into(), until: None, now: 9 };
    assert_eq!(tenants.apply(&cust1(), order).outcome, Outcome::Applied, "an order is news");
}

#[tokio::test(start_paused = true)]
async fn forgotten_tenant_that_is_tracked_stays_closed_until_it_is_known() {
    let (tenants, record) = deleted();
    tenants.forget(&cust1(), &record);
    tenants.close_until_known(&cust1());
    let not_ready = Some(UnavailableReason::NotReady);
    assert_eq!(notify(&tenants, ChangeType::Delete, 5), Outcome::Stale);
    assert_eq!((reason(&tenants), tenants.registry().closed_count()), (not_ready, 1));
    assert!(tenants.forget(&cust1(), &record), "there is no record");
    assert_eq!((reason(&tenants), tenants.registry().closed_count()), (not_ready, 1));
}
