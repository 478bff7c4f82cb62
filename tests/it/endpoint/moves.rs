//! A moved tenant is found with few pulls, and calls to it succeed.

use futures::future::join_all;
use harness::{TestEnv, tenant};
use http::Request;
use tokio::time::{Duration, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::simulator::Fault;

use super::{Body, call, send};

#[tokio::test(start_paused = true)]
async fn moved_tenant_is_followed_after_one_421() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.endpoint_layer().locate(false).layer(simulator.network());
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(simulator.all_state_requests(), 0, "a pull without a trigger");
    assert_eq!(gate.endpoint(&tenant("Cust1")), None);

    simulator.move_tenant(&tenant("Cust1")).without_notification();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(simulator.misdirected_calls(&tenant("Cust1")), 1);
    for _ in 0..10 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    }
    assert_eq!(simulator.misdirected_calls(&tenant("Cust1")), 1, "the next calls go right at once");
    assert_eq!(simulator.all_state_requests(), 1);
    assert_eq!(gate.endpoint(&tenant("Cust1")).unwrap(), simulator.hosts()[1]);

    // And again, at once.
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(gate.endpoint(&tenant("Cust1")).unwrap(), simulator.hosts()[2]);
    assert_eq!(
        (simulator.misdirected_calls(&tenant("Cust1")), simulator.all_state_requests()),
        (2, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn announced_move_costs_no_call() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let client = gate.endpoint_layer().locate(false).no_retry().layer(simulator.network());
    assert_eq!(send(client, call(&simulator, "x")).await, 200);
    assert_eq!(simulator.misdirected_calls(&tenant("Cust1")), 0);
}

#[tokio::test]
async fn concurrent_misdirected_calls_share_one_pull() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    // They come back at different times, some only after the pull is over.
    let network = simulator.network();
    let uneven = service_fn(move |request: Request<Body>| {
        let network = network.clone();
        async move {
            sleep(Duration::from_millis(fastrand::u64(..300))).await;
            let answer = network.oneshot(request).await;
            sleep(Duration::from_millis(fastrand::u64(..300))).await;
            answer
        }
    });
    let client = gate.endpoint_layer().locate(false).clone_body().layer(uneven);
    let calls = (0..1000).map(|_| send(client.clone(), call(&simulator, "content")));
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(simulator.all_state_requests(), 1);
    assert_eq!(simulator.calls(&tenant("Cust1")), 1000);
    assert!(simulator.misdirected_calls(&tenant("Cust1")) <= 1000);
}

#[tokio::test(start_paused = true)]
async fn calls_sent_during_a_pull_join_it() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    let client = gate.endpoint_layer().locate(false).layer(simulator.network());
    for moves in 1..=2 {
        simulator.move_tenant(&tenant("Cust1")).without_notification();
        simulator.state_api(Fault::Slow(Duration::from_millis(500)));
        let calls = (0..100).map(|number| {
            let (client, call) = (client.clone(), call(&simulator, ""));
            async move {
                sleep(Duration::from_millis(number * 10)).await;
                send(client, call).await
            }
        });
        assert!(join_all(calls).await.iter().all(|status| *status == 200));
        assert_eq!(simulator.all_state_requests(), moves, "and the first move hides no second");
    }
}

#[tokio::test(start_paused = true)]
async fn move_to_a_tenant_host_is_followed_without_state_api() {
    let TestEnv { simulator, gate, .. } =
        TestEnv::on_tokio_clock_with(|builder| builder.state_api(false)).await;
    simulator.move_tenant(&tenant("Cust1")).await.unwrap();
    let client = gate.endpoint_layer().locate(false).layer(simulator.network());
    assert_eq!(send(client.clone(), call(&simulator, "content")).await, 200);
    simulator.move_tenant(&tenant("Cust1")).without_notification();
    assert_eq!(send(client, call(&simulator, "")).await, 421, "no pull can find the host");
    assert_eq!(simulator.all_state_requests(), 0);
}
