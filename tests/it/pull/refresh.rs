//! Refreshes: one pull now, whatever leases and back-offs say, and its result.

use std::error::Error;

use futures::future::join_all;
use harness::{TestEnv, tenant_number as tenant};
use http::{Request, StatusCode};
use tokio::time::{Duration, Instant, sleep};
use tower::{ServiceExt, service_fn};
use tower_superoffice::{
    TenantGate, UnavailableReason,
    notification::EmptyBody,
    pull::{RefreshError, Schedule},
    simulator::Fault,
    store::MemoryStore,
};

use super::{HOUR, MINUTE};

/// A gate whose pulls take a second.
async fn slow_gate(env: &TestEnv) -> TenantGate {
    let network = env.simulator.network();
    let client = service_fn(move |request: Request<EmptyBody>| {
        let answer = network.clone().oneshot(request);
        async move {
            let answer = answer.await?;
            sleep(Duration::from_secs(1)).await;
            Ok::<_, tower::BoxError>(answer)
        }
    });
    env.another_gate(|builder| builder.client(client)).await
}

#[tokio::test(start_paused = true)]
async fn refresh_returns_the_status_that_it_pulled() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.suspend(&tenant(1)).without_notification();
    let status = env.gate.refresh(&tenant(1)).await.unwrap();
    assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
    assert!(status.is_confirmed() && status.endpoint().is_some());
    assert_eq!(status, env.gate.status(&tenant(1)));
    env.simulator.resume(&tenant(1)).without_notification();
    assert!(env.gate.refresh(&tenant(1)).await.unwrap().is_available());
    assert_eq!(env.simulator.all_state_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_refreshes_join_one_pull() {
    let env = TestEnv::on_tokio_clock().await;
    let gate = slow_gate(&env).await;
    let early = (0..50).map(|_| gate.refresh(&env.tenant));
    let late = (0..50).map(|_| async {
        sleep(Duration::from_millis(500)).await;
        gate.refresh(&env.tenant).await
    });
    let (early, late) = futures::join!(join_all(early), join_all(late));
    assert!(early.iter().chain(&late).all(Result::is_ok));
    assert_eq!(env.simulator.all_state_requests(), 1);
    gate.refresh(&env.tenant).await.unwrap();
    assert_eq!(env.simulator.all_state_requests(), 2, "one that is over is not joined");
}

#[tokio::test(start_paused = true)]
async fn refresh_after_a_notification_joins_no_earlier_pull() {
    let env = TestEnv::on_tokio_clock().await;
    let gate = slow_gate(&env).await;
    env.simulator.notify_service(gate.notification_service());
    let began = Instant::now();
    let before = async {
        let status = gate.refresh(&env.tenant).await.unwrap();
        (status.is_confirmed(), began.elapsed().as_secs())
    };
    let after = async {
        sleep(Duration::from_millis(500)).await;
        env.simulator.delete(&env.tenant).await.unwrap();
        let status = gate.refresh(&env.tenant).await.unwrap();
        (status.is_confirmed(), began.elapsed().as_secs())
    };
    let (before, after) = futures::join!(before, after);
    // The first was sent before the Delete, and knows nothing of it.
    assert_eq!((before, after), ((false, 1), (true, 2)));
    assert_eq!(env.simulator.all_state_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn refresh_passes_leases_and_back_off() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    let other = env.another_gate(|builder| builder.store(store.clone())).await;
    env.gate.track([env.tenant.clone()]);
    sleep(MINUTE).await;
    other.refresh(&env.tenant).await.unwrap();
    assert_eq!(env.simulator.all_state_requests(), 2, "the lease is of the first");
    env.simulator.state_api(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    for made in 3..6 {
        let failed = env.gate.refresh(&env.tenant).await.unwrap_err();
        let RefreshError::Failed(source) = &failed else { panic!("{failed}") };
        assert_eq!(source.to_string(), "invalid answer: its status is 500");
        assert_eq!(failed.source().unwrap().to_string(), source.to_string());
        assert_eq!(env.simulator.all_state_requests(), made);
    }
    assert!(env.gate.status(&env.tenant).is_available(), "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn refresh_keeps_to_the_limit_and_goes_first() {
    let schedule = Schedule::new().pulls_per_second(1);
    let env = TestEnv::on_tokio_clock_with(|builder| builder.schedule(schedule)).await;
    env.gate.track((100..200).map(tenant));
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let refreshes = (0..4).map(|number| {
        let gate = env.gate.clone();
        async move {
            gate.refresh(&tenant(number)).await.unwrap();
            began.elapsed().as_secs()
        }
    });
    // One of four pulls is left to those that are due.
    assert_eq!(join_all(refreshes).await, [0, 1, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn refresh_fails_without_a_usable_state() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(Fault::Unknown);
    let unknown = env.gate.refresh(&env.tenant).await;
    assert!(matches!(unknown, Err(RefreshError::UnknownState)), "{unknown:?}");
    env.simulator.state_api(Fault::Hang);
    let late = env.gate.refresh(&env.tenant).await.unwrap_err();
    assert!(matches!(late, RefreshError::Failed(_)), "{late:?}");
    assert!(late.source().unwrap().to_string().starts_with("timed out"));
    let message = late.to_string() + &format!("{late:?}");
    assert!(!message.contains("Cust1"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn refreshes_do_not_wait_for_a_requested_pause() {
    let schedule = Schedule::new().pulls_per_second(1);
    let env = TestEnv::on_tokio_clock_with(|builder| builder.schedule(schedule)).await;
    env.simulator.state_api(Fault::TooManyRequests(600));
    let waiting = (0..20).map(|number| {
        let gate = env.gate.clone();
        async move { gate.refresh(&tenant(number)).await }
    });
    let began = Instant::now();
    for refused in join_all(waiting).await {
        let Err(RefreshError::RateLimited { retry_after }) = refused else { panic!("{refused:?}") };
        assert_eq!(retry_after.as_secs(), 600);
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    sleep(MINUTE).await;
    let refused = env.gate.refresh(&tenant(1)).await.unwrap_err();
    assert!(
        matches!(refused, RefreshError::RateLimited { retry_after }
        if retry_after <= 9 * MINUTE),
        "{refused:?}"
    );
    assert_eq!(env.simulator.all_state_requests(), 1);
    env.simulator.state_api(Fault::None);
    sleep(HOUR).await;
    env.gate.refresh(&tenant(1)).await.unwrap();
}
