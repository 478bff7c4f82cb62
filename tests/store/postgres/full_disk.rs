//! A server whose disk is full.

use std::{convert::Infallible, time::Duration};

use harness::{PostgresServer, gate_builder, post, suspended, tenant_number as tenant, until};
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, TenantGate, TenantId,
    simulator::Simulator,
    store::{PostgresStore, Store},
};

async fn gate(simulator: &Simulator, server: &PostgresServer) -> TenantGate {
    let store = PostgresStore::connect(&server.url(), &simulator.environment()).unwrap();
    gate_builder(simulator).store(store).state_api(false).build().await.unwrap()
}

/// Calls a tenant, and returns whether the call was allowed. A call never waits for the store.
async fn is_open(gate: &TenantGate, tenant: &TenantId) -> bool {
    let id = tenant.clone();
    let layer = gate.guard_layer().key_fn(move |_: &Request<()>| Some(id.clone()));
    let client = layer.layer(service_fn(async |_| Ok::<_, Infallible>(Response::new(()))));
    let call = tokio::time::timeout(Duration::from_secs(1), client.oneshot(Request::new(())));
    call.await.expect("a call waited for the store").is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: fills a disk and waits for the server to recover, ten seconds"]
async fn full_disk_is_503_until_there_is_room_and_nothing_is_lost() {
    let Some(mut server) = PostgresServer::start_on_small_disk() else { return };
    let simulator = Simulator::start().await.unwrap();
    let gate = gate(&simulator, &server).await;
    let suspend = |n| simulator.notification(ChangeType::Suspend, &tenant(n));
    assert_eq!(post(&gate, suspend(0).body()).await.status(), StatusCode::NO_CONTENT);

    let table = "SELECT relname FROM pg_class WHERE relname LIKE 'tower\\_%\\_tenants'";
    // One row has no id.
    let rows = format!("SELECT count(*) - 1 FROM \"{}\"", server.execute(table));

    // Pages that have room still take some.
    let mut stored = 1;
    loop {
        server.disk().fill();
        match post(&gate, suspend(stored).body()).await.status() {
            StatusCode::NO_CONTENT => stored += 1,
            refused => break assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE),
        }
        assert!(stored < 10_000, "the disk is not full");
    }
    let other = PostgresStore::connect(&server.url(), &simulator.environment()).unwrap();
    let error = other.merge(&tenant(88_888), &suspended(1)).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("no space left"), "{error:?}");
    assert!(!is_open(&gate, &tenant(stored)).await, "what is not stored is in force");
    assert!(is_open(&gate, &tenant(99_999)).await);

    // Without room for its log the server ends itself, perhaps at each start.
    server.try_execute("SELECT pg_switch_wal()");
    let late = suspend(stored + 1);
    assert_eq!(post(&gate, late.body()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!is_open(&gate, &tenant(stored + 1)).await);
    assert!(is_open(&gate, &tenant(99_999)).await);

    server.disk().free();
    if server.has_ended() {
        server.run();
    }
    // The changes that got 503 are stored too, although they are not sent again.
    let all = (stored + 2).to_string();
    until!(server.try_execute("SELECT 1") && server.execute(&rows) == all);
    assert_eq!(post(&gate, late.body()).await.status(), StatusCode::NO_CONTENT);
    let restarted = self::gate(&simulator, &server).await;
    assert_eq!(restarted.health().closed(), stored + 2);
}
