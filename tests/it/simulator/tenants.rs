//! Calls to tenants, and tenants that move.

use http::StatusCode;
use serde_json::{Value, json};
use tower_superoffice::simulator::Simulator;

use super::{call, receiver, tenant};

#[tokio::test]
async fn calls_are_answered_and_counted() {
    let simulator = Simulator::start().await.unwrap();
    let url = simulator.url(&tenant(), "/api/v1/Contact?top=1");
    let (status, body) = call("PUT", &url, vec![7; 300_000]).await;
    assert_eq!(status, 200);
    let host = simulator.hosts()[0].authority().unwrap().to_string();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "ContextIdentifier": "Cust12345", "Method": "PUT", "Path": "/Cust12345/api/v1/Contact",
            "Query": "top=1", "Host": host, "BodyLength": 300_000,
        })
    );
    assert_eq!(simulator.calls(&tenant()), 1);

    simulator.suspend(&tenant()).without_notification();
    assert_eq!(call("GET", &url, "").await.0, 503);
    simulator.closed_tenants_answer(StatusCode::FORBIDDEN);
    let escaped = url.replace("/Cust", "//%43UST");
    assert_eq!(call("DELETE", &escaped, "").await.0, 403);
    assert_eq!((simulator.calls(&tenant()), simulator.calls_while_closed()), (3, 2));
    let last = simulator.closed_calls().pop().unwrap();
    assert_eq!((last.tenant(), last.method().as_str()), (&tenant(), "DELETE"));
    assert_eq!((last.path(), last.state()), ("//%43UST12345/api/v1/Contact", "Suspended"));

    simulator.resume(&tenant()).without_notification();
    assert_eq!(call("GET", &url, "").await.0, 200);
    assert_eq!((simulator.all_calls(), simulator.calls_while_closed()), (4, 2));
}

#[tokio::test]
async fn call_to_the_old_host_of_a_moved_tenant_is_421() {
    let simulator = Simulator::start().await.unwrap();
    let bodies = receiver(&simulator, StatusCode::NO_CONTENT).await;
    let old = simulator.url(&tenant(), "api");
    assert_eq!(simulator.move_tenant(&tenant()).await.unwrap(), 204);
    let new = simulator.url(&tenant(), "api");
    let body = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(body["ChangeType"], 5);
    assert_eq!(new, format!("http://{}/Cust12345/api", body["PublicEndpoint"].as_str().unwrap()));
    assert_ne!(old, new);

    let (status, text) = call("POST", &old, "{}").await;
    assert_eq!((status.as_u16(), &text[..]), (421, &b"Wrong subdomain used to access tenant"[..]));
    assert_eq!(call("POST", &new, "{}").await.0, 200);
    assert_eq!((simulator.calls(&tenant()), simulator.misdirected_calls(&tenant())), (1, 1));
    let (status, _) = call("GET", &new.replace("Cust12345/api", "api/state/Cust12345"), "").await;
    assert_eq!(status, 404, "the state API lives on the environment's host alone");

    simulator.move_tenant(&tenant()).without_notification();
    assert_eq!(simulator.url(&tenant(), "api"), old);
}
