//! Wall clocks that differ and that jump, made by libfaketime: no clock opens or closes a tenant.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use harness::{Directory, RedisServer, libfaketime, simulator_at_own_host, until};
use serde_json::Value;
use tokio::process::Command;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator, status::State};

use crate::process::{Gateway, PROGRAM};

/// The settle time of the gateways.
const SETTLE: Duration = Duration::from_secs(3);

/// The lag of the state API.
const LAG: Duration = Duration::from_secs(1);

const PULLS: [&str; 6] = ["--state-api", "on", "--settle", "3", "--upgrade-settle", "3"];

/// A wall clock for one process.
struct WallClock {
    library: PathBuf,
    directory: Directory,
}

impl WallClock {
    /// `None`, after a line on stderr, when there is no libfaketime: the test has nothing to do.
    fn new() -> Option<Self> {
        let library = libfaketime()?;
        let clock = Self { library, directory: Directory::new() };
        clock.set(0);
        Some(clock)
    }

    /// Sets the clock this many seconds ahead of the true one.
    fn set(&self, seconds: i64) {
        let file = self.directory.join("new");
        fs::write(&file, format!("{seconds:+}")).unwrap();
        fs::rename(&file, self.directory.join("offset")).unwrap();
    }

    /// Starts a gateway with this clock.
    async fn gateway(&self, simulator: &Simulator, more: &[&str]) -> Gateway {
        let base = simulator.hosts()[0].to_string();
        let mut command = Command::new(PROGRAM);
        command
            .args(["--listen", "127.0.0.1:0", "--base-url", &base, "--any-audience"])
            .args(PULLS)
            .args(more)
            .env("RUST_LOG", "warn")
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.directory.join("offset"))
            .env("FAKETIME_NO_CACHE", "1")
            // The name in older versions, and the new one.
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Gateway::start_command(command).await
    }
}

fn tenant(number: usize) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

/// Whether the gateway itself refuses a call: a closed tenant would answer 503 too.
async fn is_closed(gateway: &Gateway, tenant: &TenantId) -> bool {
    let answer = gateway.get(&format!("/{tenant}/x")).await;
    let kind = answer.headers.get("content-type").map(|kind| kind.as_bytes());
    answer.status == 503 && kind == Some(b"application/problem+json")
}

/// Waits until what is known of the tenants rests on pulls.
async fn are_pulled(gateway: &Gateway, tenants: &[TenantId]) {
    until("all are pulled", async || {
        let list = gateway.get("/tenants").await.body;
        let list: Vec<Value> = serde_json::from_slice(&list).unwrap();
        list.len() == tenants.len() && list.iter().all(|tenant| tenant["evidence"] == "state_api")
    })
    .await;
}

/// Checks that every one of the tenants stays closed at every gateway, for longer than a pull may
/// tell of the time before.
async fn stay_closed(gateways: &[&Gateway], tenants: &[TenantId]) {
    let start = Instant::now();
    while start.elapsed() < 2 * SETTLE + LAG {
        for (number, gateway) in gateways.iter().enumerate() {
            for tenant in tenants {
                assert!(is_closed(gateway, tenant).await, "{tenant} is open at gateway {number}");
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_clocks_ahead_keep_tenants_closed() {
    let Some(redis) = RedisServer::start() else { return };
    let simulator = simulator_at_own_host().await;
    simulator.state_api_lag(LAG);
    let (mut gateways, mut clocks) = (Vec::new(), Vec::new());
    for ahead in [0, 55, 200, 7200] {
        let Some(clock) = WallClock::new() else { return };
        clock.set(ahead);
        gateways.push(clock.gateway(&simulator, &["--store", &redis.url()]).await);
        clocks.push(clock);
    }
    let gateways: Vec<_> = gateways.iter().collect();
    let tenants: Vec<_> = (0..50).map(tenant).collect();
    let notify_at = |number: usize| {
        simulator.notify_to(gateways[number].url("/NotifyCustomerStateChange"));
    };
    // Each tenant was seen running, by replicas that are ahead. A token is too old for the last
    // one.
    for (number, tenant) in tenants.iter().enumerate() {
        notify_at(number % 3);
        assert_eq!(simulator.notify(ChangeType::Resume, tenant).await.unwrap(), 204);
    }
    are_pulled(gateways[0], &tenants).await;
    notify_at(0);
    for tenant in &tenants {
        simulator.suspend(tenant).await.unwrap();
    }
    until("all replicas know", async || {
        for gateway in &gateways {
            if !is_closed(gateway, &tenants[49]).await {
                return false;
            }
        }
        true
    })
    .await;
    stay_closed(&gateways, &tenants).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_closes_though_the_clock_was_set_back() {
    // Right before a Suspend, and around the pull alone.
    for (at_the_pull, at_the_suspend) in [(0, -65), (86_400, 0)] {
        let Some(clock) = WallClock::new() else { return };
        let simulator = simulator_at_own_host().await;
        simulator.state_api_lag(LAG);
        let gateway = clock.gateway(&simulator, &[]).await;
        simulator.notify_to(gateway.url("/NotifyCustomerStateChange"));
        let tenant = tenant(1);
        assert_eq!(simulator.notify(ChangeType::Resume, &tenant).await.unwrap(), 204);
        clock.set(at_the_pull);
        are_pulled(&gateway, std::slice::from_ref(&tenant)).await;
        clock.set(at_the_suspend);
        simulator.suspend(&tenant).await.unwrap();
        stay_closed(&[&gateway], &[tenant]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn step_of_the_clock_neither_stops_pulls_nor_hurries_them() {
    for step in [3600, -3600] {
        let Some(clock) = WallClock::new() else { return };
        let simulator = simulator_at_own_host().await;
        let gateway = clock.gateway(&simulator, &[]).await;
        simulator.notify_to(gateway.url("/NotifyCustomerStateChange"));
        let tenant = tenant(1);
        simulator.suspend(&tenant).await.unwrap();
        clock.set(step);
        // Its Resume is lost.
        simulator.set_state(&tenant, State::Running);
        let start = Instant::now();
        until("the lost Resume heals", async || !is_closed(&gateway, &tenant).await).await;
        assert!(start.elapsed() < 5 * SETTLE, "{step}: {:?}", start.elapsed());
        tokio::time::sleep(2 * SETTLE).await;
        let requests = simulator.state_requests(&tenant);
        assert!(requests <= 5, "{step}: {requests} requests in {:?}", start.elapsed());
    }
}
