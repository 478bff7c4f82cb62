//! The one repetition of a call after a 421.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use harness::{TestEnv, tenant};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Duration, Instant, sleep};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_superoffice::{
    GuardError, UnavailableReason,
    simulator::{Fault, SimulatorBody},
};

use super::{Body, call, send};

#[tokio::test(start_paused = true)]
async fn repeated_call_keeps_path_query_headers_and_body() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (log, network) = (Arc::clone(&seen), simulator.network());
    let client = service_fn(move |request: Request<Body>| {
        let (log, network) = (Arc::clone(&log), network.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            log.lock().unwrap().push((parts.uri.clone(), parts.headers.clone(), body.clone()));
            network.oneshot(Request::from_parts(parts, Body::from(body))).await
        }
    });
    let client = gate.endpoint_layer().locate(false).clone_body().layer(client);
    assert_eq!(send(client, call(&simulator, "content")).await, 200);
    let seen = seen.lock().unwrap();
    let [(first, first_headers, first_body), (second, second_headers, second_body)] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!(second.path_and_query(), first.path_and_query());
    assert_eq!(second.authority(), simulator.hosts()[1].authority());
    assert_eq!(second_headers, first_headers);
    assert_eq!((&first_body[..], &second_body[..]), (&b"content"[..], &b"content"[..]));
}

#[tokio::test(start_paused = true)]
async fn call_without_a_copy_is_421_and_later_calls_succeed() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let layer = gate.endpoint_layer().locate(false);
    let clone_none = layer.clone().clone_request(|_: &Request<Body>| None);
    for (number, client) in [
        layer
            .clone()
            .clone_empty()
            .layer(simulator.network())
            .map_request(|r: Request<Body>| r)
            .boxed_clone(),
        layer.clone().no_retry().layer(simulator.network()).boxed_clone(),
        clone_none.layer(simulator.network()).boxed_clone(),
    ]
    .into_iter()
    .enumerate()
    {
        simulator.move_tenant(&tenant("Cust1")).without_notification();
        let start = Instant::now();
        assert_eq!(send(client.clone(), call(&simulator, "content")).await, 421, "{number}");
        assert_eq!(start.elapsed(), Duration::ZERO, "a call waited that can't be repeated");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(send(client.clone(), call(&simulator, "content")).await, 200, "{number}");
        sleep(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn misdirected_call_waits_five_seconds_at_most() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.endpoint_layer().locate(false).layer(simulator.network());
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    simulator.state_api(Fault::Hang);
    let start = Instant::now();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
    assert_eq!(start.elapsed(), Duration::from_secs(5));

    // Not every call pulls again from a state API that fails.
    simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    let before = simulator.all_state_requests();
    for _ in 0..100 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(simulator.all_state_requests() - before <= 3, "{}", simulator.all_state_requests());
    simulator.state_api(Fault::None);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(send(client, call(&simulator, "")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn misdirected_call_is_repeated_once_only() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    // The state API names a host that does not serve the tenant either.
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    simulator.state_api(Fault::Json(format!(
        r#"{{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true,"Endpoint":"{}Cust1"}}"#,
        simulator.hosts()[2]
    )));
    let client = gate.endpoint_layer().locate(false).layer(simulator.network());
    assert_eq!(send(client, call(&simulator, "")).await, 421);
    assert_eq!(simulator.misdirected_calls(&tenant("Cust1")), 2);
    assert_eq!(simulator.all_state_requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn unexplained_421_is_returned() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let misdirected = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&misdirected);
    let stubborn = service_fn(move |_: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = Response::builder().status(421).body(SimulatorBody::default()).unwrap();
        async { Ok::<_, std::io::Error>(answer) }
    });
    let client = gate.endpoint_layer().locate(false).layer(stubborn);
    for _ in 0..50 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(misdirected.load(Ordering::Relaxed), 50, "the same host is not tried twice");
    // One pull found the host, one more nothing new; then the cool-down of the tenant holds.
    assert_eq!(simulator.all_state_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn repetition_takes_over_the_permit() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    let client = ServiceBuilder::new()
        .layer(gate.endpoint_layer().locate(false))
        .concurrency_limit(1)
        .service(simulator.network());
    let calls = (0..20).map(|_| send(client.clone(), call(&simulator, "")));
    let all = tokio::time::timeout(Duration::from_secs(5), join_all(calls)).await.unwrap();
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn repetition_passes_the_guard_again() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    simulator.suspend(&tenant("Cust1")).without_notification();
    let client = ServiceBuilder::new()
        .layer(gate.endpoint_layer().locate(false))
        .layer(gate.guard_layer())
        .service(simulator.network());
    match client.oneshot(call(&simulator, "")).await {
        Err(GuardError::Unavailable(closed)) => {
            assert_eq!(closed.reason(), UnavailableReason::Suspended);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(simulator.calls_while_closed(), 0);
}
