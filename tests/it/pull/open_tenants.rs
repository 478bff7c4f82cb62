//! A lost closing of an open tenant is noticed when the tenant is called.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use harness::{TestEnv, amount, tenant_number};
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt};
use tower_superoffice::{
    ChangeType, GuardError, TenantId,
    simulator::Fault,
    status::Record,
    store::{MemoryStore, Store},
};

type Body = Empty<bytes::Bytes>;

fn call(env: &TestEnv, tenant: &TenantId) -> Request<Body> {
    Request::get(env.simulator.url(tenant, "api/v1/Contact/1")).body(Body::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn lost_suspend_is_noticed_by_the_first_failing_call() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let send = || client.clone().oneshot(call(&env, &env.tenant));
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    sleep(Duration::from_secs(3600)).await;

    env.simulator.suspend(&env.tenant).without_notification();
    assert_eq!(send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(send().await, Err(GuardError::Unavailable(_))));
    assert_eq!(env.simulator.calls_while_closed(), 1);
    // And it opens again, as any closed tenant does.
    env.simulator.resume(&env.tenant).without_notification();
    sleep(Duration::from_secs(900)).await;
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn lost_suspend_of_a_called_tenant_is_noticed_as_its_answer_ages() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let send = || client.clone().oneshot(call(&env, &env.tenant));
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    // Closed, it still answers: nothing but the state API tells.
    env.simulator.closed_tenants_answer(StatusCode::OK);
    env.simulator.suspend(&env.tenant).without_notification();
    let closed = Instant::now();
    while send().await.is_ok() {
        assert!(closed.elapsed() < Duration::from_secs(330), "{:?}", closed.elapsed());
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(env.simulator.state_requests(&env.tenant), 2);
}

#[tokio::test(start_paused = true)]
async fn answer_stays_fresh_for_as_long_as_it_is_valid() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_validity(Duration::from_secs(1800));
    let client = env.gate.client_layer().layer(env.simulator.network());
    for _ in 0..360 {
        client.clone().oneshot(call(&env, &env.tenant)).await.unwrap();
        sleep(Duration::from_secs(10)).await;
    }
    // An hour of calls: the first, and one after half an hour, perhaps one at its end.
    let requests = env.simulator.state_requests(&env.tenant);
    assert!((2..=3).contains(&requests), "{requests}");
    // A tenant that is not called is not pulled.
    sleep(Duration::from_secs(36_000)).await;
    assert_eq!(env.simulator.state_requests(&env.tenant), requests);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_symptoms_of_one_tenant_are_a_pull_a_minute() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let send = || client.clone().oneshot(call(&env, &env.tenant));
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    sleep(Duration::from_secs(120)).await;
    let before = env.simulator.state_requests(&env.tenant);
    env.simulator.tenant_hosts(Fault::Status(StatusCode::BAD_GATEWAY));
    for _ in 0..10_000 {
        assert_eq!(send().await.unwrap().status(), StatusCode::BAD_GATEWAY);
        sleep(Duration::from_millis(30)).await;
    }
    // Five minutes.
    let requests = env.simulator.state_requests(&env.tenant) - before;
    assert!((4..=6).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn symptom_of_a_tenant_never_heard_of_makes_no_pull() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().locate(false).layer(env.simulator.network());
    env.simulator.tenant_hosts(Fault::Status(StatusCode::BAD_GATEWAY));
    client.oneshot(call(&env, &env.tenant)).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(env.simulator.all_state_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn storm_of_symptoms_stays_under_the_limit_and_delays_no_other_pull() {
    let tenants = amount("TENANTS", 5_000, 100_000);
    let store = Arc::new(MemoryStore::new());
    let resumed =
        br#"{"v":"1.1","resume":{"at":1700000000,"seen":1700000000000,"version":"","file":""}}"#;
    let record = Record::decode(resumed).unwrap();
    for number in 0..tenants {
        store.merge(&tenant_number(number), &record).await.unwrap();
    }
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(Arc::clone(&store))).await;
    // The pulls that the load owes are over.
    sleep(Duration::from_secs(24 * 3600)).await;
    let before = env.simulator.all_state_requests();
    env.simulator.tenant_hosts(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
    let client = env.gate.client_layer().locate(false).layer(env.simulator.network());
    let calls =
        (0..tenants).map(|number| client.clone().oneshot(call(&env, &tenant_number(number))));
    join_all(calls).await;
    let began = Instant::now();
    // A refresh of another tenant, and the pull that a Move requests, go ahead of them.
    env.gate.refresh(&tenant_number(tenants + 1)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    env.simulator.notify(ChangeType::Move, &tenant_number(tenants + 2)).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(env.simulator.state_requests(&tenant_number(tenants + 2)), 1);
    sleep(Duration::from_secs(60)).await;
    let requests = env.simulator.all_state_requests() - before;
    assert!((500..=660).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn open_tenant_is_pulled_for_calls_again_after_a_failed_pull() {
    for symptom in [false, true] {
        let env = TestEnv::on_tokio_clock().await;
        let client = env.gate.client_layer().layer(env.simulator.network());
        let send = || client.clone().oneshot(call(&env, &env.tenant));
        assert_eq!(send().await.unwrap().status(), StatusCode::OK);
        sleep(Duration::from_secs(3600)).await;
        env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
        let before = env.simulator.state_requests(&env.tenant);
        for _ in 0..360 {
            send().await.unwrap();
            sleep(Duration::from_secs(10)).await;
        }
        // Backed off to five minutes.
        let requests = env.simulator.state_requests(&env.tenant) - before;
        assert!((12..=16).contains(&requests), "{requests}");

        env.simulator.state_api(Fault::None);
        if !symptom {
            env.simulator.closed_tenants_answer(StatusCode::OK);
        }
        env.simulator.suspend(&env.tenant).without_notification();
        sleep(Duration::from_secs(301)).await;
        send().await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert!(matches!(send().await, Err(GuardError::Unavailable(_))), "{symptom}");
    }
}

#[tokio::test(start_paused = true)]
async fn symptom_during_a_pull_leaves_room_for_the_next() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let send = || client.clone().oneshot(call(&env, &env.tenant));
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
    sleep(Duration::from_secs(200)).await;
    env.simulator.tenant_hosts(Fault::Status(StatusCode::BAD_GATEWAY));
    env.simulator.state_api(Fault::Hang);
    let (gate, tenant) = (env.gate.clone(), env.tenant.clone());
    let refresh = tokio::spawn(async move { gate.refresh(&tenant).await });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(send().await.unwrap().status(), StatusCode::BAD_GATEWAY);
    refresh.await.unwrap().unwrap_err();

    env.simulator.state_api(Fault::None);
    env.simulator.suspend(&env.tenant).without_notification();
    sleep(Duration::from_secs(70)).await;
    assert_eq!(send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(send().await, Err(GuardError::Unavailable(_))));
}
