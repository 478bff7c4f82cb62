//! Changes of tenants, loud and silent.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower_superoffice::{TenantId, simulator::Simulator};

use super::{super::Control, Env, outcomes};
use crate::driver::{Driver, SkewedClock, Verb};

/// Each verb, its number, and the state that it leaves a running tenant in.
const VERBS: [(&str, u64, &str); 6] = [
    ("upgrade", 0, "OfflineMaintenance"),
    ("suspend", 2, "Suspended"),
    ("resume", 3, "Running"),
    ("move", 5, "Running"),
    ("delete", 4, "Deleted"),
    ("restore", 1, "Running"),
];

#[tokio::test(start_paused = true)]
async fn each_verb_changes_the_tenant_and_notifies() {
    let env = Env::new().await;
    assert_eq!(VERBS.map(|(verb, ..)| verb), Verb::ALL.map(Verb::name));
    for (verb, number, state) in VERBS {
        let tenant = format!("Loud-{verb}");
        let answer = env.post(&format!("/simulator/tenants/{tenant}/{verb}")).await;
        assert_eq!(answer["tenant"]["tenant"], json!(tenant));
        assert_eq!(answer["tenant"]["state"], json!(state), "{verb}");
        let sent = &answer["notifications"][0];
        assert_eq!((&sent["change"], &sent["status"]), (&json!(verb), &json!(204)));
        assert_eq!(sent["detail"], "answered 204 No Content");
        assert_eq!(sent["body"]["ChangeType"], json!(number));
        assert_eq!(sent["body"]["ContextIdentifier"], json!(tenant));
        assert!(sent["body"].get("Token").is_none());
        assert_eq!(env.received(), [(number, tenant)]);
    }
    let hosts = env.driver.simulator().hosts().to_vec();
    let moved = env.get("/simulator/tenants/Loud-move").await;
    assert_eq!(moved["host"], hosts[1].authority().unwrap().as_str());
    assert_eq!(env.get("/simulator/notifications").await.as_array().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn silent_verbs_change_the_tenant_and_notify_nothing() {
    let env = Env::new().await;
    for (verb, _, state) in VERBS {
        let path = format!("/simulator/tenants/Silent-{verb}/{verb}");
        let answer = env.post(&format!("{path}?silently")).await;
        assert_eq!(answer["tenant"]["state"], json!(state), "{verb}");
        assert_eq!(outcomes(&answer), ["silent"], "{verb}");
        for silent in ["silently=true", "silently=on", "silently="] {
            assert_eq!(outcomes(&env.form(&path, silent).await.json()), ["silent"]);
        }
        let request = env.request("POST", &path).header("content-type", "application/json");
        let answer = env.send(request, r#"{"silently":true}"#).await;
        assert_eq!(outcomes(&answer.json()), ["silent"]);
    }
    assert!(env.received().is_empty());
    let answer = env.post("/simulator/tenants/Cust1/suspend?silently=false").await;
    assert_eq!(outcomes(&answer), ["answered"]);
}

#[tokio::test(start_paused = true)]
async fn gate_follows_what_is_posted_and_pulls_what_is_not() {
    let clock = SkewedClock::default();
    let simulator = Simulator::builder().on_tokio_clock().start().await.unwrap();
    let gate = simulator.gate().build().await.unwrap();
    simulator.notify_service(gate.notification_service());
    let driver = Driver::new(simulator, clock, None);
    driver.simulator().control_service(Control(driver.clone()));
    let env = Env { driver, received: Arc::default(), answers: Arc::default() };
    let tenant = TenantId::new("Cust1").unwrap();
    env.post("/simulator/tenants/Cust1/suspend").await;
    assert!(gate.check(&tenant).is_err());
    env.post("/simulator/tenants/Cust1/resume?silently").await;
    assert!(gate.check(&tenant).is_err());
    gate.available(&tenant).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn change_is_made_though_its_client_left() {
    let env = Env::new().await;
    // The tenant closes 100 ms after the notification.
    let change = env.call("POST", "/simulator/tenants/Cust1/suspend");
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, change).await.is_err());
    assert_eq!(env.received(), [(2, "Cust1".to_owned())]);
    tokio::time::sleep(soon * 2).await;
    assert_eq!(env.get("/simulator/tenants/Cust1").await["state"], "Suspended");
    assert_eq!(env.get("/simulator/notifications").await[0]["outcome"], "answered");
}

#[tokio::test(start_paused = true)]
async fn refused_and_unreceived_notifications_are_told() {
    let env = Env::new().await;
    env.answers.lock().unwrap().push_back(StatusCode::UNAUTHORIZED);
    let answer = env.post("/simulator/tenants/Cust1/suspend").await;
    assert_eq!(answer["notifications"][0]["status"], 401);
    assert_eq!(answer["tenant"]["state"], "Suspended", "changed all the same");

    let simulator = Simulator::start().await.unwrap();
    let driver = Driver::new(simulator, SkewedClock::default(), None);
    let tenant = TenantId::new("Cust1").unwrap();
    let sent = driver.change(Verb::Delete, &tenant, false).await;
    assert_eq!(sent[0].outcome.to_string(), "not sent: start the simulator with --notify URL");
    driver.simulator().notify_to("http://127.0.0.1:1/x".parse().unwrap());
    let sent = driver.change(Verb::Resume, &tenant, false).await;
    assert!(sent[0].outcome.to_string().contains("check the State Change URL: "));
}

#[tokio::test(start_paused = true)]
async fn tenants_are_created_listed_and_put_in_a_state() {
    let env = Env::new().await;
    assert_eq!(env.get("/simulator/tenants").await, json!([]));
    assert_eq!(env.call("PUT", "/simulator/tenants/Cust2").await.json()["state"], "Running");
    assert_eq!(env.form("/simulator/tenants", "tenant=Other1").await.json()["running"], true);
    let pending = env.post("/simulator/tenants/Cust1?state=MigrationPending").await;
    assert_eq!(
        (&pending["state"], &pending["running"]),
        (&json!("MigrationPending"), &json!(false))
    );
    let again = env.post("/simulator/tenants/cust1").await;
    assert_eq!((&again["tenant"], &again["state"]), (&json!("Cust1"), &json!("MigrationPending")));
    let ids = |list: Value| {
        let list = list.as_array().unwrap().clone();
        list.iter().map(|one| one["tenant"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(env.get("/simulator/tenants").await), ["Cust1", "Cust2", "Other1"]);
    assert_eq!(ids(env.get("/simulator/tenants?prefix=cust").await), ["Cust1", "Cust2"]);
    assert!(env.received().is_empty(), "nothing of this is notified");
    let url = env.driver.simulator().url(&TenantId::new("Cust1").unwrap(), "api/x");
    let call = env.send(Request::get(url), "").await;
    assert_eq!(call.status, 503);
    let calls = env.get("/simulator/calls").await;
    assert_eq!((&calls["calls"], &calls["calls_while_closed"]), (&json!(1), &json!(1)));
    assert_eq!(calls["latest_while_closed"][0]["path"], "/Cust1/api/x");
}
