//! Both layers of a client in one, and the gate as a layer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use harness::{TestEnv, tenant};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{ChangeType, GuardError};

use crate::endpoint::{Body, call, send};

#[tokio::test(start_paused = true)]
async fn client_layer_follows_a_move_and_refuses_a_closed_tenant() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.client_layer().layer(simulator.network());
    assert_eq!(send(client.clone(), call(&simulator, "x")).await, StatusCode::OK);
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    assert_eq!(send(client.clone(), call(&simulator, "x")).await, StatusCode::OK);
    assert_eq!(simulator.misdirected_calls(&tenant("Cust1")), 1);

    simulator.suspend(&tenant("Cust1")).await.unwrap();
    let refused = client.oneshot(call(&simulator, "x")).await;
    assert!(matches!(refused, Err(GuardError::Unavailable(_))));
    assert_eq!(simulator.closed_calls().len(), 0, "nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn observing_client_layer_lets_closed_calls_pass() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    gate.close(&tenant("Cust1"), "test").await.unwrap();
    let client = gate.client_layer().observe_only().layer(simulator.network());
    assert_eq!(send(client, call(&simulator, "")).await, StatusCode::OK);
}

#[tokio::test]
async fn gate_as_a_layer_serves_notifications_and_guards_calls() {
    let TestEnv { simulator, gate, .. } = TestEnv::new().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let (network, count) = (simulator.network(), Arc::clone(&sent));
    let client = service_fn(move |request: Request<Body>| {
        count.fetch_add(1, Ordering::SeqCst);
        network.clone().oneshot(request)
    });
    let service = gate.layer(client);
    let notification = simulator.notification(ChangeType::Suspend, &tenant("Cust1"));
    let request =
        Request::post("/NotifyCustomerStateChange").body(Full::new(notification.body())).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(sent.load(Ordering::SeqCst), 0, "the route is served here");

    let refused = service.clone().oneshot(call(&simulator, "")).await;
    assert!(matches!(refused, Err(GuardError::Unavailable(_))));
    let mut open = call(&simulator, "");
    *open.method_mut() = Method::GET;
    *open.uri_mut() = simulator.url(&tenant("Cust2"), "api").parse().unwrap();
    assert_eq!(service.oneshot(open).await.unwrap().status(), StatusCode::OK);
    assert_eq!(sent.load(Ordering::SeqCst), 1);
}
