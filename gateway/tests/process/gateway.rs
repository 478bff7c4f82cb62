//! The gateway as a process, driven over its sockets.

use bytes::Bytes;
use futures::future::try_join_all;
use harness::{Directory, free_port, until};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use serde_json::Value;
use tower_superoffice::{
    ChangeType, Environment, TenantId,
    status::{Record, State},
    store::{RedbStore, Store},
};

use crate::process::{Gateway, GatewayEnv, targets};

#[tokio::test]
async fn closed_tenant_is_a_problem_and_nothing_is_sent() {
    let env = GatewayEnv::new(&[]).await;
    let ok = env.gateway.get("/Cust1/api/v1/Contact/1?$select=name").await;
    assert_eq!(ok.status, StatusCode::OK);
    assert_eq!(env.simulator.calls(&env.tenant), 1);

    assert_eq!(env.notify(ChangeType::Suspend).await, StatusCode::NO_CONTENT);
    for path in [
        "/Cust1/api/v1/Contact/1",
        "/cust1/",
        "/CUST1",
        "//Cust1/x",
        "/%43ust1/x",
        "/x/../Cust1/y",
        "/./Cust1/",
        "/login/../Cust1/x",
        "/api/state/../../Cust1/x",
    ] {
        let closed = env.gateway.get(path).await;
        assert_eq!(closed.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(closed.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_slice(&closed.body).unwrap();
        assert!(problem["tenant"].as_str().unwrap().eq_ignore_ascii_case("Cust1"), "{path}");
        assert_eq!(problem["reason"], "suspended");
        assert!(problem["since"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(env.simulator.calls(&env.tenant), 1, "a call bypassed the guard");

    assert_eq!(env.notify(ChangeType::Delete).await, StatusCode::NO_CONTENT);
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::GONE);
    assert_eq!(env.notify(ChangeType::Resume).await, StatusCode::NO_CONTENT);
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn path_without_a_tenant_is_400() {
    let env = GatewayEnv::new(&[]).await;
    for path in ["//", "/a.b/x", "/%20/x", "/Cust1/..", "/~"] {
        assert_eq!(env.gateway.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(env.simulator.all_calls(), 0);
}

#[tokio::test]
async fn tenants_lists_every_field() {
    let env = GatewayEnv::new(&[]).await;
    let empty: Value = serde_json::from_slice(&env.gateway.get("/tenants").await.body).unwrap();
    assert_eq!(empty, serde_json::json!([]));
    until!(env.gateway.get("/healthz").await.status == StatusCode::OK);
    env.notify(ChangeType::BackupRestored).await;
    env.notify(ChangeType::Upgrade).await;
    let list: Value = serde_json::from_slice(&env.gateway.get("/tenants").await.body).unwrap();
    let tenant = &list[0];
    assert_eq!(tenant["tenant"], "Cust1");
    assert_eq!(tenant["available"], false);
    assert_eq!(tenant["reason"], "upgrading");
    assert_eq!(tenant["evidence"], "notification");
    assert_eq!(tenant["confirmed"], false);
    assert_eq!(tenant["endpoint"], Value::Null);
    assert!(tenant["epoch"].as_i64().unwrap() > 1_700_000_000);
    assert!(tenant["since"].is_string());
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn long_tenants_list_is_complete_and_sorted() {
    let suspend =
        br#"{"v":"1.0","suspend":{"at":1700000000,"seen":1700000001000,"version":"","file":""}}"#;
    let suspend = Record::decode(suspend).unwrap();
    let base = "http://127.0.0.1:1";
    let directory = Directory::new();
    // The list is written in chunks of 512.
    for count in [511, 512, 513, 1500] {
        let path = directory.join(format!("{count}.redb"));
        let store = RedbStore::open(&path, &Environment::custom(base.parse().unwrap())).unwrap();
        let tenant = |number| TenantId::new(format!("Cust{}", 10_000 + number)).unwrap();
        let tenants: Vec<_> = (0..count).map(tenant).collect();
        try_join_all(tenants.iter().map(|tenant| store.merge(tenant, &suspend))).await.unwrap();
        drop(store);

        let store = format!("redb:{}", path.display());
        let args = ["--listen", "127.0.0.1:0", "--base-url", base, "--any-audience"];
        let gateway = Gateway::start(&[&args[..], &["--store", &store]].concat()).await;
        let answer = gateway.get("/tenants").await;
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        let list: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
        let listed: Vec<_> = list.iter().map(|tenant| tenant["tenant"].as_str().unwrap()).collect();
        let expected: Vec<_> = tenants.iter().map(TenantId::as_str).collect();
        assert_eq!(listed, expected);
    }
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let env = GatewayEnv::new(&[]).await;
    let body = Bytes::from(vec![7_u8; 300 * 1024]);
    let request =
        Request::post(env.gateway.url("/Cust1/api/v1/Document")).body(Full::new(body)).unwrap();
    assert_eq!(env.gateway.send(request).await.status, StatusCode::OK);
    assert_eq!(env.simulator.calls(&env.tenant), 1);
}

#[tokio::test]
async fn dead_upstream_is_502_and_slow_is_504() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let upstream = format!("http://{address}");
    let env = GatewayEnv::new(&["--upstream", &upstream, "--upstream-timeout", "0.3"]).await;
    // Its backlog accepts the connection, and no response comes.
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::GATEWAY_TIMEOUT);
    drop(silent);
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn upstream_outside_superoffice_is_guarded() {
    let env = GatewayEnv::new(&["--upstream", "http://localhost:9"]).await;
    env.notify(ChangeType::Suspend).await;
    assert_eq!(env.gateway.get("/cust1/x").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn internal_listener_leaves_only_the_notification_path_public() {
    let internal = free_port();
    let env = GatewayEnv::new(&["--internal-listen", &format!("127.0.0.1:{internal}")]).await;
    assert_eq!(env.notify(ChangeType::Suspend).await, StatusCode::NO_CONTENT);
    for path in ["/tenants", "/live", "/ready", "/healthz", "/Cust1/x"] {
        assert_eq!(env.gateway.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let inside = |path: &str| {
        let url = format!("http://127.0.0.1:{internal}{path}");
        env.gateway.send(Request::get(url).body(Full::default()).unwrap())
    };
    assert_eq!(inside("/tenants").await.status, StatusCode::OK);
    assert_eq!(inside("/Cust1/x").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn sigterm_right_after_the_start_exits_0() {
    let args = ["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1", "--any-audience"];
    for _ in 0..10 {
        assert!(Gateway::start(&args).await.terminate().await.success());
    }
}

#[tokio::test]
async fn sigterm_drains_and_exits_0() {
    let mut env = GatewayEnv::new(&[]).await;
    env.gateway.get("/healthz").await;
    assert_eq!(env.gateway.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn invalid_command_line_is_refused_with_the_reason() {
    for (args, said) in [
        (&["--audience", "a"][..], "--environment"),
        (&["--base-url", "http://127.0.0.1:1"], "--audience"),
        (
            &["--base-url", "http://127.0.0.1:1", "--audience", "a", "--any-audience"],
            "cannot be used with",
        ),
        (&["--base-url", "http://10.0.0.1", "--audience", "a"], "loopback"),
        (&["--base-url", "http://127.0.0.1:1", "--audience", "a", "--store", "disk"], "redb:FILE"),
        (
            &[
                "--base-url",
                "http://127.0.0.1:1",
                "--audience",
                "a",
                "--certificate",
                "/nowhere.pem",
            ],
            "/nowhere.pem",
        ),
        (
            &["--base-url", "http://127.0.0.1:1", "--audience", "a", "--upstream", "http://h/path"],
            "--upstream",
        ),
        (
            &["--base-url", "http://127.0.0.1:1", "--audience", "a", "--upstream", "ftp://h"],
            "http:// or https://",
        ),
        (&["--base-url", "http://127.0.0.1:1", "--audience", "a", "--issuer", ""], "--issuer"),
        (
            &[
                "--base-url",
                "http://127.0.0.1:1",
                "--audience",
                "a",
                "--notification-path",
                "/healthz",
            ],
            "--notification-path",
        ),
        (&["--base-url", "http://127.0.0.1:1", "--audience", "a", "--settle", "-1"], "negative"),
    ] {
        let (code, text) = Gateway::fails(args).await;
        assert_ne!(code, Some(0), "{args:?}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn lost_resume_heals_and_shows_in_tenants() {
    let env =
        GatewayEnv::new(&["--state-api", "on", "--settle", "1", "--upgrade-settle", "1"]).await;
    env.simulator.suspend(&env.tenant).await.unwrap();
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    env.simulator.set_state(&env.tenant, State::Running);
    let shown = async || -> Value {
        let list = env.gateway.get("/tenants").await.body;
        serde_json::from_slice::<Value>(&list).unwrap()[0].take()
    };
    until!(shown().await["available"] == true);
    let tenant = shown().await;
    assert_eq!(tenant["evidence"], "state_api");
    assert_eq!(tenant["confirmed"], true);
    assert!(tenant["endpoint"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(env.gateway.get("/Cust1/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn path_and_query_arrive_byte_for_byte() {
    let (address, mut seen) = targets().await;
    let upstream = format!("http://{address}");
    let env = GatewayEnv::new(&["--upstream", &upstream]).await;
    for path in
        ["/Cust1/a//b/./c/../d%2Fe%20f?q=%20x&y=a+b;c", "/%43ust1//x?", "/x/../Cust1/%C3%A9"]
    {
        let answer = env.gateway.get(path).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(seen.recv().await.unwrap(), path);
    }
}
