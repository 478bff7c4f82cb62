//! Events at the replicas of a Redis server, one of which is cut off for a while.

use futures::{FutureExt, StreamExt};
use harness::{MAX_WAIT, Network, Proxy, RedisServer, gate_builder, post, tenant_number as tenant};
use tokio::time::timeout;
use tower_superoffice::{
    ChangeType, TenantEvent, TenantGate, UnavailableReason, events::Events, health::StoreHealth,
    simulator::Simulator, store::RedisStore,
};

async fn replica(simulator: &Simulator, url: &str) -> TenantGate {
    let store = RedisStore::connect(url, &simulator.environment()).unwrap();
    gate_builder(simulator).state_api(false).store(store).build().await.unwrap()
}

/// Posts these to `gate`, and waits until each is stored.
async fn announce(simulator: &Simulator, gate: &TenantGate, changes: &[ChangeType]) {
    for change in changes {
        let notification = simulator.notification(*change, &tenant(1));
        assert_eq!(post(gate, notification.body()).await.status(), 204);
    }
}

/// Counts the events of each kind up to the suspension: notified, restored, moved, unknown.
async fn until_suspended(events: &mut Events) -> [usize; 4] {
    let mut counts = [0; 4];
    loop {
        match timeout(MAX_WAIT, events.next()).await.expect("no suspension").unwrap() {
            TenantEvent::Notified { .. } => counts[0] += 1,
            TenantEvent::Restored { .. } => counts[1] += 1,
            TenantEvent::Moved { .. } => counts[2] += 1,
            TenantEvent::Unknown { number: 77, .. } => counts[3] += 1,
            TenantEvent::Changed { status, .. } => {
                assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
                return counts;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_reach_each_replica_once_even_one_cut_off() {
    use ChangeType::{BackupRestored, Move, Other, Suspend};
    let Some(server) = RedisServer::start() else { return };
    let simulator = Simulator::start().await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let here = replica(&simulator, &server.url()).await;
    let there = replica(&simulator, &server.url()).await;
    let cut_off = replica(&simulator, &proxy.url()).await;
    let mut streams = [here.events(), there.events(), cut_off.events()];
    proxy.set(Network::Cut);
    harness::until!(!matches!(cut_off.health().store(), StoreHealth::Fresh));
    announce(&simulator, &here, &[BackupRestored, Move, Other(77)]).await;
    assert_eq!(streams[2].next().now_or_never(), None, "it is cut off");
    proxy.set(Network::Up);
    harness::until!(matches!(cut_off.health().store(), StoreHealth::Fresh));
    announce(&simulator, &here, &[Suspend]).await;
    for (place, events) in streams.iter_mut().enumerate() {
        assert_eq!(until_suspended(events).await, [4, 1, 1, 1], "replica {place}");
        assert_eq!(events.next().now_or_never(), None, "replica {place}");
    }
}
