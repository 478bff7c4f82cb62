//! Replicas that store again what their server has lost.

use futures::{StreamExt, TryStreamExt, stream};
use harness::{RedisServer, amount, gate_builder, post, suspended, tenant_number as tenant, until};
use redis::Commands;
use tower_superoffice::{
    ChangeType, TenantGate,
    health::StoreHealth,
    simulator::Simulator,
    store::{RedisStore, Store},
};

use super::round_trips;

const REPLICAS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_work_and_answer_meanwhile() {
    let Some(server) = RedisServer::start_with(&["--appendonly", "no"]) else { return };
    let simulator = Simulator::start().await.unwrap();
    let environment = simulator.environment();
    let open = || RedisStore::connect(&server.url(), &environment).unwrap();
    let count = amount("TENANTS", 10_000, 300_000);
    let first = open();
    stream::iter(0..count)
        .map(|number| {
            let first = &first;
            async move { first.merge(&tenant(number), &suspended(1)).await.map(drop) }
        })
        .buffer_unordered(256)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
        .unwrap();
    let mut gates: Vec<TenantGate> = Vec::new();
    for _ in 0..REPLICAS {
        let gate = gate_builder(&simulator).store(open()).state_api(false);
        gates.push(gate.build().await.unwrap());
    }
    let tenants = format!("{{tower-superoffice:{environment}}}:tenants");
    let stored = || -> usize { server.connection().hlen(&tenants).unwrap() };

    let before = round_trips(&server);
    redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    until!(gates.iter().any(|gate| gate.health().dirty() > 0));
    let began = std::time::Instant::now();
    let (mut answered, mut worst) = (0, std::time::Duration::ZERO);
    // The empty field is no tenant.
    while gates.iter().any(|gate| gate.health().dirty() > 0) || stored() < count + answered + 1 {
        let resume = simulator.notification(ChangeType::Suspend, &tenant(count + answered));
        let posted = std::time::Instant::now();
        let response = post(&gates[answered % REPLICAS], resume.body()).await;
        assert_eq!(response.status(), 204, "notification {answered} during the refill");
        worst = worst.max(posted.elapsed());
        answered += 1;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let writes = round_trips(&server) - before - answered;
    println!(
        "{count} tenants stored again by {REPLICAS} replicas with {writes} merges in {:.1?}; {answered} notifications, the slowest took {worst:.0?}",
        began.elapsed()
    );
    assert!(answered > 0);
    assert!(writes * 2 <= count * 3, "{writes} merges for {count} tenants");
    until!(gates.iter().all(|gate| gate.health().store() == StoreHealth::Fresh));
}
