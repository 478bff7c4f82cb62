//! A tenant of unknown host is located before it is called.

use std::{io, time::Duration};

use futures::{FutureExt, future::join_all};
use harness::{TestEnv, tenant, tenant_number};
use http::{Request, StatusCode};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};
use tower_superoffice::{
    GuardError, TenantId, UnavailableReason,
    simulator::{Fault, SimulatorBody},
};

use super::Body;

/// A call to `tenant` at the environment's own host, which serves none.
fn call(env: &TestEnv, tenant: &TenantId) -> Request<Body> {
    let origin = env.gate.environment().origin();
    Request::post(format!("{origin}/{tenant}/api/v1/Contact")).body(Body::from("content")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn first_writes_to_sixty_tenants_arrive_with_a_pull_each() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let began = Instant::now();
    let calls = (0..60).map(|number| client.clone().oneshot(call(&env, &tenant_number(number))));
    for response in join_all(calls).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    for number in 0..60 {
        assert_eq!(env.simulator.state_requests(&tenant_number(number)), 1, "{number}");
    }
    assert_eq!(env.simulator.all_calls(), 60);
    // At most 10 pulls a second.
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn calls_to_one_tenant_join_one_pull() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let calls = (0..100).map(|_| client.clone().oneshot(call(&env, &env.tenant)));
    for response in join_all(calls).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(env.simulator.all_state_requests(), 1);
    assert_eq!(env.simulator.misdirected_calls(&env.tenant), 0);
    // Now its host is known.
    let mut next = Box::pin(client.oneshot(call(&env, &env.tenant)));
    assert_eq!((&mut next).await.unwrap().status(), StatusCode::OK);
    assert_eq!(env.simulator.all_state_requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn tenant_found_closed_is_refused_before_its_first_call() {
    let env = TestEnv::on_tokio_clock().await;
    // Without a notification, as if the gate had started later.
    env.simulator.suspend(&env.tenant).without_notification();
    let client = env.gate.client_layer().layer(env.simulator.network());
    match client.oneshot(call(&env, &env.tenant)).await {
        Err(GuardError::Unavailable(closed)) => {
            assert_eq!(closed.reason(), UnavailableReason::Suspended);
        }
        passed => panic!("{passed:?}"),
    }
    assert_eq!(env.simulator.calls_while_closed(), 0);
}

#[tokio::test(start_paused = true)]
async fn call_passes_on_while_the_state_api_fails() {
    let env = TestEnv::on_tokio_clock().await;
    let client = env.gate.client_layer().no_retry().layer(env.simulator.network());
    env.simulator.state_api(Fault::Hang);
    let began = Instant::now();
    let send = || client.clone().oneshot(call(&env, &env.tenant));
    assert_eq!(send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(began.elapsed(), Duration::from_secs(5));

    // A failed pull is over: until the next is due, calls wait for nothing.
    env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    for _ in 0..50 {
        let began = Instant::now();
        assert_eq!(send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(began.elapsed(), Duration::ZERO);
        sleep(Duration::from_millis(100)).await;
    }
    env.simulator.state_api(Fault::None);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn call_waits_for_nothing_where_locating_is_off() {
    let off = TestEnv::on_tokio_clock_with(|builder| builder.state_api(false)).await;
    let client = off.gate.client_layer().layer(off.simulator.network());
    let response = client.oneshot(call(&off, &off.tenant)).await.unwrap();
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);

    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(Fault::Hang);
    for layer in [env.gate.client_layer().locate(false), env.gate.client_layer().observe_only()] {
        let client = layer.no_retry().layer(env.simulator.network());
        let began = Instant::now();
        let response = client.oneshot(call(&env, &env.tenant)).await.unwrap();
        assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_those_that_may_wait_pass_on() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(Fault::Hang);
    let client = env.gate.client_layer().no_retry().layer(env.simulator.network());
    let send = |number: usize| Box::pin(client.clone().oneshot(call(&env, &tenant_number(number))));
    let mut waiting: Vec<_> = (0..1024).map(|number| send(number / 4)).collect();
    for call in &mut waiting {
        assert!(call.as_mut().now_or_never().is_none());
    }
    let passed = send(5000).await.unwrap();
    assert_eq!(passed.status(), StatusCode::MISDIRECTED_REQUEST);
    // One that gives up makes room.
    waiting.pop();
    assert!(send(5000).now_or_never().is_none());
}

/// The service that was ready is the one that is called, after the wait too.
#[tokio::test(start_paused = true)]
async fn waiting_call_uses_the_service_that_was_ready() {
    #[derive(Clone)]
    struct Reserved {
        ready: bool,
    }

    impl Service<Request<Body>> for Reserved {
        type Response = http::Response<SimulatorBody>;
        type Error = io::Error;
        type Future = std::future::Ready<io::Result<http::Response<SimulatorBody>>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            self.ready = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without being ready");
            std::future::ready(Ok(http::Response::new(SimulatorBody::default())))
        }
    }

    let env = TestEnv::on_tokio_clock().await;
    let mut client = env.gate.client_layer().layer(Reserved { ready: false });
    for id in ["Cust1", "Cust2"] {
        let request = call(&env, &tenant(id));
        assert!(client.ready().await.unwrap().call(request).await.is_ok());
    }
}
