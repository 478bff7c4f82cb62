//! Each fault, and what shows that it is in force.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tower_superoffice::TenantId;

use super::{Env, outcomes};
use crate::driver::Place;

#[tokio::test(start_paused = true)]
async fn server_faults_are_set_shown_and_ended() {
    let env = Env::new().await;
    let simulator = env.driver.simulator().clone();
    let tenant = TenantId::new("Cust1").unwrap();
    let origin = env.request("GET", "").uri_ref().unwrap().to_string();
    let origin = origin.trim_end_matches('/');
    for (place, url) in [
        ("state-api", format!("{origin}/api/state/Cust1")),
        ("keys", format!("{origin}/login/.well-known/jwks")),
        ("tenants", simulator.url(&tenant, "api")),
    ] {
        let get = async || env.send(Request::get(url.clone()), "").await;
        let fault = format!("/simulator/faults/{place}");
        assert_eq!(env.get(&fault).await["kind"], "none");
        assert_eq!(get().await.status, 200);
        let set = env.post(&format!("{fault}?kind=status&value=500")).await;
        assert_eq!((&set["kind"], &set["value"]), (&json!("status"), &json!("500")));
        assert_eq!(get().await.status, 500, "{place}");
        env.post(&format!("{fault}?kind=too-many-requests")).await;
        assert_eq!(get().await.headers["retry-after"], "30");
        env.post(&format!("{fault}?kind=redirect&value=/x")).await;
        assert_eq!(get().await.headers["location"], "/x");
        env.form(&fault, "kind=json&value=%7B%22a%22%3A1%7D").await.json();
        assert_eq!(get().await.text, r#"{"a":1}"#);
        env.post(&format!("{fault}?kind=slow&value=7")).await;
        let began = tokio::time::Instant::now();
        assert_eq!(get().await.status, 200);
        assert_eq!(began.elapsed(), Duration::from_secs(7), "{place}");
        env.post(&format!("{fault}?kind=hang")).await;
        assert!(tokio::time::timeout(Duration::from_secs(99), get()).await.is_err());
        env.post(&format!("{fault}?kind=empty")).await;
        assert!(get().await.text.len() < 20, "{place}");
        env.post(&format!("{fault}?kind=html")).await;
        assert!(get().await.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        env.post(&format!("{fault}?kind=oversized")).await;
        assert!(get().await.text.len() > 5 << 20);
        assert_eq!(env.call("DELETE", &fault).await.json()["kind"], "none");
        assert_eq!(get().await.status, 200);
        env.post(&format!("{fault}?kind=status")).await;
        assert_eq!(get().await.status, 503);
        assert_eq!(env.form(&fault, "kind=none").await.json()["value"], Value::Null);
        assert_eq!(get().await.status, 200);
    }
    assert_eq!(env.get("/simulator/faults").await.as_array().unwrap().len(), Place::ALL.len());
}

#[tokio::test(start_paused = true)]
async fn state_api_answers_unknown_or_late_by_fault() {
    let env = Env::new().await;
    let state = async || {
        let text = env.call("GET", "/api/state/Cust1").await.text;
        serde_json::from_str::<Value>(&text).unwrap()["State"].clone()
    };
    env.post("/simulator/faults/state-api?kind=unknown").await;
    assert_eq!(state().await, "Unknown");
    env.post("/simulator/faults/state-api?kind=lag&value=3600").await;
    assert_eq!(state().await, "Running", "one fault at a time");
    env.post("/simulator/tenants/Cust1/suspend?silently").await;
    assert_eq!(state().await, "Running");
    env.call("DELETE", "/simulator/faults/state-api").await.json();
    assert_eq!(state().await, "Suspended");
}

#[tokio::test(start_paused = true)]
async fn notifications_are_lost_doubled_late_or_reordered_by_fault() {
    let env = Env::new().await;
    let one = |number: u64| (number, "Cust1".to_owned());
    let set =
        async |fault: &str| env.post(&format!("/simulator/faults/notifications?{fault}")).await;
    let suspend = async || env.post("/simulator/tenants/Cust1/suspend").await;
    let resume = async || env.post("/simulator/tenants/Cust1/resume").await;

    set("kind=lost").await;
    let answer = suspend().await;
    assert_eq!((outcomes(&answer), env.received()), (vec!["lost"], vec![]));
    assert_eq!(answer["tenant"]["state"], "Suspended");

    set("kind=doubled").await;
    assert_eq!(outcomes(&suspend().await), ["answered", "answered"]);
    assert_eq!(env.received(), [one(2), one(2)]);

    set("kind=late&value=20").await;
    let answer = resume().await;
    assert_eq!((outcomes(&answer), &answer["tenant"]["state"]), (vec!["late"], &json!("Running")));
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(env.received(), []);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(env.received(), [one(3)]);
    assert_eq!(env.get("/simulator/notifications").await[0]["outcome"], "answered");

    set("kind=reordered").await;
    let held = suspend().await;
    assert_eq!((outcomes(&held), env.received()), (vec!["held"], vec![]));
    assert_eq!(outcomes(&resume().await), ["answered", "answered"]);
    assert_eq!(env.received(), [one(3), one(2)]);

    // What is held when the fault ends is sent.
    suspend().await;
    env.call("DELETE", "/simulator/faults/notifications").await.json();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(env.received(), [one(2)]);
    resume().await;
    assert_eq!(env.received(), [one(3)]);
    assert_eq!(env.get("/simulator/notifications").await[1]["outcome"], "answered");
}

#[tokio::test]
async fn clock_and_keys_change_on_demand() {
    let env = Env::new().await;
    let distance = async || {
        let date = env.call("GET", "/login/.well-known/jwks").await.headers["date"].clone();
        let date = httpdate::parse_http_date(date.to_str().unwrap()).unwrap();
        let now = std::time::SystemTime::now();
        date.duration_since(now)
            .map_or_else(|behind| -behind.duration().as_secs_f64(), |ahead| ahead.as_secs_f64())
    };
    assert!(distance().await.abs() < 30.0);
    env.post("/simulator/faults/clock?kind=ahead&value=900").await;
    assert!((distance().await - 900.0).abs() < 30.0);
    env.post("/simulator/faults/clock?kind=behind").await;
    assert!((distance().await + 600.0).abs() < 30.0);
    env.call("DELETE", "/simulator/faults/clock").await.json();
    assert!(distance().await.abs() < 30.0);

    let keys = async || env.get("/simulator/keys").await;
    let before = keys().await;
    let rotated = env.post("/simulator/keys/rotate").await;
    assert_ne!(before["signing"], rotated["signing"]);
    assert_eq!(rotated["published"][1], before["signing"]);
    assert_eq!(env.post("/simulator/keys/retire").await["published"].as_array().unwrap().len(), 1);
}
