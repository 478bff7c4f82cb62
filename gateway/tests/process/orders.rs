//! Operator's orders.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use harness::{Directory, RedisServer, free_port, until};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_superoffice::{ChangeType, simulator::Fault, status::State};

use crate::{
    process::{Caller, Gateway, GatewayEnv, HttpResponse, PROGRAM},
    wire::peer::Peer,
};

const BASE: [&str; 3] = ["--base-url", "http://127.0.0.1:1", "--any-audience"];
const VERBS: [&str; 5] = ["open", "close", "release", "refresh", "forget"];

async fn post(caller: &Caller, path: &str, body: &str) -> HttpResponse {
    let request = Request::post(caller.url(path)).header(header::CONTENT_TYPE, "application/json");
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    caller.send(request.body(body).unwrap()).await.expect("a response")
}

fn json_of(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

fn in_seconds(seconds: u64) -> String {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    OffsetDateTime::from(end).format(&Rfc3339).unwrap()
}

/// Sends an order to close `Cust1` with exactly these header lines; returns its status and head.
async fn order(address: &str, lines: &str) -> (u16, String) {
    let mut peer = Peer::connect_to(address).await;
    let head =
        format!("POST /tenants/Cust1/close HTTP/1.1\r\n{lines}content-length: 2\r\n\r\n{{}}");
    peer.send(head).await;
    let received = peer.receive("POST").await;
    (received.status(), received.head)
}

fn address(gateway: &Gateway) -> String {
    gateway.url("/").authority().unwrap().to_string()
}

#[tokio::test]
async fn orders_close_open_and_release_a_tenant() {
    let env = GatewayEnv::new(&[]).await;
    let caller = env.gateway.caller();
    let closed = post(caller, "/tenants/Cust1/close", r#"{"note":"we move it"}"#).await;
    assert_eq!(closed.status, StatusCode::OK);
    assert_eq!(closed.headers[header::CONTENT_TYPE], "application/json");
    let tenant = json_of(&closed);
    assert_eq!((&tenant["available"], &tenant["reason"]), (&json!(false), &json!("operator")));
    assert_eq!(tenant["note"], "we move it");
    assert_eq!(tenant, json_of(&env.gateway.get("/tenants/Cust1").await));
    assert_eq!(env.gateway.get("/Cust1/x").await.status, StatusCode::SERVICE_UNAVAILABLE);

    env.notify(ChangeType::Suspend).await;
    let opened = post(caller, "/tenants/Cust1/open", "").await;
    assert_eq!(json_of(&opened)["available"], true);
    assert_eq!(env.gateway.get("/Cust1/x").await.status, StatusCode::OK);

    let released = post(caller, "/tenants/Cust1/release", "{}").await;
    assert_eq!(json_of(&released)["reason"], "suspended");
}

#[tokio::test]
async fn order_with_an_end_lasts_until_then() {
    let env = GatewayEnv::new(&[]).await;
    let body = json!({ "note": "for a moment", "until": in_seconds(2) }).to_string();
    let closed = post(env.gateway.caller(), "/tenants/Cust1/close", &body).await;
    let closed = json_of(&closed);
    assert_eq!(closed["reason"], "operator");
    assert!(closed["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{closed}");
    until("the order ends", async || {
        env.gateway.get("/check/Cust1").await.status == StatusCode::NO_CONTENT
    })
    .await;
}

#[tokio::test]
async fn order_that_can_not_be_meant_is_refused() {
    let gateway = Gateway::start(&[&BASE[..], &["--listen", "127.0.0.1:0"]].concat()).await;
    let caller = gateway.caller();
    let long = json!({ "note": "a".repeat(201) }).to_string();
    let ends = json!({ "until": in_seconds(60) }).to_string();
    for (path, body, status) in [
        ("/tenants/Cust1/close", "close", 400),
        ("/tenants/Cust1/close", r#"{"untill":"2099-01-01T00:00:00Z"}"#, 400),
        ("/tenants/Cust1/close", r#"{"until":"2020-01-01T00:00:00Z"}"#, 400),
        ("/tenants/Cust1/close", r#"{"until":"tomorrow"}"#, 400),
        ("/tenants/Cust1/close", &long, 400),
        ("/tenants/Cust1/close", &" ".repeat(20_000), 413),
        ("/tenants/Cust1/release", &ends, 400),
        ("/tenants/a.b/close", "{}", 400),
        ("/tenants/Cust1/shut", "{}", 404),
    ] {
        let refused = post(caller, path, body).await;
        assert_eq!(refused.status, status, "{path} {body}");
        assert_eq!(refused.headers[header::CONTENT_TYPE], "application/problem+json", "{body}");
    }
    assert_eq!(gateway.get("/tenants").await.body, "[]");

    let mut peer = Peer::connect(&gateway).await;
    for verb in VERBS {
        for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
            let refused = peer.call(method, &format!("/tenants/Cust1/{verb}"), "").await;
            assert_eq!(refused.status(), 405, "{method} {verb}");
            assert_eq!(refused.header("allow"), Some("POST"), "{method} {verb}");
        }
    }
}

#[tokio::test]
async fn order_that_a_web_page_could_send_is_refused() {
    let gateway = Gateway::start(&[&BASE[..], &["--listen", "127.0.0.1:0"]].concat()).await;
    let json = "content-type: application/json\r\n";
    for (lines, status) in [
        (format!("host: evil.example\r\n{json}"), 403),
        (format!("host: localhost.evil.example:8080\r\n{json}"), 403),
        (format!("host: 127.0.0.1\r\nsec-fetch-site: cross-site\r\n{json}"), 403),
        (format!("host: 127.0.0.1\r\nsec-fetch-site: same-site\r\n{json}"), 403),
        ("host: 127.0.0.1\r\ncontent-type: text/plain\r\n".to_owned(), 415),
        ("host: 127.0.0.1\r\n".to_owned(), 415),
    ] {
        assert_eq!(order(&address(&gateway), &lines).await.0, status, "{lines}");
    }
    assert_eq!(gateway.get("/tenants").await.body, "[]");
    for lines in [
        format!("host: localhost:8080\r\n{json}"),
        format!("host: [::1]\r\nsec-fetch-site: same-origin\r\n{json}"),
        "host: 127.0.0.1\r\nsec-fetch-site: none\r\ncontent-type: application/json; charset=utf-8\r\n"
            .to_owned(),
    ] {
        assert_eq!(order(&address(&gateway), &lines).await.0, 200, "{lines}");
    }
}

#[tokio::test]
async fn order_without_the_operators_token_is_401() {
    let directory = Directory::new();
    let file = directory.join("token");
    fs::write(&file, "hunter2\n").unwrap();
    let token = ["--operator-token-file", file.to_str().unwrap(), "--listen", "0.0.0.0:0"];
    let gateway = Gateway::start(&[&BASE[..], &token].concat()).await;
    let request = "host: gateway.example\r\ncontent-type: application/json\r\n";
    for (authorization, challenge) in [
        ("", r#"Bearer realm="superoffice-gateway""#),
        ("authorization: Bearer hunter\r\n", r#"error="invalid_token""#),
        ("authorization: Bearer hunter22\r\n", r#"error="invalid_token""#),
        ("authorization: Bearer \r\n", r#"error="invalid_token""#),
        ("authorization: Basic hunter2\r\n", r#"error="invalid_token""#),
        ("authorization: hunter2\r\n", r#"error="invalid_token""#),
        ("authorization: Bearer hunter2\r\nauthorization: Bearer x\r\n", "Bearer"),
    ] {
        let lines = format!("{request}{authorization}");
        let (status, head) = order(&address(&gateway), &lines).await;
        assert_eq!(status, 401, "{authorization}");
        let line = head.lines().find(|line| line.starts_with("www-authenticate: ")).unwrap();
        assert!(line.contains(challenge), "{authorization}: {line}");
    }
    assert_eq!(gateway.get("/tenants").await.body, "[]");
    for scheme in ["Bearer", "bearer"] {
        let lines = format!("{request}authorization: {scheme} hunter2\r\n");
        assert_eq!(order(&address(&gateway), &lines).await.0, 200, "{scheme}");
    }
    let lines = "host: 127.0.0.1\r\nauthorization: Bearer hunter2\r\nsec-fetch-site: cross-site\r\n\
                 content-type: application/json\r\n";
    assert_eq!(order(&address(&gateway), lines).await.0, 403);
}

#[tokio::test]
async fn orders_without_a_token_are_taken_from_own_hosts_alone() {
    let internal = format!("127.0.0.1:{}", free_port());
    let open = Gateway::start(&[&BASE[..], &["--listen", "0.0.0.0:0"]].concat()).await;
    let split = ["--listen", "0.0.0.0:0", "--internal-listen", &internal];
    let split = Gateway::start(&[&BASE[..], &split].concat()).await;
    let lines = "host: 127.0.0.1\r\ncontent-type: application/json\r\n";
    assert_eq!(order(&address(&open), lines).await.0, 404);
    assert_eq!(order(&address(&split), lines).await.0, 404);
    assert_eq!(order(&internal, lines).await.0, 200);

    // The page is where the list of tenants is, and offers orders where they are taken.
    let page = async |address: &str| {
        let mut peer = Peer::connect_to(address).await;
        peer.send("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
        let page = peer.receive("GET").await;
        (page.status(), String::from_utf8_lossy(&page.body).contains("data-orders=\"direct\""))
    };
    assert_eq!(page(&address(&open)).await, (200, false));
    assert_eq!(page(&address(&split)).await.0, 404);
    assert_eq!(page(&internal).await, (200, true));
}

#[tokio::test]
async fn token_is_refused_where_it_can_not_work_and_shown_nowhere() {
    let directory = Directory::new();
    let (empty, token) = (directory.join("empty"), directory.join("token"));
    fs::write(&empty, "\n").unwrap();
    fs::write(&token, "hunter2").unwrap();
    let name = "SUPEROFFICE_GATEWAY_OPERATOR_TOKEN";
    for (value, file, said) in [
        (Some("hunter2"), Some(&token), "cannot be used with"),
        (Some("hunter2 hunter2"), None, name),
        (None, Some(&empty), "/empty"),
        (None, Some(&directory.join("nowhere")), "/nowhere"),
    ] {
        let mut command = tokio::process::Command::new(PROGRAM);
        command.args(BASE).envs(value.map(|value| (name, value)));
        if let Some(file) = file {
            command.arg("--operator-token-file").arg(file);
        }
        let output = command.kill_on_drop(true).output().await.unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!output.status.success() && text.contains(said), "{said}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let mut help = tokio::process::Command::new(PROGRAM);
    let help = help.arg("--help").env(name, "hunter2").output().await.unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("hunter2"));
}

#[tokio::test]
async fn order_that_is_not_stored_is_in_force_and_503() {
    let Some(mut redis) = RedisServer::start() else { return };
    let url = redis.url();
    let store = ["--listen", "127.0.0.1:0", "--store", &url];
    let gateway = Gateway::start(&[&BASE[..], &store].concat()).await;
    redis.kill();
    let closed = post(gateway.caller(), "/tenants/Cust1/close", "{}").await;
    assert_eq!(closed.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(closed.headers.contains_key(header::RETRY_AFTER));
    assert!(String::from_utf8_lossy(&closed.body).contains("not stored"));
    assert_eq!(gateway.get("/check/Cust1").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn refresh_pulls_the_state_or_says_why_not() {
    let env = GatewayEnv::new(&["--state-api", "on"]).await;
    let caller = env.gateway.caller();
    env.simulator.set_state(&env.tenant, State::Suspended);
    let refreshed = post(caller, "/tenants/Cust1/refresh", "{}").await;
    assert_eq!(refreshed.status, StatusCode::OK);
    let tenant = json_of(&refreshed);
    assert_eq!(
        (&tenant["reason"], &tenant["evidence"]),
        (&json!("suspended"), &json!("state_api"))
    );

    env.simulator.state_api(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let failed = post(caller, "/tenants/Cust1/refresh", "{}").await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY);
    assert!(String::from_utf8_lossy(&failed.body).contains("500"), "{:?}", failed.body);

    let without = GatewayEnv::new(&["--state-api", "off"]).await;
    let off = post(without.gateway.caller(), "/tenants/Cust1/refresh", "{}").await;
    assert_eq!(off.status, StatusCode::CONFLICT);
    assert!(String::from_utf8_lossy(&off.body).contains("--state-api on"));
    assert_eq!(off.headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn only_a_confirmed_deletion_is_forgotten() {
    let env = GatewayEnv::new(&["--state-api", "on"]).await;
    let order = async |verb: &str| {
        post(env.gateway.caller(), &format!("/tenants/Cust1/{verb}"), "{}").await
    };
    let refused = async |said: &str| {
        let refused = order("forget").await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{said}");
        let body = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(body.contains(said), "{said}: {body}");
    };
    refused("no record").await;
    env.notify(ChangeType::Suspend).await;
    refused("not deleted").await;
    env.notify(ChangeType::Delete).await;
    refused("confirm").await;

    env.simulator.set_state(&env.tenant, State::Deleted);
    let confirmed = json_of(&order("refresh").await);
    assert_eq!((&confirmed["reason"], &confirmed["confirmed"]), (&json!("deleted"), &json!(true)));
    let forgotten = order("forget").await;
    assert_eq!(forgotten.status, StatusCode::OK);
    assert_eq!(json_of(&forgotten)["available"], true);
    assert_eq!(env.gateway.get("/tenants").await.body, "[]");
}

#[tokio::test]
async fn deletion_that_the_store_keeps_is_not_forgotten() {
    let Some(mut redis) = RedisServer::start() else { return };
    let env = GatewayEnv::new(&["--state-api", "on", "--store", &redis.url()]).await;
    let caller = env.gateway.caller();
    env.simulator.set_state(&env.tenant, State::Deleted);
    assert_eq!(env.notify(ChangeType::Delete).await, StatusCode::NO_CONTENT);
    assert_eq!(json_of(&post(caller, "/tenants/Cust1/refresh", "").await)["confirmed"], true);
    redis.kill();
    let kept = post(caller, "/tenants/Cust1/forget", "").await;
    assert_eq!(kept.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(kept.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(json_of(&env.gateway.get("/tenants/Cust1").await)["reason"], "deleted");
}
