use std::sync::{Arc, Mutex};

use super::*;
use crate::status::{
    ChangeType, Record, UnavailableReason, fact::Fact, mono::Mono, notified::Notified,
    overrides::OverrideAction,
};

fn tenants() -> Tenants {
    Tenants::new(Settle::default(), 16, Clock::system())
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cust(number: u64) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

fn notified(change: ChangeType, at: i64) -> Update {
    Update::Notification(Notified::new(change, at, 1, Arc::default()))
}

#[test]
fn overdue_counts_neither_future_nor_unscheduled_pulls() {
    let (tenants, id) = (tenants(), cust);
    let registry = tenants.registry();
    for number in 0..100 {
        tenants.apply(&id(number), Update::Stored(Record::default()));
        registry.set_due(&id(number), Some(Mono::at(s(1_000 + number))));
    }
    for number in 0..10 {
        registry.set_due(&id(number), (number < 5).then(|| Mono::at(s(5_000))));
    }
    let first = Some(Mono::at(s(1_010)));
    assert_eq!(registry.overdue(s(999)), (0, None));
    assert_eq!(registry.overdue(s(1_049)), (40, first));
    assert_eq!(registry.overdue(s(6_000)), (95, first));
    assert_eq!((registry.due(&id(10)), registry.due(&id(9))), (first, None));
}

#[test]
fn adopted_spelling_keeps_the_entry() {
    let tenants = tenants();
    let registry = tenants.registry();
    let [own, stored] = ["CUST1", "Cust1"].map(|id| TenantId::new(id).unwrap());
    registry.adopt_spelling(&stored);
    assert_eq!(registry.len(), 0, "it is not made by that");
    let suspend = br#"{"v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#;
    tenants.apply(&own, Update::Stored(Record::decode(suspend).unwrap()));
    let due = Some(Mono::at(s(5)));
    registry.set_due(&own, due);
    let before = registry.closed(&own);
    registry.adopt_spelling(&stored);
    assert_eq!((registry.closed(&own), registry.closed_count()), (before, 1));
    assert!(before.is_some() && registry.due(&own) == due);
    let mut spelled = Vec::new();
    registry.for_each(|tenant, _, _| spelled.push(tenant.to_string()));
    assert_eq!(spelled, ["Cust1"]);
}

#[test]
fn equal_details_are_kept_once_from_every_source() {
    let tenants = tenants();
    let registry = tenants.registry();
    let stored = r#"{"v":"1.0","upgrade":{"at":1,"seen":1,"version":"11.10","file":"11.10.24"}}"#;
    let stored = || Record::decode(stored.as_bytes()).unwrap();
    let notified = || stored().notified(ChangeType::Upgrade).cloned().unwrap();
    let [loaded, again, received] =
        ["Cust1", "Cust2", "Cust3"].map(|id| TenantId::new(id).unwrap());
    tenants.apply(&loaded, Update::Stored(stored()));
    tenants.apply(&again, Update::Stored(stored()));
    tenants.apply(&received, Update::Notification(notified()));
    let details = [loaded, again, received].map(|tenant| {
        registry.record(&tenant).unwrap().notified(ChangeType::Upgrade).unwrap().details.clone()
    });
    assert!(Arc::ptr_eq(&details[0], &details[1]) && Arc::ptr_eq(&details[0], &details[2]));
}

fn suspended(at: i64) -> Record {
    Record::from(Fact::Notified(Notified::new(ChangeType::Suspend, at, 1, Arc::default())))
}

#[test]
fn insert_moves_in_what_is_new_and_leaves_the_rest() {
    let tenants = tenants();
    let log = Arc::new(Log::default());
    tenants.observe(vec![Arc::clone(&log) as Arc<dyn Observer>]);
    tenants.apply(&cust(1), Update::Stored(suspended(5)));
    log.0.lock().unwrap().clear();
    let mut page = vec![
        (cust(1), suspended(6)),
        (cust(2), suspended(5)),
        (cust(3), Record::unreadable()),
        (cust(4), Record::default()),
        (cust(2), suspended(7)),
    ];
    assert_eq!(tenants.insert(&mut page), [cust(2)]);
    let left: Vec<_> = page.into_iter().map(|(tenant, _)| tenant).collect();
    assert_eq!(left, [cust(1), cust(3), cust(4), cust(2)]);
    assert_eq!(*log.0.lock().unwrap(), [("loaded", Some(UnavailableReason::Suspended))]);
    let registry = tenants.registry();
    assert_eq!((registry.len(), registry.closed_count()), (2, 2));
    assert_eq!(registry.record(&cust(2)), Some(suspended(5)));
}

/// Receivers of events get those of a merge, and watchers of a tenant are woken either way.
#[tokio::test]
async fn insert_leaves_everything_to_merges_while_events_are_received() {
    let tenants = tenants();
    let events = tenants.events();
    let mut page = vec![(cust(1), suspended(5))];
    assert_eq!(tenants.insert(&mut page), []);
    assert_eq!((page.len(), tenants.registry().len()), (1, 0));
    drop(events);
    let (watchers, watched) = (Arc::clone(&tenants.watchers), cust(1));
    let waiting = watchers.register(&watched);
    let mut woken = tokio_test::task::spawn(std::future::poll_fn(|cx| waiting.poll_woken(cx)));
    tokio_test::assert_pending!(woken.poll());
    assert_eq!(tenants.insert(&mut page), [cust(1)]);
    assert!(woken.is_woken());
    tokio_test::assert_ready!(woken.poll());
}

#[tokio::test]
async fn override_of_an_inserted_record_expires() {
    let tenants = tenants();
    let record = Record::default().next_override(OverrideAction::Close, String::new(), 1, Some(2));
    tenants.insert(&mut vec![(cust(1), Record::from(record))]);
    assert_eq!(tenants.registry().closed_count(), 1);
    tokio::select! {
        () = tenants.expire_overrides() => {}
        () = async {
            while tenants.registry().closed_count() > 0 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
}

/// Records its calls, and the view of a reader of the registry in each.
#[derive(Default)]
struct Log(Mutex<Vec<(&'static str, Option<UnavailableReason>)>>);

impl Observer for Log {
    fn mark_dirty(&self, _: &TenantId) {
        self.0.lock().unwrap().push(("dirty", None));
    }

    fn after_change(&self, tenants: &Tenants, tenant: &TenantId, applied: &Applied) {
        let (seen, _) = tenants.registry().look_up(tenant);
        assert_eq!(seen, applied.after);
        self.0.lock().unwrap().push(("changed", seen.reason()));
    }

    fn after_load(&self, tenants: &Tenants, loaded: &[TenantId]) {
        let seen = loaded.iter().map(|tenant| tenants.registry().look_up(tenant).0.reason());
        self.0.lock().unwrap().extend(seen.map(|reason| ("loaded", reason)));
    }
}

#[test]
fn observers_follow_changes_and_no_more_than_those() {
    let tenants = tenants();
    let log = Arc::new(Log::default());
    tenants.observe(vec![Arc::clone(&log) as Arc<dyn Observer>]);
    let taken = |expected: &[(&'static str, Option<UnavailableReason>)]| {
        assert_eq!(std::mem::take(&mut *log.0.lock().unwrap()), expected);
    };
    let suspended = Some(UnavailableReason::Suspended);

    let outcome = |update| tenants.apply(&cust(1), update).outcome;
    assert_eq!(outcome(notified(ChangeType::Suspend, 5)), Outcome::Applied);
    taken(&[("dirty", None), ("changed", suspended)]);
    assert_eq!(outcome(notified(ChangeType::Suspend, 5)), Outcome::Duplicate);
    assert_eq!(outcome(notified(ChangeType::Suspend, 4)), Outcome::Stale);
    taken(&[]);
    assert_eq!(outcome(notified(ChangeType::Move, 5)), Outcome::Recorded);
    taken(&[("dirty", None), ("changed", suspended)]);

    let stored = tenants.registry().record(&cust(1)).unwrap();
    assert_eq!(tenants.apply(&cust(2), Update::Stored(stored.clone())).outcome, Outcome::Applied);
    taken(&[("changed", suspended)]);
    tenants.apply(&cust(2), Update::Stored(stored));
    taken(&[]);

    let order =
        Update::Override { action: OverrideAction::Open, note: "".into(), until: None, now: 9 };
    assert_eq!(outcome(order), Outcome::Applied);
    taken(&[("dirty", None), ("changed", None)]);
    assert_eq!(outcome(Update::Expiry { now: 10 }), Outcome::Stale, "it has no end");
    taken(&[]);
}

/// Records, when a tenant is marked as dirty, whether others can read that tenant already.
struct Peek {
    tenants: Arc<Registry>,
    seen: Mutex<Vec<bool>>,
}

impl Observer for Peek {
    fn mark_dirty(&self, tenant: &TenantId) {
        let (registry, tenant) = (Arc::clone(&self.tenants), tenant.clone());
        let (tx, rx) = std::sync::mpsc::channel();
        std::thread::spawn(move || tx.send(registry.closed(&tenant)));
        let readable = rx.recv_timeout(Duration::from_millis(50)).is_ok();
        self.seen.lock().unwrap().push(readable);
    }
}

#[test]
fn dirty_mark_is_set_while_the_tenant_is_locked() {
    let tenants = tenants();
    let peek = Arc::new(Peek { tenants: Arc::clone(tenants.registry()), seen: Mutex::default() });
    tenants.observe(vec![Arc::clone(&peek) as Arc<dyn Observer>]);
    tenants.apply(&cust(1), notified(ChangeType::Suspend, 5));
    assert_eq!(*peek.seen.lock().unwrap(), [false]);
}

/// Names the events that have been published.
fn published(events: &mut Events) -> Vec<String> {
    use events::TenantEvent::{Changed, Notified, Restored};
    use futures_util::{FutureExt, StreamExt};

    let mut seen = Vec::new();
    while let Some(event) = events.next().now_or_never() {
        seen.push(match event.unwrap() {
            Changed { status, .. } => format!("{:?}", status.reason()),
            Restored { epoch, .. } => format!("restored {epoch}"),
            Notified { change, .. } => format!("notified {change}"),
            other => panic!("{other:?}"),
        });
    }
    seen
}

#[tokio::test]
async fn events_of_one_tenant_come_in_the_order_of_its_changes() {
    let tenants = tenants();
    let mut events = tenants.events();
    tenants.apply(&cust(1), notified(ChangeType::Suspend, 5));
    tenants.apply(&cust(1), notified(ChangeType::BackupRestored, 6));
    tenants.apply(&cust(1), notified(ChangeType::Resume, 7));
    let expected = [
        "notified Suspend",
        "Some(Suspended)",
        "notified BackupRestored",
        "restored 6",
        "notified Resume",
        "None",
    ];
    assert_eq!(published(&mut events), expected);
}

#[tokio::test]
async fn only_a_load_after_the_first_publishes_facts() {
    let record = |changes: &[ChangeType]| {
        let other = self::tenants();
        for change in changes {
            other.apply(&cust(1), notified(*change, 6));
        }
        other.registry().record(&cust(1)).unwrap()
    };
    let tenants = tenants();
    let mut events = tenants.events();
    let first = [ChangeType::BackupRestored, ChangeType::Suspend];
    tenants.apply(&cust(1), Update::Loaded(record(&first)));
    assert_eq!(published(&mut events), ["Some(Suspended)"], "calls see that");
    tenants.registry().loaded();
    tenants.apply(&cust(1), Update::Loaded(record(&first)));
    assert_eq!(published(&mut events), [""; 0]);
    tenants.apply(&cust(2), Update::Loaded(record(&first)));
    let expected = ["notified BackupRestored", "restored 6", "notified Suspend", "Some(Suspended)"];
    assert_eq!(published(&mut events), expected);
}

#[tokio::test(start_paused = true)]
async fn pending_tenant_opens_with_the_first_news_and_wakes_waiters() {
    let tenants = tenants();
    tenants.close_until_known(&cust(1));
    let closed = tenants.registry().closed(&cust(1)).unwrap();
    assert_eq!(closed.reason, UnavailableReason::NotReady);
    let mut available = tokio_test::task::spawn(tenants.available(cust(1), Duration::ZERO));
    tokio_test::assert_pending!(available.poll());
    tenants.apply(&cust(1), notified(ChangeType::Resume, 5));
    assert!(available.is_woken());
    tokio_test::assert_ready_ok!(available.poll());
    tenants.close_until_known(&cust(1));
    assert!(!tenants.registry().any_closed(), "something is known of it");
}

#[tokio::test(start_paused = true)]
async fn deletion_ends_the_wait_with_the_refusal() {
    let tenants = tenants();
    tenants.apply(&cust(1), notified(ChangeType::Suspend, 5));
    let mut available = tokio_test::task::spawn(tenants.available(cust(1), Duration::ZERO));
    tokio_test::assert_pending!(available.poll());
    tenants.apply(&cust(1), notified(ChangeType::Delete, 6));
    assert!(available.is_woken(), "a job of a deleted tenant is parked for good");
    let refused = tokio_test::assert_ready_err!(available.poll());
    assert_eq!(refused.reason, UnavailableReason::Deleted);
    let again = tenants.available(cust(1), Duration::ZERO).await;
    assert_eq!(again.map_err(|closed| closed.reason), Err(UnavailableReason::Deleted));
    // A Resume still opens it for those that wait later.
    tenants.apply(&cust(1), notified(ChangeType::Resume, 7));
    assert!(tenants.available(cust(1), Duration::ZERO).await.is_ok());
    assert!(tenants.waiters.is_empty());
}

struct Panicking;

impl Observer for Panicking {
    fn after_change(&self, _: &Tenants, _: &TenantId, _: &Applied) {
        panic!("an observer panics");
    }
}

#[tokio::test]
async fn panicking_observer_stops_neither_waiters_nor_other_observers() {
    let tenants = tenants();
    let log = Arc::new(Log::default());
    tenants.observe(vec![Arc::new(Panicking), Arc::clone(&log) as Arc<dyn Observer>]);
    tenants.apply(&cust(1), notified(ChangeType::Suspend, 5));
    let mut available = tokio_test::task::spawn(tenants.available(cust(1), Duration::ZERO));
    tokio_test::assert_pending!(available.poll());
    assert_eq!(tenants.apply(&cust(1), notified(ChangeType::Resume, 6)).outcome, Outcome::Applied);
    tokio_test::assert_ready_ok!(available.poll());
    assert_eq!(log.0.lock().unwrap().last(), Some(&("changed", None)));
}

#[tokio::test(start_paused = true)]
async fn override_whose_expiry_breaks_off_expires_with_the_next_run() {
    let (panics, now) = (Arc::new(Mutex::new(false)), 1_000_000);
    let panic_at_next = Arc::clone(&panics);
    // The clock shows the given time, except that one call to it panics.
    let clock = Clock::new(move || {
        assert!(!std::mem::take(&mut *panic_at_next.lock().unwrap()), "no time");
        std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(now)
    });
    let tenants = Tenants::new(Settle::default(), 1, clock);
    let close = Update::Override {
        action: OverrideAction::Close,
        note: "".into(),
        until: Some(now),
        now: 1,
    };
    tenants.apply(&cust(1), close);
    *panics.lock().unwrap() = true;
    assert!(crate::panics::catch_panic(tenants.expire_overrides()).await.is_err());
    assert!(tenants.registry().closed(&cust(1)).is_some());
    let run = tokio::time::timeout(Duration::from_secs(1), tenants.expire_overrides());
    assert!(run.await.is_err(), "it goes on");
    assert_eq!(tenants.registry().closed(&cust(1)), None);
}
