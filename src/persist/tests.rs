use super::{
    StoreState,
    dirty::{Dirty, Failed, LAST_PAUSE, REFUSED_PAUSE},
};
use crate::{store::StoreError, tenant_id::TenantId};

use tokio::{sync::oneshot::error::TryRecvError, time::Instant};

fn tenant(number: u32) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

/// Writes the next tenant and has it fail.
fn fail(dirty: &mut Dirty, error: &StoreError, now: Instant, unix_ms: u64) -> (TenantId, Failed) {
    let (tenant, waiting) = dirty.begin().expect("there is a tenant to write");
    let failed = dirty.fail((&tenant, waiting), error, now, unix_ms);
    (tenant, failed)
}

/// The pause before the next attempt, at its longest.
fn pause_ms(dirty: &Dirty) -> Option<u128> {
    Some(dirty.pause(1.0)?.as_millis())
}

#[test]
fn a_tenant_is_clean_when_what_was_known_at_the_end_is_stored() {
    let mut dirty = Dirty::default();
    assert!(dirty.wait(&tenant(1)).is_none(), "a clean tenant has no waiters");
    dirty.mark(&tenant(1));
    let (begun, _) = dirty.begin().unwrap();
    dirty.mark(&tenant(1));
    dirty.finish(&begun);
    assert_eq!(dirty.len(), 1, "it changed while it was being written");
    let (begun, _) = dirty.begin().unwrap();
    dirty.finish(&begun);
    assert_eq!(dirty.len(), 0);
    assert!(dirty.begin().is_none());
}

#[test]
fn who_comes_while_it_is_being_written_waits_for_the_next_write() {
    let mut dirty = Dirty::default();
    dirty.mark(&tenant(1));
    let (begun, first) = dirty.begin().unwrap();
    assert!(first.is_empty());
    let mut late = dirty.wait(&tenant(1)).unwrap();
    dirty.finish(&begun);
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty));
    let (_, mut waiting) = dirty.begin().unwrap();
    waiting.pop().unwrap().send(()).unwrap();
    assert_eq!(late.try_recv(), Ok(()));
}

#[test]
fn an_outage_keeps_its_beginning_and_counts_probes_only() {
    let mut dirty = Dirty::default();
    let (away, now) = (StoreError::unavailable("away"), Instant::now());
    for number in 0..3 {
        dirty.mark(&tenant(number));
    }
    let begun: Vec<_> = std::iter::from_fn(|| dirty.begin()).collect();
    let failed: Vec<_> = begun
        .into_iter()
        .zip(10..)
        .map(|((tenant, waiting), at)| dirty.fail((&tenant, waiting), &away, now, at))
        .collect();
    let [first, later] = [true, false].map(|began| Failed::Out { began });
    assert_eq!(failed, [first, later, later]);
    assert_eq!((pause_ms(&dirty), dirty.health()), (Some(50), StoreState::Stale { since: 10 }));

    assert_eq!(fail(&mut dirty, &away, now, 20), (tenant(0), later));
    assert_eq!(fail(&mut dirty, &away, now, 21), (tenant(1), later), "each is tried in its turn");
    assert_eq!((pause_ms(&dirty), dirty.health()), (Some(200), StoreState::Stale { since: 10 }));
    assert_eq!(dirty.answered(), Some(10));
    assert_eq!((pause_ms(&dirty), dirty.health()), (None, StoreState::Fresh));
    assert_eq!(dirty.len(), 3);
}

#[test]
fn a_tenant_that_is_refused_is_set_aside_and_the_others_go_on() {
    let mut dirty = Dirty::default();
    let (refused, now) = (StoreError::corrupt("damaged"), Instant::now());
    dirty.mark(&tenant(1));
    let mut waiter = dirty.wait(&tenant(1)).unwrap();
    dirty.mark(&tenant(2));
    assert_eq!(fail(&mut dirty, &refused, now, 0), (tenant(1), Failed::Refused { began: true }));
    assert_eq!(waiter.try_recv(), Err(TryRecvError::Closed), "waiting is of no use");
    let mut late = dirty.wait(&tenant(1)).unwrap();
    assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(pause_ms(&dirty), None, "it is no outage");

    let (other, _) = dirty.begin().unwrap();
    assert_eq!(other, tenant(2));
    dirty.finish(&other);
    dirty.mark(&tenant(1));
    assert!(dirty.begin().is_none(), "a change does not hurry it");
    assert_eq!((dirty.len(), dirty.health()), (1, StoreState::Failed));

    let due = now + REFUSED_PAUSE;
    assert_eq!(dirty.next_unpark(), Some(due));
    dirty.unpark_due(due - std::time::Duration::from_millis(1));
    assert!(dirty.begin().is_none());
    dirty.unpark_due(due);
    assert_eq!(dirty.health(), StoreState::Failed, "it may well be refused again");
    assert_eq!(fail(&mut dirty, &refused, due, 0), (tenant(1), Failed::Refused { began: false }));
    dirty.unpark_due(due + REFUSED_PAUSE);
    let (tenant, _) = dirty.begin().unwrap();
    dirty.finish(&tenant);
    assert_eq!((dirty.len(), dirty.health()), (0, StoreState::Fresh));
}

#[test]
fn health_tells_the_oldest_trouble_and_the_worst() {
    let mut dirty = Dirty::default();
    dirty.mark(&tenant(1));
    assert!(dirty.load_failed(false, 5));
    assert!(!dirty.load_failed(false, 7));
    assert_eq!(dirty.health(), StoreState::Stale { since: 5 });
    fail(&mut dirty, &StoreError::unavailable("away"), Instant::now(), 3);
    assert_eq!(dirty.health(), StoreState::Stale { since: 3 });
    dirty.answered();
    assert_eq!(dirty.health(), StoreState::Stale { since: 5 }, "writing is not reading");
    dirty.load_failed(true, 9);
    assert_eq!(dirty.health(), StoreState::Failed);
    dirty.disconnected(9);
    assert_eq!(
        dirty.health(),
        StoreState::Failed,
        "a lost subscription besides makes nothing better"
    );
    dirty.loaded(false);
    assert_eq!(dirty.health(), StoreState::Stale { since: 5 }, "read, and disconnected still");
    dirty.loaded(true);
    assert_eq!(dirty.health(), StoreState::Fresh);
}

#[test]
fn interrupted_writes_are_queued_again_and_their_waiters_told() {
    let mut dirty = Dirty::default();
    for number in 1..=3 {
        dirty.mark(&tenant(number));
    }
    let mut waiter = dirty.wait(&tenant(1)).unwrap();
    let begun: Vec<_> = (0..2).map(|_| dirty.begin().unwrap()).collect();
    // The task panicked here.
    drop(begun);
    dirty.requeue_interrupted();
    assert_eq!(waiter.try_recv(), Err(TryRecvError::Closed), "it is not stored for now");
    let mut queued: Vec<_> = std::iter::from_fn(|| dirty.begin()).map(|(id, _)| id).collect();
    queued.sort();
    assert_eq!(queued, [tenant(1), tenant(2), tenant(3)], "each once");
}

#[test]
fn end_hurries_all_attempts_and_takes_no_more_waiters() {
    let mut dirty = Dirty::default();
    let (refused, now) = (StoreError::corrupt("damaged"), Instant::now());
    let away = StoreError::unavailable("away");
    for number in [1, 2] {
        dirty.mark(&tenant(number));
    }
    fail(&mut dirty, &refused, now, 0);
    let mut early = dirty.wait(&tenant(2)).unwrap();
    for _ in 0..20 {
        fail(&mut dirty, &away, now, 0);
    }
    assert_eq!(pause_ms(&dirty), Some(5000));

    dirty.begin_end(now);
    assert_eq!(pause_ms(&dirty), Some(LAST_PAUSE.as_millis()));
    assert_eq!(dirty.next_unpark(), Some(now), "what was refused is tried at once");
    dirty.unpark_due(now);
    let (awaited, waiting) = dirty.begin().unwrap();
    assert_eq!(awaited, tenant(2));
    fail(&mut dirty, &refused, now, 0);
    dirty.fail((&awaited, waiting), &away, now, 0);
    assert_eq!(dirty.next_unpark(), Some(now + LAST_PAUSE));

    let mut late = dirty.wait(&tenant(2)).unwrap();
    assert_eq!(late.try_recv(), Err(TryRecvError::Closed));
    assert!(dirty.wait(&tenant(3)).is_none(), "a clean tenant is stored");
    assert_eq!(early.try_recv(), Err(TryRecvError::Empty), "it may still be stored");
    drop(dirty.take_waiters());
    assert_eq!(early.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn awaited_tenants_are_written_before_lacking_ones() {
    let mut dirty = Dirty::default();
    for number in 0..3 {
        dirty.mark_lacking(&tenant(number));
    }
    dirty.mark(&tenant(3));
    let mut waiter = dirty.wait(&tenant(2)).unwrap();
    let order: Vec<_> = std::iter::from_fn(|| dirty.begin())
        .map(|(id, waiting)| {
            waiting.into_iter().for_each(|waiter| waiter.send(()).unwrap());
            id
        })
        .collect();
    assert_eq!(order, [tenant(2), tenant(3), tenant(0), tenant(1)], "each once");
    assert_eq!(waiter.try_recv(), Ok(()));
}

#[test]
fn tenant_that_waiters_gave_up_leaves_the_others_their_turn() {
    let (mut dirty, away) = (Dirty::default(), StoreError::unavailable("away"));
    for number in 1..=2 {
        dirty.mark(&tenant(number));
    }
    let waiter = dirty.wait(&tenant(2)).unwrap();
    assert_eq!(fail(&mut dirty, &away, Instant::now(), 0).0, tenant(2));
    drop(waiter);
    let tried: Vec<_> = (0..4).map(|_| fail(&mut dirty, &away, Instant::now(), 0).0).collect();
    assert_eq!(tried, [tenant(2), tenant(1), tenant(2), tenant(1)]);
}

#[test]
fn lacking_tenant_that_changes_is_written_with_the_changes() {
    let mut dirty = Dirty::default();
    for number in 0..2 {
        dirty.mark_lacking(&tenant(number));
    }
    dirty.mark(&tenant(1));
    let (first, _) = dirty.begin().unwrap();
    assert_eq!(first, tenant(1));
    // It was changed during the write, and fails.
    dirty.mark(&tenant(1));
    dirty.fail((&first, vec![]), &StoreError::unavailable("away"), Instant::now(), 0);
    assert_eq!(dirty.begin().unwrap().0, tenant(1));
    dirty.finish(&tenant(1));
    assert_eq!(dirty.begin().unwrap().0, tenant(0));
    dirty.finish(&tenant(0));
    assert!(dirty.begin().is_none());
    assert_eq!(dirty.len(), 0);
}

#[test]
fn few_lacking_tenants_are_written_at_once() {
    let mut dirty = Dirty::default();
    for number in 0..1000 {
        dirty.mark_lacking(&tenant(number));
    }
    let begun: Vec<_> = std::iter::from_fn(|| dirty.begin()).collect();
    assert_eq!(begun.len(), 64);
    dirty.mark(&tenant(1000));
    assert_eq!(dirty.begin().unwrap().0, tenant(1000), "changes do not wait for them");
    dirty.finish(&begun[0].0);
    dirty.fail((&begun[1].0, vec![]), &StoreError::corrupt("bad"), Instant::now(), 0);
    assert_eq!(std::iter::from_fn(|| dirty.begin()).count(), 2);
}

#[test]
fn covered_tenant_is_clean_unless_it_is_being_written() {
    let mut dirty = Dirty::default();
    dirty.mark_lacking(&tenant(1));
    dirty.mark(&tenant(2));
    let mut waiter = dirty.wait(&tenant(2)).unwrap();
    for number in 1..=3 {
        dirty.covered(&tenant(number));
    }
    assert_eq!(waiter.try_recv(), Ok(()));
    assert_eq!(dirty.len(), 0);
    assert!(dirty.begin().is_none());

    dirty.mark(&tenant(1));
    dirty.begin().unwrap();
    dirty.covered(&tenant(1));
    assert_eq!(dirty.len(), 1, "the write may store something else");
    dirty.finish(&tenant(1));
    assert_eq!(dirty.len(), 0);
}
