//! A tracked tenant counts as called: a lost closing is noticed before its next call.

use std::ops::RangeInclusive;

use bytes::Bytes;
use harness::{TestEnv, tenant_number as tenant, within};
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Duration, Instant, sleep};
use tower::{Layer, ServiceExt};
use tower_superoffice::{
    ChangeType, GuardError, TenantId, UnavailableReason, pull::RefreshError, simulator::Fault,
};

use super::{HOUR, MINUTE};

#[tokio::test(start_paused = true)]
async fn lost_suspend_of_an_uncalled_tracked_tenant_is_noticed() {
    // Freshness is cut to between 5 minutes and an hour.
    for (validity, fresh) in [(1, 5), (20, 20), (300, 60)] {
        let env = TestEnv::on_tokio_clock().await;
        env.simulator.state_validity(validity * MINUTE);
        env.gate.track([tenant(1)]);
        sleep(4 * HOUR).await;
        let open = env.simulator.state_requests(&tenant(1));
        let expected = 240 / fresh;
        assert!((expected - 1..=expected + 1).contains(&open), "{open} with {validity} min");

        env.simulator.suspend(&tenant(1)).without_notification();
        let fresh = u32::try_from(fresh).unwrap();
        sleep(fresh * MINUTE + Duration::from_secs(2)).await;
        assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended), "{validity} min");
        // And a lost Resume, as of any closed tenant.
        env.simulator.resume(&tenant(1)).without_notification();
        within(30 * MINUTE, async { env.gate.available(&tenant(1)).await.unwrap() }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn untracked_tenant_is_pulled_no_more() {
    let env = TestEnv::on_tokio_clock().await;
    env.gate.track([tenant(1), tenant(2)]);
    sleep(HOUR).await;
    let before = env.simulator.state_requests(&tenant(1));
    assert!(before > 1);
    env.gate.untrack([tenant(1), tenant(3)]);
    sleep(24 * HOUR).await;
    assert_eq!(env.simulator.state_requests(&tenant(1)), before);
    assert_eq!(env.simulator.state_requests(&tenant(3)), 0);
    assert!(env.simulator.state_requests(&tenant(2)) > 24);
    // It may be tracked again.
    env.gate.track([tenant(1)]);
    sleep(HOUR).await;
    assert!(env.simulator.state_requests(&tenant(1)) > before + 1);
}

#[tokio::test(start_paused = true)]
async fn untracked_tenant_without_an_answer_is_awaited_no_more() {
    let env = TestEnv::on_tokio_clock_with(|builder| builder.close_tracked_until_known()).await;
    env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    env.gate.track([tenant(1)]);
    sleep(MINUTE).await;
    assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::NotReady));
    let available = tokio::spawn(env.gate.available(&tenant(1)));
    sleep(Duration::from_secs(1)).await;
    env.gate.untrack([tenant(1)]);
    let requests = env.simulator.all_state_requests();
    // Nothing will say whether it is open.
    available.await.unwrap().unwrap();
    assert_eq!(env.reason(&tenant(1)), None);
    assert_eq!(env.gate.health().closed(), 0);
    assert_eq!(env.gate.ready(Duration::ZERO).await.tracked_awaited(), 0);
    sleep(HOUR).await;
    assert_eq!(env.simulator.all_state_requests(), requests);
}

#[tokio::test(start_paused = true)]
async fn failed_pull_of_a_tracked_tenant_is_repeated() {
    let env = TestEnv::on_tokio_clock().await;
    env.gate.track([tenant(1)]);
    sleep(HOUR).await;
    env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    env.simulator.suspend(&tenant(1)).without_notification();
    sleep(HOUR).await;
    assert!(matches!(env.gate.refresh(&tenant(1)).await, Err(RefreshError::Failed(_))));
    env.simulator.state_api(Fault::None);
    sleep(6 * MINUTE).await;
    assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended));
}

fn call(env: &TestEnv, tenant: &TenantId) -> Request<Full<Bytes>> {
    let origin = env.gate.environment().origin();
    Request::get(format!("{origin}/{tenant}/api/v1/Contact")).body(Full::default()).unwrap()
}

/// More tenants than the limit can keep fresh: their pulls take all that is left of it.
#[tokio::test(start_paused = true)]
async fn ten_thousand_tracked_tenants_leave_the_limit_and_the_order_as_they_are() {
    const TENANTS: usize = 10_000;
    let env = TestEnv::on_tokio_clock().await;
    env.gate.track((0..TENANTS).map(tenant));
    sleep(Duration::from_secs(1_001)).await;
    assert_eq!(env.simulator.all_state_requests(), TENANTS as u64 + 10);
    let (began, before) = (Instant::now(), env.simulator.all_state_requests());

    env.gate.refresh(&tenant(20_000)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let client = env.gate.client_layer().layer(env.simulator.network());
    let located = client.clone().oneshot(call(&env, &tenant(20_001))).await.unwrap();
    assert_eq!(located.status(), StatusCode::OK);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for change in [ChangeType::Upgrade, ChangeType::Resume] {
        env.simulator.notify(change, &tenant(20_002)).await.unwrap();
    }
    env.simulator.suspend(&tenant(20_003)).await.unwrap();
    // Its own turn is far away, but a call fails.
    let last = tenant(6_000);
    assert_eq!(env.simulator.state_requests(&last), 1);
    sleep(MINUTE).await;
    env.simulator.suspend(&last).without_notification();
    let failed = client.clone().oneshot(call(&env, &last)).await.unwrap();
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(3)).await;
    assert!(matches!(client.oneshot(call(&env, &last)).await, Err(GuardError::Unavailable(_))));
    for number in [20_002, 20_003] {
        assert!(env.simulator.state_requests(&tenant(number)) >= 1, "{number}");
    }

    sleep(Duration::from_secs(2_100)).await;
    let (requests, elapsed) = (env.simulator.all_state_requests() - before, began.elapsed());
    let limit: RangeInclusive<u64> = 10 * elapsed.as_secs() - 10..=10 * elapsed.as_secs() + 20;
    assert!(limit.contains(&requests), "{requests} in {elapsed:?}");
    let fewest = (0..TENANTS).map(|number| env.simulator.state_requests(&tenant(number))).min();
    assert!(fewest >= Some(3), "each has its turn: {fewest:?}");
}
