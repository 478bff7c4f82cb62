//! Flags of the start: tracked tenants, observing, an unavailable store.

use std::fs;

use harness::{Directory, simulator_at_own_host, until};
use http::StatusCode;
use tower_superoffice::simulator::Fault;

use crate::process::Gateway;

#[tokio::test]
async fn held_tenants_are_awaited_and_closed_until_known() {
    let simulator = simulator_at_own_host().await;
    simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    let directory = Directory::new();
    let file = directory.join("tenants");
    fs::write(&file, "# ours\nCust1\n").unwrap();
    let track = ["--state-api", "on", "--track", file.to_str().unwrap()];
    let held = Gateway::start_for(&simulator, &[&track[..], &["--hold-tracked"]].concat()).await;
    let open = Gateway::start_for(&simulator, &track).await;

    let report = held.get("/ready").await;
    assert_eq!(report.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8_lossy(&report.body).contains("tracked_awaited"));
    assert_eq!(held.get("/check/Cust1").await.status, StatusCode::SERVICE_UNAVAILABLE);
    until("keys are fetched", async || open.get("/ready").await.status == StatusCode::OK).await;
    assert_eq!(open.get("/check/Cust1").await.status, StatusCode::NO_CONTENT);

    simulator.state_api(Fault::None);
    until("the tenant is known", async || held.get("/ready").await.status == StatusCode::OK).await;
    assert_eq!(held.get("/check/Cust1").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn observing_gateway_forwards_calls_to_closed_tenants() {
    let env = crate::process::GatewayEnv::new(&["--observe-only"]).await;
    let change = tower_superoffice::ChangeType::Suspend;
    assert_eq!(env.notify(change).await, StatusCode::NO_CONTENT);
    assert_eq!(env.gateway.get("/Cust1/api").await.status, StatusCode::OK);
    let check = env.gateway.get("/check/Cust1?closed=403").await;
    assert_eq!(check.status, StatusCode::NO_CONTENT);
    assert_eq!(check.headers["x-tenant-reason"], "suspended");
    let status = env.gateway.get("/status").await;
    let status: serde_json::Value = serde_json::from_slice(&status.body).unwrap();
    assert_eq!(status["health"]["observed_calls"], 1, "{status}");
}

#[tokio::test]
async fn metrics_name_tenants_where_that_is_asked_for() {
    let env = crate::process::GatewayEnv::new(&["--tenant-labels", "1"]).await;
    let change = tower_superoffice::ChangeType::Suspend;
    assert_eq!(env.notify(change).await, StatusCode::NO_CONTENT);
    assert_eq!(env.gateway.get("/Cust1/api").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = env.gateway.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.contains("reason=\"suspended\",tenant=\"Cust1\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn gateway_starts_without_its_store_where_that_is_allowed() {
    let nothing = format!("redis://127.0.0.1:{}", harness::free_port());
    let base = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--listen", "127.0.0.1:0"];
    let store = ["--store", &nothing];
    let (code, _) = Gateway::fails(&[&base[..], &store].concat()).await;
    assert_eq!(code, Some(1));
    let gateway = Gateway::start(&[&base[..], &store, &["--start-without-store"]].concat()).await;
    let report = gateway.get("/ready").await;
    assert_eq!(report.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8_lossy(&report.body).contains("store_not_loaded"));
}

#[tokio::test]
async fn tracking_that_can_not_work_is_refused() {
    let directory = Directory::new();
    let file = directory.join("tenants");
    fs::write(&file, "Cust1\nno id!\n").unwrap();
    let file = file.to_str().unwrap();
    let base = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--listen", "127.0.0.1:0"];
    for (more, said) in [
        (&["--track", file][..], "--state-api on"),
        (&["--track", file, "--state-api", "on"], "line 2"),
        (&["--track", "/nowhere", "--state-api", "on"], "/nowhere"),
        (&["--hold-tracked"], "--track FILE"),
        (&["--pulls-per-second", "0"], "--pulls-per-second"),
    ] {
        let (code, stderr) = Gateway::fails(&[&base[..], more].concat()).await;
        assert!(code.is_some_and(|code| code != 0), "{more:?}");
        assert!(stderr.contains(said), "{more:?}: {stderr}");
    }
}
