//! The state API, and the faults that a test gives it and the key URL.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    simulator::{Fault, Simulator},
    status::State,
};

use super::{call, get_json, key_url, state_url, tenant};

#[tokio::test]
async fn state_api_responds_as_documented() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_771_840_321_934);
    let simulator = Simulator::builder().clock(move || now).start().await.unwrap();
    let endpoint = format!("{}Cust12345", simulator.hosts()[0]);
    assert_eq!(
        get_json(&state_url(&simulator)).await,
        json!({
            "ContextIdentifier": "Cust12345",
            "Endpoint": endpoint,
            "State": "Running",
            "IsRunning": true,
            "ValidUntil": "2026-02-23T09:52:11.9340000Z",
            "Api": endpoint.clone() + "/api",
            "Version": "Release_11.10_2026.02.24-02",
        })
    );
    for (state, running, endpoint) in [
        (State::OnlineMaintenance, true, json!(endpoint)),
        (State::Suspended, false, json!(endpoint)),
        (State::Deleted, false, Value::Null),
    ] {
        simulator.set_state(&tenant(), state);
        let answer = get_json(&state_url(&simulator)).await;
        assert_eq!(answer["State"], state.name());
        assert_eq!(answer["IsRunning"], running);
        assert_eq!(answer["Endpoint"], endpoint);
    }
    simulator.set_unlisted_state(&tenant(), "Frozen", false);
    assert_eq!(get_json(&state_url(&simulator)).await["State"], "Frozen");
    assert_eq!((simulator.state_requests(&tenant()), simulator.all_state_requests()), (5, 5));
    let (status, _) = call("POST", &state_url(&simulator), "").await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn lagging_state_api_shows_the_past() {
    let time = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(10_000)));
    let clock = Arc::clone(&time);
    let simulator =
        Simulator::builder().clock(move || *clock.lock().unwrap()).start().await.unwrap();
    simulator.state_api_lag(Duration::from_secs(30));
    simulator.suspend(&tenant()).without_notification();
    simulator.move_tenant(&tenant()).without_notification();
    for (later, state, host) in [(0, "Running", 0), (29, "Running", 0), (1, "Suspended", 1)] {
        *time.lock().unwrap() += Duration::from_secs(later);
        let answer = get_json(&state_url(&simulator)).await;
        assert_eq!(answer["State"], state);
        let origin = simulator.hosts()[host].to_string();
        assert_eq!(answer["Endpoint"], format!("{origin}Cust12345"));
    }
}

#[tokio::test]
async fn key_url_and_state_api_show_the_configured_fault() {
    let simulator = Simulator::start().await.unwrap();
    let (keys, state) = (key_url(&simulator), state_url(&simulator));
    simulator.key_server(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    simulator.state_api(Fault::Unknown);
    assert_eq!(call("GET", &keys, "").await.0, 500);
    let answer = get_json(&state).await;
    assert_eq!((&answer["State"], &answer["IsRunning"]), (&json!("Unknown"), &json!(false)));

    simulator.key_server(Fault::Empty);
    simulator.state_api(Fault::Empty);
    assert_eq!((get_json(&keys).await, get_json(&state).await), (json!({"keys": []}), json!({})));

    simulator.key_server(Fault::Oversized);
    assert!(call("GET", &keys, "").await.1.len() > 5_000_000);
    simulator.key_server(Fault::Html);
    assert!(call("GET", &keys, "").await.1.starts_with(b"<!DOCTYPE html>"));
    simulator.key_server(Fault::Json("[1]".to_owned()));
    assert_eq!(get_json(&keys).await, json!([1]));

    for (fault, status, header, value) in [
        (Fault::TooManyRequests(7), 429, "retry-after", "7"),
        (Fault::Redirect("http://127.0.0.1/".to_owned()), 302, "location", "http://127.0.0.1/"),
    ] {
        simulator.state_api(fault);
        let request = Request::get(&state).body(Empty::<Bytes>::new()).unwrap();
        let answer = simulator.network().oneshot(request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header]),
            (status, &value.parse().unwrap())
        );
    }
    simulator.state_api(Fault::None);
    assert_eq!(get_json(&state).await["State"], "Running");
}
