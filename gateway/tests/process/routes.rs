//! The gateway's routes about one tenant, and about itself.

use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_superoffice::{ChangeType, TenantId};

use crate::process::GatewayEnv;

async fn json_of(env: &GatewayEnv, path: &str) -> Value {
    let answer = env.gateway.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn one_tenant_has_the_members_of_the_list() {
    let env = GatewayEnv::new(&["--state-api", "on"]).await;
    let unknown = json_of(&env, "/tenants/Cust9").await;
    assert_eq!((&unknown["tenant"], &unknown["available"]), (&json!("Cust9"), &json!(true)));
    assert_eq!((&unknown["reason"], &unknown["note"]), (&Value::Null, &Value::Null));
    assert_eq!(env.gateway.get("/tenants/a.b").await.status, StatusCode::BAD_REQUEST);

    env.notify(ChangeType::Suspend).await;
    let one = json_of(&env, "/tenants/cust1").await;
    assert_eq!((&one["available"], &one["reason"]), (&json!(false), &json!("suspended")));
    let members = |tenant: &Value| tenant.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let list = json_of(&env, "/tenants").await;
    assert_eq!(members(&one), members(&list[0]));
    assert!(members(&one).contains(&"version_name".to_owned()));

    assert_eq!(unknown["next_pull"], Value::Null);
    for tenant in [&one, &list[0]] {
        let next = tenant["next_pull"].as_str().expect("a pull is due");
        let next = OffsetDateTime::parse(next, &Rfc3339).unwrap();
        let wait = next - OffsetDateTime::now_utc();
        assert!(wait > time::Duration::ZERO && wait < time::Duration::HOUR, "{wait}");
    }
    env.gateway.close("Cust1").await;
    assert_eq!(json_of(&env, "/tenants/Cust1").await["next_pull"], Value::Null);
}

#[tokio::test]
async fn check_answers_as_a_call_or_as_asked() {
    let env = GatewayEnv::new(&[]).await;
    let get = async |path: &str| env.gateway.get(path).await;
    assert_eq!(get("/check/Cust1").await.status, StatusCode::NO_CONTENT);
    assert_eq!(get("/check/Cust1?open=200&closed=403").await.status, StatusCode::OK);
    for query in ["open=201", "open=403", "closed=200", "closed=503", "open=x"] {
        let refused = get(&format!("/check/Cust1?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }

    env.notify(ChangeType::Suspend).await;
    for (path, status) in [
        ("/check/cust1", StatusCode::SERVICE_UNAVAILABLE),
        ("/check/Cust1?closed=401", StatusCode::UNAUTHORIZED),
        ("/check/Cust1?open=200&closed=403", StatusCode::FORBIDDEN),
    ] {
        let closed = get(path).await;
        assert_eq!(closed.status, status, "{path}");
        assert_eq!(closed.headers["x-tenant-reason"], "suspended", "{path}");
    }
    env.notify(ChangeType::Delete).await;
    assert_eq!(get("/check/Cust1").await.status, StatusCode::GONE);
    assert_eq!(env.simulator.all_calls(), 0);
}

#[tokio::test]
async fn state_answer_has_the_names_of_superoffice() {
    let env = GatewayEnv::new(&[]).await;
    for (change, state, running) in [
        (ChangeType::Upgrade, "OfflineMaintenance", false),
        (ChangeType::Resume, "Running", true),
        (ChangeType::Suspend, "Suspended", false),
        (ChangeType::Delete, "Deleted", false),
    ] {
        env.notify(change).await;
        let answer = json_of(&env, "/api/state/Cust1").await;
        assert_eq!((&answer["State"], &answer["IsRunning"]), (&json!(state), &json!(running)));
        assert_eq!(answer["ContextIdentifier"], "Cust1");
        assert!(answer["ValidUntil"].as_str().unwrap().ends_with('Z'));
        for member in ["Endpoint", "Api", "Version"] {
            assert!(answer.as_object().unwrap().contains_key(member), "{member}");
        }
    }
}

#[tokio::test]
async fn wait_ends_when_the_tenant_opens_or_in_time() {
    let env = GatewayEnv::new(&[]).await;
    let open = env.gateway.get("/tenants/Cust1/wait").await;
    assert_eq!(open.status, StatusCode::NO_CONTENT);
    env.notify(ChangeType::Suspend).await;
    let closed = env.gateway.get("/tenants/Cust1/wait?timeout=0").await;
    assert_eq!(closed.status, StatusCode::SERVICE_UNAVAILABLE);
    let refused = env.gateway.get("/tenants/Cust1/wait?timeout=soon").await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);

    let mut waiting = Box::pin(env.gateway.get("/tenants/Cust1/wait?timeout=60"));
    // Long enough for an answer that does not wait.
    let early = tokio::time::timeout(Duration::from_millis(500), &mut waiting).await;
    assert!(early.is_err(), "it waits");
    env.notify(ChangeType::Resume).await;
    assert_eq!(waiting.await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn status_shows_health_keys_and_version() {
    let env = GatewayEnv::new(&[]).await;
    let status = json_of(&env, "/status").await;
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["health"]["store"]["state"], "fresh");
    assert_eq!(status["health"]["closed"], 0);
    assert!(status["keys"].is_object());
}

#[tokio::test]
async fn reserved_route_is_404_below_and_405_by_method() {
    let env = GatewayEnv::new(&[]).await;
    for path in ["/status", "/tenants/Cust1", "/tenants/Cust1/wait", "/check/Cust1"] {
        let request = Request::builder().method(Method::DELETE).uri(env.gateway.url(path));
        let answer = env.gateway.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.headers[header::ALLOW], "GET,HEAD", "{path}");
    }
    for path in ["/status/x", "/Tenants/Cust1/x", "/check", "/CHECK/a/b", "/api", "/events/x"] {
        assert_eq!(env.gateway.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(env.simulator.all_calls(), 0);
}

#[tokio::test]
async fn list_is_filtered_and_paged() {
    let env = GatewayEnv::new(&[]).await;
    for (id, change) in [
        ("Cust1", ChangeType::Suspend),
        ("cust2", ChangeType::Delete),
        ("Cust3", ChangeType::BackupRestored),
        ("Other4", ChangeType::Suspend),
    ] {
        let tenant = TenantId::new(id).unwrap();
        assert!(env.simulator.notify(change, &tenant).await.unwrap().is_success());
    }
    for (query, expected) in [
        ("limit=2", &["cust1", "cust2"][..]),
        ("limit=2&after=CUST2", &["cust3", "other4"]),
        ("after=Other4", &[]),
        ("closed", &["cust1", "cust2", "other4"]),
        ("closed&limit=1&after=Cust2", &["other4"]),
        ("reason=suspended", &["cust1", "other4"]),
        ("reason=suspended&prefix=CUST", &["cust1"]),
        ("prefix=Cust12345", &[]),
    ] {
        let list = json_of(&env, &format!("/tenants?{query}")).await;
        let ids: Vec<_> = (list.as_array().unwrap().iter())
            .map(|tenant| tenant["tenant"].as_str().unwrap().to_lowercase())
            .collect();
        assert_eq!(ids, expected, "{query}");
    }
    for query in ["limit=0", "limit=x", "reason=tired", "after=a.b", "closed=no", "close"] {
        let refused = env.gateway.get(&format!("/tenants?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
}
