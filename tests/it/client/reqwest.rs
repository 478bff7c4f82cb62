//! reqwest without a tower service in sight, and reqwest-middleware.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use harness::{TestEnv, tenant};
use http::{Extensions, StatusCode};
use reqwest::{Client, Request, Response, redirect::Policy};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tower_superoffice::{GuardError, TenantUnavailable, simulator::Fault};

fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

#[tokio::test]
async fn send_follows_a_move_and_refuses_a_closed_tenant() {
    let TestEnv { simulator, gate, tenant, .. } = TestEnv::new().await;
    let url = simulator.url(&tenant, "api/v1/Contact");
    assert_eq!(gate.send(client().get(&url)).await.unwrap().status(), StatusCode::OK);
    simulator.move_tenant(&tenant).without_notification();
    let response = gate.send(client().post(&url).body("x")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(simulator.misdirected_calls(&tenant), 1);
    gate.close(&tenant, "test").await.unwrap();
    let refused = gate.send(client().get(&url)).await.unwrap_err();
    assert_eq!(refused.unavailable().unwrap().tenant(), &tenant);
    let invalid = gate.send(client().get("no url")).await.unwrap_err();
    assert!(matches!(invalid, GuardError::Inner(error) if error.is_builder()));
}

/// Counts the attempts that pass, and leaves a note in the extensions.
#[derive(Clone, Default)]
struct Attempts(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Middleware for Attempts {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.0.fetch_add(1, Ordering::SeqCst);
        extensions.insert("noted");
        next.run(request, extensions).await
    }
}

/// Expects the note of an inner middleware in the extensions.
struct Noted;

#[async_trait::async_trait]
impl Middleware for Noted {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let response = next.run(request, extensions).await?;
        assert_eq!(extensions.get(), Some(&"noted"));
        Ok(response)
    }
}

#[tokio::test]
async fn middleware_follows_a_move_with_one_chain() {
    let TestEnv { simulator, gate, tenant, .. } = TestEnv::new().await;
    let attempts = Attempts::default();
    let client = ClientBuilder::new(client())
        .with(Noted)
        .with(gate.reqwest_middleware())
        .with(attempts.clone())
        .build();
    let url = simulator.hosts()[0].to_string() + "Cust1/api/v1/Contact";
    assert_eq!(client.get(&url).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(attempts.0.swap(0, Ordering::SeqCst), 1);
    simulator.move_tenant(&tenant).without_notification();
    assert_eq!(client.post(url).body("x").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(attempts.0.load(Ordering::SeqCst), 2, "the 421 and its repetition");
}

#[tokio::test]
async fn closed_tenant_is_tried_once_and_its_reason_is_found() {
    let TestEnv { simulator, gate, .. } = TestEnv::new().await;
    let attempts = Attempts::default();
    let retries = RetryTransientMiddleware::new_with_policy(
        ExponentialBackoff::builder()
            .retry_bounds(std::time::Duration::ZERO, std::time::Duration::from_millis(1))
            .build_with_max_retries(3),
    );
    let client = ClientBuilder::new(client())
        .with(retries)
        .with(attempts.clone())
        .with(gate.reqwest_middleware())
        .build();
    let closed = tenant("Cust1");
    gate.close(&closed, "test").await.unwrap();
    let error = client.get(simulator.url(&closed, "api")).send().await.unwrap_err();
    assert_eq!(TenantUnavailable::find(&error).unwrap().tenant(), &closed);
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
    assert!(TenantUnavailable::find(&*boxed).is_some());
    assert_eq!(attempts.0.swap(0, Ordering::SeqCst), 1);

    simulator.tenant_hosts(Fault::Status(StatusCode::BAD_GATEWAY));
    let failed = client.get(simulator.url(&tenant("Cust2"), "api")).send().await.unwrap();
    assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(attempts.0.load(Ordering::SeqCst), 4, "an open tenant is retried");
}
