//! Calls that wait until their tenant opens.

use std::time::Duration;

use futures::{FutureExt, future::join_all};
use harness::{TestEnv, tenant};
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_superoffice::{GuardError, UnavailableReason};

type Body = Empty<bytes::Bytes>;

fn call(environment: &TestEnv, id: &str) -> Request<Body> {
    let url = environment.simulator.url(&tenant(id), "api/v1/Contact/1");
    Request::get(url).body(Body::new()).unwrap()
}

const LIMIT: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn waiting_call_is_sent_when_its_tenant_opens() {
    let environment = TestEnv::on_tokio_clock().await;
    let TestEnv { gate, simulator, .. } = &environment;
    let client = ServiceBuilder::new()
        .layer(gate.wait_layer(LIMIT))
        .layer(gate.client_layer())
        .service(simulator.network());
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let mut waiting = Box::pin(client.clone().oneshot(call(&environment, "Cust1")));
    assert!(waiting.as_mut().now_or_never().is_none(), "it waits");
    let other = client.oneshot(call(&environment, "Cust2")).await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    gate.release(&tenant("Cust1"), "test").await.unwrap();
    assert_eq!(waiting.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn call_is_refused_when_its_tenant_stays_closed() {
    let environment = TestEnv::on_tokio_clock().await;
    let TestEnv { gate, simulator, .. } = &environment;
    let client = gate.wait_layer(LIMIT).layer(gate.client_layer().layer(simulator.network()));
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let began = Instant::now();
    let refused = client.oneshot(call(&environment, "Cust1")).await;
    assert!(matches!(refused, Err(GuardError::Unavailable(_))));
    assert!((LIMIT..LIMIT * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn call_beyond_the_most_waiting_is_refused_at_once() {
    let environment = TestEnv::on_tokio_clock().await;
    let TestEnv { gate, simulator, .. } = &environment;
    let layer = gate.wait_layer(LIMIT).max_waiting(2);
    let client = layer.layer(gate.client_layer().layer(simulator.network()));
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let send = || Box::pin(client.clone().oneshot(call(&environment, "Cust1")));
    let (mut first, mut second) = (send(), send());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    let third = send().now_or_never().expect("there is no room to wait");
    assert!(matches!(third, Err(GuardError::Unavailable(_))));
    // One that gives up makes room.
    drop(first);
    assert!(send().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn call_of_a_deleted_tenant_is_refused_before_the_limit() {
    let environment = TestEnv::on_tokio_clock().await;
    let TestEnv { gate, simulator, .. } = &environment;
    let client = gate.wait_layer(LIMIT).layer(gate.client_layer().layer(simulator.network()));
    simulator.suspend(&tenant("Cust1")).await.unwrap();
    let waiting = Box::pin(client.oneshot(call(&environment, "Cust1")));
    let available = gate.available(&tenant("Cust1"));
    let began = Instant::now();
    let delete = async {
        sleep(Duration::from_secs(1)).await;
        simulator.delete(&tenant("Cust1")).await.unwrap();
    };
    let (called, available, ()) = tokio::join!(waiting, available, delete);
    assert!(began.elapsed() < LIMIT, "it waited for a tenant that is gone");
    assert!(matches!(called, Err(GuardError::Unavailable(_))));
    let deleted = available.unwrap_err();
    assert_eq!(deleted.reason(), UnavailableReason::Deleted);
    assert_eq!(deleted.tenant(), &tenant("Cust1"));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiting_calls_are_released_spread_out() {
    let jitter = Duration::from_secs(60);
    let environment = TestEnv::on_tokio_clock_with(|builder| builder.resume_jitter(jitter)).await;
    let TestEnv { gate, simulator, .. } = &environment;
    let client = gate.wait_layer(LIMIT).layer(gate.client_layer().layer(simulator.network()));
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let mut calls: Vec<_> = (0..10_000)
        .map(|_| {
            let call = client.clone().oneshot(call(&environment, "Cust1"));
            Box::pin(async move { (call.await.map(|response| response.status()), Instant::now()) })
        })
        .collect();
    for call in &mut calls {
        assert!(call.as_mut().now_or_never().is_none());
    }
    gate.release(&tenant("Cust1"), "test").await.unwrap();
    let opened = Instant::now();
    let results = join_all(calls).await;
    let mut per_second = [0; 61];
    for (status, at) in results {
        assert_eq!(status.unwrap(), StatusCode::OK);
        per_second[usize::try_from((at - opened).as_secs()).unwrap()] += 1;
    }
    let most = per_second.iter().max().unwrap();
    assert!(*most < 400, "{per_second:?}");
}
