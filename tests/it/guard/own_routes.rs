//! The guard in front of one's own routes, and keys that may miss.

use std::convert::Infallible;

use axum::{Router, body::to_bytes, routing::get};
use harness::{TestEnv, gate_with_closed, tenant};
use http::{HeaderName, Request, Response, StatusCode, header};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    GuardError, TenantUnavailable,
    guard::{HeaderKey, PathKey, RequireTenantError},
};

fn orders() -> Router {
    Router::new().route("/tenants/{tenant}/orders", get(|| async { "orders" }))
}

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn closed_tenant_is_answered_with_a_problem() {
    let gate = gate_with_closed().await;
    let key = PathKey::new("/tenants/{tenant}").unwrap();
    let app = orders().layer(gate.inbound_layer(key));
    assert_eq!(status(&app, "/tenants/Cust2/orders").await, StatusCode::OK);
    let request = Request::get("/tenants/closed/orders").body(axum::body::Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let closed: &TenantUnavailable = response.extensions().get().unwrap();
    assert_eq!(closed.tenant().as_str(), "closed");
    let body = to_bytes(response.into_body(), 4096).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["tenant"], "closed");
    assert_eq!(body["reason"], "operator");
    assert_eq!(body["status"], 503);
}

#[tokio::test]
async fn nested_router_is_guarded_by_the_whole_pattern() {
    let gate = gate_with_closed().await;
    for pattern in ["/v1/tenants/{tenant}", "/tenants/{tenant}"] {
        let key = PathKey::new(pattern).unwrap();
        let inside = orders().layer(gate.inbound_layer(key.clone()).require_tenant());
        let app = Router::new().nest("/v1", inside);
        assert_eq!(status(&app, "/v1/tenants/Cust2/orders").await, StatusCode::OK);
        let closed = status(&app, "/v1/tenants/Closed/orders").await;
        assert_eq!(closed, StatusCode::SERVICE_UNAVAILABLE, "{pattern}");
    }
    let key = PathKey::new("/v1/tenants/{tenant}").unwrap();
    let app = Router::new().nest("/v1", orders()).layer(gate.inbound_layer(key));
    let closed = status(&app, "/v1/tenants/Closed/orders").await;
    assert_eq!(closed, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn request_for_no_tenant_is_400_where_one_is_required() {
    let gate = gate_with_closed().await;
    let key = HeaderKey::new(HeaderName::from_static("x-tenant"));
    let app = orders().layer(gate.inbound_layer(key.clone()).require_tenant());
    assert_eq!(status(&app, "/tenants/Closed/orders").await, StatusCode::BAD_REQUEST);
    let app = orders().layer(gate.inbound_layer(key));
    assert_eq!(status(&app, "/tenants/Closed/orders").await, StatusCode::OK);
}

#[tokio::test]
async fn observing_layer_lets_requests_of_closed_tenants_pass() {
    let gate = gate_with_closed().await;
    let key = PathKey::new("/tenants/{tenant}").unwrap();
    let app = orders().layer(gate.inbound_layer(key).observe_only());
    assert_eq!(status(&app, "/tenants/Closed/orders").await, StatusCode::OK);
    assert_eq!(gate.health().observed_calls(), 1);
}

#[tokio::test]
async fn deleted_tenant_is_410() {
    let TestEnv { simulator, gate, tenant, .. } = TestEnv::new().await;
    assert_eq!(simulator.delete(&tenant).await.unwrap(), StatusCode::NO_CONTENT);
    let key = PathKey::new("/tenants/{tenant}").unwrap();
    let app = orders().layer(gate.inbound_layer(key));
    assert_eq!(status(&app, "/tenants/Cust1/orders").await, StatusCode::GONE);
}

#[tokio::test]
async fn client_without_a_tenant_is_refused_where_one_is_required() {
    let gate = gate_with_closed().await;
    let key = HeaderKey::new(HeaderName::from_static("x-tenant"));
    let client = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
    let client = gate.guard_layer().key(key).require_tenant().layer(client);
    let call = |tenant: Option<&str>| {
        let mut request = Request::new(());
        if let Some(tenant) = tenant {
            request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        }
        client.clone().oneshot(request)
    };
    assert!(call(Some("Cust2")).await.is_ok());
    assert!(matches!(call(Some("Closed")).await, Err(GuardError::Unavailable(_))));
    for none in [None, Some("no id!")] {
        let refused = call(none).await;
        assert!(matches!(refused, Err(GuardError::Inner(RequireTenantError::NoTenant))));
    }
}

#[tokio::test]
async fn handler_can_return_the_reason() {
    use axum::response::IntoResponse;
    let gate = gate_with_closed().await;
    let closed = gate.check(&tenant("Closed")).unwrap_err();
    let response = closed.into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
