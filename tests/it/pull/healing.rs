//! Pulls correct lost, untrue and late notifications, neither too late nor too early.

use futures::{FutureExt, StreamExt};
use harness::{TestEnv, tenant_number as tenant, within};
use http::StatusCode;
use tokio::time::{Duration, Instant, sleep, timeout};
use tower_superoffice::{
    ChangeType, TenantEvent, TenantId, UnavailableReason,
    simulator::Simulator,
    status::{Evidence, State},
    store::MemoryStore,
};

use super::{HOUR, MINUTE};

#[tokio::test(start_paused = true)]
async fn lost_resume_heals_within_the_longest_step() {
    use UnavailableReason::{Deleted, Suspended, Upgrading};
    for (closes, reason, bound) in [
        (Simulator::upgrade as fn(&Simulator, &TenantId) -> _, Upgrading, MINUTE),
        (Simulator::suspend, Suspended, 15 * MINUTE),
        (Simulator::delete, Deleted, 6 * HOUR),
    ] {
        for closed_for in [Duration::from_secs(200), 5 * HOUR] {
            let env = TestEnv::on_tokio_clock().await;
            let one = tenant(1);
            let mut events = env.gate.events();
            assert_eq!(closes(&env.simulator, &one).await.unwrap(), StatusCode::NO_CONTENT);
            sleep(closed_for).await;
            assert_eq!(env.reason(&one), Some(reason));
            assert!(env.gate.status(&one).is_confirmed());

            env.simulator.resume(&one).without_notification();
            // Not by `available`, which ends when its tenant is deleted.
            let opened = async {
                while !env.gate.status(&one).is_available() {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            within(bound, opened).await;
            let status = env.gate.status(&one);
            assert_eq!((status.evidence(), status.is_confirmed()), (Evidence::StateApi, true));

            let pulls = env.pulls();
            let [(Some(ChangeType::Resume), corrected)] = pulls.corrections()[..] else {
                panic!("{pulls:?}")
            };
            assert_eq!(corrected.count(), 1);
            assert!(corrected.last().unwrap() <= bound, "{corrected:?}");
            let mut corrected = 0;
            while let Some(Some(event)) = events.next().now_or_never() {
                let found = matches!(event, TenantEvent::Corrected { status, correction, .. }
                    if status.is_available() && correction.missed() == Some(ChangeType::Resume));
                corrected += usize::from(found);
            }
            assert_eq!(corrected, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bound_after_a_restart_counts_the_time_before_it() {
    for closed_for in [Duration::ZERO, 2 * HOUR] {
        let (store, one) = (MemoryStore::new(), tenant(1));
        let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
        let closed = Instant::now();
        env.simulator.suspend(&one).await.unwrap();
        sleep(closed_for).await;
        env.simulator.resume(&one).without_notification();
        let lost = Instant::now();
        assert_eq!(env.gate.clone().shutdown(MINUTE).await, 0);
        sleep(HOUR).await;

        let gate = env.another_gate(|builder| builder.store(store)).await;
        let mut events = gate.events();
        let corrected = async {
            loop {
                if let Some(TenantEvent::Corrected { correction, .. }) = events.next().await {
                    break correction;
                }
            }
        };
        let correction = timeout(HOUR, corrected).await.unwrap();
        let bound = correction.within().unwrap();
        assert!(bound >= lost.elapsed(), "wrong for {:?}: {correction}", lost.elapsed());
        assert!(
            bound <= closed.elapsed() + MINUTE,
            "closed for {:?}: {correction}",
            closed.elapsed()
        );
        let health = gate.health();
        let corrections = health.pulls().unwrap().corrections();
        assert_eq!(corrections[0].1.last(), Some(bound));
    }
}

#[tokio::test(start_paused = true)]
async fn lost_resume_before_the_first_pull_heals() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.upgrade(&tenant(1)).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    env.simulator.resume(&tenant(1)).without_notification();
    let took = within(16 * MINUTE, async { env.gate.available(&tenant(1)).await.unwrap() }).await;
    assert!(took >= Duration::from_secs(869), "opened too early, after {took:?}");
    assert!(took <= Duration::from_secs(871), "the end of the settle time was missed: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn open_tenant_is_pulled_once_when_settled() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    env.simulator.resume(&tenant(1)).await.unwrap();
    assert_eq!(env.simulator.all_state_requests(), 0);
    sleep(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(env.simulator.all_state_requests(), 1);
    sleep(100 * HOUR).await;
    assert_eq!(env.simulator.all_state_requests(), 1);
    assert!(env.pulls().corrections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn state_api_lag_below_the_settle_time_flaps_nothing() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api_lag(Duration::from_secs(59));
    let one = tenant(1);
    let mut events = env.gate.events();
    for _ in 0..6 {
        env.simulator.suspend(&one).await.unwrap();
        // Requested pulls are what could flap it.
        for _ in 0..100 {
            env.gate.refresh(&one).await.unwrap();
            sleep(Duration::from_secs(7)).await;
            assert_eq!(env.reason(&one), Some(UnavailableReason::Suspended));
        }
        env.simulator.resume(&one).await.unwrap();
        for _ in 0..100 {
            env.gate.refresh(&one).await.unwrap();
            sleep(Duration::from_secs(7)).await;
            assert_eq!(env.reason(&one), None);
        }
    }
    assert!(env.simulator.all_state_requests() > 1000);
    assert!(env.pulls().corrections().is_empty());
    let mut changes = 0;
    while let Some(Some(event)) = events.next().now_or_never() {
        match event {
            TenantEvent::Notified { .. } => {}
            TenantEvent::Changed { .. } => changes += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(changes, 12);
}

#[tokio::test(start_paused = true)]
async fn upgrade_announced_long_before_keeps_the_tenant_closed() {
    let env = TestEnv::on_tokio_clock().await;
    let one = tenant(1);
    env.simulator.notify(ChangeType::Upgrade, &one).await.unwrap();
    for second in 0..880 {
        if second == 800 {
            env.simulator.set_state(&one, State::OfflineMaintenance);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(env.reason(&one), Some(UnavailableReason::Upgrading), "after {second} s");
    }
    env.simulator.resume(&one).without_notification();
    within(MINUTE, async { env.gate.available(&one).await.unwrap() }).await;
}

#[tokio::test(start_paused = true)]
async fn untrue_notification_is_corrected_when_settled() {
    let env = TestEnv::on_tokio_clock().await;
    let (one, two) = (tenant(1), tenant(2));
    env.simulator.suspend(&one).await.unwrap();
    sleep(HOUR).await;

    // Verified, and untrue: a token does not sign the change type.
    env.simulator.notify(ChangeType::Resume, &one).await.unwrap();
    env.simulator.notify(ChangeType::Suspend, &two).await.unwrap();
    // A pull before that is true, and not settled.
    env.gate.refresh(&one).await.unwrap();
    env.gate.refresh(&two).await.unwrap();
    sleep(Duration::from_secs(59)).await;
    assert_eq!(env.reason(&one), None);
    assert_eq!(env.reason(&two), Some(UnavailableReason::Suspended));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(env.reason(&one), Some(UnavailableReason::Suspended));
    assert_eq!(env.reason(&two), None);
    assert_eq!(env.pulls().corrections().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn closing_found_without_the_store_outlasts_older_records() {
    let store = MemoryStore::new();
    let shared = store.clone();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(shared)).await;
    env.simulator.suspend(&env.tenant).await.unwrap();
    sleep(5 * MINUTE).await;
    env.simulator.resume(&env.tenant).await.unwrap();
    sleep(2 * HOUR).await;
    env.gate.clone().shutdown(MINUTE).await;

    env.simulator.suspend(&env.tenant).without_notification();
    store.set_available(false);
    let away = store.clone();
    let gate = env.another_gate(|builder| builder.store(away).start_without_store(true)).await;
    gate.refresh(&env.tenant).await.unwrap();
    assert!(gate.check(&env.tenant).is_err());
    sleep(MINUTE).await;
    store.set_available(true);
    let mut open = Duration::ZERO;
    let step = Duration::from_millis(100);
    for _ in 0..3_000 {
        sleep(step).await;
        if gate.check(&env.tenant).is_ok() {
            open += step;
        }
    }
    assert!(gate.check(&env.tenant).is_err());
    assert!(open <= Duration::from_secs(5), "{open:?}");
}
