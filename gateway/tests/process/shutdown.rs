//! The end of the gateway: it drains, writes what its store lacks, and says what is left.

use std::{
    fs::{self, File},
    time::{Duration, Instant},
};

use futures::future::join_all;
use harness::{RedisServer, simulator_at_own_host, until};
use http::StatusCode;
use serde_json::{Value, json};
use tower_superoffice::{ChangeType, simulator::Simulator};

use crate::process::{Gateway, GatewayEnv, command_for};

/// From SIGTERM to the exit.
const END: Duration = Duration::from_secs(25);

/// Starts a gateway, and has it refuse five Suspends for want of its store.
async fn with_five_unwritten(
    server: &mut RedisServer,
    simulator: &Simulator,
) -> (Gateway, Vec<String>) {
    let mut command = command_for(simulator, &["--store", &server.url()]);
    command.stderr(File::create(server.file("gateway.log")).unwrap());
    let gateway = Gateway::start_command(command).await;
    server.kill();
    let tenants: Vec<_> = (1..=5).map(|n| format!("Cust{n}")).collect();
    let suspend = async |id| {
        let suspend = simulator.notification(ChangeType::Suspend, &harness::tenant(id));
        gateway.caller().notify(suspend.body()).await.unwrap()
    };
    for status in join_all(tenants.iter().map(suspend)).await {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    (gateway, tenants)
}

#[tokio::test]
async fn redis_back_after_sigterm_gets_what_it_lacks() {
    let Some(mut server) = RedisServer::start() else { return };
    let simulator = simulator_at_own_host().await;
    let (mut gateway, tenants) = with_five_unwritten(&mut server, &simulator).await;
    let began = Instant::now();
    gateway.send_sigterm().await;
    let back = std::thread::spawn(move || {
        // The outage outlasts the signal by this much.
        std::thread::sleep(Duration::from_millis(300));
        server.run();
        server
    });
    assert_eq!(gateway.exit().await.code(), Some(0));
    assert!(began.elapsed() < END, "{:?}", began.elapsed());

    let server = back.join().unwrap();
    let restarted = Gateway::start_for(&simulator, &["--store", &server.url()]).await;
    for id in &tenants {
        let status = restarted.get(&format!("/{id}/x")).await.status;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{id} is open");
    }
}

#[tokio::test]
async fn redis_gone_at_sigterm_is_told_in_time() {
    let Some(mut server) = RedisServer::start() else { return };
    let simulator = simulator_at_own_host().await;
    let (mut gateway, _) = with_five_unwritten(&mut server, &simulator).await;
    let began = Instant::now();
    assert_eq!(gateway.terminate().await.code(), Some(0));
    assert!(began.elapsed() < END, "{:?}", began.elapsed());
    let log = fs::read_to_string(server.file("gateway.log")).unwrap();
    let told = log.lines().filter(|line| line.contains("unwritten tenants"));
    assert_eq!(told.filter(|line| line.contains("5")).count(), 1, "{log}");
}

#[tokio::test]
async fn draining_gateway_is_live_and_not_ready() {
    let mut env = GatewayEnv::new(&[]).await;
    until!(env.gateway.get("/ready").await.status == StatusCode::OK);
    let report: Value = serde_json::from_slice(&env.gateway.get("/ready").await.body).unwrap();
    assert_eq!((&report["ready"], &report["reasons"]), (&json!(true), &json!([])));
    env.gateway.send_sigterm().await;
    let caller = env.gateway.caller().clone();
    until!(caller.get("/ready").await.is_none_or(|answer| answer.status != StatusCode::OK));
    for path in ["/ready", "/healthz"] {
        let answer = caller.get(path).await.expect("it still takes connections");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let report: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&report["ready"], &report["reasons"]), (&json!(false), &json!(["draining"])));
    }
    assert_eq!(caller.get("/live").await.unwrap().status, StatusCode::OK);
    assert_eq!(caller.get("/Cust1/x").await.unwrap().status, StatusCode::OK);
    assert_eq!(env.gateway.exit().await.code(), Some(0));
}
