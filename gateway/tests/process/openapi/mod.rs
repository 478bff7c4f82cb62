//! `/openapi.json`, and whether the gateway answers as it says.

mod schema;
mod schemathesis;

use bytes::Bytes;
use harness::{Directory, tenant};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tower_superoffice::ChangeType;

pub(crate) use self::schema::Document;
use crate::process::{Gateway, GatewayEnv, HttpResponse};

const TOKEN: &str = "a-token";
const ORDER: &str = "content-type: application/json\nauthorization: Bearer a-token";
const NOTIFICATIONS: &str = "/NotifyCustomerStateChange";

impl Document {
    pub(crate) async fn of(gateway: &Gateway) -> Self {
        let answer = gateway.get("/openapi.json").await;
        assert_eq!(answer.status, StatusCode::OK);
        let document = Self(serde_json::from_slice(&answer.body).unwrap());
        document.check("get", "/openapi.json", &answer);
        document
    }
}

/// A gateway that takes orders with [`TOKEN`].
async fn with_orders() -> (GatewayEnv, Directory) {
    let directory = Directory::new();
    let file = directory.join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let file = file.display().to_string();
    let arguments = ["--operator-token-file", &file, "--state-api", "on"];
    (GatewayEnv::new(&arguments).await, directory)
}

async fn send(
    env: &GatewayEnv,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> HttpResponse {
    let mut request = Request::builder().method(method).uri(env.gateway.url(path));
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    env.gateway.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn answers_of_every_route_are_as_described() {
    let (env, _directory) = with_orders().await;
    let document = Document::of(&env.gateway).await;
    for (id, change) in [
        ("Cust2", ChangeType::Suspend),
        ("Cust3", ChangeType::Delete),
        ("Cust4", ChangeType::BackupRestored),
    ] {
        assert_eq!(env.simulator.notify(change, &tenant(id)).await.unwrap(), 204, "{id}");
    }
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(17_000));
    let text = "content-type: text/plain\nauthorization: Bearer a-token";
    let other = "content-type: application/json\nauthorization: Bearer another";
    let site = format!("{ORDER}\nsec-fetch-site: cross-site");
    let encoded = "content-encoding: gzip";
    let unsigned = r#"{"ChangeType":4,"ContextIdentifier":"Cust1","Token":"x"}"#;
    let others = env.simulator.notification(ChangeType::Suspend, &env.tenant).body();
    let others = String::from_utf8(others.to_vec()).unwrap();
    let others = others.replacen("\"Cust1\"", "\"Cust9\"", 1);
    for (method, path, template, headers, body, status) in [
        ("get", "/", "/", "", "", 200),
        ("get", "/?page=1&page=2", "/", "", "", 200),
        ("get", "/live", "/live", "", "", 200),
        ("get", "/ready", "/ready", "", "", 200),
        ("get", "/healthz", "/healthz", "", "", 200),
        ("get", "/status", "/status", "", "", 200),
        ("get", "/metrics", "/metrics", "", "", 200),
        ("get", "/tenants", "/tenants", "", "", 200),
        ("get", "/tenants?closed&limit=1", "/tenants", "", "", 200),
        ("get", "/tenants?limit=none", "/tenants", "", "", 400),
        ("get", "/tenants?reason=tired", "/tenants", "", "", 400),
        ("get", "/tenants/Cust2", "/tenants/{ctx}", "", "", 200),
        ("get", "/tenants/Cust9", "/tenants/{ctx}", "", "", 200),
        ("get", "/tenants/%ff", "/tenants/{ctx}", "", "", 400),
        ("get", "/tenants/Cust9/wait", "/tenants/{ctx}/wait", "", "", 204),
        ("get", "/tenants/Cust2/wait?timeout=0", "/tenants/{ctx}/wait", "", "", 503),
        ("get", "/tenants/Cust3/wait?timeout=0", "/tenants/{ctx}/wait", "", "", 410),
        ("get", "/tenants/Cust2/wait?timeout=soon", "/tenants/{ctx}/wait", "", "", 400),
        ("get", "/check/Cust9", "/check/{ctx}", "", "", 204),
        ("get", "/check/Cust9?open=200", "/check/{ctx}", "", "", 200),
        ("get", "/check/Cust2", "/check/{ctx}", "", "", 503),
        ("get", "/check/Cust3", "/check/{ctx}", "", "", 410),
        ("get", "/check/Cust2?closed=401", "/check/{ctx}", "", "", 401),
        ("get", "/check/Cust2?closed=403", "/check/{ctx}", "", "", 403),
        ("get", "/check/Cust2?closed=1000000", "/check/{ctx}", "", "", 400),
        ("get", "/api/state/Cust2", "/api/state/{ctx}", "", "", 200),
        ("get", "/api/state/a.b", "/api/state/{ctx}", "", "", 400),
        ("post", "/tenants/Cust1/open", "/tenants/{ctx}/open", ORDER, "{}", 200),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", ORDER, r#"{"note":"x"}"#, 200),
        ("post", "/tenants/Cust1/release", "/tenants/{ctx}/release", ORDER, "", 200),
        ("post", "/tenants/Cust1/refresh", "/tenants/{ctx}/refresh", ORDER, "", 200),
        ("post", "/tenants/Cust1/forget", "/tenants/{ctx}/forget", ORDER, "", 409),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", ORDER, "[]", 400),
        ("post", "/tenants/%ff/close", "/tenants/{ctx}/close", ORDER, "{}", 400),
        ("post", "/tenants/%ff/close", "/tenants/{ctx}/close", "", "{}", 401),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", other, "{}", 401),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", &site, "{}", 403),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", ORDER, &long, 413),
        ("post", "/tenants/Cust1/close", "/tenants/{ctx}/close", text, "{}", 415),
        ("post", NOTIFICATIONS, NOTIFICATIONS, "", "{}", 400),
        ("post", NOTIFICATIONS, NOTIFICATIONS, "", unsigned, 401),
        ("post", NOTIFICATIONS, NOTIFICATIONS, "", &others, 403),
        ("post", NOTIFICATIONS, NOTIFICATIONS, "", &long, 413),
        ("post", NOTIFICATIONS, NOTIFICATIONS, encoded, "{}", 415),
        ("get", "/Cust1/api/v1/Contact/1", "/{ctx}/{path}", "", "", 200),
        ("get", "/Cust2/api/v1/Contact/1", "/{ctx}/{path}", "", "", 503),
        ("patch", "/Cust3/api/v1/Contact/1", "/{ctx}/{path}", "", "", 410),
        ("get", "/a.b/api", "/{ctx}/{path}", "", "", 400),
        ("get", "/api/v1", "/{ctx}/{path}", "", "", 404),
    ] {
        let response = send(&env, &method.to_uppercase(), path, headers, body).await;
        assert_eq!(response.status, status, "{method} {path}");
        document.check(method, template, &response);
    }

    // To another method, which a description of operations has no place for.
    for (method, path, allowed) in [
        ("DELETE", "/tenants/Cust1", "GET,HEAD"),
        ("GET", "/tenants/Cust1/close", "POST"),
        ("TRACE", "/status", "GET,HEAD"),
        ("GET", NOTIFICATIONS, "POST"),
    ] {
        let refused = send(&env, method, path, "", "").await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(refused.headers[header::ALLOW], allowed, "{method} {path}");
        if path != NOTIFICATIONS {
            let problem = serde_json::from_slice(&refused.body).unwrap();
            document.check_named("Problem", &problem);
        }
    }
}
