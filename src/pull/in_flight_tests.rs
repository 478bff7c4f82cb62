//! Tests of the pulls in flight.

use std::time::Duration;

use super::*;
use crate::pull::recent::MISDIRECT_COOLDOWN;

fn tenant() -> TenantId {
    TenantId::new("Cust1").unwrap()
}

fn joined(join: Join) -> oneshot::Receiver<()> {
    match join {
        Join::Joined(receiver) | Join::Requested(receiver) => receiver,
        Join::None => panic!("there is nothing to wait for"),
    }
}

#[test]
fn calls_sent_before_a_pull_join_it_and_go_on_when_it_ends() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    let pull_seq = in_flight.pull_seq();
    assert!(!in_flight.start(&tenant(), 0));
    let mut receiver = joined(in_flight.join(&tenant(), pull_seq, 0, now));
    assert!(receiver.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
    let (rerun, waiters) = in_flight.complete(&tenant(), FoundHost::New, now);
    assert!(!rerun);
    waiters.release(&Ok(()));
    assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(matches!(in_flight.join(&tenant(), pull_seq, 0, now), Join::None), "made since");
}

/// A pull that began after the call explains its 421, whatever it finds: no other is made for it.
#[test]
fn call_sent_before_a_pull_waits_for_that_one_alone() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    in_flight.start(&tenant(), 0);
    let mut receiver = joined(in_flight.join(&tenant(), 0, 0, now));
    let (rerun, released) = in_flight.complete(&tenant(), FoundHost::Same, now);
    assert!(!rerun, "one pull answers it");
    released.release(&Ok(()));
    assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(!in_flight.start(&tenant(), 0), "and it waits no longer");
}

#[test]
fn calls_sent_during_a_pull_get_another_unless_it_found_a_new_place() {
    for found in [FoundHost::Same, FoundHost::New] {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        in_flight.start(&tenant(), 0);
        let pull_seq = in_flight.pull_seq();
        let join = in_flight.join(&tenant(), pull_seq, 0, now);
        assert!(matches!(join, Join::Joined(_)));
        let (rerun, _) = in_flight.complete(&tenant(), found, now);
        assert_eq!(rerun, found == FoundHost::Same);
        assert_eq!(
            in_flight.start(&tenant(), 0),
            found == FoundHost::Same,
            "a misdirected call waits"
        );
    }
}

#[test]
fn an_unhelpful_pull_is_not_repeated_for_a_while() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    let join = in_flight.join(&tenant(), 0, 0, now);
    assert!(matches!(join, Join::Requested(_)));
    assert!(in_flight.start(&tenant(), 0));
    in_flight.complete(&tenant(), FoundHost::Same, now).1.release(&Ok(()));
    let pull_seq = in_flight.pull_seq();
    assert!(matches!(in_flight.join(&tenant(), pull_seq, 0, now), Join::None));
    let later = now + MISDIRECT_COOLDOWN;
    assert!(matches!(in_flight.join(&tenant(), pull_seq, 0, later), Join::Requested(_)));
}

/// A pull that no misdirected call waited for says nothing of one that comes later.
#[test]
fn call_sent_after_a_due_pull_gets_another() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    in_flight.start(&tenant(), 0);
    in_flight.complete(&tenant(), FoundHost::Same, now).1.release(&Ok(()));
    let pull_seq = in_flight.pull_seq();
    assert!(matches!(in_flight.join(&tenant(), pull_seq, 0, now), Join::Requested(_)));
}

#[test]
fn locating_joins_one_pull_and_pauses_when_it_finds_nothing() {
    let (mut in_flight, mut now) = (InFlight::default(), Instant::now());
    for seconds in [15, 30, 60, 120, 240, 300, 300, 300] {
        let pause = Duration::from_secs(seconds);
        assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Requested(_)));
        assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Joined(_)));
        in_flight.start(&tenant(), 0);
        assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Joined(_)));
        in_flight.complete(&tenant(), FoundHost::None, now).1.release(&Ok(()));
        now += pause - Duration::from_millis(1);
        assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::None));
        now += Duration::from_millis(1);
    }
    assert!(matches!(in_flight.locate(&tenant(), MOST_WAITING, now), Join::None));
}

#[test]
fn too_many_waiting_tenants_get_no_more_requests() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    assert!(matches!(in_flight.join(&tenant(), 0, MOST_WAITING, now), Join::None));
    assert!(matches!(in_flight.join(&tenant(), 0, MOST_WAITING - 1, now), Join::Requested(_)));
}

#[test]
fn end_releases_all_that_wait_and_refuses_the_next() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    let other = TenantId::new("Cust2").unwrap();
    in_flight.start(&tenant(), 0);
    let mut calls = [&tenant(), &other].map(|tenant| joined(in_flight.join(tenant, 0, 0, now)));
    let mut refreshes = [&tenant(), &other].map(|tenant| in_flight.refresh(tenant, 0).unwrap().0);
    assert_eq!(in_flight.len(), 1);
    drop(in_flight.end());
    for call in &mut calls {
        assert_eq!(call.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
    for refresh in &mut refreshes {
        let ended = refresh.try_recv().unwrap_err();
        assert_eq!(ended, oneshot::error::TryRecvError::Closed);
    }
    assert!(matches!(in_flight.join(&tenant(), 9, 0, now), Join::None));
    assert!(matches!(in_flight.locate(&other, 0, now), Join::None));
    assert!(matches!(in_flight.refresh(&other, 0), Err(RefreshError::ShutDown)));
    assert_eq!(in_flight.len(), 0);
}

#[test]
fn a_delegated_pull_keeps_its_waiters() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    in_flight.start(&tenant(), 0);
    assert!(!in_flight.delegate(&tenant()) && !in_flight.contains(&tenant()));
    in_flight.start(&tenant(), 0);
    let mut receiver = joined(in_flight.join(&tenant(), 0, 0, now));
    assert!(in_flight.delegate(&tenant()));
    assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    assert!(in_flight.start(&tenant(), 0), "it waits on");
    assert!(in_flight.rerun(&tenant()));
    assert!(in_flight.delegate(&tenant()));
    // Neither a call nor a refresh waits for it, and still it is made again.
    let other = TenantId::new("Cust2").unwrap();
    in_flight.start(&other, 0);
    assert!(in_flight.rerun(&other) && in_flight.delegate(&other));
}

#[test]
fn request_during_a_pull_has_another_follow_it() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    assert!(!in_flight.rerun(&tenant()), "none is in flight");
    in_flight.start(&tenant(), 0);
    assert!(in_flight.rerun(&tenant()));
    assert!(in_flight.complete(&tenant(), FoundHost::Same, now).0);
    in_flight.start(&tenant(), 0);
    assert!(!in_flight.complete(&tenant(), FoundHost::Same, now).0, "once");
}

/// In a pause that the state API requested, a refresh is answered unless its pull is in flight.
#[test]
fn refreshes_that_wait_for_a_start_are_released_together() {
    let mut in_flight = InFlight::default();
    let other = TenantId::new("Cust2").unwrap();
    in_flight.start(&other, 0);
    let (mut waiting, _) = in_flight.refresh(&tenant(), 0).unwrap();
    let (mut joined, _) = in_flight.refresh(&other, 0).unwrap();
    let retry_after = Duration::from_secs(9);
    in_flight.take_refreshes().release(&Err(RefreshError::RateLimited { retry_after }));
    assert!(matches!(result(&mut waiting), Some(Err(RefreshError::RateLimited { .. }))));
    assert!(result(&mut joined).is_none());
    assert!(!in_flight.start(&tenant(), 0), "nothing waits for it any more");
}

/// The result that a refresh has, if any.
fn result(receiver: &mut oneshot::Receiver<Refreshed>) -> Option<Refreshed> {
    receiver.try_recv().ok()
}

#[test]
fn refresh_joins_a_pull_that_knows_the_same_notifications() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    let (mut first, requested) = in_flight.refresh(&tenant(), 7).unwrap();
    assert!(requested);
    assert!(in_flight.start(&tenant(), 7), "it is waited for");
    let (mut second, requested) = in_flight.refresh(&tenant(), 7).unwrap();
    assert!(!requested);
    // A notification came in between.
    let (mut third, requested) = in_flight.refresh(&tenant(), 8).unwrap();
    assert!(!requested, "it follows at once");
    let (rerun, released) = in_flight.complete(&tenant(), FoundHost::Same, now);
    assert!(rerun);
    released.release(&Err(RefreshError::UnknownState));
    for joined in [&mut first, &mut second] {
        assert!(matches!(result(joined), Some(Err(RefreshError::UnknownState))));
    }
    assert!(result(&mut third).is_none());
    assert!(in_flight.start(&tenant(), 8));
    in_flight.complete(&tenant(), FoundHost::Same, now).1.release(&Ok(()));
    assert!(matches!(result(&mut third), Some(Ok(()))));
}

#[test]
fn refresh_outlives_delegated_and_interrupted_pulls() {
    let (mut in_flight, now) = (InFlight::default(), Instant::now());
    in_flight.start(&tenant(), 0);
    let (mut receiver, _) = in_flight.refresh(&tenant(), 0).unwrap();
    assert!(in_flight.delegate(&tenant()), "another follows at once");
    assert!(in_flight.start(&tenant(), 0));
    assert_eq!(in_flight.interrupted(), [tenant()]);
    assert!(result(&mut receiver).is_none());
    assert!(in_flight.start(&tenant(), 0));
    in_flight.complete(&tenant(), FoundHost::Same, now).1.release(&Ok(()));
    assert!(matches!(result(&mut receiver), Some(Ok(()))));
}

#[test]
fn refreshes_of_too_many_tenants_are_refused() {
    let mut in_flight = InFlight::default();
    let tenant = |number| TenantId::new(format!("Cust{number}")).unwrap();
    for number in 0..MOST_WAITING {
        assert!(in_flight.refresh(&tenant(number), 0).is_ok());
    }
    assert!(matches!(in_flight.refresh(&tenant(MOST_WAITING), 0), Err(RefreshError::Busy)));
    assert!(in_flight.refresh(&tenant(0), 0).is_ok(), "it waits already");
}
