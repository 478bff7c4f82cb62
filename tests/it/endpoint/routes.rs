//! The route of a tenant whose host is known is remembered, and no longer than it holds.

use harness::{TestEnv, tenant};
use http::Request;
use http_body_util::Full;
use tokio::time::{Duration, sleep};
use tower::Layer;
use tower_superoffice::simulator::Simulator;

use super::{Body, send};

/// Long enough for a look at it to tell the tenant.
const ID: &str = "Cust12345";

/// A plain call, to the host with this number.
fn call_at(simulator: &Simulator, host: usize, id: &str) -> Request<Body> {
    let url = format!("{}{id}/api/v1/Contact", simulator.hosts()[host]);
    Request::get(url).body(Full::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn remembered_route_follows_a_move_without_a_421() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.client_layer().no_retry().layer(simulator.network());
    for home in 0..3 {
        // Twice by the URL's own host and twice by another, in either spelling.
        for host in [home, home, (home + 1) % 3, (home + 1) % 3] {
            for id in [ID, "CUST12345"] {
                assert_eq!(send(client.clone(), call_at(&simulator, host, id)).await, 200);
            }
        }
        assert_eq!(gate.endpoint(&tenant(ID)).unwrap(), simulator.hosts()[home]);
        simulator.move_tenant(&tenant(ID)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(simulator.misdirected_calls(&tenant(ID)), 0);
}

#[tokio::test(start_paused = true)]
async fn remembered_route_is_given_up_by_a_421() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.client_layer().layer(simulator.network());
    for _ in 0..3 {
        assert_eq!(send(client.clone(), call_at(&simulator, 0, ID)).await, 200);
    }
    simulator.move_tenant(&tenant(ID)).without_notification();
    for _ in 0..3 {
        assert_eq!(send(client.clone(), call_at(&simulator, 0, ID)).await, 200);
    }
    assert_eq!(simulator.misdirected_calls(&tenant(ID)), 1);
}

#[tokio::test(start_paused = true)]
async fn remembered_route_ends_when_the_answer_has_aged() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.state_validity(Duration::from_secs(600));
    let client = gate.client_layer().no_retry().layer(simulator.network());
    let mut pulls = Vec::new();
    for _ in 0..4 {
        // The first finds an aged answer, the second what the pull found.
        for _ in 0..2 {
            assert_eq!(send(client.clone(), call_at(&simulator, 0, ID)).await, 200);
            sleep(Duration::from_secs(60)).await;
        }
        pulls.push(simulator.state_requests(&tenant(ID)));
        sleep(Duration::from_secs(700)).await;
    }
    assert_eq!(pulls, [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn closed_tenant_is_refused_by_its_remembered_route() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let mut client = gate.client_layer().no_retry().layer(simulator.network());
    for _ in 0..2 {
        assert_eq!(send(client.clone(), call_at(&simulator, 0, ID)).await, 200);
    }
    gate.close(&tenant(ID), "test").await.unwrap();
    for _ in 0..2 {
        let refused = tower::ServiceExt::<Request<Body>>::ready(&mut client).await.unwrap();
        let refused = tower::Service::call(refused, call_at(&simulator, 0, ID)).await;
        assert!(refused.unwrap_err().unavailable().is_some());
    }
    assert_eq!(simulator.calls(&tenant(ID)), 2);
}
